"""Fisher information of a classifier and the EWC penalty by their definitions, and what is computed in their place.

>>> from refgrad import exact
>>> from refgrad.contracts.continual import ewc_penalty
>>> a = exact.asarray
>>> ewc_penalty(a([1, 2]), a([0, 0]), a([4, 1]), a("1/2")).value  # lam/2 (4 + 4)
ExactArray(2)
"""

from __future__ import annotations

from refgrad.contracts.continual.ewc import Penalty, ewc_gradient, ewc_penalty
from refgrad.contracts.continual.fisher import (
    Diagonal,
    empirical_fisher_diagonal,
    fisher_diagonal,
    gaussian_fisher_diagonal,
)
from refgrad.contracts.continual.logits import LinearLogits, SquaredLogits, TanhLogits

__all__ = [
    "Diagonal", "LinearLogits", "Penalty", "SquaredLogits", "TanhLogits", "empirical_fisher_diagonal", "ewc_gradient",
    "ewc_penalty", "fisher_diagonal", "gaussian_fisher_diagonal",
]  # fmt: skip
