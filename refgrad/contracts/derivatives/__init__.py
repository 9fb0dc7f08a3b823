"""Functions with gradient and Hessian-vector product by hand, and what is computed in their place.

>>> from refgrad import exact
>>> from refgrad.contracts.derivatives import LogSumExp, gradient
>>> from refgrad.contracts.tools import EXACT_TABLE
>>> a = exact.asarray
>>> gradient(LogSumExp(EXACT_TABLE, a([[1], [-1]]), a([0, 0])), exact.balls([0])).value.shape
(1,)
"""

from __future__ import annotations

from refgrad.contracts.derivatives.function_variants import GRADIENT_VARIANTS, HVP_VARIANTS
from refgrad.contracts.derivatives.functions import (
    LINKS,
    Form,
    LeastSquares,
    LogSumExp,
    TwoLayers,
    gradient,
    hvp,
)

__all__ = [
    "GRADIENT_VARIANTS", "HVP_VARIANTS", "LINKS", "Form", "LeastSquares", "LogSumExp", "TwoLayers", "gradient", "hvp",
]  # fmt: skip
