"""Meta-gradients by explicit recursions and in closed form, and what is computed in their place.

`maml_gradient`, `fomaml_gradient` and `reptile_update` work for any loss with a gradient and a Hessian-vector product;
`per_step_gradient` and `rate_gradients` for a batch and a rate of its own at each step. On quadratic tasks everything
has a closed form: `closed_forms` has the direction and the resting point of every method, `imaml_gradient` the implicit
one. `maml_expansion` and its companions are the Taylor coefficients that tell MAML, FOMAML and Reptile apart. The names
in capitals that end in ``VARIANTS`` are what is computed in place of each.

>>> from refgrad import exact
>>> from refgrad.oracles.meta import WEIGHTS, outer_fixed_point
>>> a = exact.asarray
>>> tasks = [(a([["1/2"]]), a([0])), (a([[2]]), a([3])), (a([[4]]), a([10]))]
>>> [outer_fixed_point(WEIGHTS[name], tasks, a("1/5"), 1) for name in ("maml", "fomaml", "reptile")]
[ExactArray([752/257]), ExactArray([232/49]), ExactArray([92/13])]
"""

from __future__ import annotations

from refgrad.oracles.meta.affine import affine_gradient, affine_minimiser
from refgrad.oracles.meta.closed_forms import (
    WEIGHTS,
    adapted,
    expected_direction,
    maml_objective,
    maml_rate_gradient,
    outer_fixed_point,
)
from refgrad.oracles.meta.imaml import imaml_gradient, proximal_point, strength_gradient
from refgrad.oracles.meta.imaml_variants import IMAML_VARIANTS
from refgrad.oracles.meta.maml import fomaml_gradient, maml_gradient, reptile_update
from refgrad.oracles.meta.maml_variants import FOMAML_VARIANTS, VARIANTS
from refgrad.oracles.meta.per_step import per_step_gradient, rate_gradients
from refgrad.oracles.meta.quadratic_form import QuadraticForm, mean_squares_form
from refgrad.oracles.meta.rate_variants import RATE_VARIANTS
from refgrad.oracles.meta.reptile_variants import REPTILE_VARIANTS
from refgrad.oracles.meta.taylor import (
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
    "FOMAML_VARIANTS",
    "IMAML_VARIANTS",
    "RATE_VARIANTS",
    "REPTILE_VARIANTS",
    "VARIANTS",
    "WEIGHTS",
    "Expansion",
    "QuadraticForm",
    "adapted",
    "affine_gradient",
    "affine_minimiser",
    "average_gradient",
    "average_gradient_inner",
    "expected_direction",
    "fomaml_expansion",
    "fomaml_gradient",
    "fomaml_second_coefficient",
    "imaml_gradient",
    "maml_expansion",
    "maml_gradient",
    "maml_objective",
    "maml_rate_gradient",
    "maml_second_coefficient",
    "mean_squares_form",
    "outer_fixed_point",
    "per_step_gradient",
    "proximal_point",
    "rate_gradients",
    "reptile_expansion",
    "reptile_update",
    "strength_gradient",
]
