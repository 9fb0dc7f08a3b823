"""Small networks on which MGDA-UB raises a loss, or moves where it should stop; all in rationals.

Each function returns a network and its parameters; `encoder_networks.at` takes both to the `SharedEncoder`.

>>> from refgrad.theory.multitask.encoder_examples import two_samples
>>> from refgrad.theory.multitask.encoder_networks import at
>>> network, theta = two_samples()
>>> at(network, theta).upper_bound().rates, at(network, theta).exact().rates
(ExactArray([-1, 3]), ExactArray([1/5, 1/5]))
>>> step = at(network, theta).upper_bound().direction / 10
>>> network.losses(theta), network.losses(theta - step)
(ExactArray([1, 1]), ExactArray([9/8, 29/40]))
"""

from __future__ import annotations

from typing import Any

from refgrad.exact import asarray
from refgrad.theory.multitask.encoder_networks import LinearEncoder, ReluEncoder
from refgrad.typing import Array

__all__ = ["disjoint_labels", "rank_one", "relu_network", "three_tasks", "two_samples"]

SHEARED = [[1, 0], [-2, 1]]
"""Two inputs with Gram matrix [[1, -2], [-2, 5]], the M of `lemma.counterexample`."""


def two_samples() -> tuple[LinearEncoder, Array]:
    """Two tasks on two samples: the first has the rate -1 under MGDA-UB, and both have 1/5 under exact MGDA.

    The encoder has as many parameters as outputs and a Jacobian of full rank: nothing is degenerate.
    """
    return linear(SHEARED, [[-1, -1], [-1, 1]])


def three_tasks() -> tuple[LinearEncoder, Array]:
    """Three tasks on two samples, of which MGDA-UB raises two: the rates are (-1, 7, -3)."""
    return linear(SHEARED, [[-1, -1], [-1, 3], [-1, -2]])


def rank_one() -> tuple[LinearEncoder, Array]:
    """One parameter and two samples: Pareto-stationary, yet MGDA-UB moves, and raises the second loss.

    The Jacobian has rank 1 and q is 2, as where a feature map has more entries than the encoder has parameters.
    """
    return linear([[1], [1]], [[-1, 0], [3, -2]])


def disjoint_labels() -> tuple[LinearEncoder, Array]:
    """Two tasks with labels on different samples, whose gradients are (1, 0) and (-2, 0).

    The z_k are orthogonal, whatever the conflict, and the weights of MGDA-UB are those of two tasks that do not
    interfere: (4/5, 1/5).
    """
    return linear([[1, 0], [-1, 0]], [[-1, 0], [0, -2]], [[1, 0], [0, 1]])


def relu_network() -> tuple[ReluEncoder, Array]:
    """A network of one sample with ten parameters, two hidden units and two outputs of the encoder; p is well above q.

    Under MGDA-UB the rates are (-1/2, 15/2), and the first loss rises for the steps 1/10, 1/100 and 1/1000; under exact
    MGDA both rates are 97/46.
    """
    network = ReluEncoder(asarray(1), heads=asarray([[1, 1], [1, -1]]), targets=asarray([-1, 0]), hidden=2)
    b, e, A, c = ["1/4", "1/4"], ["1/4", "1/4"], [1, 0, -2, 1], [0, 0]
    return network, asarray([*b, *e, *A, *c])


def linear(X: Any, targets: Any, labelled: Any = None) -> tuple[LinearEncoder, Array]:
    """A linear encoder with parameters zero, so that z_k is minus the targets where task k has labels."""
    X, targets = asarray(X), asarray(targets)
    return LinearEncoder(X, targets, 0 * targets + 1 if labelled is None else asarray(labelled)), 0 * X[0]
