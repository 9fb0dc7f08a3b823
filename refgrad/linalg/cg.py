"""Conjugate gradients for a symmetric positive definite operator, on any array library.

SciPy's solver serves NumPy alone; this one runs on rationals too, where it ends with the exact solution after at
most n steps [hestenes1952]_.

References
----------
.. [hestenes1952] M. R. Hestenes and E. Stiefel, Methods of conjugate gradients for solving linear systems (1952), 3:1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from refgrad.autodiff.core import primal, value_of
from refgrad.backend import of
from refgrad.errors import IndefiniteHessian, InvalidInput, NotConverged
from refgrad.linalg.norms import inner, relative_residual
from refgrad.linalg.stop import Stopped
from refgrad.typing import Array, Scalar

__all__ = ["Solution", "conjugate_gradient"]


@dataclass(frozen=True)
class Solution:
    """The solution of a linear system with its certificate.

    Attributes
    ----------
    value : array, shape (n,)
    residual : float
        ``|A x - b| / |b|`` in the Euclidean norm, computed from A, not updated along the way; 0.0 only if exactly zero.
    steps : int
        Products with A.
    stopped : Stopped
    """

    value: Array
    residual: float
    steps: int
    stopped: Stopped


def conjugate_gradient(
    operator: Callable[[Array], Array],
    b: Array,
    *,
    rtol: float = 1e-12,
    max_steps: int | None = None,
    preconditioner: Callable[[Array], Array] | None = None,
) -> Solution:
    """The x with ``operator(x) = b``.

    Parameters
    ----------
    operator : callable
        ``v -> A v`` for a symmetric positive definite A of order n.
    b : array, shape (n,)
    rtol : float
        Stop when ``|A x - b| <= rtol * |b|``. Rationals go on to an exact zero.
    max_steps : int, optional
        10 n if not given.
    preconditioner : callable, optional
        ``r -> P r`` with a symmetric positive definite P near the inverse of A; the tolerance stays that of r.

    Raises
    ------
    IndefiniteHessian
        If a direction p with ``p A p <= 0`` turns up, or an r with ``r P r <= 0``.
    NotConverged
        If the tolerance is not met in `max_steps`.
    """
    n = b.shape[0]
    limit = max(1, 10 * n) if max_steps is None else max_steps
    if limit < 1:
        raise InvalidInput(f"conjugate_gradient: expected max_steps of at least 1, got {max_steps}")
    xp = of(primal(b))
    if not xp.exact:
        # the products below are squares: unscaled, 1e-170 would vanish and 1e170 overflow
        size = float(xp.amax(xp.abs(primal(b)), (0,), False)) if n else 0.0
        if 0.0 < size < math.inf and not 1e-3 < size < 1e3:
            solution = conjugate_gradient(
                operator, b / size, rtol=rtol, max_steps=max_steps, preconditioner=preconditioner
            )
            return replace(solution, value=solution.value * size)
    goal = 0 if xp.exact else Fraction(rtol) ** 2
    x, r = xp.zeros_like(primal(b)), b
    rr = inner(r, r)
    bb = value_of(rr)  # not of many examples, nor of a recording: the number of steps depends on it
    if bb == 0:
        return Solution(x, 0.0, 0, Stopped.ZERO)
    p, rz = _preconditioned(r, rr, preconditioner)
    for step in range(1, limit + 1):
        ap = operator(p)
        curvature = inner(p, ap)
        if not value_of(curvature) > 0:
            raise IndefiniteHessian(
                f"conjugate_gradient: a direction of curvature {float(value_of(curvature)):.3g} turned up at step "
                f"{step}; expected a symmetric positive definite operator. At a saddle use the dense solver."
            )
        alpha = rz / curvature
        x = x + alpha * p
        r = r - alpha * ap
        rr = inner(r, r)
        if value_of(rr) <= goal * bb if xp.exact else float(value_of(rr)) <= float(goal) * float(bb):
            residual = relative_residual(operator(x), b)
            return Solution(x, residual, step, Stopped.EXACT if residual == 0.0 else Stopped.TOLERANCE)
        z, following = _preconditioned(r, rr, preconditioner)
        p = z + (following / rz) * p
        rz = following
    raise NotConverged(
        f"conjugate_gradient: |A x - b| / |b| is {relative_residual(operator(x), b):.3g} after {limit} steps, and "
        f"{rtol:.3g} was asked for; raise max_steps or rtol, or use the dense solver."
    )


def _preconditioned(r: Array, rr: Scalar, preconditioner: Callable[[Array], Array] | None) -> tuple[Array, Scalar]:
    """``P r`` and ``r . P r``."""
    if preconditioner is None:
        return r, rr
    z = preconditioner(r)
    rz = inner(r, z)
    if not value_of(rz) > 0:
        raise IndefiniteHessian(
            f"conjugate_gradient: expected a symmetric positive definite preconditioner P; r . P r is "
            f"{float(value_of(rz)):.3g} for a residual r."
        )
    return z, rz
