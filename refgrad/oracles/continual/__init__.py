"""Fisher information and quadratic penalties by their definitions, and what is computed in their place.

`fisher_diagonal` and `empirical_fisher_diagonal` are those of a classifier; `distributions` has the information of
single distributions in several coordinates, `generalized_linear` that of regression models, with their losses. For
quadratic tasks, `laplace` says exactly when a penalty equals joint training and by how much not, and `scaling` which
lambda that takes in which convention. The names in capitals are what is computed in place of each.

>>> from refgrad import exact
>>> from refgrad.oracles.continual import QuadraticTask, ewc_optimum, minimiser
>>> a = exact.asarray
>>> old = QuadraticTask(a([[2, 1], [1, 3]]), a([0, 1]))
>>> new = QuadraticTask(a([[1, 0], [0, 4]]), a([5, -1]))
>>> ewc_optimum(new, old.c, old.H, 1)  # the full Fisher, sum losses, lambda = 1
ExactArray([43/20, -9/20])
>>> bool((ewc_optimum(new, old.c, old.H, 1) == minimiser(old, new)).all())  # is joint training
True
"""

from __future__ import annotations

from refgrad.oracles.continual.distributions import (
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
from refgrad.oracles.continual.ewc import ewc_gradient, ewc_penalty
from refgrad.oracles.continual.ewc_variants import VARIANTS as PENALTY_VARIANTS
from refgrad.oracles.continual.fisher import empirical_fisher_diagonal, fisher_diagonal, gaussian_fisher_diagonal
from refgrad.oracles.continual.fisher_variants import EMPIRICAL_VARIANTS as EMPIRICAL_FISHER_VARIANTS
from refgrad.oracles.continual.fisher_variants import VARIANTS as FISHER_VARIANTS
from refgrad.oracles.continual.generalized_linear import (
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
from refgrad.oracles.continual.laplace import (
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
from refgrad.oracles.continual.optimum_variants import ONLINE_VARIANTS, OPTIMUM_VARIANTS
from refgrad.oracles.continual.quadratic_tasks import QuadraticTask, half_sum_of_squares, minimiser, ridge
from refgrad.oracles.continual.scaling import CONVENTIONS, Convention, Sizes

__all__ = [
    "CONVENTIONS",
    "EMPIRICAL_FISHER_VARIANTS",
    "FISHER_VARIANTS",
    "ONLINE_VARIANTS",
    "OPTIMUM_VARIANTS",
    "PENALTY_VARIANTS",
    "BernoulliByLogit",
    "BernoulliByProbability",
    "CategoricalByLogits",
    "CategoricalByProbabilities",
    "Convention",
    "Distribution",
    "ExponentialByRate",
    "GaussianByDeviation",
    "GaussianByLogDeviation",
    "GaussianByVariance",
    "LinearGaussian",
    "Logistic",
    "Poisson",
    "PoissonByLogRate",
    "PoissonByRate",
    "QuadraticTask",
    "Sizes",
    "SoftmaxRegression",
    "SquaredOdds",
    "decayed_joint",
    "diagonal_error",
    "empirical_fisher_diagonal",
    "ewc_gradient",
    "ewc_optimum",
    "ewc_optimum_by_lam",
    "ewc_penalty",
    "fisher_diagonal",
    "gaussian_empirical_fisher",
    "gaussian_fisher",
    "gaussian_fisher_diagonal",
    "half_sum_of_squares",
    "logistic_fisher",
    "minimiser",
    "moving_anchor",
    "online_modes",
    "per_task_bias",
    "per_task_modes",
    "poisson_fisher",
    "recentred_modes",
    "ridge",
    "softmax_fisher",
]
