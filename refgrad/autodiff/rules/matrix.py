"""The matrix product of two stacks of matrices, with broadcasting over the leading axes."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from refgrad.autodiff.core import Binary, Primitive
from refgrad.autodiff.domains import case, real
from refgrad.autodiff.primitive import unbroadcast
from refgrad.autodiff.rules.elementwise import mul
from refgrad.autodiff.rules.shape import reshape, transpose
from refgrad.backend import shape_of
from refgrad.typing import Array

__all__ = ["matmul", "matrix_transpose"]


def matrix_transpose(x: Array) -> Array:
    """`x` with its last two axes exchanged."""
    if type(x) is np.ndarray:  # where the primitive would take as long as a small product
        return x.mT
    n = len(shape_of(x))
    return transpose.apply(x, axes=(1, 0) if n == 2 else (*range(n - 2), n - 1, n - 2))


def _jvp(y: Array, xs: Sequence[Array], ts: Sequence[Array]) -> Array:
    (a, b), (da, db) = xs, ts
    if db is None:
        return matmul(da, b)
    return matmul(a, db) if da is None else matmul(da, b) + matmul(a, db)


def _vjp(i: int, g: Array, y: Array, a: Array, b: Array) -> Array:
    if i == 0:
        return unbroadcast(matmul.apply(g, matrix_transpose(b)), a)
    return unbroadcast(matmul.apply(matrix_transpose(a), g), b)


def _batch(size: int, mapped: Sequence[bool], args: Sequence[Any], params: dict[str, Any]) -> Array:
    a, b = args
    if shape_of(a)[-1] == 1:  # a column times a row is elementwise, in half the time of a product for each example
        return mul.align(size, mapped, args, params)
    # vectors of all examples times one matrix that they share: one product of matrices, in a third of the time
    if not mapped[1] and len(shape_of(a)) == 3 and shape_of(a)[1] == 1 and len(shape_of(b)) == 2:
        rows = _rows(reshape(a, shape=(size, shape_of(a)[2])), b)
        return reshape(rows, shape=(size, 1, shape_of(b)[1]))
    if not mapped[0] and len(shape_of(b)) == 3 and shape_of(b)[2] == 1 and len(shape_of(a)) == 2:
        rows = _rows(reshape(b, shape=(size, shape_of(b)[1])), matrix_transpose(a))
        return reshape(rows, shape=(size, shape_of(a)[0], 1))
    return matmul.align(size, mapped, args, params)


def _rows(a: Array, b: Array) -> Array:
    """``a @ b``; of unit vectors in a row, in which a Jacobian or a Hessian begins, rows of b."""
    if type(a) is type(b) is np.ndarray and a.dtype == b.dtype and a.size:
        first = int(a[0].argmax())
        if _is_identity(a[:, first : first + len(a)], int(np.count_nonzero(a))) and _is_finite(b):
            return b[first : first + len(a)] + 0  # -0.0 as in the sums of a product
    return matmul(a, b)


def _is_finite(b: np.ndarray) -> bool:
    with np.errstate(all="ignore"):  # a sum is finite of finite numbers alone, if not of all of them
        return bool(np.isfinite(b.sum()))


def _is_identity(a: np.ndarray, nonzero: int) -> bool:
    """Whether the columns of a matrix that are given, of all its `nonzero` elements, are the identity."""
    return a.shape[0] == a.shape[1] == nonzero and bool((a.diagonal() == 1).all())


matmul: Primitive = Binary(
    "matmul",
    operator.matmul,
    jvp=_jvp,
    vjp=_vjp,
    batch=_batch,
    source="{0} @ {1}",
    cases=(
        case(real(2, 3), real(3, 2)),
        case(real(2, 2, 3), real(3, 1)),
        case(real(1, 2), real(3, 2, 2)),
        case(real(2, 0), real(0, 3)),
        case(real(2, 2, 1), real(1, 3)),
    ),
    needs_table=False,
)
