"""What is true of the shortest vector in the hull of several gradients, and of its bound with a shared encoder.

`SharedEncoder` compares the exact direction with the cheap one of MGDA-UB, `encoder_examples` are networks in which
that one raises a loss, and `lemma` is the false step of its proof with what is true in its place. `fictitious_play` is
the averaged iteration, `preconditioned` the problem in another metric.

>>> from refgrad.theory.multitask import at, counterexample, two_samples
>>> network, theta = two_samples()
>>> at(network, theta).upper_bound().rates, at(network, theta).exact().rates
(ExactArray([-1, 3]), ExactArray([1/5, 1/5]))
>>> counterexample().M
ExactArray([[1, -2],
            [-2, 5]])
"""

from __future__ import annotations

from refgrad.theory.multitask.encoder_examples import disjoint_labels, rank_one, relu_network, three_tasks, two_samples
from refgrad.theory.multitask.encoder_networks import EncoderNetwork, LinearEncoder, ReluEncoder, at
from refgrad.theory.multitask.fictitious_play import fictitious_play
from refgrad.theory.multitask.lemma import (
    Violation,
    counterexample,
    is_positive_definite,
    is_sign_safe,
    smallest_product,
    tight_matrix,
    violation,
)
from refgrad.theory.multitask.preconditioned import min_norm_in_metric, preconditioned_min_norm
from refgrad.theory.multitask.shared_encoder import SharedEncoder, Update

__all__ = [
    "EncoderNetwork", "LinearEncoder", "ReluEncoder", "SharedEncoder", "Update", "Violation", "at",
    "counterexample", "disjoint_labels", "fictitious_play", "is_positive_definite", "is_sign_safe",
    "min_norm_in_metric", "preconditioned_min_norm", "rank_one", "relu_network", "smallest_product", "three_tasks",
    "tight_matrix", "two_samples", "violation",
]  # fmt: skip
