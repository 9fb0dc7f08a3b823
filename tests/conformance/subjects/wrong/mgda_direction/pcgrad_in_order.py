"""PCGrad with every gradient projected by the others in their order, and the mean of the results."""

import numpy as np


def subject(J):
    found = np.zeros(J.shape[1])
    for i in range(len(J)):
        g = J[i].copy()
        for j in range(len(J)):
            if j != i and g @ J[j] < 0:
                g -= (g @ J[j]) / (J[j] @ J[j]) * J[j]
        found += g / len(J)
    return found
