"""Strategies of classification data with a small classifier, for Fisher information.

A problem separates the known formulas only if it has several examples, three classes (with two, the scores of both
are opposite, and their squares weighted alike), probabilities that are not uniform, and a label that is not the most
likely one. Numbers of examples are odd and even, so that batches of two leave a smaller last batch in some.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from refgrad.strategies.numbers import entries, halves, matrix, rough, vector

__all__ = ["classification"]

SHAPES = (
    ("linear", 1, 1),
    ("linear", 2, 1),
    ("linear", 3, 2),
    ("squared_unit", 2, 2),
    ("squared_unit", 3, 2),
    ("linear", 5, 3),
)
"""(model, examples, features), the simplest first."""

CLASSES = 3


@st.composite
def classification(draw: Any, kind: str = "crisp") -> dict[str, Any]:
    """Inputs ``model, classes, theta, X, y`` of the contracts on Fisher diagonals, as nested lists.

    Parameters
    ----------
    kind : str
        ``"crisp"``: integer features, parameters that are multiples of 1/2. ``"rough"``: full float32 mantissas.
        ``"ill_conditioned"``: logits up to 30, so that probabilities are close to 0 and 1. ``"degenerate"``: uniform
        probabilities, equal examples, or examples of zeros.

    Notes
    -----
    The model is ``"linear"`` with d C parameters or ``"squared_unit"`` with d C + C + d; C is 3.
    """
    model, n, d = draw(st.sampled_from(SHAPES))
    size = d * CLASSES + (CLASSES + d if model == "squared_unit" else 0)
    theta = draw(vector(rough(1) if kind == "rough" else halves(1), size))
    X = draw(matrix(entries(kind), n, d))
    y = draw(vector(st.integers(0, CLASSES - 1), n))
    if kind == "ill_conditioned":
        theta = [8.0 * value for value in theta[: d * CLASSES]] + theta[d * CLASSES :]
    if kind == "degenerate":
        theta, X = draw(st.sampled_from((uninformed, alike, empty)))(theta, X)
    return {"model": model, "classes": CLASSES, "theta": theta, "X": X, "y": y}


def uninformed(theta: list[float], X: list[list[float]]) -> tuple[list[float], list[list[float]]]:
    """Parameters zero: all labels equally likely."""
    return [0.0] * len(theta), X


def alike(theta: list[float], X: list[list[float]]) -> tuple[list[float], list[list[float]]]:
    """The first example, as often as there were examples."""
    return theta, [X[0]] * len(X)


def empty(theta: list[float], X: list[list[float]]) -> tuple[list[float], list[list[float]]]:
    """Examples whose features are all zero: no parameter has an influence."""
    return theta, [[0.0] * len(X[0])] * len(X)
