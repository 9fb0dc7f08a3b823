"""Problems of classification with a small classifier, for Fisher information, and of penalties.

A problem separates the known formulas only if it has several examples, three classes (with two, the scores of both
are opposite, and their squares weighted alike), probabilities that are not uniform, and a label that is not the most
likely one. Numbers of examples are odd and even, so that batches of two leave a smaller last batch in some.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st

from refgrad.contracts.continual.logits import CrossEntropy, LinearLogits, SquaredLogits, TanhLogits
from refgrad.contracts.wide import Numbers, Wide, scale_of
from refgrad.strategies.numbers import check_kind, entries, halves, matrix, powers_of_two, rough, vector

__all__ = ["MODELS", "WIDE_PENALTIES", "classification", "penalties", "wide_classification"]

MODELS: dict[str, Callable[[Any, int], CrossEntropy]] = {
    "linear": LinearLogits,
    "squared": SquaredLogits,
    "tanh": TanhLogits,
}

SHAPES = (
    ("linear", 1, 1, 3),
    ("linear", 2, 1, 3),
    ("linear", 4, 2, 3),
    ("squared", 2, 2, 3),
    ("squared", 5, 2, 3),
    ("linear", 7, 3, 3),
    ("squared", 5, 1, 4),
    ("squared", 6, 2, 4),
)
"""(model, examples, features, classes), the simplest first; as many hidden units as features.

Never as many examples as classes: a division by the one would pass for one by the other.
"""


@st.composite
def classification(draw: Any, kind: str = "crisp", least: int = 1) -> dict[str, Any]:
    """Inputs ``model, classes, theta, X, y`` of the contracts on Fisher diagonals, as nested lists.

    Parameters
    ----------
    kind : str
        ``"crisp"``: integer features, parameters that are multiples of 1/2. ``"rough"``: full float64 mantissas.
        ``"ill_conditioned"``: logits up to 30, so that probabilities are close to 0 and 1. ``"degenerate"``: uniform
        probabilities, equal examples, or examples of zeros.
    least : int
        The smallest number of examples.

    Notes
    -----
    The model is ``"linear"`` with d C parameters or ``"squared"`` with H (d + C), here with d hidden units.
    """
    entry = entries(kind) if kind != "rough" else rough(2, 53)
    model, n, d, classes = draw(st.sampled_from([shape for shape in SHAPES if shape[1] >= least]))
    size = d * (classes if model == "linear" else d + classes)
    theta = draw(vector(rough(1, 53) if kind == "rough" else halves(1), size))
    X = draw(matrix(entry, n, d))
    y = draw(vector(st.integers(0, classes - 1), n))
    if kind == "ill_conditioned":
        theta = [8.0 * value for value in theta]
    if kind == "degenerate":
        theta, X = draw(st.sampled_from((uninformed, alike, empty)))(theta, X)
    return {"model": model, "classes": classes, "theta": theta, "X": X, "y": y}


def uninformed(theta: list[float], X: list[list[float]]) -> tuple[list[float], list[list[float]]]:
    """Parameters zero: all labels equally likely."""
    return [0.0] * len(theta), X


def alike(theta: list[float], X: list[list[float]]) -> tuple[list[float], list[list[float]]]:
    """The first example, as often as there were examples."""
    return theta, [X[0]] * len(X)


def empty(theta: list[float], X: list[list[float]]) -> tuple[list[float], list[list[float]]]:
    """Examples whose features are all zero: no parameter has an influence."""
    return theta, [[0.0] * len(X[0])] * len(X)


def wide_classification(least: int = 1) -> Wide:
    """Classifiers of one and of two layers with up to 40 parameters, on up to 41 examples of up to 7 classes.

    41 is no multiple of any size of batches that a variant has, so that a smaller last batch is left.
    """
    ranges = {
        "network": ("linear", "squared", "tanh", "squared of 40", "tanh of 40"),
        "classes": range(2, 8),
        "examples": range(least, 42),
        "logits": ("moderate", "large"),
        "labels": ("any", "unlikely"),
        "features": ("usual", "tiny", "huge"),
    }
    return Wide(ranges, _build_classification, _measure_classification)


def _build_classification(
    numbers: Numbers, network: str, classes: int, examples: int, logits: str, labels: str, features: str
) -> dict[str, Any]:
    rng, (model, _, full) = numbers.rng, network.partition(" of ")
    d, hidden = (10 - classes, 4) if full else (rng.randint(1, 3 if model != "linear" else 5), rng.randint(1, 2))
    scale = 1.0 if numbers.plain else {"usual": 1.0, "tiny": 2.0**-10, "huge": 2.0**10}[features]
    X = (np.array(numbers.matrix(examples, d)) * scale).tolist()
    units = np.array(numbers.matrix(d if model == "linear" else hidden, classes + (0 if model == "linear" else d), 1.0))
    if not numbers.plain:
        outwards = units if model == "linear" else units[:, d:]
        units[:, : units.shape[1] - outwards.shape[1]] /= d**0.5 * scale
        outwards *= (30.0 if logits == "large" else 3.0) / abs(_logits(model, classes, units, X)).max()
    z = _logits(model, classes, units, X)
    y = [(int(row.argmax()) + rng.randint(1, classes - 1)) % classes for row in z]
    y = y if labels == "unlikely" else [rng.randrange(classes) for _ in X]
    return {"model": model, "classes": classes, "theta": units.ravel().tolist(), "X": X, "y": y}


def _logits(model: str, classes: int, theta: Any, X: Any) -> np.ndarray:
    xp: Any = np
    found: np.ndarray = MODELS[model](xp, classes)(np.ravel(theta), np.array(X))
    return found


def _measure_classification(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Sizes; whether logits exceed 10, the largest features, and how many labels are the most likely ones."""
    z = _logits(inputs["model"], inputs["classes"], inputs["theta"], inputs["X"])
    likely = int((z.argmax(1) == inputs["y"]).sum())
    return {
        "examples": len(inputs["y"]),
        "classes": inputs["classes"],
        "parameters": len(inputs["theta"]),
        "layers": 1 if inputs["model"] == "linear" else 2,
        "units": () if inputs["model"] == "linear" else inputs["model"],
        "logits": "large" if abs(z).max() > 10 else "moderate",
        "features": scale_of(np.ravel(inputs["X"]).tolist()),
        "labels": "unlikely" if not likely else "likely" if likely == len(z) else "of both kinds",
    }


@st.composite
def penalties(draw: Any, kind: str = "crisp") -> dict[str, Any]:
    """Inputs ``theta, theta_star, fisher, lam`` of the contracts on penalties; importances are not negative.

    Parameters
    ----------
    kind : str
        ``"crisp"``: multiples of 1/2. ``"rough"``: full float64 mantissas. ``"ill_conditioned"``: the same, parameters
        next to the old ones, importances from 2^-20 to 2^20. ``"degenerate"``: parameters at the old ones, no
        importances, or lambda 0.
    """
    check_kind(kind)
    p = draw(st.sampled_from((1, 2, 3, 5)))
    number = rough(2, 53) if kind in ("rough", "ill_conditioned") else halves(2)
    theta, theta_star = draw(vector(number, p)), draw(vector(number, p))
    fisher = [abs(f) for f in draw(vector(number, p))]
    lam = abs(draw(number)) if kind == "rough" else draw(powers_of_two())
    if kind == "ill_conditioned":
        fisher = [2.0 ** draw(st.integers(-20, 20)) for _ in theta]
        theta = [s + 2.0**-20 * t for s, t in zip(theta_star, theta, strict=True)]
    if kind == "degenerate":
        at = draw(st.sampled_from(("theta", "fisher", "lam")))
        theta = theta_star if at == "theta" else theta
        fisher = [0.0] * p if at == "fisher" else fisher
        lam = 0.0 if at == "lam" else lam
    return {"theta": theta, "theta_star": theta_star, "fisher": fisher, "lam": lam}


def _build_penalty(numbers: Numbers, parameters: int, importances: str, distance: str, lam: str) -> dict[str, Any]:
    theta_star, fisher = numbers.vector(parameters), [abs(f) for f in numbers.vector(parameters)]
    if importances == "of all sizes":
        fisher = [f * 10.0 ** numbers.rng.randint(-8, 4) for f in fisher]
    if importances == "some zero":
        fisher = [f * numbers.rng.randint(0, 1) for f in fisher]
    scale = 1.0 if numbers.plain or distance == "far" else 2.0**-10
    theta = [s + scale * numbers.number() for s in theta_star]
    strength = {"one": 1.0, "small": 1e-6, "large": 1e10, "zero": 0.0}[lam]
    return {"theta": theta, "theta_star": theta_star, "fisher": fisher, "lam": strength}


def _measure_penalty(inputs: Mapping[str, Any]) -> dict[str, Any]:
    fisher = inputs["fisher"]
    return {
        "parameters": len(inputs["theta"]),
        "importances": "some zero" if 0.0 in fisher else "of all sizes" if max(fisher) > 1e3 * min(fisher) else "alike",
        "lam": inputs["lam"],
    }


WIDE_PENALTIES = Wide(
    {
        "parameters": range(1, 41),
        "importances": ("alike", "of all sizes", "some zero"),
        "distance": ("far", "near"),
        "lam": ("one", "small", "large", "zero"),
    },
    _build_penalty,
    _measure_penalty,
)
