"""Numbers that remember the size of the terms they were added up from: formulas that state their own magnitude.

A formula written with `Terms` reads as it does on paper, and its `magnitude` is what comes out when every number in it
is replaced by its absolute value and every subtraction by an addition. That is the scale at which one rounding acts,
whatever the order in which the terms are added.

>>> from refgrad import exact
>>> a, b = (terms(exact.asarray(x)) for x in ([1, 2], [3, -1]))
>>> (a @ b).value, (a @ b).magnitude
(ExactArray(1), ExactArray(5))
"""

from __future__ import annotations

from typing import Any

from refgrad.backend import of
from refgrad.contracts.tools.answer import Answer
from refgrad.contracts.tools.assemble import vector

__all__ = ["Terms", "stack", "terms"]


class Terms(Answer):
    """An `Answer` that can be calculated with. Bare arrays and ints in a calculation stand for themselves."""

    def __add__(self, other: Any) -> Terms:
        other = terms(other)
        return Terms(self.value + other.value, self.magnitude + other.magnitude)

    __radd__ = __add__

    def __neg__(self) -> Terms:
        return Terms(-self.value, self.magnitude)

    def __sub__(self, other: Any) -> Terms:
        return self + -terms(other)

    def __rsub__(self, other: Any) -> Terms:
        return terms(other) + -self

    def __mul__(self, other: Any) -> Terms:
        other = terms(other)
        return Terms(self.value * other.value, self.magnitude * other.magnitude)

    __rmul__ = __mul__

    def __matmul__(self, other: Any) -> Terms:
        other = terms(other)
        return Terms(self.value @ other.value, self.magnitude @ other.magnitude)

    def __rmatmul__(self, other: Any) -> Terms:
        return terms(other) @ self

    def __truediv__(self, divisor: Any) -> Terms:
        """By a number or an array, taken as it is: only the dividend is a sum."""
        return Terms(self.value / divisor, self.magnitude / abs(divisor))

    def __getitem__(self, index: Any) -> Terms:
        return Terms(self.value[index], self.magnitude[index])

    def sum(self, axis: int | None = None, keepdims: bool = False) -> Terms:
        """The sum over one axis, or over all."""
        xp = of(self.value)
        axes = tuple(range(self.value.ndim)) if axis is None else (axis,)
        return Terms(xp.sum(self.value, axes, keepdims), xp.sum(self.magnitude, axes, keepdims))

    def mean(self, axis: int) -> Terms:
        """The mean over one axis, which is kept with length 1."""
        return self.sum(axis, True) / self.value.shape[axis]

    @property
    def mT(self) -> Terms:
        """The transposed matrix, or a stack of them."""
        return Terms(self.value.mT, self.magnitude.mT)


def terms(x: Any) -> Terms:
    """`x` as one term: its magnitude is its absolute value."""
    return x if isinstance(x, Terms) else Terms(x, abs(x))


def stack(parts: list[Terms]) -> Terms:
    """Numbers of shape () as a vector."""
    return Terms(vector([part.value for part in parts]), vector([part.magnitude for part in parts]))
