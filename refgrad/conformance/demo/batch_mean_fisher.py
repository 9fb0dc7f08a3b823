"""The diagonal of the Fisher information of a softmax classifier, from the gradient of the batch."""

from __future__ import annotations

from typing import Any

import numpy as np


def fisher_diagonal(logits: Any, theta: Any, X: Any, y: Any) -> Any:
    """The squared gradient of the log-likelihood of the batch, one number for each parameter."""
    scores = logits(theta, X)
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(y)), y] -= 1.0
    gradient = np.einsum("nc,ncp->p", p, logits.jacobian(theta, X)) / len(y)
    return gradient**2
