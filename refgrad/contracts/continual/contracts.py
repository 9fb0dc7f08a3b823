"""The contracts of Fisher information and of the EWC penalty.

``fisher_diagonal``, ``empirical_fisher_diagonal``, ``ewc_penalty`` and ``ewc_gradient``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from refgrad.contracts.continual import ewc, ewc_variants, fisher, fisher_variants, problems
from refgrad.contracts.contract import Contract, Framework, each_kind
from refgrad.contracts.tools.terms import measured

__all__ = ["CONTRACTS"]


def arguments(inputs: Mapping[str, Any], framework: Framework) -> tuple[Any, ...]:
    """``(logits, theta, X, y)``; labels are int64."""
    logits = problems.MODELS[inputs["model"]](framework.xp, int(inputs["classes"]))
    theta, X = framework.array(inputs["theta"]), framework.array(inputs["X"])
    return logits, theta, X, framework.labels(inputs["y"])


def shape(inputs: Mapping[str, Any]) -> tuple[int, ...]:
    """The shape of theta."""
    return (len(inputs["theta"]),)


PARAMETERS = {
    "logits": "logits(theta, X), of shape (N, C), which the framework can differentiate: linear in theta, or "
    "with a layer of squared or tanh units; for subjects without autodiff logits.jacobian(theta, X), shape (N, C, p)",
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

SQUARES = {
    "model": "(p[:, :, None] * scores**2).sum(axis=1)",
    "data": "(scores[np.arange(len(X)), y] ** 2)",
}
REDUCTIONS = {
    "mean": ("mean over examples", ".mean(axis=0)"),
    "sum": ("summed over examples", ".sum(axis=0)"),
    "n-1": ("summed over examples and divided by their number less one", ".sum(axis=0) / (len(X) - 1)"),
}
"""The convention ``reduction`` in words and in NumPy."""


def of_fisher(label: str, reduction: str = "mean") -> Contract:
    """The contract of one of the two diagonals, which differ in the label alone, for a convention."""
    true = label == "model"
    words, code = REDUCTIONS[reduction]
    own = fisher.Diagonal(label, scale=reduction)
    least = 2 if reduction == "n-1" else 1
    return Contract(
        name="fisher_diagonal" if true else "empirical_fisher_diagonal",
        version="2.0",
        summary=(
            "The diagonal of the Fisher information of softmax(logits(theta, X)): squared gradients of "
            f"log-probabilities, per example, expected over the model's own labels, {words}."
            if true
            else f"The squared gradient of the log-probability of each example's own label, {words}."
        ),
        signature="subject(logits, theta, X, y)",
        returns=f"{own}, shape of theta",
        references=(
            "Kunstner, Balles and Hennig 2019, Limitations of the Empirical Fisher Approximation, arXiv 1905.12558, "
            f"eq. ({2 if true else 3})",
            "Kirkpatrick et al. 2017, Overcoming catastrophic forgetting in neural networks, arXiv 1612.00796, eq. (3)",
        )[: 2 if true else 1],
        problems=each_kind(partial(problems.classification, least=least)),
        arguments=arguments,
        quantity=measured(own),
        shape=shape,
        variants=fisher_variants.variants(own),
        parameters=PARAMETERS,
        example=f"{EXAMPLE}    return {SQUARES[label]}{code}\n",
        options={"reduction": reduction} if reduction != "mean" else {},
        wide=problems.wide_classification(least),
        products=partial(fisher_variants.products, own),
        conventions={"reduction": tuple(REDUCTIONS)},
        declared=partial(of_fisher, label),
    )


def penalty_arguments(inputs: Mapping[str, Any], framework: Framework) -> tuple[Any, ...]:
    """``(theta, theta_star, fisher, lam)``."""
    vectors = (framework.array(inputs[name]) for name in ("theta", "theta_star", "fisher"))
    return (*vectors, framework.scalar(inputs["lam"]))


def number(inputs: Mapping[str, Any]) -> tuple[int, ...]:
    """The shape of a number."""
    return ()


PENALTY_PARAMETERS = {
    "theta": "the parameters, a vector of shape (p,); for torch a leaf that requires a gradient, as the others are",
    "theta_star": "the old parameters, shape (p,)",
    "fisher": "the importance of each parameter, shape (p,), zero or above",
    "lam": "the strength of the penalty, a float, zero or above",
}


def of_penalty(gradient: bool, half: str = "true", reduction: str = "sum") -> Contract:
    """The contract of the penalty or of its gradient by theta, for some conventions."""
    own = ewc.Penalty(2 if half == "true" else 1, reduction, gradient=gradient)
    factor = {(False, "true"): "lam / 2", (True, "false"): "2 * lam"}.get((gradient, half), "lam")
    mean = " / len(theta)" if reduction == "mean" else ""
    body = f"{factor} * fisher * (theta - theta_star){mean}"
    if not gradient:
        body = f"{factor} * (fisher * (theta - theta_star) ** 2).{reduction}()"
    changed = {"half": half, "reduction": reduction}
    what = "The gradient by theta of the penalty" if gradient else "The penalty"
    return Contract(
        name="ewc_gradient" if gradient else "ewc_penalty",
        version="1.0",
        summary=f"{what} of elastic weight consolidation, {'with' if half == 'true' else 'without'} the factor 1/2, "
        f"{'summed' if reduction == 'sum' else 'a mean'} over the parameters.",
        signature="subject(theta, theta_star, fisher, lam)",
        returns=f"{own} with d = theta - theta*, {'shape of theta' if gradient else 'a number'}",
        references=("Kirkpatrick et al. 2017, arXiv 1612.00796, eq. (3)",),
        problems=each_kind(problems.penalties),
        arguments=penalty_arguments,
        quantity=measured(own),
        shape=shape if gradient else number,
        variants=ewc_variants.variants(own),
        parameters=PENALTY_PARAMETERS,
        example=f"def penalty(theta, theta_star, fisher, lam):\n    return {body}\n",
        options={} if changed == {"half": "true", "reduction": "sum"} else changed,
        wide=problems.WIDE_PENALTIES,
        products=partial(ewc_variants.products, own),
        conventions={"half": ("true", "false"), "reduction": ("sum", "mean")},
        declared=partial(of_penalty, gradient),
    )


CONTRACTS = (of_fisher("model"), of_fisher("data"), of_penalty(gradient=False), of_penalty(gradient=True))
