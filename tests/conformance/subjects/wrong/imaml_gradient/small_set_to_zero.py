"""Elements below one millionth are set to zero."""

import numpy as np


def subject(loss, theta, adapted, tasks, lam):
    total = 0 * theta
    for point, (support, query) in zip(adapted, tasks, strict=True):
        H = np.stack([loss.hvp(point, support, e) for e in np.eye(len(theta))])
        total = total + np.linalg.solve(np.eye(len(theta)) + H / lam, loss.grad(point, query)) / len(tasks)
    return np.where(abs(total) < 1e-6, 0, total)
