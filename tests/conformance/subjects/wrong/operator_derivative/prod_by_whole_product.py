"""The whole product divided by each factor, where none is zero."""

import numpy as np

PARAMS = {"op": "prod", "order": 1}


def subject(x, u):
    others = [np.prod(np.delete(x, i)) for i in range(len(x))]
    with np.errstate(all="ignore"):
        return np.array(u @ (np.prod(x) / x if np.all(x) else np.array(others)))
