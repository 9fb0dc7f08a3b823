"""Hypothesis strategies that construct what they promise: numbers, positive definite matrices, chosen spectra.

`spd` and `spd_with_spectrum` are matrices that are positive definite, or have chosen eigenvalues, by construction, as
nested lists of floats exact in float32; `dyadics` and `rationals` are single numbers, floats and Fractions. The
problems that contracts pose are drawn from these, in the module ``problems`` of each folder of `refgrad.contracts`.

>>> from hypothesis import find, settings
>>> from refgrad.strategies import spd
>>> find(spd(2), lambda a: a[0][1] != 0, settings=settings(database=None))[0][0] > 0
True
"""

from __future__ import annotations

try:
    import hypothesis  # noqa: F401
except ImportError as error:
    from refgrad.errors import MissingExtra

    raise MissingExtra(
        "strategies need Hypothesis, which the extra verify brings: pip install 'refgrad[verify]'"
    ) from error

from refgrad.strategies.matrices import ill_conditioned, spd, spd_with_spectrum
from refgrad.strategies.numbers import dyadics, rationals

__all__ = ["dyadics", "ill_conditioned", "rationals", "spd", "spd_with_spectrum"]
