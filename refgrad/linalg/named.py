"""Solvers by their names."""

from __future__ import annotations

from refgrad.errors import InvalidInput
from refgrad.linalg.krylov import GMRES, MINRES
from refgrad.linalg.neumann import Identity
from refgrad.linalg.solvers import CG, Dense, Solver

__all__ = ["named"]


def named(solver: object, rtol: float | None, what: str) -> Solver:
    """The solver of a name, to the tolerance `rtol` if that is given, or `solver` itself.

    Raises
    ------
    InvalidInput
        If it is neither.
    """
    tolerance = 1e-10 if rtol is None else rtol
    names: dict[object, Solver] = {
        "dense": Dense(),
        "cg": CG(rtol=tolerance),
        "minres": MINRES(rtol=tolerance),
        "gmres": GMRES(rtol=tolerance),
        "identity": Identity(),
    }
    if isinstance(solver, str) and solver in names:
        return names[solver]
    if isinstance(solver, Solver):
        return solver
    raise InvalidInput(
        f"{what}: expected solver 'dense' or 'cg', 'minres', 'gmres', 'identity', or an object of refgrad.linalg such "
        f"as Neumann(terms=4, lr=0.1); got {solver!r}"
    )
