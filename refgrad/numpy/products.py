"""Products of vectors and matrices."""

from __future__ import annotations

from typing import Any

from refgrad.autodiff.rules import contract, shape
from refgrad.backend import shape_of
from refgrad.errors import ShapeError
from refgrad.numpy.elementwise import asarray
from refgrad.numpy.passthrough import numpys
from refgrad.numpy.shapes import expand_dims, ravel, transpose
from refgrad.numpy.tensor_products import tensordot
from refgrad.typing import Array


def matmul(a: Any, b: Any) -> Array:
    """The matrix product; vectors are rows on the left and columns on the right, stacks are broadcast."""
    a, b = asarray(a), asarray(b)
    left, right = shape_of(a), shape_of(b)
    if len(left) == len(right) == 2 and left[1] == right[0]:
        return contract.matmul(a, b)
    if not left or not right:
        raise ShapeError(
            f"matmul: expected arrays with at least one axis, got shapes {left} and {right}; use * for numbers"
        )
    if left[-1] != right[-2 if len(right) > 1 else 0]:
        raise ShapeError(f"matmul: the inner lengths of shapes {left} and {right} differ")
    if len(left) > 1 and len(right) > 1:
        return contract.matmul(a, b)
    if len(left) == 1:
        a = shape.reshape(a, shape=(1, left[0]))
    if len(right) == 1:
        b = shape.reshape(b, shape=(right[0], 1))
    y = contract.matmul(a, b)
    dims = list(shape_of(y))
    if len(right) == 1:
        del dims[-1]
    if len(left) == 1:
        del dims[-1 if len(right) == 1 else -2]
    return shape.reshape(y, shape=tuple(dims))


@numpys
def dot(a: Any, b: Any) -> Array:
    """The sum of products over the last axis of a and the last but one of b; of two vectors, one number."""
    a, b = asarray(a), asarray(b)
    if not shape_of(a) or not shape_of(b):
        return a * b
    return tensordot(a, b, (-1, -2)) if len(shape_of(b)) > 2 else matmul(a, b)


@numpys
def inner(a: Any, b: Any) -> Array:
    """The inner products of the rows of a with the rows of b; of two vectors, one number."""
    a, b = asarray(a), asarray(b)
    if not shape_of(a) or not shape_of(b):
        return a * b
    return tensordot(a, b, (-1, -1)) if len(shape_of(b)) > 2 else matmul(a, transpose(b))


@numpys
def vdot(a: Any, b: Any) -> Array:
    """The inner product of all elements of a and b."""
    return matmul(ravel(a), ravel(b))


@numpys
def outer(a: Any, b: Any) -> Array:
    """The matrix ``a[i] * b[j]``."""
    return expand_dims(ravel(a), 1) * ravel(b)
