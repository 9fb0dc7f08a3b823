r"""A matrix of low rank in place of A, by Nystrom's method, and Woodbury's formula for its inverse.

.. math:: (\rho I + C^\top M^{-1} C)^{-1} b = \frac{1}{\rho} b - \frac{1}{\rho^2} C^\top
          \Bigl(M + \frac{1}{\rho} C C^\top\Bigr)^{-1} C\, b
   :label: nystrom-solve

C has the rows K of a symmetric A, and M the columns K of those. With all rows it is A itself, damped by rho. What the
rows do not see is inverted as ``1 / rho``: with few rows and a small rho that is what the answer consists of.

>>> from refgrad import exact
>>> from refgrad.linalg import Nystrom, System
>>> b = exact.asarray([1, 1])
>>> solver = Nystrom(1, damping=exact.asarray("1/10"), rows=[0])
>>> solver.prepare(System(lambda v: 2 * v, b))(b).value  # of 2 x = 1, and the second row was not seen
ExactArray([10/21, 10])

References
----------
.. [hataya2023] R. Hataya, M. Yamada, Nystrom method for accurate and scalable implicit differentiation, AISTATS 2023,
   eq. (6).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from refgrad.errors import InvalidInput
from refgrad.linalg.cg import Solution
from refgrad.linalg.norms import relative_residual
from refgrad.linalg.solvers import System, unit_vector
from refgrad.linalg.stop import Stopped
from refgrad.numpy import linalg, stack
from refgrad.typing import Array, Scalar

__all__ = ["Nystrom"]


@dataclass(frozen=True)
class Nystrom:
    """Equation (nystrom-solve) [hataya2023]_.

    Attributes
    ----------
    rank : int
        How many rows, each a product with A.
    damping : number
        rho, positive.
    rows : sequence of int, optional
        Which; drawn without replacement from `seed` if not given.
    seed : int
    """

    rank: int
    damping: Scalar = field(kw_only=True)
    rows: Sequence[int] | None = None
    seed: int = 0

    def prepare(self, system: System) -> Callable[[Array], Solution]:
        n, rho = system.like.shape[0], self.damping
        if not 0 < self.rank <= n or not float(rho) > 0 or not system.symmetric:
            raise InvalidInput(
                f"Nystrom: expected a symmetric matrix, a rank from 1 to {n} and a positive damping; got "
                f"{'symmetric' if system.symmetric else 'not symmetric'}, {self.rank}, {rho}"
            )
        drawn = np.random.default_rng(self.seed).choice(n, self.rank, replace=False)
        rows = [int(k) for k in (drawn if self.rows is None else self.rows)]
        if len(rows) != self.rank or len(set(rows)) != self.rank or not all(0 <= k < n for k in rows):
            raise InvalidInput(f"Nystrom: expected {self.rank} different rows from 0 to {n - 1}, got {rows}")
        C = stack([system.product(unit_vector(system.like, k)) for k in rows])
        M = stack([C[:, k] for k in rows], -1)

        def solution(b: Array) -> Solution:
            x = b / rho - C.T @ linalg.solve(M + C @ C.T / rho, C @ b) / (rho * rho)  # eq: nystrom-solve
            residual = relative_residual(system.product(x), b)
            return Solution(x, residual, self.rank + 1, Stopped.EXACT if residual == 0.0 else Stopped.TRUNCATED)

        return solution
