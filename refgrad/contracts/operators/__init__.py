"""Operators with their first and second directional derivatives, derived by hand, and the formulas taken for them.

Automatic differentiation is judged by these: a framework's rules are written by hand as well, and those for a second
derivative, or for the other mode, are seldom tested. Each operator is a record with its value and ``D f(x)[u]`` and
``D^2 f(x)[u, v]`` as exact formulas that hold at singular matrices, at zeros and at ties too.

>>> from refgrad import exact
>>> from refgrad.contracts.operators import OPERATORS
>>> zero, u = exact.asarray([[0, 0], [0, 0]]), exact.asarray([[1, 2], [3, 4]])
>>> OPERATORS["det"].second(zero, u, u)  # twice the determinant of u
ExactArray(-4)
"""

from __future__ import annotations

from refgrad.contracts.operators.cholesky import CHOLESKY, CHOLESKY_INVERSE, CHOLESKY_SOLVE
from refgrad.contracts.operators.elementwise import EXP, LDEXP, LOG, SQRT, TANH
from refgrad.contracts.operators.log_sum_exp import LOG_SOFTMAX, LOGCUMSUMEXP, LOGSUMEXP, SOFTMAX
from refgrad.contracts.operators.matrices import DET, INV, LOGDET, MATMUL, SOLVE
from refgrad.contracts.operators.normalization import BATCH_NORM, LAYER_NORM
from refgrad.contracts.operators.operator import Operator, variants
from refgrad.contracts.operators.reductions import CUMPROD, NORM, PROD

__all__ = ["OPERATORS", "Operator", "variants"]

OPERATORS = {
    operator.name: operator
    for operator in (
        TANH, EXP, LOG, SQRT, LDEXP,
        PROD, CUMPROD, NORM,
        LOGSUMEXP, LOGCUMSUMEXP, SOFTMAX, LOG_SOFTMAX,
        MATMUL, DET, LOGDET, INV, SOLVE,
        CHOLESKY, CHOLESKY_INVERSE, CHOLESKY_SOLVE,
        LAYER_NORM, BATCH_NORM,
    )
}  # fmt: skip
"""The operators by name."""
