"""The contracts of Fisher information: ``fisher_diagonal`` and ``empirical_fisher_diagonal``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from refgrad.contracts.continual.fisher import empirical_fisher_diagonal, fisher_diagonal
from refgrad.contracts.continual.fisher_variants import EMPIRICAL_FISHER_VARIANTS, FISHER_VARIANTS
from refgrad.contracts.continual.logits import LinearLogits, SquaredUnitLogits
from refgrad.contracts.continual.problems import classification
from refgrad.contracts.contract import Contract, Failure, Framework, Problem
from refgrad.contracts.regression import Dialect, expected_values, test_source

__all__ = ["CONTRACTS"]

MODELS = {"linear": LinearLogits, "squared_unit": SquaredUnitLogits}
KINDS = ("crisp", "rough", "ill_conditioned", "degenerate")
SIGNATURE = "subject(logits, theta, X, y)"


def arguments(inputs: Mapping[str, Any], framework: Framework) -> tuple[Any, ...]:
    """``(logits, theta, X, y)``; labels are int64."""
    logits = MODELS[inputs["model"]](framework.xp, int(inputs["classes"]))
    theta, X = framework.array(inputs["theta"]), framework.array(inputs["X"])
    return logits, theta, X, framework.labels(inputs["y"])


def shape(inputs: Mapping[str, Any]) -> tuple[int, ...]:
    """The shape of theta."""
    return (len(inputs["theta"]),)


def problems(kind: str) -> Callable[[], Any]:
    """A function that returns the strategy of one kind of problem."""
    return lambda: classification(kind).map(partial(Problem, kind))


LOGITS = {
    "linear": """\
def logits(theta, X):
    return X @ theta.reshape(X.shape[1], {C})
""",
    "squared_unit": """\
def logits(theta, X):
    n = {C} * X.shape[1]
    h = (X @ theta[n + {C}:]).reshape(-1, 1)
    return X @ theta[:n].reshape(-1, {C}) + h * h * theta[n:n + {C}]
""",
}

JACOBIANS = {
    "linear": """\
def jacobian(theta, X):
    return np.einsum("ni,ck->ncik", X, np.eye({C})).reshape(len(X), {C}, -1)
""",
    "squared_unit": """\
def jacobian(theta, X):
    n, one = {C} * X.shape[1], np.eye({C})
    h, a = (X @ theta[n + {C}:]).reshape(-1, 1, 1), theta[n:n + {C}].reshape(1, -1, 1)
    by_w = np.einsum("ni,ck->ncik", X, one).reshape(len(X), {C}, -1)
    return np.concatenate([by_w, h * h * one, 2 * a * h * X[:, None, :]], axis=2)
""",
}

GRADIENT = """\
def grad(theta, batch):
    X, y = batch
    z = logits(theta, X)
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p = p / p.sum(axis=1, keepdims=True)
    return np.einsum("nc,ncp->p", p - np.eye({C})[y], jacobian(theta, X)) / len(y)

logits.jacobian, logits.grad = jacobian, grad"""


def classifier(framework: str, model: str, classes: int) -> str:
    """The definition of ``logits``, and for NumPy of its derivatives, which the other frameworks take themselves."""
    parts = [LOGITS[model]] if framework != "numpy" else [LOGITS[model], JACOBIANS[model], GRADIENT]
    return "\n".join(parts).replace("{C}", str(classes))


def regression(
    title: str,
    failure: Failure,
) -> str:
    """The source of a test that calls the subject on `problem` with inline logits and their derivatives."""
    dialect = Dialect(failure.framework, failure.dtype)
    inputs = failure.problem.inputs
    body = [
        dialect.constructor(),
        classifier(failure.framework, inputs["model"], inputs["classes"]),
        f"theta = {dialect.parameters(inputs['theta'])}",
        f"X = array({inputs['X']!r})",
        f"y = {dialect.labels(inputs['y'])}",
        "result = subject(logits, theta, X, y)",
        "VALUES",
        f"expected = {expected_values(failure.truth)!r}",
        "worst = max(abs(value - right) for value, right in zip(values, expected, strict=True))",
        f"assert worst <= {float(failure.tolerance)!r}, (values, expected)",
    ]
    return test_source(dialect, failure, title, body)


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


def make(name: str, summary: str, returns: str, references: tuple[str, ...], oracle: Any, variants: Any) -> Contract:
    """One of the two contracts, which differ in the label alone."""
    return Contract(
        name=name,
        version="1.0",
        summary=summary,
        signature=SIGNATURE,
        returns=returns,
        references=references,
        problems={kind: problems(kind) for kind in KINDS},
        arguments=arguments,
        oracle=oracle,
        shape=shape,
        variants=variants,
        regression=partial(regression, name),
        parameters=PARAMETERS,
        example=TRUE_EXAMPLE if oracle is fisher_diagonal else EMPIRICAL_EXAMPLE,
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
