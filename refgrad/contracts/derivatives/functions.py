"""Functions of a vector, with gradient and Hessian-vector product derived by hand.

Each object runs unchanged on the arrays of NumPy, torch, JAX and CuPy and on exact arrays, as the losses do (see
`refgrad.contracts.tools.losses`): a library differentiates through the call, and a subject without one calls
``.grad(x)`` and ``.hvp(x, v)``. None has a kink.

>>> from refgrad import exact
>>> from refgrad.contracts.tools import EXACT_TABLE
>>> a = exact.asarray
>>> f = Form(EXACT_TABLE, Q=a([[1, 2], [0, 1]]), b=a([1, 0]), a=a([1, 1]))
>>> f(a([1, 1])), f.grad(a([1, 1])), f.hvp(a([1, 1]), a([1, 0]))
(ExactArray(13/3), ExactArray([5, 4]), ExactArray([3, 3]))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from refgrad.contracts.tools.losses import Table
from refgrad.contracts.tools.terms import measured
from refgrad.typing import Array, Scalar

__all__ = ["LINKS", "Form", "Function", "LeastSquares", "LogSumExp", "TwoLayers", "gradient", "hvp"]


class Function(Protocol):
    """A smooth function of a vector x of shape (n,)."""

    def __call__(self, x: Array) -> Scalar:
        """The value."""

    def grad(self, x: Array) -> Array:
        """The gradient, shape (n,)."""

    def hvp(self, x: Array, v: Array) -> Array:
        """The Hessian times `v`, shape (n,)."""


@measured
def gradient(f: Function, x: Array) -> Array:
    """The gradient of f at x."""
    return f.grad(x)


@measured
def hvp(f: Function, x: Array, v: Array) -> Array:
    """The Hessian of f at x times v."""
    return f.hvp(x, v)


class Link(NamedTuple):
    """A function phi of one number with two derivatives, each ``(xp, t)``."""

    phi: Callable[[Table, Array], Array]
    slope: Callable[[Table, Array], Array]
    bend: Callable[[Table, Array], Array]


def identity(xp: Table, t: Array) -> Array:
    """``t``: least squares are then quadratic."""
    return t


def one(xp: Table, t: Array) -> Array:
    """``1``."""
    return 1 + 0 * t


def zero(xp: Table, t: Array) -> Array:
    """``0``."""
    return 0 * t


def square(xp: Table, t: Array) -> Array:
    """``t^2``: least squares are then quartic."""
    return t * t


def double(xp: Table, t: Array) -> Array:
    """``2 t``."""
    return 2 * t


def two(xp: Table, t: Array) -> Array:
    """``2``."""
    return 2 + 0 * t


def rational(xp: Table, t: Array) -> Array:
    """``1 / (1 + t^2)``."""
    return 1 / (1 + t * t)


def rational_slope(xp: Table, t: Array) -> Array:
    """``-2 t w^2`` with ``w = 1 / (1 + t^2)``."""
    w = 1 / (1 + t * t)
    return -2 * t * w * w


def rational_bend(xp: Table, t: Array) -> Array:
    """``(6 t^2 - 2) w^3`` with ``w = 1 / (1 + t^2)``."""
    w = 1 / (1 + t * t)
    return (6 * t * t - 2) * w * w * w


def tanh(xp: Table, t: Array) -> Array:
    """``tanh t``: a network with one hidden layer."""
    return xp.tanh(t)


def tanh_slope(xp: Table, t: Array) -> Array:
    """``1 - y^2`` with ``y = tanh t``."""
    y = xp.tanh(t)
    return 1 - y * y


def tanh_bend(xp: Table, t: Array) -> Array:
    """``-2 y (1 - y^2)`` with ``y = tanh t``."""
    y = xp.tanh(t)
    return -2 * y * (1 - y * y)


LINKS = {
    "linear": Link(identity, one, zero),
    "square": Link(square, double, two),
    "rational": Link(rational, rational_slope, rational_bend),
    "tanh": Link(tanh, tanh_slope, tanh_bend),
}


class LeastSquares:
    """``|C phi(A x) - y|^2 / 2``: the *sum* over the k residuals, with the factor 1/2.

    Parameters
    ----------
    xp : Table
    link : str
        The name of phi, among `LINKS`; it acts on each element.
    A, C, y : arrays of shapes (m, n), (k, m), (k,)
    """

    BY_HAND = ("grad", "hvp")

    def __init__(self, xp: Table, link: str, A: Array, C: Array, y: Array) -> None:
        self.xp, self.A, self.C, self.y = xp, A, C, y
        self.phi, self.slope, self.bend = LINKS[link]

    def __call__(self, x: Array) -> Scalar:
        e = self.residuals(x)
        return self.xp.sum(e * e) / 2

    def residuals(self, x: Array) -> Array:
        """``e = C phi(A x) - y``, shape (k,)."""
        return self.C @ self.phi(self.xp, self.A @ x) - self.y

    def grad(self, x: Array) -> Array:
        """``A^T (phi' * C^T e)``."""
        return self.A.T @ (self.slope(self.xp, self.A @ x) * (self.C.T @ self.residuals(x)))

    def hvp(self, x: Array, v: Array) -> Array:
        """``A^T (phi' * C^T C (phi' * A v) + phi'' * C^T e * A v)``."""
        curvature = self.bend(self.xp, self.A @ x) * (self.C.T @ self.residuals(x))
        return self.gauss_newton(x, v) + self.A.T @ (curvature * (self.A @ v))

    def gauss_newton(self, x: Array, v: Array) -> Array:
        """``A^T (phi' * C^T C (phi' * A v))``: what is left of the Hessian where the residuals are zero."""
        s = self.slope(self.xp, self.A @ x)
        return self.A.T @ (s * (self.C.T @ (self.C @ (s * (self.A @ v)))))


class TwoLayers:
    """``|phi(X W^T) w - y|^2 / 2``, the *sum* over N examples: the layers W and w multiply one another.

    x has the rows of ``M = (W, w)``, of shape (h, d + 1), one after another; in X the column of w is zero.

    Parameters
    ----------
    xp : Table
    link : str
        The name of phi, among `LINKS`.
    X, y, last : arrays of shapes (N, d + 1), (N,), (d + 1,)
        `last` is the unit vector of the column of w.
    """

    BY_HAND = ("grad", "hvp")

    def __init__(self, xp: Table, link: str, X: Array, y: Array, last: Array) -> None:
        self.xp, self.X, self.y, self.last = xp, X, y, last
        self.phi, self.slope, self.bend = LINKS[link]

    def __call__(self, x: Array) -> Scalar:
        e = self.residuals(x)
        return self.xp.sum(e * e) / 2

    def matrix(self, x: Array) -> Array:
        """``M``."""
        return self.xp.reshape(x, (x.shape[0] // self.X.shape[1], self.X.shape[1]))

    def residuals(self, x: Array) -> Array:
        """``e = phi(X W^T) w - y``, shape (N,)."""
        M = self.matrix(x)
        return self.phi(self.xp, self.X @ M.T) @ (M @ self.last) - self.y

    def grad(self, x: Array) -> Array:
        """``J^T e``."""
        return self.transposed(x, self.residuals(x))

    def transposed(self, x: Array, r: Array) -> Array:
        """``J^T r``: for W ``(phi' * r w^T)^T X``, for w ``phi^T r``."""
        M = self.matrix(x)
        T = self.X @ M.T
        slopes = r[:, None] * (M @ self.last)[None, :] * self.slope(self.xp, T)
        weights = (self.phi(self.xp, T).T @ r)[:, None] * self.last[None, :]
        return self.xp.reshape(slopes.T @ self.X + weights, x.shape)

    def gauss_newton(self, x: Array, v: Array) -> Array:
        """``J^T J v`` with ``J v = (phi' * X V^T) w + phi v_w`` for the directions V of W and v_w of w."""
        M, V = self.matrix(x), self.matrix(v)
        T = self.X @ M.T
        moved = (self.slope(self.xp, T) * (self.X @ V.T)) @ (M @ self.last)
        return self.transposed(x, moved + self.phi(self.xp, T) @ (V @ self.last))

    def hvp(self, x: Array, v: Array) -> Array:
        """``J^T J v`` and, with ``T_v = X V^T``, ``(e v_w^T * phi' + e w^T * phi'' * T_v)^T X``, ``(phi' T_v)^T e``."""
        M, V, e = self.matrix(x), self.matrix(v), self.residuals(x)
        T, T_v = self.X @ M.T, self.X @ V.T
        first, second = self.slope(self.xp, T), self.bend(self.xp, T)
        curved = (V @ self.last)[None, :] * first + (M @ self.last)[None, :] * (second * T_v)
        weights = ((first * T_v).T @ e)[:, None] * self.last[None, :]
        rest = self.xp.reshape((e[:, None] * curved).T @ self.X + weights, x.shape)
        return self.gauss_newton(x, v) + rest


class LogSumExp:
    """``log sum_i exp(A x + b)_i``.

    Parameters
    ----------
    xp : Table
    A, b : arrays of shapes (m, n), (m,)
    """

    BY_HAND = ("grad", "hvp")

    def __init__(self, xp: Table, A: Array, b: Array) -> None:
        self.xp, self.A, self.b = xp, A, b

    def __call__(self, x: Array) -> Scalar:
        z = self.A @ x + self.b
        largest = self.xp.amax(z, 0)
        return largest + self.xp.log(self.xp.sum(self.xp.exp(z - largest)))

    def weights(self, x: Array) -> Array:
        """``p = softmax(A x + b)``."""
        z = self.A @ x + self.b
        e = self.xp.exp(z - self.xp.amax(z, 0))
        return e / self.xp.sum(e)

    def grad(self, x: Array) -> Array:
        """``A^T p``."""
        return self.A.T @ self.weights(x)

    def hvp(self, x: Array, v: Array) -> Array:
        """``A^T (p * (s - p.s))`` with ``s = A v``."""
        p, s = self.weights(x), self.A @ v
        return self.A.T @ (p * (s - p @ s))


class Form:
    """``b.x + x.Q x / 2 + (a.x)^3 / 6``, a cubic polynomial; Q need not be symmetric.

    Parameters
    ----------
    xp : Table
    Q, b, a : arrays of shapes (n, n), (n,), (n,)
    """

    BY_HAND = ("grad", "hvp")

    def __init__(self, xp: Table, Q: Array, b: Array, a: Array) -> None:
        self.xp, self.Q, self.b, self.a = xp, Q, b, a

    def __call__(self, x: Array) -> Scalar:
        s = self.a @ x
        return self.b @ x + x @ (self.Q @ x) / 2 + s * s * s / 6

    def grad(self, x: Array) -> Array:
        """``b + (Q + Q^T) x / 2 + a (a.x)^2 / 2``."""
        s = self.a @ x
        return self.b + (self.Q @ x + self.Q.T @ x) / 2 + self.a * (s * s / 2)

    def hvp(self, x: Array, v: Array) -> Array:
        """``(Q + Q^T) v / 2 + a (a.x) (a.v)``."""
        return (self.Q @ v + self.Q.T @ v) / 2 + self.a * ((self.a @ x) * (self.a @ v))
