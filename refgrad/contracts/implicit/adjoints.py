"""What is put in the place of ``u = H^{-1} g`` in a hypergradient, exactly.

Each function takes the `Derivatives` at a point and `Settings`, and returns u, shape (n,), with the sum of the absolute
values of the terms that add up to it.

References
----------
Lorraine, Vicol and Duvenaud 2020, arXiv 1911.02590, section 4; Hestenes and Stiefel 1952, Methods of conjugate
gradients for solving linear systems.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from refgrad.backend import of
from refgrad.contracts.implicit.problem import Derivatives
from refgrad.contracts.tools.answer import Answer, NotApplicable
from refgrad.contracts.tools.assemble import identity
from refgrad.contracts.tools.solve import checked_solve
from refgrad.errors import SingularMatrix, Undecided
from refgrad.typing import Array, Scalar

__all__ = ["Adjoint", "Settings"]

DAMPING = Fraction(1, 8)
"""What is added to the diagonal of a matrix before it is inverted, where a formula has damping."""

WEIGHT_DECAY = Fraction(1, 2)
"""What a weight decay of the inner optimiser adds to the diagonal of H, where a formula leaves it out."""


@dataclass(frozen=True)
class Settings:
    """The numbers that an approximation of u depends on.

    Attributes
    ----------
    lr : scalar
        The step of a Neumann series or of gradient descent.
    terms : int
        The last power of a Neumann series, which has one term more.
    """

    lr: Scalar = Fraction(1, 16)
    terms: int = 3


Adjoint = Callable[[Derivatives, Settings], Answer]


def solve(a: Array, b: Array) -> Answer:
    """``a^{-1} b``; a matrix without an inverse makes the formula one that does not apply."""
    try:
        u = checked_solve(a, b)
    except Undecided:  # balls too wide to tell: more bits may
        raise
    except SingularMatrix as error:
        raise NotApplicable(f"a matrix to be inverted is singular: {error}") from error
    return Answer(u, abs(u))


def exact_adjoint(D: Derivatives, s: Settings) -> Answer:
    """``H^{-1} g``."""
    return solve(D.H, D.g)


def identity_adjoint(D: Derivatives, s: Settings) -> Answer:
    """``g``."""
    return Answer(D.g, abs(D.g))


def not_inverted(D: Derivatives, s: Settings) -> Answer:
    """``H g``."""
    return Answer(D.H @ D.g, abs(D.H) @ abs(D.g))


def outer_hessian(D: Derivatives, s: Settings) -> Answer:
    """``Q^{-1} g``."""
    return solve(D.Q, D.g)


def damped(D: Derivatives, s: Settings) -> Answer:
    """``(H + 1/8 I)^{-1} g``."""
    return solve(D.H + DAMPING * identity(D.g), D.g)


def without_weight_decay(D: Derivatives, s: Settings) -> Answer:
    """``(H - 1/2 I)^{-1} g``."""
    return solve(D.H - WEIGHT_DECAY * identity(D.g), D.g)


def damped_normal_equations(D: Derivatives, s: Settings) -> Answer:
    """``(H^2 + 1/8 I)^{-1} H g``."""
    return solve(D.H @ D.H + DAMPING * identity(D.g), D.H @ D.g)


def diagonal(D: Derivatives, s: Settings) -> Answer:
    """``diag(H)^{-1} g``."""
    return solve(D.H * identity(D.g), D.g)


def first_leaf(D: Derivatives, s: Settings) -> Answer:
    """``H^{-1} g`` of all components but the last, which is given zero: it is a leaf of its own, as a bias is."""
    if D.g.shape[0] == 1:
        raise NotApplicable("one component is not two leaves")
    u = solve(D.H[:-1, :-1], D.g[:-1])
    join, nothing = of(D.g).concat, 0 * D.g[-1:]
    return Answer(join([u.value, nothing], 0), join([u.magnitude, nothing], 0))


def leaf_blocks(D: Derivatives, s: Settings) -> Answer:
    """``H^{-1} g`` with the blocks of H between the last component and the others set to zero."""
    first, last = first_leaf(D, s), solve(D.H[-1:, -1:], D.g[-1:])
    join = of(D.g).concat
    return Answer(
        join([first.value[:-1], last.value], 0),
        join([first.magnitude[:-1], last.magnitude], 0),
    )


def powers(D: Derivatives, lr: Scalar, terms: int) -> list[Array]:
    """``(I - lr H)^j g`` for j = 0 .. terms."""
    vectors = [D.g]
    for _ in range(terms):
        vectors.append(vectors[-1] - lr * (D.H @ vectors[-1]))
    return vectors[: terms + 1]


def total(vectors: list[Array], factor: Scalar, like: Array) -> Answer:
    """``factor`` times the sum of some vectors, of none too."""
    value = magnitude = 0 * like
    for vector in vectors:
        value, magnitude = value + factor * vector, magnitude + abs(factor * vector)
    return Answer(value, magnitude)


def neumann(D: Derivatives, s: Settings) -> Answer:
    """``lr sum_{j=0..terms} (I - lr H)^j g``."""
    return total(powers(D, s.lr, s.terms), s.lr, D.g)


def neumann_fewer(D: Derivatives, s: Settings) -> Answer:
    """The series up to the power ``terms - 1``."""
    return total(powers(D, s.lr, s.terms - 1), s.lr, D.g)


def neumann_more(D: Derivatives, s: Settings) -> Answer:
    """The series up to the power ``terms + 1``."""
    return total(powers(D, s.lr, s.terms + 1), s.lr, D.g)


def neumann_without_lr(D: Derivatives, s: Settings) -> Answer:
    """``sum_{j=0..terms} (I - lr H)^j g``."""
    return total(powers(D, s.lr, s.terms), 1, D.g)


def neumann_lr_twice(D: Derivatives, s: Settings) -> Answer:
    """``lr^2 sum_{j=0..terms} (I - lr H)^j g``."""
    return total(powers(D, s.lr, s.terms), s.lr * s.lr, D.g)


def neumann_lr_one(D: Derivatives, s: Settings) -> Answer:
    """``sum_{j=0..terms} (I - H)^j g``."""
    return total(powers(D, 1, s.terms), 1, D.g)


def neumann_without_first(D: Derivatives, s: Settings) -> Answer:
    """``lr sum_{j=1..terms} (I - lr H)^j g``."""
    return total(powers(D, s.lr, s.terms)[1:], s.lr, D.g)


def neumann_subtracted(D: Derivatives, s: Settings) -> Answer:
    """``lr (g - sum_{j=1..terms} (I - lr H)^j g)``."""
    first, *later = powers(D, s.lr, s.terms)
    return total([first, *(-v for v in later)], s.lr, D.g)


def last_power(D: Derivatives, s: Settings) -> Answer:
    """``lr (I - lr H)^terms g``."""
    return total(powers(D, s.lr, s.terms)[-1:], s.lr, D.g)


def one_step(D: Derivatives, s: Settings) -> Answer:
    """``lr g``."""
    return total([D.g], s.lr, D.g)


def conjugate_gradients(
    D: Derivatives, steps: int, *, old_residual: bool = False, curvature: Scalar = 1
) -> list[Answer]:
    """The iterates ``x_0 = 0, x_1, ...`` for ``H x = g``, ended early by a residual of exactly zero.

    Parameters
    ----------
    D : Derivatives
    steps : int
    old_residual : bool
        Whether a new direction is built on the residual before the step in place of the one after it.
    curvature : scalar
        A factor of ``p^T H p`` in the length of a step.

    Raises
    ------
    NotApplicable
        If a direction has no curvature.
    Undecided
        If balls leave open whether a residual or a curvature is zero: a residual that merely may be is no solution.
    """
    x = size = 0 * D.g
    r = p = D.g
    path = [Answer(x, size)]
    for _ in range(steps):
        square = r @ r
        if square == 0:
            break
        Hp = D.H @ p
        bend = curvature * (p @ Hp)
        if bend == 0:
            raise NotApplicable("conjugate gradients break down: a direction has no curvature")
        step = square / bend
        x, size = x + step * p, size + abs(step * p)
        new = r - step * Hp
        p = (r if old_residual else new) + new @ new / square * p
        r = new
        path.append(Answer(x, size))
    return path


def cg_one_iteration(D: Derivatives, s: Settings) -> Answer:
    """``(g^T g / g^T H g) g``."""
    return conjugate_gradients(D, 1)[-1]


def cg_stale(D: Derivatives, s: Settings) -> Answer:
    """The iterate before the one that solves the system."""
    return conjugate_gradients(D, D.g.shape[0])[-2:][0]


def cg_old_residual(D: Derivatives, s: Settings) -> Answer:
    """n iterations with directions ``r_j + beta_j p_j`` for ``r_{j+1} + beta_j p_j``."""
    return conjugate_gradients(D, D.g.shape[0], old_residual=True)[-1]


def cg_scale_mismatch(D: Derivatives, s: Settings) -> Answer:
    """n iterations with ``p^T H p / 2`` for ``p^T H p``, and half the result: right for one iteration alone."""
    half = Fraction(1, 2)
    x = conjugate_gradients(D, D.g.shape[0], curvature=half)[-1]
    return Answer(half * x.value, half * x.magnitude)
