"""Where each meta-learning method leads on quadratic tasks whose support set is their query set, in closed form.

Task t has the loss ``1/2 (theta - c_t)^T A_t (theta - c_t)``. Gradient descent from theta gives

    theta_k - c_t = M_t^k (theta - c_t),     M_t = I - lr A_t,

so that the direction a method descends, the *mean* over tasks, is ``mean_t W_t (theta - c_t)`` with a weight W_t of
shape (d, d), and the method comes to rest where ``sum_t W_t theta = sum_t W_t c_t``:

    joint      A               the gradient of the mean loss, no adaptation
    MAML       A M^{2k}        the gradient of the loss after k steps
    FOMAML     A M^k           the gradient at the adapted parameters
    Reptile    I - M^k         the move ``theta - theta_k``, not divided by lr
    iMAML      A (I + A/lam)^{-2}

Whether it comes to rest there *from elsewhere* is another question: descent with rate beta needs the eigenvalues of
``beta mean_t W_t`` between 0 and 2, and the weights of FOMAML and Reptile can be negative.

References
----------
Finn, Abbeel and Levine 2017, arXiv 1703.03400; Nichol, Achiam and Schulman 2018, arXiv 1803.02999; Rajeswaran, Finn,
Kakade and Levine 2019, arXiv 1909.04630.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from refgrad.contracts.tools.assemble import identity, total
from refgrad.contracts.tools.solve import checked_solve
from refgrad.typing import Array, Scalar

__all__ = [
    "WEIGHTS", "adaptation", "expected_direction", "fomaml_weight", "imaml_weight", "joint_weight",
    "maml_objective", "maml_rate_gradient", "maml_weight", "outer_fixed_point", "reptile_weight",
]  # fmt: skip

Task = tuple[Array, Array]


def expected_direction(weight: Callable[..., Array], theta: Array, tasks: Sequence[Task], *parameters: Scalar) -> Array:
    """``mean_t W_t (theta - c_t)``, shape (d,): what the method subtracts from theta, up to its outer rate.

    Parameters
    ----------
    weight : callable
        One of `WEIGHTS`.
    theta : array, shape (d,)
    tasks : list of (A, c)
        A symmetric, shape (d, d); c of shape (d,).
    *parameters : scalars
        What the weight depends on besides A: ``lr, steps``, or ``lam``, or nothing.
    """
    terms = [weight(A, *parameters) @ (theta - c) for A, c in tasks]
    return total(terms) / len(terms)


def outer_fixed_point(weight: Callable[..., Array], tasks: Sequence[Task], *parameters: Scalar) -> Array:
    """The theta, shape (d,), where `expected_direction` vanishes: ``(sum_t W_t)^{-1} sum_t W_t c_t``.

    Parameters
    ----------
    weight, tasks, *parameters : as in `expected_direction`

    Raises
    ------
    SingularMatrix
        If there is no such theta, or more than one: for MAML with one task, where ``lr`` times an eigenvalue is 1.

    Notes
    -----
    A stationary point, whatever the signs of the weights; it minimises the objective of MAML if the sum of its weights
    is positive definite.
    """
    weights = [weight(A, *parameters) for A, _ in tasks]
    return checked_solve(total(weights), total([W @ c for W, (_, c) in zip(weights, tasks, strict=True)]))


def adaptation(theta: Array, task: Task, lr: Scalar, steps: int) -> Array:
    """``theta_k = c + M^k (theta - c)``, shape (d,).

    Parameters
    ----------
    theta : array, shape (d,)
    task : (A, c)
        Of shapes (d, d) and (d,).
    lr : scalar
    steps : int
        k.
    """
    A, c = task
    return c + contraction(A, lr, steps) @ (theta - c)


def maml_objective(theta: Array, tasks: Sequence[Task], lr: Scalar, steps: int) -> Scalar:
    """``F = mean_t 1/2 (theta - c_t)^T A_t M_t^{2k} (theta - c_t)``, shape (): the mean of the losses after k steps.

    Parameters
    ----------
    theta, tasks : as in `expected_direction`
    lr, steps : as in `adaptation`
    """
    terms = [(theta - c) @ (maml_weight(A, lr, steps) @ (theta - c)) for A, c in tasks]
    return total(terms) / (2 * len(terms))


def maml_rate_gradient(theta: Array, tasks: Sequence[Task], lr: Scalar, steps: int) -> Scalar:
    """``dF / d lr = -k mean_t (theta - c_t)^T A_t^2 M_t^{2k-1} (theta - c_t)``, shape (); zero for k = 0.

    Parameters
    ----------
    theta, tasks, lr, steps : as in `maml_objective`
    """
    power = max(2 * steps - 1, 0)
    terms = [(A @ (theta - c)) @ (contraction(A, lr, power) @ (A @ (theta - c))) for A, c in tasks]
    return -steps * total(terms) / len(terms)


def joint_weight(A: Array) -> Array:
    """``A``: descent on the mean loss."""
    return A


def maml_weight(A: Array, lr: Scalar, steps: int) -> Array:
    """``A M^{2k}``: M^k from the adapted parameters, and M^k again from the derivative of the adaptation."""
    return A @ contraction(A, lr, 2 * steps)


def fomaml_weight(A: Array, lr: Scalar, steps: int) -> Array:
    """``A M^k``: the derivative of the adaptation is taken to be the identity."""
    return A @ contraction(A, lr, steps)


def reptile_weight(A: Array, lr: Scalar, steps: int) -> Array:
    """``I - M^k = lr sum_{i<k} A M^i``: the sum of the inner gradients, times lr."""
    return identity(A) - contraction(A, lr, steps)


def imaml_weight(A: Array, lam: Scalar) -> Array:
    """``A (I + A/lam)^{-2}``: adaptation to the minimiser of the loss plus ``lam/2 |phi - theta|^2``.

    Raises
    ------
    SingularMatrix
        If -lam is an eigenvalue of A.
    """
    implicit = identity(A) + A / lam
    return checked_solve(implicit @ implicit, A)  # polynomials in A commute


WEIGHTS: dict[str, Callable[..., Array]] = {
    "joint": joint_weight,
    "maml": maml_weight,
    "fomaml": fomaml_weight,
    "reptile": reptile_weight,
    "imaml": imaml_weight,
}
"""The weight of every method by its name."""


def contraction(A: Array, lr: Scalar, power: int) -> Array:
    """``(I - lr A)^power``, shape (d, d)."""
    product = identity(A)
    for _ in range(power):
        product = product - lr * (A @ product)
    return product
