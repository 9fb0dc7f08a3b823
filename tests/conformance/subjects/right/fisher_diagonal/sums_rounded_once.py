"""Plain Python with sums that are rounded once (math.fsum), one parameter after the other."""

import math

import numpy as np


def subject(logits, theta, X, y):
    z, J = logits(theta, X).tolist(), logits.jacobian(theta, X).tolist()
    found = []
    for j in range(len(theta)):
        terms = []
        for logit, jacobian in zip(z, J, strict=True):
            e = [math.exp(value - max(logit)) for value in logit]
            p = [value / math.fsum(e) for value in e]
            column = [row[j] for row in jacobian]
            for c, weight in enumerate(p):
                score = math.fsum(q * (column[c] - other) for q, other in zip(p, column, strict=True))
                terms.append(weight * score * score)
        found.append(math.fsum(terms) / len(z))
    return np.array(found)
