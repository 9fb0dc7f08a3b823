"""Eigenvalues and eigenvectors of symmetric matrices.

Both are those of the symmetric matrix S with the lower triangle of A, or the upper one, as in NumPy; the other triangle
is not read. Their derivatives are those of functions of symmetric matrices, along the symmetric part of a direction:
``dS = (dA + dA^T) / 2``, and gradients are symmetric. With ``S = V diag(w) V^T`` and ``X = V^T dS V`` [giles2008]_,
section 3.1::

    dw_i  =  X_ii
    dV    =  V F,   F_ij = X_ij / (w_j - w_i),  F_ii = 0

The eigenvalues are counted from 0 in ascending order; those from `start` to `stop`, without `stop`, are computed, and
their eigenvectors as columns.

Equal eigenvalues. The first derivative of what is symmetric in them needs no quotient, and is right. Their eigenvectors
are not unique and have no derivative: it is NaN, and so are second derivatives of the eigenvalues. It is not enough
that a cotangent of such an eigenvector is 0, for ``V diag(w - 1) V^T = S - 1`` has a derivative at ``S = 1``, which the
formulas above do not give. What depends on other eigenvectors alone is asked for by `start` and `stop`, and is right.
Floating eigenvalues count as equal if they differ by no more than rounding, ``n eps max |w|``.

The sign of an eigenvector is that which the array library gives, and its derivative keeps it. On exact arrays the
component of largest magnitude, the first of equal ones, is positive.

.. [giles2008] M. Giles, An extended collection of matrix derivative results for forward and reverse mode algorithmic
   differentiation, report 08/01, Oxford (2008).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from refgrad import backend
from refgrad.autodiff.core import Primitive, Unary, primal
from refgrad.autodiff.domains import case, symmetric
from refgrad.autodiff.rules.elementwise import abs_, where
from refgrad.autodiff.rules.matrix import matmul, matrix_transpose
from refgrad.autodiff.rules.reduce import amax, sum_
from refgrad.autodiff.rules.shape import reshape, slice_
from refgrad.autodiff.rules.triangular import symmetric_part
from refgrad.backend import shape_of
from refgrad.typing import Array

__all__ = ["eigenvalues", "eigenvectors"]

_CASES = (
    case(symmetric(2, 2), start=0, stop=2, uplo="L"),
    case(symmetric(3, 3), start=0, stop=3, uplo="U"),
    case(symmetric(3, 3), start=1, stop=2, uplo="L"),
    case(symmetric(2, 2, 2), start=0, stop=2, uplo="L"),
)


def _as_row(w: Array) -> Array:
    """``(..., n)`` as ``(..., 1, n)``."""
    return reshape(w, shape=(*shape_of(w)[:-1], 1, shape_of(w)[-1]))


def _columns(x: Array, start: int, stop: int) -> Array:
    """The columns from `start` to `stop`."""
    if (start, stop) == (0, shape_of(x)[-1]):
        return x
    return slice_(x, index=(*(slice(None),) * (len(shape_of(x)) - 1), slice(start, stop)))


def _eigenvalues_jvp(w: Array, xs: Sequence[Array], ts: Sequence[Array], **params: Any) -> Array:
    v = eigenvectors(xs[0], **params)
    product = v * matmul(ts[0], v)  # the skew part of the tangent drops out
    return sum_(product, axis=(len(shape_of(product)) - 2,), keepdims=False)


def _eigenvalues_vjp(i: int, g: Array, w: Array, a: Array, **params: Any) -> Array:
    v = eigenvectors(a, **params)
    return matmul(v * _as_row(g), matrix_transpose(v))


eigenvalues: Primitive = Unary(
    "eigenvalues",
    lambda xp, a, start, stop, uplo: xp.eigenvalues(a, uplo)[..., start:stop],
    jvp=_eigenvalues_jvp,
    vjp=_eigenvalues_vjp,
    source="np.linalg.eigvalsh({0}, {uplo!r})[..., {start}:{stop}]",
    cases=_CASES,
)


def _diagonal(x: Array) -> Array:
    """Where the diagonal of the square matrices `x` is; shape (n, n)."""
    value = primal(x)
    xp = backend.of(value)
    places = xp.indices(shape_of(x)[-1], value)
    return xp.xp.expand_dims(places, axis=1) == places


def _over_gaps(x: Array, a: Array, start: int, stop: int, uplo: str) -> Array:
    """``x_ij / (w_j - w_i)`` for i from 0 and j from `start`; 0 where i is j, NaN where the eigenvalues are equal."""
    n = shape_of(a)[-1]
    w = _as_row(eigenvalues(a, start=0, stop=n, uplo=uplo))
    gaps = w - matrix_transpose(w)
    value = primal(a)
    if n and not backend.of(value).exact:  # exact arrays have no eigenvectors where eigenvalues are equal
        units = int(1 / np.finfo(str(value.dtype).rpartition(".")[2]).eps)
        largest = amax(abs_(w), axis=(len(shape_of(w)) - 1,), keepdims=True)
        gaps = where(abs_(gaps) * units <= n * largest, math.nan, gaps)
    same = _diagonal(gaps)
    gaps = _columns(where(same, 1, gaps), start, stop)
    return where(same[:, start:stop], 0, x) / gaps


def _eigenvectors_jvp(v: Array, xs: Sequence[Array], ts: Sequence[Array], **params: Any) -> Array:
    a = xs[0]
    whole = eigenvectors(a, start=0, stop=shape_of(a)[-1], uplo=params["uplo"])
    x = matmul(matrix_transpose(whole), matmul(symmetric_part(ts[0]), v))
    return matmul(whole, _over_gaps(x, a, **params))


def _eigenvectors_vjp(i: int, g: Array, v: Array, a: Array, **params: Any) -> Array:
    whole = eigenvectors(a, start=0, stop=shape_of(a)[-1], uplo=params["uplo"])
    rotation = _over_gaps(matmul(matrix_transpose(whole), g), a, **params)
    return symmetric_part(matmul(whole, matmul(rotation, matrix_transpose(v))))


eigenvectors: Primitive = Unary(
    "eigenvectors",
    lambda xp, a, start, stop, uplo: xp.eigenvectors(a, uplo)[..., start:stop],
    jvp=_eigenvectors_jvp,
    vjp=_eigenvectors_vjp,
    source="np.linalg.eigh({0}, {uplo!r})[1][..., {start}:{stop}]",
    cases=_CASES,
)
