"""MINRES and GMRES by SciPy, or CuPy's counterpart, on products alone: for matrices that are not positive definite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from refgrad.autodiff.core import primal
from refgrad.backend import of
from refgrad.errors import InvalidInput, NotConverged
from refgrad.linalg.cg import Solution
from refgrad.linalg.norms import norm, relative_residual
from refgrad.linalg.solvers import System
from refgrad.linalg.stop import Stopped
from refgrad.typing import Array

__all__ = ["GMRES", "MINRES"]


@dataclass(frozen=True)
class MINRES:
    """The least residual in growing Krylov subspaces, for a symmetric A [paige1975]_.

    Of a singular consistent system it gives a solution; of an inconsistent one no answer within the tolerance.

    Attributes
    ----------
    rtol : float
        The residual ``|A x - b| / |b|`` to be reached.
    max_steps : int, optional
        10 n if not given.

    References
    ----------
    .. [paige1975] C. C. Paige, M. A. Saunders, Solution of sparse indefinite systems of linear equations, SIAM Journal
       on Numerical Analysis 12 (1975).
    """

    rtol: float = 1e-10
    max_steps: int | None = None

    def prepare(self, system: System) -> Callable[[Array], Solution]:
        return _krylov("minres", system, self.rtol, self.max_steps, {})


@dataclass(frozen=True)
class GMRES:
    """The least residual in growing Krylov subspaces, for any A [saad1986]_.

    Attributes
    ----------
    rtol : float
        The residual ``|A x - b| / |b|`` to be reached.
    max_steps : int, optional
        10 n if not given.
    restart : int
        The dimension at which a subspace is begun anew; n vectors of that many are kept.

    References
    ----------
    .. [saad1986] Y. Saad, M. H. Schultz, GMRES, SIAM Journal on Scientific and Statistical Computing 7 (1986).
    """

    rtol: float = 1e-10
    max_steps: int | None = None
    restart: int = 50

    def prepare(self, system: System) -> Callable[[Array], Solution]:
        return _krylov("gmres", system, self.rtol, self.max_steps, {"restart": self.restart})


def _krylov(
    name: str, system: System, rtol: float, max_steps: int | None, options: dict[str, Any]
) -> Callable[[Array], Solution]:
    plain = primal(system.like)
    xp, n = of(plain), plain.shape[0]
    if xp.name == "cupy":
        from cupyx.scipy.sparse import linalg
    elif xp.name == "numpy" and plain.dtype.char in "fd":
        from scipy.sparse import linalg
    else:
        raise InvalidInput(f"{name.upper()}: expected floats of NumPy or CuPy, got {xp.name}; use Dense() or CG()")
    method = getattr(linalg, name, None)
    if method is None:
        raise InvalidInput(f"{name.upper()}: {linalg.__name__} has none; use Dense(), CG() or GMRES()")
    limit = 10 * n if max_steps is None else max_steps

    def solution(b: Array) -> Solution:
        b, steps = primal(b), 0
        if norm(b) == 0:
            return Solution(0 * b, 0.0, 0, Stopped.ZERO)

        def product(v: Array) -> Array:
            nonlocal steps
            steps += 1
            return system.product(np.reshape(v, (n,)))

        operator = linalg.LinearOperator((n, n), matvec=product, dtype=b.dtype)
        rounds = -(-limit // options["restart"]) if "restart" in options else limit
        # a little below what is asked for: the methods update their residuals, and the certificate computes its own
        x, _ = method(operator, b, maxiter=rounds, **{"rtol" if xp.name == "numpy" else "tol": rtol / 4}, **options)
        residual = relative_residual(system.product(x), b)
        if not residual <= rtol:
            raise NotConverged(
                f"{name.upper()}: |A x - b| / |b| is {residual:.3g} for {system.what} after {steps} products, and "
                f"{rtol:.3g} was asked for; raise max_steps or rtol, or use Dense()."
            )
        return Solution(x, residual, steps, Stopped.EXACT if residual == 0.0 else Stopped.TOLERANCE)

    return solution
