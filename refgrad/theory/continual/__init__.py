"""What is true of Fisher information and of quadratic penalties in closed form.

`distributions` has the information of single distributions in several coordinates, `generalized_linear` that of
regression models, with their losses. For quadratic tasks, `laplace` says exactly when a penalty equals joint training
and by how much not, `optimum_variants` what is reached in place of the optimum, and `scaling` which lambda that takes
in which convention.

>>> from refgrad import exact
>>> from refgrad.theory.continual import QuadraticTask, ewc_optimum, minimiser
>>> a = exact.asarray
>>> old = QuadraticTask(a([[2, 1], [1, 3]]), a([0, 1]))
>>> new = QuadraticTask(a([[1, 0], [0, 4]]), a([5, -1]))
>>> ewc_optimum(new, old.c, old.H, 1)  # the full Fisher, sum losses, lambda = 1
ExactArray([43/20, -9/20])
>>> bool((ewc_optimum(new, old.c, old.H, 1) == minimiser(old, new)).all())  # is joint training
True
"""

from __future__ import annotations

from refgrad.theory.continual.distributions import (
    BernoulliByLogit,
    BernoulliByProbability,
    CategoricalByLogits,
    CategoricalByProbabilities,
    Distribution,
    ExponentialByRate,
    GaussianByDeviation,
    GaussianByLogDeviation,
    GaussianByVariance,
    PoissonByLogRate,
    PoissonByRate,
)
from refgrad.theory.continual.generalized_linear import (
    LinearGaussian,
    Logistic,
    Poisson,
    SoftmaxRegression,
    SquaredOdds,
    gaussian_empirical_fisher,
    gaussian_fisher,
    logistic_fisher,
    poisson_fisher,
    softmax_fisher,
)
from refgrad.theory.continual.laplace import (
    decayed_joint,
    diagonal_error,
    ewc_optimum,
    ewc_optimum_by_lam,
    moving_anchor,
    online_modes,
    per_task_bias,
    per_task_modes,
    recentred_modes,
)
from refgrad.theory.continual.optimum_variants import ONLINE_VARIANTS, OPTIMUM_VARIANTS
from refgrad.theory.continual.quadratic_tasks import QuadraticTask, half_sum_of_squares, minimiser, ridge
from refgrad.theory.continual.scaling import CONVENTIONS, Convention, Sizes

__all__ = [
    "CONVENTIONS", "ONLINE_VARIANTS", "OPTIMUM_VARIANTS", "BernoulliByLogit", "BernoulliByProbability",
    "CategoricalByLogits", "CategoricalByProbabilities", "Convention", "Distribution", "ExponentialByRate",
    "GaussianByDeviation", "GaussianByLogDeviation", "GaussianByVariance", "LinearGaussian", "Logistic", "Poisson",
    "PoissonByLogRate", "PoissonByRate", "QuadraticTask", "Sizes", "SoftmaxRegression", "SquaredOdds",
    "decayed_joint", "diagonal_error", "ewc_optimum", "ewc_optimum_by_lam", "gaussian_empirical_fisher",
    "gaussian_fisher", "half_sum_of_squares", "logistic_fisher", "minimiser", "moving_anchor", "online_modes",
    "per_task_bias", "per_task_modes", "poisson_fisher", "recentred_modes", "ridge", "softmax_fisher",
]  # fmt: skip
