r"""How a linear system may be solved: objects that prepare a system and give its solutions with their residuals.

==========  ==========================================================================================
`Dense`     the matrix, formed and factorised once
`CG`        conjugate gradients, with a preconditioner; symmetric positive definite
`MINRES`    the least residual over Krylov subspaces; symmetric, definite or not
`GMRES`     the same without symmetry
`Neumann`   the first terms of ``lr sum_j (I - lr A)^j b``: an approximation by choice
`Nystrom`   a matrix of low rank in place of A: an approximation by choice
`Identity`  b itself: an approximation by choice
`Damped`    any of them for ``A + damping I``: an approximation by choice
==========  ==========================================================================================

Every solution says its residual for A itself, so that an approximation shows what it is worth.

>>> from refgrad import exact
>>> from refgrad.linalg import CG, Neumann, System
>>> A, b = exact.asarray([[2, 1], [1, 2]]), exact.asarray([3, 3])
>>> system = System(lambda v: A @ v, b)
>>> CG().prepare(system)(b).value
ExactArray([1, 1])
>>> Neumann(terms=3, lr=exact.asarray("1/4")).prepare(system)(b).value  # 1 - (1/4)^3
ExactArray([63/64, 63/64])
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from refgrad.autodiff import jacrev
from refgrad.autodiff.core import primal
from refgrad.backend import of
from refgrad.errors import InvalidInput
from refgrad.linalg.cg import Solution, conjugate_gradient
from refgrad.linalg.dense import factorise
from refgrad.linalg.norms import relative_residual
from refgrad.linalg.stop import Stopped
from refgrad.numpy import concatenate, zeros_like
from refgrad.typing import Array

__all__ = ["CG", "Damped", "Dense", "Solver", "System", "unit_vector"]

PROBES = 32
"""Products from which the diagonal of a matrix is estimated."""


@dataclass(frozen=True)
class System:
    """A linear system, in the forms that a solver may want it in.

    Attributes
    ----------
    product : callable
        ``v -> A v`` on arrays of shape (n,).
    like : array, shape (n,)
        Any vector of the kind at hand.
    matrix : callable, optional
        ``() -> A``, shape (n, n); pulled out of the product if not given.
    symmetric, definite : bool
        Whether A is known to be symmetric, and whether it must be positive definite.
    what : str
        What A is called in messages.
    """

    product: Callable[[Array], Array]
    like: Array
    matrix: Callable[[], Array] | None = None
    symmetric: bool = True
    definite: bool = False
    what: str = "the operator"

    def formed(self) -> Array:
        """A as a matrix, shape (n, n)."""
        return jacrev(self.product)(self.like) if self.matrix is None else self.matrix()


@runtime_checkable
class Solver(Protocol):
    """What `refgrad.implicit.hypergradient` and `refgrad.linalg.implicit_solve` take as a solver."""

    def prepare(self, system: System) -> Callable[[Array], Solution]:
        """The function that takes a right-hand side b, a vector, to the solution of ``A x = b``."""


@dataclass(frozen=True)
class Dense:
    """A is formed and factorised once: Cholesky where it must be definite, else with pivots."""

    def prepare(self, system: System) -> Callable[[Array], Solution]:
        return factorise(system.formed(), system.what, definite=system.definite)


@dataclass(frozen=True)
class CG:
    """Conjugate gradients: products alone.

    Attributes
    ----------
    preconditioner : array, shape (n,), callable or "diagonal", optional
        An approximation of the inverse of A, symmetric positive definite: its diagonal, or ``r -> P r``. ``"diagonal"``
        is the reciprocal of the diagonal of A, estimated from 32 products with random signs [bekas2007]_.
    rtol : float
        See `conjugate_gradient`.
    max_steps : int, optional
        10 n if not given.

    References
    ----------
    .. [bekas2007] C. Bekas, E. Kokiopoulou, Y. Saad, An estimator for the diagonal of a matrix, Applied Numerical
       Mathematics 57 (2007), eq. (2).
    """

    preconditioner: Array | Callable[[Array], Array] | Literal["diagonal"] | None = None
    rtol: float = 1e-10
    max_steps: int | None = None

    def prepare(self, system: System) -> Callable[[Array], Solution]:
        given = self.preconditioner
        if isinstance(given, str):
            if given != "diagonal":
                raise InvalidInput(f"CG: expected preconditioner 'diagonal', an array or a callable, got {given!r}")
            given = _reciprocal_diagonal(system)
        inverse = given if given is None or callable(given) else lambda r: given * r
        return lambda b: conjugate_gradient(
            system.product, b, rtol=self.rtol, max_steps=self.max_steps, preconditioner=inverse
        )


@dataclass(frozen=True)
class Damped:
    """Another solver, for ``A + damping I`` in place of A: the answer is off by ``-damping A^-1 (A + damping I)^-1 b``.

    Attributes
    ----------
    solver : Solver
    damping : number
        Positive. The residual of a solution is that of A, without it.
    """

    solver: Solver
    damping: float = field(kw_only=True)

    def prepare(self, system: System) -> Callable[[Array], Solution]:
        shifted = replace(
            system,
            product=lambda v: system.product(v) + self.damping * v,
            matrix=lambda: system.formed() + jacrev(lambda v: self.damping * v)(system.like),
            what=f"{system.what} with damping",
        )
        solve = self.solver.prepare(shifted)

        def solution(b: Array) -> Solution:
            found = solve(b)
            residual = relative_residual(system.product(found.value), b)
            return replace(found, residual=residual, stopped=Stopped.TRUNCATED)

        return solution


def unit_vector(like: Array, k: int) -> Array:
    """Row k of the identity, of the kind of `like`, shape (n,)."""
    zero = zeros_like(primal(like))
    return concatenate([zero[:k], zero[k : k + 1] + 1, zero[k + 1 :]])


def _reciprocal_diagonal(system: System) -> Array:
    """The reciprocal of the diagonal of A, estimated; none is taken for smaller than its standard error."""
    plain = primal(system.like)
    xp = of(plain)
    if xp.exact:
        raise InvalidInput("CG: a diagonal that is estimated is for floats; rationals end after n steps without one")
    rng = np.random.default_rng(0)
    mean = squares = 0 * plain
    for _ in range(PROBES):
        z = xp.xp.asarray(rng.choice([-1.0, 1.0], plain.shape[0]).astype(plain.dtype))
        seen = z * primal(system.product(z))
        mean, squares = mean + seen / PROBES, squares + seen * seen / PROBES
    error = xp.sqrt(xp.abs(squares - mean * mean) / PROBES)
    known = xp.maximum(mean, error)
    return xp.where(known > 0, 1 / xp.where(known > 0, known, 1 + 0 * known), 1 + 0 * known)
