"""Linear algebra on exact arrays: factors where they lie in the field, determinants by their multilinearity."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from refgrad.backend.exact.array import ElementArray
from refgrad.backend.exact.field import Field, boxed
from refgrad.errors import InvalidInput, NotPositiveDefinite, SingularMatrix, Undecided
from refgrad.typing import Array

__all__ = ["LinearAlgebra"]


class LinearAlgebra:
    """What `ElementBackend` does to stacks of matrices, one matrix at a time."""

    field: Field
    array: type[ElementArray]

    if TYPE_CHECKING:  # of ElementBackend and its table
        abs: Callable[..., Any]
        det: Callable[..., Any]
        log: Callable[..., Any]
        sign: Callable[..., Any]
        symmetric_part: Callable[..., Any]
        _data: Callable[[Any], np.ndarray]

    def each(self, function: Callable[..., np.ndarray], *stacks: Array) -> Any:
        """`function` of every matrix of some stacks that broadcast, its results stacked."""
        data = [self._data(x) for x in stacks]
        batch = np.broadcast_shapes(*(x.shape[:-2] for x in data))
        count = math.prod(batch)
        flat = [np.broadcast_to(x, batch + x.shape[-2:]).reshape(count, *x.shape[-2:]) for x in data]
        if not count:  # any matrix, whose result has the shape of those that are missing
            shape = function(*(self._sample(*x.shape[-2:]) for x in data)).shape
            return self.array(np.empty((*batch, *shape), object))
        results = np.stack([function(*(x[i] for x in flat)) for i in range(count)])
        return self.array(results.reshape(batch + results.shape[1:]))

    def _sample(self, m: int, n: int) -> np.ndarray:
        """A diagonal matrix with the entries 1, 4, 9, ..., of which every function here has a value."""
        sample = np.full((m, n), self.field.zero, object)
        for i in range(min(m, n)):
            sample[i, i] = self.field.element((i + 1) ** 2)
        return sample

    def solve_triangular(self, a: Array, b: Array, lower: bool, unit_diagonal: bool) -> Any:
        """The solution of ``a @ x = b`` by substitution. Raises `SingularMatrix`."""
        if not unit_diagonal:
            data = self._data(a)
            for pivot in data.diagonal(axis1=-2, axis2=-1).ravel():
                if self._vanishes(pivot):
                    raise self.field.singular(data.shape[-1])
        return super().solve_triangular(a, b, lower, unit_diagonal)  # type: ignore[misc]

    def _vanishes(self, element: Any) -> bool:
        """Whether an element is zero, or cannot be told from zero."""
        try:
            return self.field.compare("==", element, self.field.zero)
        except Undecided:
            return True

    def _less(self, a: Any, b: Any) -> bool:
        """Whether ``a < b`` is certain."""
        try:
            return self.field.compare("<", a, b)
        except Undecided:
            return False

    def cholesky(self, a: Array) -> Any:
        """The lower Cholesky factor of the symmetric part; of rationals where it is rational."""
        return self.each(self._cholesky, self.symmetric_part(a))

    def _cholesky(self, a: np.ndarray) -> np.ndarray:
        factor = np.full(a.shape, self.field.zero, object)
        for j in range(len(a)):
            square = a[j, j] - factor[j, :j] @ factor[j, :j]
            if not self.field.compare("<", self.field.zero, square):
                raise NotPositiveDefinite(
                    f"cholesky: expected a positive definite matrix; pivot {j} of this one is {square}"
                )
            factor[j, j] = self.field.root(square)
            factor[j + 1 :, j] = (a[j + 1 :, j] - factor[j + 1 :, :j] @ factor[j, :j]) / factor[j, j]
        return factor

    def orthonormal(self, a: Array) -> Any:
        """Q of ``a = Q R`` with positive diagonal of R, by Gram and Schmidt; of rationals where it is rational."""
        return self.each(self._orthonormal, a)

    def _orthonormal(self, a: np.ndarray) -> np.ndarray:
        q = np.full(a.shape, self.field.zero, object)
        for j in range(a.shape[1]):
            rest = a[:, j] - q[:, :j] @ (q[:, :j].T @ a[:, j])
            square = rest @ rest
            if self._vanishes(square):
                raise SingularMatrix(f"qr: expected linearly independent columns; column {j} depends on those before")
            q[:, j] = rest / self.field.root(square)
        return q

    def triangular_factor(self, a: Array) -> Any:
        """R of ``a = Q R``."""
        return self.each(lambda m: np.triu(self._orthonormal(m).T @ m) * self.field.one, a)

    def log_abs_det(self, a: Array) -> Any:
        """The logarithm of the absolute value of the determinant, which balls have."""
        return self.log(self.abs(self.det(a)))

    def det_sign(self, a: Array) -> Any:
        """The sign of the determinant."""
        return self.sign(self.det(a))

    def cofactor(self, a: Array, *directions: Array) -> Any:
        """``D^{k+1} det(a)[directions, .]`` as a matrix: sums of determinants with k + 1 rows replaced.

        A determinant is linear in every row, so its derivative in directions E_1, ..., E_k is the sum over all ways to
        take a row of each E_s in place of that row of `a`, all rows different.
        """
        return self.each(self._cofactor, a, *directions)

    def _cofactor(self, a: np.ndarray, *directions: np.ndarray) -> np.ndarray:
        n = len(a)
        result = np.full((n, n), self.field.zero, object)
        for i in range(n):
            others = [row for row in range(n) if row != i]
            for rows in itertools.permutations(others, len(directions)):
                changed = a.copy()
                for row, direction in zip(rows, directions, strict=True):
                    changed[row] = direction[row]
                for j in range(n):
                    changed[i] = self.field.zero
                    changed[i, j] = self.field.one
                    result[i, j] = result[i, j] + self.field.det(changed)
        return result

    def eigenvalues(self, a: Array) -> Any:
        """The eigenvalues of the symmetric part in ascending order; of rationals where they are rational."""
        return self.each(lambda m: boxed(self.field.eigenvalues(m)), self.symmetric_part(a))

    def eigenvectors(self, a: Array) -> Any:
        """Unit eigenvectors of the symmetric part, whose eigenvalues must be different, as columns.

        The component of largest magnitude, the first of equal ones, is positive.
        """
        return self.each(self._eigenvectors, self.symmetric_part(a))

    def _eigenvectors(self, a: np.ndarray) -> np.ndarray:
        columns = np.full(a.shape, self.field.zero, object)
        for j, value in enumerate(self.field.eigenvalues(a)):
            shifted = a.copy()
            shifted[np.diag_indices(len(a))] -= value
            # a multiple of v v^T, and zero if the eigenvalue is a multiple one
            table = self._cofactor(shifted)
            sizes = [abs(e) for e in table.diagonal()]
            largest = next(i for i, e in enumerate(sizes) if not any(self._less(e, other) for other in sizes))
            v = table[largest]
            if self._vanishes(v[largest]):
                raise InvalidInput(
                    f"eigenvectors: expected different eigenvalues; {value} occurs twice, or is too close to the next"
                )
            v = v / self.field.root(v @ v)
            columns[:, j] = -v if self.field.compare("<", v[largest], self.field.zero) else v
        return columns

    def ratio(self, a: Array, b: Array) -> Any:
        """``a / b``, and 0 where both are 0."""
        a, b = self.array(self._data(a)), self.array(self._data(b))
        nothing = np.asarray(b == 0)
        if np.any(nothing & np.asarray(a != 0)):
            raise ZeroDivisionError("ratio: expected 0 or a divisor other than 0")
        return a / self.array(np.where(nothing, boxed(self.field.one), b.data))
