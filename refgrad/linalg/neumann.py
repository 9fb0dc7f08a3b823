r"""The first terms of a Neumann series, and no solve at all, in place of the solution of a linear system.

.. math:: x_J = \alpha \sum_{j=0}^{J-1} (I - \alpha A)^j b, \qquad b - A x_J = (I - \alpha A)^J b .
   :label: neumann-residual

So the residual after J terms is what the next term would be made of, and costs one product more. The series converges
if and only if ``|1 - alpha h| < 1`` for all eigenvalues h of A, for positive ones if ``alpha < 2 / h``. For symmetric A
the ratios ``|M^(j+1) b| / |M^j b|`` of ``M = I - alpha A`` never fall as j grows, by Cauchy and Schwarz, so that one
ratio above 1 proves divergence, and bounds the spectral radius from below.

As the inner problem's Hessian that is ``J`` steps of gradient descent unrolled from its solution [lorraine2020]_.

>>> from refgrad import exact
>>> from refgrad.linalg import Neumann, System
>>> b = exact.asarray([2])
>>> Neumann(terms=2, lr=exact.asarray("1/4")).prepare(System(lambda v: 2 * v, b))(b).value  # of 2 x = 2
ExactArray([3/4])

References
----------
.. [lorraine2020] J. Lorraine, P. Vicol, D. Duvenaud, Optimizing millions of hyperparameters by implicit
   differentiation, AISTATS 2020, Algorithm 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from refgrad.autodiff.core import primal
from refgrad.backend import of
from refgrad.errors import InvalidInput, NeumannDiverges
from refgrad.linalg.cg import Solution
from refgrad.linalg.norms import inner, norm, relative_residual
from refgrad.linalg.solvers import System
from refgrad.linalg.stop import Stopped
from refgrad.typing import Array, Scalar

__all__ = ["Identity", "Neumann"]

_STEPS = 20
"""Of the power iteration; the step that comes of it converges if that has reached half of the largest eigenvalue."""


@dataclass(frozen=True)
class Neumann:
    """The first terms of the series, equation (neumann-residual).

    Attributes
    ----------
    terms : int
        J, at least 1: the terms, of which the last has the power J - 1; J products with A.
    lr : number, optional
        alpha. If not given, the reciprocal of the largest eigenvalue of A, as 20 steps of the power iteration from b
        see it; A must be symmetric for that.
    """

    terms: int
    lr: Scalar | None = None

    def prepare(self, system: System) -> Callable[[Array], Solution]:
        if self.terms < 1:
            raise InvalidInput(f"Neumann: expected at least 1 term, got {self.terms}")

        def solution(b: Array) -> Solution:
            lr = _reciprocal_of_largest(system, b) if self.lr is None else self.lr
            scale = norm(b)
            if scale == 0:
                return Solution(0 * b, 0.0, 0, Stopped.ZERO)
            rest, total, before = b, 0 * b, scale
            for term in range(self.terms):
                total = total + rest
                rest = rest - lr * system.product(rest)  # eq: neumann-residual
                size = norm(rest)
                if system.symmetric and _grows(rest, size, before):
                    raise NeumannDiverges(
                        f"Neumann: the series diverges for {system.what}: term {term + 2} is {size / before:.6g} times "
                        f"as long as term {term + 1}, which for a symmetric matrix proves that |1 - lr h| is at least "
                        f"that for an eigenvalue h. With h > 0 throughout, a step below 2 / h converges (lr is "
                        f"{float(lr):.3g}); with h <= 0 none does: use Dense() or MINRES().",
                        size / before,
                    )
                before = size
                if size == 0:
                    return Solution(lr * total, 0.0, term + 1, Stopped.EXACT)
            return Solution(lr * total, before / scale, self.terms, Stopped.TRUNCATED)

        return solution


@dataclass(frozen=True)
class Identity:
    """b in place of the solution: what is called T1 - T2, or the identity approximation [luketina2016]_.

    References
    ----------
    .. [luketina2016] J. Luketina, M. Berglund, K. Greff, T. Raiko, Scalable gradient-based tuning of continuous
       regularization hyperparameters, ICML 2016, eq. (4).
    """

    def prepare(self, system: System) -> Callable[[Array], Solution]:
        def solution(b: Array) -> Solution:
            residual = relative_residual(system.product(b), b)
            return Solution(b, residual, 1, Stopped.EXACT if residual == 0.0 else Stopped.TRUNCATED)

        return solution


def _grows(rest: Array, size: float, before: float) -> bool:
    """Whether a term is longer than the one before it, by more than rounding."""
    if not math.isfinite(size):
        return True
    plain = primal(rest)
    slack = 0.0 if of(plain).exact else 8 * plain.shape[0] * float(np.finfo(np.dtype(str(plain.dtype))).eps)
    return size > before * (1 + slack)


def _reciprocal_of_largest(system: System, b: Array) -> Scalar:
    """``1 / h`` for the Rayleigh quotient h of a vector that the power iteration has turned to the largest one."""
    if not system.symmetric:
        raise InvalidInput("Neumann: expected lr, for the power iteration finds one for symmetric matrices alone")
    v, quotient = primal(b), 0.0
    if of(v).exact:
        raise InvalidInput("Neumann: expected lr, for the power iteration rounds, and rationals do not")
    for _ in range(_STEPS):
        size = norm(v)
        if size == 0:
            break
        v = v / size
        image = primal(system.product(v))
        quotient = max(quotient, abs(float(inner(v, image))), norm(image))
        v = image
    return 1 / quotient if quotient else 1.0
