"""Squared scores weighted by probabilities, in float32."""

import numpy as np
from scipy.special import softmax

DTYPE = "float32"


def subject(logits, theta, X, y):
    p, J = softmax(logits(theta, X), axis=1), logits.jacobian(theta, X)
    scores = J - np.matmul(p[:, None], J)
    return np.mean(np.sum(p[:, :, None] * np.square(scores), axis=1), axis=0)
