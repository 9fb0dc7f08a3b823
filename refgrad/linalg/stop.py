"""Why a solver stopped."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Stopped"]


class Stopped(StrEnum):
    """Why a solver stopped; each is equal to its words."""

    EXACT = "exact"
    """The residual is exactly zero."""
    TOLERANCE = "tolerance"
    """The residual meets the tolerance asked for."""
    DIRECT = "direct"
    """Elimination was done."""
    ZERO = "zero right-hand side"
    """The solution is zero."""
    SOLVER = "solver"
    """The solver that was passed in returned."""
    TRUNCATED = "approximation"
    """The approximation that was asked for is done; the residual is what it leaves."""
    CLOSED_FORM = "closed form"
    """A formula gave the answer."""
    OPTIMAL = "optimal active set"
    """No constraint is left that would improve the answer."""
