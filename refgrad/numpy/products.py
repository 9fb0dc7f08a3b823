"""Products: of vectors and matrices, over chosen axes, of all pairs; matrix products or sums of products underneath."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from refgrad.autodiff.rules import matrix
from refgrad.autodiff.rules import shape as rules
from refgrad.backend import shape_of
from refgrad.errors import InvalidInput, ShapeError
from refgrad.numpy.conversion import asarray
from refgrad.numpy.joining import stack
from refgrad.numpy.reductions import axes_of
from refgrad.numpy.shapes import atleast_1d, expand_dims, flip, moveaxis, ravel, reshape, transpose
from refgrad.numpy.sliding import windows
from refgrad.typing import Array

__all__ = ["convolve", "correlate", "cross", "dot", "inner", "kron", "matmul", "outer", "tensordot", "vdot", "vecdot"]


def matmul(a: Any, b: Any) -> Array:
    """The matrix product; vectors are rows on the left and columns on the right, stacks are broadcast."""
    try:
        left, right = a.shape, b.shape
    except AttributeError:
        a, b = asarray(a), asarray(b)
        left, right = shape_of(a), shape_of(b)
    if len(left) == len(right) == 2 and left[1] == right[0]:
        return matrix.matmul.apply(a, b)
    if not left or not right:
        raise ShapeError(
            f"matmul: expected arrays with at least one axis, got shapes {left} and {right}; use * for numbers"
        )
    if left[-1] != right[-2 if len(right) > 1 else 0]:
        raise ShapeError(f"matmul: the inner lengths of shapes {left} and {right} differ")
    if len(left) > 1 and len(right) > 1:
        return matrix.matmul(a, b)
    if len(left) == 1:
        a = rules.reshape(a, shape=(1, left[0]))
    if len(right) == 1:
        b = rules.reshape(b, shape=(right[0], 1))
    y = matrix.matmul(a, b)
    dims = list(shape_of(y))
    if len(right) == 1:
        del dims[-1]
    if len(left) == 1:
        del dims[-1 if len(right) == 1 else -2]
    return rules.reshape(y, shape=tuple(dims))


def dot(a: Any, b: Any) -> Array:
    """The sum of products over the last axis of a and the last but one of b; of two vectors, one number."""
    a, b = asarray(a), asarray(b)
    if not shape_of(a) or not shape_of(b):
        return a * b
    return tensordot(a, b, (-1, -2)) if len(shape_of(b)) > 2 else matmul(a, b)


def inner(a: Any, b: Any) -> Array:
    """The inner products of the rows of a with the rows of b; of two vectors, one number."""
    a, b = asarray(a), asarray(b)
    if not shape_of(a) or not shape_of(b):
        return a * b
    return tensordot(a, b, (-1, -1)) if len(shape_of(b)) > 2 else matmul(a, transpose(b))


def vdot(a: Any, b: Any) -> Array:
    """The inner product of all elements of a and b."""
    return matmul(ravel(a), ravel(b))


def outer(a: Any, b: Any) -> Array:
    """The matrix ``a[i] * b[j]``."""
    return expand_dims(ravel(a), 1) * ravel(b)


def tensordot(a: Any, b: Any, axes: Any = 2) -> Array:
    """The sum of ``a * b`` over pairs of axes.

    Parameters
    ----------
    a, b : arrays
    axes : int, or a pair of ints or of sequences of ints
        The last so many axes of a with the first so many of b, or which axes of a with which of b.

    Returns
    -------
    array
        With the other axes of a, then those of b.
    """
    a, b = asarray(a), asarray(b)
    left, right = _paired_axes(a, b, axes)
    rest_a = [i for i in range(len(shape_of(a))) if i not in left]
    rest_b = [i for i in range(len(shape_of(b))) if i not in right]
    dims_a, dims_b = [shape_of(a)[i] for i in rest_a], [shape_of(b)[i] for i in rest_b]
    inner = math.prod([shape_of(a)[i] for i in left])
    rows = reshape(transpose(a, rest_a + left), (math.prod(dims_a), inner))
    columns = reshape(transpose(b, right + rest_b), (inner, math.prod(dims_b)))
    return reshape(matrix.matmul(rows, columns), dims_a + dims_b)


def _paired_axes(a: Array, b: Array, axes: Any) -> tuple[list[int], list[int]]:
    if isinstance(axes, int):
        n = len(shape_of(a))
        left: Sequence[int] = range(n - axes, n)
        right: Sequence[int] = range(axes)
    else:
        left, right = ([k] if isinstance(k, int) else list(k) for k in axes)
    places = [axes_of(a, k, "tensordot")[0] for k in left], [axes_of(b, k, "tensordot")[0] for k in right]
    if [shape_of(a)[k] for k in places[0]] != [shape_of(b)[k] for k in places[1]]:
        raise ShapeError(
            f"tensordot: axes {list(left)} of shape {shape_of(a)} and {list(right)} of {shape_of(b)} differ in length"
        )
    return places


def vecdot(a: Any, b: Any, *, axis: int = -1) -> Array:
    """The sums of products along `axis`, with broadcasting over the others."""
    a, b = asarray(a), asarray(b)
    n, m = (shape_of(x)[axes_of(x, axis, "vecdot")[0]] for x in (a, b))
    if n != m:
        raise ShapeError(f"vecdot: axis {axis} of shapes {shape_of(a)} and {shape_of(b)} differs in length")
    row, column = moveaxis(a, axis, -1), moveaxis(b, axis, -1)
    dims_row, dims_column = shape_of(row), shape_of(column)
    y = matrix.matmul(rules.reshape(row, shape=(*dims_row[:-1], 1, n)), rules.reshape(column, shape=(*dims_column, 1)))
    return rules.reshape(y, shape=shape_of(y)[:-2])


def kron(a: Any, b: Any) -> Array:
    """The Kronecker product: every element of a times all of b, in place of the element."""
    a, b = asarray(a), asarray(b)
    rank = max(len(shape_of(a)), len(shape_of(b)))
    dims_a, dims_b = ((1,) * (rank - len(shape_of(x))) + shape_of(x) for x in (a, b))
    spread_a = rules.reshape(a, shape=tuple(k for n in dims_a for k in (n, 1)))
    spread_b = rules.reshape(b, shape=tuple(k for n in dims_b for k in (1, n)))
    return rules.reshape(spread_a * spread_b, shape=tuple(n * m for n, m in zip(dims_a, dims_b, strict=True)))


def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Array:
    """The cross product of vectors of three components, which lie along `axis`, or along an axis of their own each."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = moveaxis(a, axisa, -1), moveaxis(b, axisb, -1)
    if shape_of(a)[-1] != 3 or shape_of(b)[-1] != 3:
        raise ShapeError(f"cross: expected vectors of length 3, got shapes {shape_of(a)} and {shape_of(b)}")
    a0, a1, a2 = (a[..., i] for i in range(3))
    b0, b1, b2 = (b[..., i] for i in range(3))
    return stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], axisc)


def convolve(a: Any, v: Any, mode: str = "full") -> Array:
    """The discrete convolution ``y[k] = sum_j a[k - j] * v[j]`` of two vectors; `mode` as for `correlate`."""
    a, v = _vectors(a, v, "convolve")
    if shape_of(v)[0] > shape_of(a)[0]:
        a, v = v, a
    return _correlation(a, flip(v, 0), mode)


def correlate(a: Any, v: Any, mode: str = "valid") -> Array:
    """The cross-correlation ``y[k] = sum_j a[k + j] * v[j]`` of two vectors.

    Parameters
    ----------
    a, v : arrays, shapes (n,) and (m,)
    mode : str
        Which k: ``"valid"`` where all of the shorter vector meets the longer, ``"full"`` where any of it does,
        ``"same"`` as many as the longer vector has elements, in the middle of those.
    """
    a, v = _vectors(a, v, "correlate")
    if shape_of(v)[0] > shape_of(a)[0]:  # the shorter one is moved along the longer; k runs the other way
        return flip(_correlation(v, a, mode), 0)
    return _correlation(a, v, mode)


def _vectors(a: Any, v: Any, what: str) -> tuple[Array, Array]:
    a, v = atleast_1d(a), atleast_1d(v)
    if len(shape_of(a)) != 1 or len(shape_of(v)) != 1 or not shape_of(a)[0] or not shape_of(v)[0]:
        raise ShapeError(f"{what}: expected two vectors that are not empty, got shapes {shape_of(a)} and {shape_of(v)}")
    return a, v


def _correlation(long: Array, short: Array, mode: str) -> Array:
    n, m = shape_of(long)[0], shape_of(short)[0]
    borders = {"valid": (0, 0), "same": (m // 2, m - m // 2 - 1), "full": (m - 1, m - 1)}
    if mode not in borders:
        raise InvalidInput(f"expected mode valid, same or full, got {mode!r}")
    before, after = borders[mode]
    wide = rules.pad(long, shape=(before + n + after,), index=(slice(before, before + n),))
    y = matrix.matmul(windows(wide, m), rules.reshape(short, shape=(m, 1)))
    return rules.reshape(y, shape=shape_of(y)[:1])
