"""Special functions of NumPy arrays, by SciPy. Imported the first time one of them is evaluated."""

from __future__ import annotations

import numpy as np
from scipy import special

from refgrad.typing import Array

__all__ = ["erf", "erfc", "lgamma", "polygamma", "xlog1py", "xlogy"]

erf, erfc, lgamma, xlogy, xlog1py = special.erf, special.erfc, special.gammaln, special.xlogy, special.xlog1py


def polygamma(n: int, x: Array) -> Array:
    """The n-th derivative of digamma, in the dtype of `x`; SciPy's is float64 whatever it is given."""
    return special.polygamma(n, x).astype(np.asarray(x).dtype)
