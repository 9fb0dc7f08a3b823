"""Meta-gradients by explicit recursions, and what is computed in their place.

`maml_gradient`, `fomaml_gradient`, `reptile_update` and `imaml_gradient` work for any loss with a gradient and a
Hessian-vector product; `per_step_gradient` and `rate_gradients` for a batch and a rate of its own at each step. The
names in capitals that end in ``VARIANTS`` are what is computed in place of each: deviations in a field of the
``Recipe`` beside its formula.

>>> from refgrad import exact
>>> from refgrad.contracts.meta import fomaml_gradient, maml_gradient
>>> from refgrad.contracts.tools import EXACT_TABLE, Quadratic
>>> a = exact.asarray
>>> support, query = (a([[1]]), a([1])), (a([[1]]), a([0]))
>>> problem = Quadratic(EXACT_TABLE), a([0]), [(support, query)], a("1/4"), 1
>>> maml_gradient(*problem).value, fomaml_gradient(*problem).value
(ExactArray([3/16]), ExactArray([1/4]))
"""

from __future__ import annotations

from refgrad.contracts.meta.imaml import imaml_gradient, proximal_point, strength_gradient
from refgrad.contracts.meta.imaml_variants import IMAML_VARIANTS
from refgrad.contracts.meta.maml import fomaml_gradient, maml_gradient
from refgrad.contracts.meta.maml_variants import FOMAML_VARIANTS, MAML_VARIANTS
from refgrad.contracts.meta.per_step import per_step_gradient, rate_gradients
from refgrad.contracts.meta.quadratic_form import QuadraticForm, mean_squares_form
from refgrad.contracts.meta.rate_variants import RATE_VARIANTS
from refgrad.contracts.meta.reptile import reptile_update
from refgrad.contracts.meta.reptile_variants import REPTILE_VARIANTS

__all__ = [
    "FOMAML_VARIANTS", "IMAML_VARIANTS", "MAML_VARIANTS", "RATE_VARIANTS", "REPTILE_VARIANTS", "QuadraticForm",
    "fomaml_gradient", "imaml_gradient", "maml_gradient", "mean_squares_form", "per_step_gradient",
    "proximal_point", "rate_gradients", "reptile_update", "strength_gradient",
]  # fmt: skip
