"""What is true of MAML and its relatives in closed form.

On quadratic tasks, `closed_forms` has the direction and the resting point of every method, and `affine` the gradient
and the minimiser of any method whose direction is affine. `taylor` has the coefficients in the learning rate that tell
MAML, FOMAML and Reptile apart, for any loss.

>>> from refgrad import exact
>>> from refgrad.theory.meta import WEIGHTS, outer_fixed_point
>>> a = exact.asarray
>>> tasks = [(a([["1/2"]]), a([0])), (a([[2]]), a([3])), (a([[4]]), a([10]))]
>>> [outer_fixed_point(WEIGHTS[name], tasks, a("1/5"), 1) for name in ("maml", "fomaml", "reptile")]
[ExactArray([752/257]), ExactArray([232/49]), ExactArray([92/13])]
"""

from __future__ import annotations

from refgrad.theory.meta.affine import affine_gradient, affine_minimiser
from refgrad.theory.meta.closed_forms import (
    WEIGHTS,
    adaptation,
    expected_direction,
    maml_objective,
    maml_rate_gradient,
    outer_fixed_point,
)
from refgrad.theory.meta.taylor import (
    Expansion,
    average_gradient,
    average_gradient_inner,
    fomaml_expansion,
    fomaml_second_coefficient,
    maml_expansion,
    maml_second_coefficient,
    reptile_expansion,
)

__all__ = [
    "WEIGHTS", "Expansion", "adaptation", "affine_gradient", "affine_minimiser", "average_gradient",
    "average_gradient_inner", "expected_direction", "fomaml_expansion", "fomaml_second_coefficient",
    "maml_expansion", "maml_objective", "maml_rate_gradient", "maml_second_coefficient", "outer_fixed_point",
    "reptile_expansion",
]  # fmt: skip
