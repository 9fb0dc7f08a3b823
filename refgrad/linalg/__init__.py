"""Linear systems whose solutions carry their residual, on any array library.

>>> import numpy as np
>>> from refgrad.linalg import conjugate_gradient
>>> a = np.array([[4.0, 1.0], [1.0, 3.0]])
>>> solution = conjugate_gradient(lambda v: a @ v, np.array([1.0, 2.0]))
>>> bool(np.allclose(solution.value, [1 / 11, 7 / 11])), solution.steps
(True, 2)
"""

from __future__ import annotations

from refgrad.linalg.cg import Solution, conjugate_gradient
from refgrad.linalg.dense import factorise, require_invertible, require_positive_definite, solve
from refgrad.linalg.implicit_solve import implicit_solve
from refgrad.linalg.krylov import GMRES, MINRES
from refgrad.linalg.neumann import Identity, Neumann
from refgrad.linalg.norms import all_finite, inner, norm, relative_residual
from refgrad.linalg.nystrom import Nystrom
from refgrad.linalg.solvers import CG, Damped, Dense, Solver, System
from refgrad.linalg.stop import Stopped

__all__ = [
    "CG", "GMRES", "MINRES", "Damped", "Dense", "Identity", "Neumann", "Nystrom", "Solution", "Solver", "Stopped",
    "System", "all_finite", "conjugate_gradient", "factorise", "implicit_solve", "inner", "norm", "relative_residual",
    "require_invertible", "require_positive_definite", "solve",
]  # fmt: skip
