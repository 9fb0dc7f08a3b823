"""Singular Hessians: when the hypergradient is a number all the same, and how many directions are flat.

With g the gradient of the outer loss by w and B the derivative of the inner gradient by phi (Fredholm's alternative):
if g and all columns of B are in the range of H, then ``B^T u`` is the same for every u with ``H u = g``, and so for all
solutions of the inner problem; if g is not, the value depends on which solution is taken; if B is not, there are
directions of phi in which no solution is near.

That takes flat directions to be flat beyond second order, as those of a quadratic loss are, or of a softmax by a number
added to all its logits. Second derivatives do not tell them from the direction of ``w^6/6 - phi^2 w`` at 0, where w is
``phi^(2/5)``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refgrad.autodiff.core import primal
from refgrad.backend import of
from refgrad.errors import NoNearbySolution, NotAMinimiser, SelectionDependent, SingularMatrix
from refgrad.linalg import Solution, Stopped, System, norm, relative_residual, solve
from refgrad.numpy import concatenate, stack, zeros_like
from refgrad.typing import Array

__all__ = ["inertia_of", "singular_system"]

Inertia = tuple[int, int, int]


def inertia_of(H: Array) -> Inertia | None:
    """How many eigenvalues of a symmetric matrix are positive, negative and zero; None where no floats are at hand."""
    H = primal(H)
    if of(H).name != "numpy" or not np.isfinite(H).all():
        return None
    return _counted(np.linalg.eigvalsh(H), _flat(H))


def singular_system(system: System, g: Array, B: Array) -> Callable[[Array], Solution]:
    """What solves a consistent singular system with the Hessian; of least length on floats.

    Raises
    ------
    NotAMinimiser
        If the Hessian must be positive semidefinite and is not.
    SelectionDependent, NoNearbySolution
        If g, or a column of B, is not in the range of the Hessian.
    """
    H = primal(system.formed())
    if of(H).exact:
        pseudo, slack = _by_elimination(H), 0.0
    elif of(H).name == "numpy":
        pseudo, inertia = _by_eigenvectors(H)
        slack = float(np.sqrt(np.finfo(H.dtype).eps))
        if system.definite and inertia[1]:
            raise NotAMinimiser(f"{system.what} is singular and has {inertia[1]} negative eigenvalues.", inertia)
    else:
        raise SingularMatrix(f"{system.what} is singular; on floats of NumPy, or exactly, it is told what that means.")

    def away(b: Array) -> bool:
        return norm(H @ pseudo(b) - b) > slack * norm(b)

    if away(primal(g)):
        raise SelectionDependent(
            f"{system.what} is singular, and the outer loss changes along its flat directions: the derivative depends "
            "on which of the inner problem's solutions is taken. Add a strictly convex term to the inner problem."
        )
    B = primal(B)
    if any(away(B[:, k]) for k in range(B.shape[1])):
        raise NoNearbySolution(
            f"{system.what} is singular, and phi pulls along its flat directions: there are phi nearby for which no "
            "solution is near. Add a strictly convex term to the inner problem."
        )

    def solution(b: Array) -> Solution:
        x = pseudo(primal(b))
        residual = relative_residual(H @ x, b)
        return Solution(x, residual, 0, Stopped.EXACT if residual == 0.0 else Stopped.DIRECT)

    return solution


def _flat(H: np.ndarray) -> float:
    """Eigenvalues up to this are zero to working precision."""
    return 10 * len(H) * float(np.finfo(H.dtype).eps) * float(np.abs(H).sum(0).max(initial=0.0))


def _counted(values: np.ndarray, flat: float) -> Inertia:
    return int((values > flat).sum()), int((values < -flat).sum()), int((abs(values) <= flat).sum())


def _by_eigenvectors(H: np.ndarray) -> tuple[Callable[[Array], Array], Inertia]:
    values, vectors = np.linalg.eigh(H)
    steep = abs(values) > _flat(H)
    V, inverse = vectors[:, steep], 1 / values[steep]
    return lambda b: V @ (inverse * (V.T @ b)), _counted(values, _flat(H))


def _by_elimination(H: Array) -> Callable[[Array], Array]:
    """A solution that is zero outside of the independent rows; of what is not consistent, no solution."""
    rows = _independent(H)
    minor = stack([H[k][np.array(rows)] for k in rows]) if rows else None

    def pseudo(b: Array) -> Array:
        if minor is None:
            return zeros_like(b)
        some, zero = solve(minor, b[np.array(rows)]).value, zeros_like(b)
        place = {k: i for i, k in enumerate(rows)}
        return concatenate([some[place[k] : place[k] + 1] if k in place else zero[k : k + 1] for k in range(len(b))])

    return pseudo


def _independent(H: Array) -> list[int]:
    """The first rows of an exact matrix of which none is a combination of others; their minor is invertible."""
    kept: list[tuple[int, Array]] = []
    rows = []
    for k in range(H.shape[0]):
        row = H[k]
        for column, pivot in kept:
            row = row - row[column] / pivot[column] * pivot
        nonzero = np.flatnonzero(np.array([bool(x != 0) for x in row]))
        if nonzero.size:
            kept.append((int(nonzero[0]), row))
            rows.append(k)
    return rows
