"""The shortest vector in the hull of several gradients, exactly, and what is computed in its place.

`min_norm` and `direction` solve the problem by Wolfe's method in exact arithmetic; `closed_forms` has the cases that
need no method. The names in capitals are what is computed in place of the weights and of the direction.

>>> from refgrad import exact
>>> from refgrad.contracts.multitask import direction
>>> direction(exact.asarray([[2, 0], [-1, 1]])).value
ExactArray([1/5, 3/5])
"""

from __future__ import annotations

from refgrad.contracts.multitask.closed_forms import antiparallel, equal_angles, orthogonal, parallel, two_tasks
from refgrad.contracts.multitask.min_norm import direction, gap, infeasibility, min_norm, shortfall, squared_norm
from refgrad.contracts.multitask.min_norm_variants import DIRECTION_VARIANTS, MIN_NORM_VARIANTS

__all__ = [
    "DIRECTION_VARIANTS", "MIN_NORM_VARIANTS", "antiparallel", "direction", "equal_angles", "gap", "infeasibility",
    "min_norm", "orthogonal", "parallel", "shortfall", "squared_norm", "two_tasks",
]  # fmt: skip
