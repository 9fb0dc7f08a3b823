"""Loss functions of the contracts, with first and second derivatives derived by hand.

Each object runs unchanged on the arrays of NumPy, torch, JAX and CuPy and on exact arrays: it uses operators, ``@``,
indexing, ``.T`` and the small function table it was made with. An automatic differentiation library can therefore
differentiate through the call, and a subject without one calls ``.grad`` and ``.hvp``.

>>> from refgrad import exact
>>> from refgrad.contracts.tools.losses import EXACT_TABLE, Quartic
>>> loss = Quartic(EXACT_TABLE)
>>> theta, batch = exact.asarray([1, 1]), (exact.asarray([[1, 0], [1, 2]]), exact.asarray([0, 1]))
>>> loss(theta, batch)
ExactArray(17/8)
>>> loss.grad(theta, batch)
ExactArray([9/2, 8])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from refgrad.backend import of
from refgrad.typing import Array, Scalar

__all__ = ["EXACT_TABLE", "ExactTable", "Loss", "Quadratic", "Quartic", "Table"]


class Table(Protocol):
    """The functions a loss may call, bound to one array library. Axes are single ints; no axis is kept."""

    def sum(self, x: Array, axis: int | None = None) -> Array:
        """The sum over one axis, or over all of them."""

    def amax(self, x: Array, axis: int) -> Array:
        """The largest element along `axis`."""

    def exp(self, x: Array) -> Array:
        """The exponential, elementwise."""

    def log(self, x: Array) -> Array:
        """The natural logarithm, elementwise."""

    def tanh(self, x: Array) -> Array:
        """The hyperbolic tangent, elementwise."""

    def reshape(self, x: Array, shape: tuple[int, ...]) -> Array:
        """`x` in row-major order as an array of `shape`."""

    def concatenate(self, parts: Sequence[Array]) -> Array:
        """Arrays after one another along their first axis. Only hand-derived derivatives call it."""

    def onehot(self, labels: Any, classes: int, like: Array) -> Array:
        """Row n is the unit vector of ``labels[n]``, shape (N, classes), dtype and device of `like`.

        `labels` is a list of ints or an int64 array of the library. Only hand-derived derivatives call it.
        """


class ExactTable:
    """The `Table` of rational arrays and of balls: whichever the argument is."""

    def sum(self, x: Array, axis: int | None = None) -> Array:
        return of(x).sum(x, tuple(range(x.ndim)) if axis is None else (axis % x.ndim,), False)

    def amax(self, x: Array, axis: int) -> Array:
        return of(x).amax(x, (axis % x.ndim,), False)

    def exp(self, x: Array) -> Array:
        return of(x).exp(x)

    def log(self, x: Array) -> Array:
        return of(x).log(x)

    def tanh(self, x: Array) -> Array:
        return of(x).tanh(x)

    def reshape(self, x: Array, shape: tuple[int, ...]) -> Array:
        return of(x).reshape(x, shape)

    def concatenate(self, parts: Sequence[Array]) -> Array:
        return of(*parts).concat(list(parts), 0)

    def onehot(self, labels: Any, classes: int, like: Array) -> Array:
        return of(like).onehot(np.asarray(labels, np.int64), classes, like)


EXACT_TABLE = ExactTable()


class Loss(Protocol):
    """A loss of parameters `theta`, shape (p,), and a batch ``(X, y)`` of shapes (N, d) and (N,)."""

    def __call__(self, theta: Array, batch: Any) -> Scalar:
        """The loss."""

    def grad(self, theta: Array, batch: Any) -> Array:
        """Its gradient by theta, shape (p,)."""

    def hvp(self, theta: Array, batch: Any, v: Array) -> Array:
        """Its Hessian by theta, times `v`, shape (p,)."""


class Quartic:
    """``mean_n (x_n . theta - y_n)^4 / 4``: the *mean* over the batch, with the factor 1/4.

    Powers, not products: on `Terms` a power is one term, whose size is not that of what cancelled inside it.

    Its Hessian depends on theta, so that a Hessian taken at the wrong iterate, or two applied in the wrong order,
    change the answer. A batch ``(X, y, c)`` has the term ``c . theta`` as well.

    Parameters
    ----------
    xp : Table
    """

    BY_HAND = ("grad", "hvp")

    def __init__(self, xp: Table) -> None:
        self.xp = xp

    def __call__(self, theta: Array, batch: Any) -> Scalar:
        X, y, *tilt = batch
        r = X @ theta - y
        return self.xp.sum(r**4) / (4 * y.shape[0]) + sum(c @ theta for c in tilt)

    def grad(self, theta: Array, batch: Any) -> Array:
        """``mean_n r_n^3 x_n`` with ``r_n = x_n . theta - y_n``, shape (d,)."""
        X, y, *tilt = batch
        r = X @ theta - y
        return X.T @ r**3 / y.shape[0] + sum(tilt)

    def hvp(self, theta: Array, batch: Any, v: Array) -> Array:
        """``mean_n 3 r_n^2 (x_n . v) x_n``, shape (d,)."""
        X, y = batch[:2]
        r = X @ theta - y
        return X.T @ (3 * r**2 * (X @ v)) / y.shape[0]

    def third(self, theta: Array, batch: Any, u: Array) -> Array:
        """``mean_n 6 r_n (x_n . u)^2 x_n``, shape (d,): the third derivative by theta, twice along `u`."""
        X, y = batch
        r, moved = X @ theta - y, X @ u
        return X.T @ (6 * r * moved * moved) / y.shape[0]


class Quadratic:
    """``mean_n (x_n . theta - y_n)^2 / 2``: constant Hessian, for closed forms. The *mean*, with the factor 1/2.

    It takes examples, where `meta.QuadraticForm` takes a Hessian and a centre for its batch and
    `continual.QuadraticTask` has them as attributes.

    Parameters
    ----------
    xp : Table
    """

    BY_HAND = ("grad", "hvp")

    def __init__(self, xp: Table) -> None:
        self.xp = xp

    def __call__(self, theta: Array, batch: Any) -> Scalar:
        X, y = batch
        r = X @ theta - y
        return self.xp.sum(r * r) / (2 * y.shape[0])

    def grad(self, theta: Array, batch: Any) -> Array:
        """``mean_n r_n x_n``, shape (d,)."""
        X, y = batch
        return X.T @ (X @ theta - y) / y.shape[0]

    def hvp(self, theta: Array, batch: Any, v: Array) -> Array:
        """``mean_n (x_n . v) x_n``, shape (d,)."""
        X, y = batch
        return X.T @ (X @ v) / y.shape[0]
