"""How the elements of exact arrays are made, compared, sorted and solved with: one field for each kind of number."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cmp_to_key
from typing import Any

import numpy as np

from refgrad.errors import InvalidInput, SingularMatrix

__all__ = ["Field", "box", "lift", "nearest"]


class Field(ABC):
    """How the elements of one kind are made, compared and evaluated.

    Attributes
    ----------
    name : str
        Also shown as the dtype of arrays over this field.
    zero, one : element
    matrix : type or None
        python-flint's matrices over the same elements, which multiply and solve faster than loops of ours.
    """

    name: str
    zero: Any
    one: Any
    matrix: Any = None

    @abstractmethod
    def element(self, value: Any) -> Any:
        """The element equal to an int, Fraction, numeric string, or element; a float means its binary value."""

    @abstractmethod
    def fraction(self, element: Any) -> Fraction:
        """The rational number equal to `element`."""

    @abstractmethod
    def apply(self, name: str, element: Any, *others: Any) -> Any:
        """A function of real numbers by its name, as in `refgrad.backend.base.ELEMENTWISE`, of one or two elements.

        Or ``polygamma`` or ``sinc`` of an element and an int.
        """

    @abstractmethod
    def compare(self, symbol: str, a: Any, b: Any) -> bool:
        """``a < b``, ``a <= b`` or ``a == b``."""

    @abstractmethod
    def root(self, element: Any) -> Any:
        """The square root of a positive element, where the field has it."""

    def eigenvalues(self, a: np.ndarray) -> list[Any]:
        """The eigenvalues of a symmetric matrix in ascending order, where the field has them."""
        raise InvalidInput(f"eigenvalues of {self.name} matrices are not to be had")

    def maximum(self, a: Any, b: Any) -> Any:
        """The larger of two elements."""
        return b if self.compare("<", a, b) else a

    def floor(self, x: Any) -> Any:
        """The largest integer that is not above an element."""
        return self.element(math.floor(self.fraction(x)))

    def rint(self, x: Any) -> Any:
        """The nearest integer; half way between two the even one."""
        return self.element(round(self.fraction(x)))

    def power(self, x: np.ndarray, n: int) -> np.ndarray:
        """The n-th power, n >= 0, of every element."""
        return x**n  # type: ignore[no-any-return]

    def sort(self, row: list[Any]) -> list[Any]:
        """The elements of `row`, the smallest first."""
        return [row[i] for i in self.order(row)]

    def order(self, row: list[Any]) -> list[int]:
        """The places of the elements of `row`, that of the smallest first; equal ones stay in their order."""

        def later(i: int, j: int) -> int:
            return self.compare("<", row[j], row[i]) - self.compare("<", row[i], row[j])

        return sorted(range(len(row)), key=cmp_to_key(later))

    def matmul(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The product of two matrices, or of stacks of them, or of vectors, as NumPy's ``@``."""
        if self.matrix is None or a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0] or a.size * b.shape[1] < 128:
            return np.matmul(a, b)  # type: ignore[no-any-return]
        return box((self.matrix(a.tolist()) * self.matrix(b.tolist())).tolist())

    def solve(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The solution of one square system with a matrix on the right. Raises `SingularMatrix`."""
        if self.matrix is None or not b.size:
            return self.eliminate(np.concatenate([a, b], axis=1))[0]
        try:
            return box(self.matrix(a.tolist()).solve(self.matrix(b.tolist())).tolist())
        except ZeroDivisionError:
            raise self.singular(len(a)) from None

    def det(self, a: np.ndarray) -> Any:
        """The determinant of a square matrix."""
        if self.matrix is not None:
            return self.matrix(a.tolist()).det() if a.size else self.one
        try:
            return self.eliminate(a)[1]
        except SingularMatrix:
            return self.zero

    def eliminate(self, m: np.ndarray) -> tuple[np.ndarray, Any]:
        """``A^-1 B`` and ``det A`` of a matrix ``[A, B]`` with square A, by Gauss and Jordan."""
        m, n, det = m.copy(), len(m), self.one
        for k in range(n):
            pivot = next((i for i in range(k, n) if m[i, k] != 0), None)
            if pivot is None:
                raise self.singular(n)
            if pivot != k:
                m[[k, pivot]], det = m[[pivot, k]], -det
            det = det * m[k, k]
            m[k] = m[k] / m[k, k]
            for i in range(n):
                if i != k:
                    m[i] = m[i] - m[i, k] * m[k]
        return m[:, n:], det

    def singular(self, order: int) -> SingularMatrix:
        """The error for a matrix that has no inverse."""
        return SingularMatrix(f"solve: expected an invertible matrix; this one of order {order} is singular")


def nearest(fractions: Sequence[Fraction], dtype: np.dtype) -> np.ndarray:
    """The numbers of a floating or integer `dtype` nearest to `fractions`, each rounded once, ties to even."""
    if dtype.kind in "iub":
        if any(q.denominator != 1 for q in fractions):
            raise InvalidInput(f"astype({dtype}): expected whole numbers; round them first, or take floats")
        return np.array([int(q) for q in fractions], dtype)
    if dtype.kind != "f" or dtype.itemsize > 8:
        raise InvalidInput(f"astype: expected a dtype of floats up to float64 or of integers, got {dtype}")
    doubles = np.array([_double(q) for q in fractions])
    if dtype.itemsize == 8:
        return doubles
    with np.errstate(over="ignore"):
        y = doubles.astype(dtype)
        sides = [np.nextafter(y, dtype.type(end)) for end in (-math.inf, math.inf)]
    # rounded twice, which errs where the double is half way between two of the narrower floats and the number is not
    for side in sides:
        with np.errstate(invalid="ignore"):
            halfway = (y.astype(float) + side.astype(float)) / 2 == doubles
        for k in np.flatnonzero(halfway & np.isfinite(y) & np.isfinite(side)).tolist():
            if abs(Fraction(float(side[k])) - fractions[k]) < abs(Fraction(float(y[k])) - fractions[k]):
                y[k] = side[k]
    return y


def _double(q: Fraction) -> float:
    try:
        return float(q)
    except OverflowError:
        return math.inf if q > 0 else -math.inf


def box(values: Any) -> np.ndarray:
    """One element as an array of shape (), or nested lists of elements as an array, which NumPy leaves alone."""
    if isinstance(values, list):
        return np.array(values, object)
    box = np.empty((), object)
    box[()] = values
    return box


def lift(function: Callable[..., Any], *arrays: np.ndarray) -> np.ndarray:
    """`function` applied to the elements of object arrays, with broadcasting; always an array."""
    result = np.frompyfunc(function, len(arrays), 1)(*arrays)
    return result if isinstance(result, np.ndarray) else box(result)
