"""What is put in the place of ``u = H^{-1} g`` in a hypergradient, as plain formulas.

Each function takes the matrix H and the vector g, and returns u, shape (n,).

References
----------
Lorraine, Vicol and Duvenaud 2020, arXiv 1911.02590, section 4; Hestenes and Stiefel 1952, Methods of conjugate
gradients for solving linear systems.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.backend import of
from refgrad.contracts.tools.answer import NotApplicable
from refgrad.contracts.tools.assemble import identity
from refgrad.contracts.tools.solve import checked_solve
from refgrad.contracts.tools.terms import settled
from refgrad.errors import SingularMatrix, Undecided
from refgrad.typing import Array, Scalar

__all__ = [
    "conjugate_gradients", "first_leaf", "iterate", "leaves", "normal_equations", "powers", "solution", "stale_iterate",
    "total",
]  # fmt: skip


def solution(H: Array, g: Array) -> Array:
    """``H^{-1} g``; a matrix without an inverse makes the formula one that does not apply."""
    try:
        return checked_solve(H, g)
    except Undecided:  # balls too wide to tell: more bits may
        raise
    except (SingularMatrix, np.linalg.LinAlgError) as error:
        raise NotApplicable(f"a matrix to be inverted is singular: {error}") from error


def normal_equations(H: Array, g: Array) -> Array:
    """``(H^2 + 1/8 I)^{-1} H g``."""
    return solution(H @ H + identity(g) / 8, H @ g)


def leaves(H: Array) -> Array:
    """H without its blocks between the last component, a leaf of its own as a bias is, and the others."""
    n = len(H)
    if n == 1:
        raise NotApplicable("one component is not two leaves")
    last = np.arange(n) == n - 1
    return H * (last[:, None] == last).astype(int)


def first_leaf(H: Array, g: Array) -> Array:
    """``H^{-1} g`` of all components but the last, which is given zero."""
    if len(g) == 1:
        raise NotApplicable("one component is not two leaves")
    return of(g).concat([solution(H[:-1, :-1], g[:-1]), 0 * g[-1:]], 0)


def powers(H: Array, g: Array, lr: Scalar, count: int) -> list[Array]:
    """``(I - lr H)^j g`` for j = 0 .. count - 1."""
    vectors = [g][:count]
    for _ in range(count - 1):
        vectors.append(settled(vectors[-1] - lr * (H @ vectors[-1])))
    return vectors


def total(vectors: list[Array], like: Array) -> Array:
    """The sum of some vectors, of none too."""
    value = 0 * like
    for vector in vectors:
        value = value + vector
    return value


def conjugate_gradients(
    H: Array, g: Array, steps: int, *, start: Any = 0, old_residual: bool = False, curvature: int = 1
) -> list[Array]:
    """The iterates ``x_0, x_1, ...`` for ``H x = g``, ended early by a residual of zero; in floats, of 1e-14 of g.

    Parameters
    ----------
    H : array, shape (n, n)
    g : array, shape (n,)
    steps : int
    start : {0, 1}
        x_0 is zero, or g.
    old_residual : bool
        Whether a new direction is built on the residual before the step in place of the one after it.
    curvature : int
        By which ``p^T H p`` is divided in the length of a step.

    Raises
    ------
    NotApplicable
        If a direction has no curvature.
    Undecided
        If balls leave open whether a residual or a curvature is zero: a residual that merely may be is no solution.
    """
    x = start * g
    r = p = settled(g - H @ x) if start else g
    path = [x]
    least = 1e-28 * (g @ g) if isinstance(g, np.ndarray) else 0
    for _ in range(steps):
        square = settled(r @ r)
        if square <= least:
            break
        Hp = H @ p
        bend = settled(p @ Hp) / curvature
        if bend == 0:
            raise NotApplicable("conjugate gradients break down: a direction has no curvature")
        step = square / bend
        x = x + step * p
        new = settled(r - step * Hp)
        p = settled((r if old_residual else new) + new @ new / square * p)
        r = new
        path.append(x)
    return path


def iterate(H: Array, g: Array, steps: int, start: Any = 0) -> Array:
    """The iterate of conjugate gradients after some steps; the solution after as many as there are unknowns."""
    return solution(H, g) if steps >= len(g) else conjugate_gradients(H, g, steps, start=start)[-1]


def stale_iterate(H: Array, g: Array) -> Array:
    """The iterate before the one that solves the system."""
    return conjugate_gradients(H, g, len(g))[-2:][0]
