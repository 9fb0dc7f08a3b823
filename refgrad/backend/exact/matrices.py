"""Linear algebra on exact matrices: factors where they lie in the field, determinants by their multilinearity.

A matrix is an object array of elements of the field, which comes first; `each` does one matrix of a stack at a time.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.backend.exact.field import Field
from refgrad.errors import InvalidInput, NotPositiveDefinite, SingularMatrix, Undecided

__all__ = ["cholesky", "cofactor", "each", "eigenvectors", "orthonormal", "require_pivots", "triangular_factor"]

Elements = np.ndarray


def each(field: Field, function: Callable[..., Elements], *stacks: Elements) -> Elements:
    """``function(field, *matrices)`` of every matrix of some stacks that broadcast, its results stacked."""
    batch = np.broadcast_shapes(*(x.shape[:-2] for x in stacks))
    count = math.prod(batch)
    flat = [np.broadcast_to(x, batch + x.shape[-2:]).reshape(count, *x.shape[-2:]) for x in stacks]
    if not count:  # any matrix, whose result has the shape of those that are missing
        shape = function(field, *(_sample(field, *x.shape[-2:]) for x in stacks)).shape
        return np.empty((*batch, *shape), object)
    results = np.stack([function(field, *(x[i] for x in flat)) for i in range(count)])
    return results.reshape(batch + results.shape[1:])


def _sample(field: Field, m: int, n: int) -> Elements:
    """A diagonal matrix with the entries 1, 4, 9, ..., of which every function here has a value."""
    sample = np.full((m, n), field.zero, object)
    for i in range(min(m, n)):
        sample[i, i] = field.element((i + 1) ** 2)
    return sample


def require_pivots(field: Field, a: Elements) -> None:
    """Raise `SingularMatrix` if a triangular matrix, or one of a stack, has a zero on its diagonal."""
    for pivot in a.diagonal(axis1=-2, axis2=-1).ravel():
        if _vanishes(field, pivot):
            raise field.singular(a.shape[-1])


def _vanishes(field: Field, element: Any) -> bool:
    """Whether an element is zero, or cannot be told from zero."""
    try:
        return field.compare("==", element, field.zero)
    except Undecided:
        return True


def _less(field: Field, a: Any, b: Any) -> bool:
    """Whether ``a < b`` is certain."""
    try:
        return field.compare("<", a, b)
    except Undecided:
        return False


def cholesky(field: Field, a: Elements) -> Elements:
    """The lower Cholesky factor of a symmetric matrix; of rationals where it is rational."""
    factor = np.full(a.shape, field.zero, object)
    for j in range(len(a)):
        square = a[j, j] - factor[j, :j] @ factor[j, :j]
        if not field.compare("<", field.zero, square):
            raise NotPositiveDefinite(
                f"cholesky: expected a positive definite matrix; pivot {j} of this one is {square}"
            )
        factor[j, j] = field.root(square)
        factor[j + 1 :, j] = (a[j + 1 :, j] - factor[j + 1 :, :j] @ factor[j, :j]) / factor[j, j]
    return factor


def orthonormal(field: Field, a: Elements) -> Elements:
    """Q of ``a = Q R`` with positive diagonal of R, by Gram and Schmidt; of rationals where it is rational."""
    q = np.full(a.shape, field.zero, object)
    for j in range(a.shape[1]):
        rest = a[:, j] - q[:, :j] @ (q[:, :j].T @ a[:, j])
        square = rest @ rest
        if _vanishes(field, square):
            raise SingularMatrix(f"qr: expected linearly independent columns; column {j} depends on those before")
        q[:, j] = rest / field.root(square)
    return q


def triangular_factor(field: Field, a: Elements) -> Elements:
    """R of ``a = Q R``."""
    return np.triu(orthonormal(field, a).T @ a) * field.one  # type: ignore[no-any-return]


def cofactor(field: Field, a: Elements, *directions: Elements) -> Elements:
    """``D^{k+1} det(a)[directions, .]`` as a matrix: sums of determinants with k + 1 rows replaced.

    A determinant is linear in every row, so its derivative in directions E_1, ..., E_k is the sum over all ways to
    take a row of each E_s in place of that row of `a`, all rows different.
    """
    n = len(a)
    result = np.full((n, n), field.zero, object)
    for i in range(n):
        others = [row for row in range(n) if row != i]
        for rows in itertools.permutations(others, len(directions)):
            changed = a.copy()
            for row, direction in zip(rows, directions, strict=True):
                changed[row] = direction[row]
            for j in range(n):
                changed[i] = field.zero
                changed[i, j] = field.one
                result[i, j] = result[i, j] + field.det(changed)
    return result


def eigenvectors(field: Field, a: Elements) -> Elements:
    """Unit eigenvectors of a symmetric matrix, whose eigenvalues must be different, as columns.

    The component of largest magnitude, the first of equal ones, is positive.
    """
    columns = np.full(a.shape, field.zero, object)
    for j, value in enumerate(field.eigenvalues(a)):
        shifted = a.copy()
        shifted[np.diag_indices(len(a))] -= value
        # a multiple of v v^T, and zero if the eigenvalue is a multiple one
        table = cofactor(field, shifted)
        sizes = [abs(e) for e in table.diagonal()]
        largest = next(i for i, e in enumerate(sizes) if not any(_less(field, e, other) for other in sizes))
        v = table[largest]
        if _vanishes(field, v[largest]):
            raise InvalidInput(
                f"eigenvectors: expected different eigenvalues; {value} occurs twice, or is too close to the next"
            )
        v = v / field.root(v @ v)
        columns[:, j] = -v if field.compare("<", v[largest], field.zero) else v
    return columns
