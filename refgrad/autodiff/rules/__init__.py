"""The primitives, one file a kind, each with its rules beside it.

>>> from refgrad.autodiff.rules import PRIMITIVES
>>> PRIMITIVES["tanh"]
<primitive tanh>
"""

from __future__ import annotations

from refgrad.autodiff.core import PRIMITIVES
from refgrad.autodiff.rules import (
    determinant,
    discrete,
    einsum,
    elementwise,
    index,
    least_squares,
    linalg,
    matrix,
    norm,
    order,
    orthogonal,
    reduce,
    remainder,
    scan,
    shape,
    smooth,
    special,
    spectral,
    triangular,
    window,
)

__all__ = [
    "PRIMITIVES", "determinant", "discrete", "einsum", "elementwise", "index", "least_squares", "linalg", "matrix",
    "norm", "order", "orthogonal", "reduce", "remainder", "scan", "shape", "smooth", "special", "spectral",
    "triangular", "window",
]  # fmt: skip
