"""The lambda that makes elastic weight consolidation the exact posterior, for each way of writing the penalty.

The posterior of both tasks adds up *sum* losses: the new task's loss over its N_B examples, and
``1/2 d^T S d`` with ``d = theta - theta_A`` and S the Fisher information summed over the N_A old examples. Public code
writes means for sums, and leaves out the 1/2; lambda has to make up for it, so that a published value means nothing
without its convention.

References
----------
Kirkpatrick et al. 2017, arXiv 1612.00796, eq. (3); Huszar 2018, arXiv 1712.03847; van de Ven 2025, On the computation
of the Fisher information in continual learning, arXiv 2502.11756.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

__all__ = ["CONVENTIONS", "Convention", "Sizes"]


class Sizes(NamedTuple):
    """How many examples the old and the new task have, and how many parameters there are.

    Attributes
    ----------
    old, new : int
    parameters : int
    """

    old: int
    new: int
    parameters: int


@dataclass(frozen=True)
class Convention:
    """One way of writing the loss of the new task and the penalty.

    Attributes
    ----------
    name : str
    loss : str
        ``"mean"`` or ``"sum"`` over the new examples.
    penalty : str
        The penalty in the notation of this module, N for N_A and P for the number of parameters.
    lam : callable
        Takes `Sizes`; the lambda whose optimum is that of the posterior.
    """

    name: str
    loss: str
    penalty: str
    lam: Callable[[Sizes], Fraction]


CONVENTIONS: tuple[Convention, ...] = (
    Convention("sums", "sum", "lam/2 d^T S d", lambda n: Fraction(1)),
    Convention("sum-loss-mean-fisher", "sum", "lam/2 d^T (S/N) d", lambda n: Fraction(n.old)),
    Convention("means", "mean", "lam/2 d^T (S/N) d", lambda n: Fraction(n.old, n.new)),
    Convention("means-missing-half", "mean", "lam d^T (S/N) d", lambda n: Fraction(n.old, 2 * n.new)),
    Convention("mean-loss-sum-fisher", "mean", "lam/2 d^T S d", lambda n: Fraction(1, n.new)),
    Convention("n-minus-1", "mean", "lam/2 d^T (S/(N - 1)) d", lambda n: Fraction(n.old - 1, n.new)),
    Convention(
        "mean-over-parameters", "mean", "lam/(2 P) d^T (S/N) d", lambda n: Fraction(n.parameters * n.old, n.new)
    ),
)
