"""What a hypergradient is returned as: the number, its parts, and what vouches for it; more when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Flag, auto
from functools import cached_property

from refgrad.errors import ShapeError, SingularMatrix
from refgrad.implicit.singular import Inertia, inertia_of
from refgrad.linalg import Stopped, norm
from refgrad.linalg.solvers import unit_vector
from refgrad.numpy import stack
from refgrad.tree import ravel
from refgrad.typing import Array, Tree

__all__ = ["Flags", "Hypergradient"]


class Flags(Flag):
    """What a hypergradient is besides the number asked for."""

    NONE = 0
    APPROXIMATE = auto()
    """The solver is an approximation by choice; the residual says how good it is."""
    PSEUDO_INVERSE = auto()
    """H is singular; the value is the same for all solutions near w, if these fill its flat directions."""


@dataclass(frozen=True)
class Hypergradient:
    """A hypergradient and the evidence for it.

    Attributes
    ----------
    value : tree, as phi
        ``d outer / d phi`` in total: ``direct - indirect``.
    direct, indirect : trees, as phi
        d and ``B^T u``.
    adjoint : array, shape (n,)
        The solution u of ``H u = g``.
    residual : float
        ``|H u - g| / |g|``.
    inner_gradient : float
        ``|d inner / d w|``, which is 0 at a stationary point.
    steps : int
        Products with H in the solve for u; 0 for the dense solver.
    stopped : Stopped
        Why the solve for u stopped.
    flags : Flags
    inertia : tuple of int, or None
        How many eigenvalues of H are positive, negative and zero; None where H is not of NumPy's floats. They are
        computed when this is asked for.
    inner_distance : float
        ``|H^-1 d inner / d w|``: how far w is from stationary, to first order; if need be, by one more solve.
    error_bar : tree, as phi
        By how much the value is off because w is not quite stationary, equation (hypergradient-error): computed when
        it is asked for, by one more solve.
    jacobian : array, shape (n, m)
        W, the derivative of the solution by phi, all leaves as one vector each: computed when it is asked for, by m
        more solves, which the `map` of `hypergradient` may spread.
    hessian : array, shape (m, m)
        The second derivative of F, equation (hypergradient-second): computed when it is asked for, by 2 m more solves.
    """

    value: Tree
    direct: Tree
    indirect: Tree
    adjoint: Array
    residual: float
    inner_gradient: float
    steps: int
    stopped: Stopped
    flags: Flags
    _hessian: Callable[[], Array] = field(repr=False, compare=False)
    _step: Callable[[], Array] = field(repr=False, compare=False)
    _error: Callable[[], Tree] = field(repr=False, compare=False)
    _moved: Callable[[Array], Array] = field(repr=False, compare=False)
    _second: Callable[[Array], Array] = field(repr=False, compare=False)
    _map: Callable[..., Iterable[Array]] = field(repr=False, compare=False)

    @cached_property
    def inertia(self) -> Inertia | None:
        return inertia_of(self._hessian())

    @cached_property
    def inner_distance(self) -> float:
        return norm(self._step())

    @cached_property
    def error_bar(self) -> Tree:
        return self._error()

    @cached_property
    def jacobian(self) -> Array:
        return self._columns(self._moved)

    @cached_property
    def hessian(self) -> Array:
        return self._columns(self._second)

    def hvp(self, v: Tree) -> Tree:
        """The second derivative of F times v, equation (hypergradient-second), by two more solves.

        Parameters
        ----------
        v : tree, as phi

        Returns
        -------
        tree, as phi
        """
        (vector, unravel), flat = ravel(v), ravel(self.value)[0]
        if vector.shape != flat.shape:
            raise ShapeError(
                f"hvp: expected a direction with the {flat.shape[0]} elements of phi, got {vector.shape[0]}"
            )
        return unravel(self._second(self._regular(vector)))

    def _columns(self, f: Callable[[Array], Array]) -> Array:
        flat = self._regular(ravel(self.value)[0])
        return stack(list(self._map(f, [unit_vector(flat, k) for k in range(flat.shape[0])])), -1)

    def _regular(self, vector: Array) -> Array:
        if Flags.PSEUDO_INVERSE in self.flags:
            raise SingularMatrix(
                "hypergradient: the Hessian of inner is singular: how the solution moves depends on which is taken"
            )
        return vector
