"""A quadratic loss given by its Hessian and its centre, and least squares written in that form.

Inner descent on a quadratic is linear in the parameters, so that every meta-gradient of it has a closed form.
"""

from __future__ import annotations

from typing import Any

from refgrad.contracts.tools.solve import checked_solve
from refgrad.typing import Array, Scalar

__all__ = ["QuadraticForm", "mean_squares_form"]


class QuadraticForm:
    """``1/2 (theta - c)^T A (theta - c)`` for the batch ``(A, c)``, of shapes (d, d) and (d,): with the factor 1/2.

    A is symmetric, and may be indefinite or singular. It has no data and takes Hessian and centre for a batch, where
    `losses.Quadratic` takes examples and `continual.QuadraticTask` keeps Hessian and centre as its own.
    """

    def __call__(self, theta: Array, batch: Any) -> Scalar:
        A, c = batch
        return (theta - c) @ (A @ (theta - c)) / 2

    def grad(self, theta: Array, batch: Any) -> Array:
        """``A (theta - c)``, shape (d,)."""
        A, c = batch
        return A @ (theta - c)

    def hvp(self, theta: Array, batch: Any, v: Array) -> Array:
        """``A v``, shape (d,), wherever theta is."""
        return batch[0] @ v


def mean_squares_form(X: Array, y: Array) -> tuple[Array, Array]:
    """The batch ``(A, c)`` of `QuadraticForm` that equals ``mean_n (x_n . theta - y_n)^2`` up to a constant.

    The *mean* over examples and *no* factor 1/2, as in cbfinn/maml: ``A = 2 X^T X / N``, and c is the least-squares
    solution, ``X^T X c = X^T y``. The constant is the loss at c.

    Parameters
    ----------
    X : array, shape (N, d)
        Of rank d.
    y : array, shape (N,)

    Raises
    ------
    SingularMatrix
        If the columns of `X` are dependent; then no centre is singled out.
    """
    gram = X.T @ X
    return 2 * gram / X.shape[0], checked_solve(gram, X.T @ y)
