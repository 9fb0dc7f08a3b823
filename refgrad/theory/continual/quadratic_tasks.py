"""Tasks whose loss is quadratic, and the parameters that make the sum of several stationary.

    L(theta) = 1/2 (theta - c)^T H (theta - c)

A penalty ``1/2 |theta - a|^2_F`` is such a task too, and so is a Gaussian prior: everything that elastic weight
consolidation does to quadratic tasks is one of these sums, solved exactly.

References
----------
Huszar 2018, Note on the quadratic penalties in elastic weight consolidation, PNAS 115, arXiv 1712.03847.
"""

from __future__ import annotations

from dataclasses import dataclass

from refgrad.contracts.tools.assemble import identity
from refgrad.contracts.tools.solve import checked_solve
from refgrad.typing import Array, Scalar

__all__ = ["QuadraticTask", "half_sum_of_squares", "minimiser", "ridge"]


@dataclass(frozen=True)
class QuadraticTask:
    """``L(theta) = 1/2 (theta - c)^T H (theta - c)``, with the factor 1/2.

    One task, to be added up with others: it has its Hessian and centre as attributes, where `meta.QuadraticForm` takes
    them for a batch and `losses.Quadratic` takes examples.

    Attributes
    ----------
    H : array, shape (P, P)
        Symmetric. For a negative log-likelihood that is quadratic, it is the Fisher information of the data.
    c : array, shape (P,)
        An optimum; the only one where H is positive definite.
    """

    H: Array
    c: Array

    def __call__(self, theta: Array) -> Scalar:
        d = theta - self.c
        return d @ (self.H @ d) / 2

    def grad(self, theta: Array) -> Array:
        """``H (theta - c)``, shape (P,)."""
        return self.H @ (theta - self.c)

    def hvp(self, theta: Array, v: Array) -> Array:
        """``H v``, shape (P,)."""
        return self.H @ v

    def times(self, factor: Scalar) -> QuadraticTask:
        """The task of ``factor L``, with the same optimum."""
        return QuadraticTask(factor * self.H, self.c)


def half_sum_of_squares(X: Array, y: Array) -> QuadraticTask:
    """The task ``1/2 |X theta - y|^2``, a *sum* over examples, less its minimum: ``H = X^T X``, c the solution.

    Parameters
    ----------
    X : array, shape (N, P)
        Of rank P.
    y : array, shape (N,)

    Raises
    ------
    SingularMatrix
        If the columns of X are linearly dependent.
    """
    H = X.T @ X
    return QuadraticTask(H, checked_solve(H, X.T @ y))


def minimiser(*tasks: QuadraticTask) -> Array:
    """The stationary point of the sum of the tasks, ``(sum H)^{-1} sum H c``, shape (P,).

    It is the minimiser if the sum of the H is positive definite; a negative factor of one task can make it a saddle.

    Parameters
    ----------
    *tasks : QuadraticTask

    Raises
    ------
    SingularMatrix
        If there is no such point, or more than one.
    """
    H, b = tasks[0].H, tasks[0].H @ tasks[0].c
    for task in tasks[1:]:
        H, b = H + task.H, b + task.H @ task.c
    return checked_solve(H, b)


def ridge(X: Array, y: Array, tau: Scalar) -> Array:
    """The minimiser of ``1/2 |X theta - y|^2 + tau/2 |theta|^2``, shape (P,), from the normal equations.

    The loss is a sum over examples and tau the precision of a Gaussian prior with mean zero.

    Parameters
    ----------
    X : array, shape (N, P)
    y : array, shape (N,)
    tau : scalar
    """
    H = X.T @ X
    return checked_solve(H + tau * identity(H), X.T @ y)
