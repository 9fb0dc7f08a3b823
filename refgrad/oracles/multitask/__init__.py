"""The shortest vector in the hull of several gradients, exactly, and what is computed in its place.

`min_norm` and `direction` solve the problem by Wolfe's method in exact arithmetic; `closed_forms` has the cases that
need no method. `SharedEncoder` compares the exact direction with the cheap one of MGDA-UB, `encoder_examples` are
networks in which that one raises a loss, and `lemma` is the false step of its proof with what is true in its place.

>>> from refgrad.oracles.multitask import at, counterexample, two_samples
>>> network, theta = two_samples()
>>> at(network, theta).upper_bound().rates, at(network, theta).exact().rates
(ExactArray([-1, 3]), ExactArray([1/5, 1/5]))
>>> counterexample().M
ExactArray([[1, -2],
            [-2, 5]])
"""

from __future__ import annotations

from refgrad.oracles.multitask.closed_forms import antiparallel, equal_angles, orthogonal, parallel, two_tasks
from refgrad.oracles.multitask.encoder_examples import (
    disjoint_labels,
    rank_one,
    relu_network,
    three_tasks,
    two_samples,
)
from refgrad.oracles.multitask.encoder_networks import EncoderNetwork, LinearEncoder, ReluEncoder, at
from refgrad.oracles.multitask.fictitious_play import fictitious_play
from refgrad.oracles.multitask.lemma import (
    Violation,
    counterexample,
    is_positive_definite,
    is_sign_safe,
    smallest_product,
    tight_matrix,
    violation,
)
from refgrad.oracles.multitask.min_norm import direction, gap, infeasibility, min_norm, shortfall, squared_norm
from refgrad.oracles.multitask.min_norm_variants import DIRECTION_VARIANTS, VARIANTS
from refgrad.oracles.multitask.preconditioned import min_norm_in_metric, preconditioned_min_norm
from refgrad.oracles.multitask.shared_encoder import SharedEncoder, Update

__all__ = [
    "DIRECTION_VARIANTS",
    "VARIANTS",
    "EncoderNetwork",
    "LinearEncoder",
    "ReluEncoder",
    "SharedEncoder",
    "Update",
    "Violation",
    "antiparallel",
    "at",
    "counterexample",
    "direction",
    "disjoint_labels",
    "equal_angles",
    "fictitious_play",
    "gap",
    "infeasibility",
    "is_positive_definite",
    "is_sign_safe",
    "min_norm",
    "min_norm_in_metric",
    "orthogonal",
    "parallel",
    "preconditioned_min_norm",
    "rank_one",
    "relu_network",
    "shortfall",
    "smallest_product",
    "squared_norm",
    "three_tasks",
    "tight_matrix",
    "two_samples",
    "two_tasks",
    "violation",
]
