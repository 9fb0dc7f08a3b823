"""Special functions: the error function, the logarithm of gamma and its derivatives, sin(x) / x, x log(y).

Each comes with the family its derivatives lie in, so that it nests to any order:

    erf'(x) = 2 exp(-x^2) / sqrt(pi) = -erfc'(x)
    lgamma'(x) = polygamma(0, x),    polygamma(n, x)' = polygamma(n + 1, x)                 [dlmf]_, 5.2.2 and 5.15
    f_n'(x) = -x f_{n+1}(x)  for  f_n(x) = j_n(x) / x^n,  f_0(x) = sin(x) / x               [dlmf]_, 10.51.3

with j_n the spherical Bessel function. No f_n is divided by x, so all derivatives of ``sin(x) / x`` are exact at 0.

NumPy has none of them but `sinc`: they come from SciPy, which is imported when one of them is first evaluated. An
exported program that uses them imports `scipy.special` as ``special`` beside NumPy.

.. [dlmf] NIST Digital Library of Mathematical Functions, https://dlmf.nist.gov.
"""

from __future__ import annotations

from refgrad.autodiff.core import Primitive, primal
from refgrad.autodiff.domains import case, positive, real
from refgrad.autodiff.primitive import elementwise
from refgrad.autodiff.rules.elementwise import exp, log, log1p, sqrt, weigh, where
from refgrad.autodiff.rules.norm import ratio
from refgrad.autodiff.rules.smooth import pi_like
from refgrad.backend import of
from refgrad.typing import Array

__all__ = ["erf", "erfc", "lgamma", "polygamma", "sinc", "xlog1py", "xlogy"]


def _bell(x: Array) -> Array:
    return 2 * exp(-weigh(x, x)) / sqrt(pi_like(x))


erf: Primitive = elementwise(
    "erf",
    lambda xp, x: xp.erf(x),
    d=[lambda t, y, x: weigh(_bell(x), t)],
    source="cast(special.erf({0}), {0})",
    cases=(case(real(2, 3)), case(real())),
)

erfc: Primitive = elementwise(
    "erfc",
    lambda xp, x: xp.erfc(x),
    d=[lambda t, y, x: -weigh(_bell(x), t)],
    source="cast(special.erfc({0}), {0})",
    cases=(case(real(2, 3)), case(real())),
)

lgamma: Primitive = elementwise(
    "lgamma",
    lambda xp, x: xp.lgamma(x),
    d=[lambda t, y, x: t * polygamma(x, n=0)],
    source="cast(special.gammaln({0}), {0})",
    cases=(case(positive(2, 3)), case(positive())),
)

polygamma: Primitive = elementwise(
    "polygamma",
    lambda xp, x, n: xp.polygamma(n, x),
    d=[lambda t, y, x, n: t * polygamma(x, n=n + 1)],
    source="cast(special.polygamma({n}, {0}), {0})",
    cases=(case(positive(2, 3), n=0), case(positive(3), n=1), case(positive(), n=3)),
)

sinc: Primitive = elementwise(
    "sinc",
    lambda xp, x, n: xp.sinc(x, n),
    d=[lambda t, y, x, n: -(t * (x * sinc(x, n=n + 1)))],
    source="sinc({0}, {n})",
    cases=(case(real(2, 3), n=0), case(real(3), n=1), case(real(), n=3)),
)


def _over(x: Array, y: Array) -> Array:
    """``x / y``, and 0 where both are 0: x log(y) is 0 at x = 0, for every y. That has no derivative, which is NaN."""
    if of(primal(y)).exact:
        return x / y
    both = (x == 0) & (y == 0)
    # what is not chosen is 0 / 1, lest 0 times its slope be NaN where x / y overflows
    return where(both, ratio(where(both, x, 0), where(both, y, 1)), x / where(both, 1, y))


_LOGARITHMS = (case(real(2, 3), positive(2, 3)), case(real(3), positive(2, 1)), case(real(), positive()))

xlogy: Primitive = elementwise(
    "xlogy",
    lambda xp, x, y: xp.xlogy(x, y),
    d=[lambda t, z, x, y: t * log(y), lambda t, z, x, y: t * _over(x, y)],
    source="cast(special.xlogy({0}, {1}), {0} * {1})",
    cases=_LOGARITHMS,
)

xlog1py: Primitive = elementwise(
    "xlog1py",
    lambda xp, x, y: xp.xlog1py(x, y),
    d=[lambda t, z, x, y: t * log1p(y), lambda t, z, x, y: t * _over(x, 1 + y)],
    source="cast(special.xlog1py({0}, {1}), {0} * {1})",
    cases=_LOGARITHMS,
)
