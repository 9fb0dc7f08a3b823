"""The contracts of Fisher information: ``fisher_diagonal`` and ``empirical_fisher_diagonal``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from refgrad.contracts.continual.fisher import empirical_fisher_diagonal, fisher_diagonal
from refgrad.contracts.continual.fisher_variants import EMPIRICAL_FISHER_VARIANTS, FISHER_VARIANTS
from refgrad.contracts.continual.logits import LinearLogits, SquaredUnitLogits
from refgrad.contracts.continual.problems import classification
from refgrad.contracts.contract import Contract, Framework, each_kind

__all__ = ["CONTRACTS"]

MODELS = {"linear": LinearLogits, "squared_unit": SquaredUnitLogits}
SIGNATURE = "subject(logits, theta, X, y)"


def arguments(inputs: Mapping[str, Any], framework: Framework) -> tuple[Any, ...]:
    """``(logits, theta, X, y)``; labels are int64."""
    logits = MODELS[inputs["model"]](framework.xp, int(inputs["classes"]))
    theta, X = framework.array(inputs["theta"]), framework.array(inputs["X"])
    return logits, theta, X, framework.labels(inputs["y"])


def shape(inputs: Mapping[str, Any]) -> tuple[int, ...]:
    """The shape of theta."""
    return (len(inputs["theta"]),)


PARAMETERS = {
    "logits": "logits(theta, X), of shape (N, C), which the framework can differentiate: linear in theta, or linear "
    "plus a squared hidden unit; for subjects without autodiff logits.jacobian(theta, X), shape (N, C, p)",
    "theta": "the parameters, a vector of shape (p,); for torch a leaf that requires a gradient",
    "X": "the inputs, shape (N, d)",
    "y": "the labels of the data, shape (N,), int64, from 0 to C - 1",
}

EXAMPLE = """\
import numpy as np

def fisher(logits, theta, X, y):
    z = logits(theta, X)
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p = p / p.sum(axis=1, keepdims=True)
    J = logits.jacobian(theta, X)
    scores = J - (p[:, :, None] * J).sum(axis=1, keepdims=True)  # d log p_nc / d theta, shape (N, C, p)
"""

TRUE_EXAMPLE = (
    EXAMPLE
    + """\
    return (p[:, :, None] * scores**2).sum(axis=1).mean(axis=0)
"""
)

EMPIRICAL_EXAMPLE = (
    EXAMPLE
    + """\
    return (scores[np.arange(len(X)), y] ** 2).mean(axis=0)
"""
)


def make(name: str, summary: str, returns: str, references: tuple[str, ...], quantity: Any, variants: Any) -> Contract:
    """One of the two contracts, which differ in the label alone."""
    return Contract(
        name=name,
        version="1.0",
        summary=summary,
        signature=SIGNATURE,
        returns=returns,
        references=references,
        problems=each_kind(classification),
        arguments=arguments,
        quantity=quantity,
        shape=shape,
        variants=variants,
        parameters=PARAMETERS,
        example=TRUE_EXAMPLE if quantity is fisher_diagonal else EMPIRICAL_EXAMPLE,
    )


FISHER_DIAGONAL = make(
    "fisher_diagonal",
    "The diagonal of the Fisher information of softmax(logits(theta, X)): squared gradients of log-probabilities, per "
    "example, expected over the model's own labels, mean over examples.",
    "1/N sum_n sum_c p_nc (d log p_nc / d theta)^2, shape of theta",
    (
        "Kunstner, Balles and Hennig 2019, Limitations of the Empirical Fisher Approximation, arXiv 1905.12558, eq. 2",
        "Kirkpatrick et al. 2017, Overcoming catastrophic forgetting in neural networks, arXiv 1612.00796, eq. (3)",
    ),
    fisher_diagonal,
    FISHER_VARIANTS,
)

EMPIRICAL_FISHER_DIAGONAL = make(
    "empirical_fisher_diagonal",
    "The mean over examples of the squared gradient of the log-probability of the example's own label.",
    "1/N sum_n (d log p_{n, y_n} / d theta)^2, shape of theta",
    ("Kunstner, Balles and Hennig 2019, arXiv 1905.12558, eq. (3)",),
    empirical_fisher_diagonal,
    EMPIRICAL_FISHER_VARIANTS,
)

CONTRACTS = (FISHER_DIAGONAL, EMPIRICAL_FISHER_DIAGONAL)
