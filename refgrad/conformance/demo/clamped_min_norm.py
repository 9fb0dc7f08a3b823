"""Weights of the shortest convex combination of task gradients; two tasks by the formula that is widely copied."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import nnls


def two_tasks(v1v1: float, v1v2: float, v2v2: float) -> float:
    """The weight of the first of two vectors, from their inner products."""
    if v1v2 >= v1v1:
        return 0.999
    if v1v2 >= v2v2:
        return 0.001
    return (v2v2 - v1v2) / (v1v1 + v2v2 - 2 * v1v2)


def min_norm(J: Any) -> Any:
    """Weights of the rows of J."""
    if len(J) == 2:
        weight = two_tasks(J[0] @ J[0], J[0] @ J[1], J[1] @ J[1])
        return np.array([weight, 1 - weight])
    scale = abs(J).max() or 1.0
    rows = np.vstack([J.T / scale, np.ones(len(J))])  # least squares with sum(a) = 1 as one more equation
    weights, _ = nnls(rows, np.append(np.zeros(J.shape[1]), 1.0))
    return weights / weights.sum()
