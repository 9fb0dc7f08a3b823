"""Small networks and optimisers as pure functions of trees of arrays, for examples and experiments.

>>> import numpy as np
>>> from refgrad import grad
>>> from refgrad.models import SGD, init_mlp, mlp
>>> params = init_mlp((3, 4, 1), np.random.default_rng(0))
>>> X, optimizer = np.ones((2, 3)), SGD(lr=0.1, momentum=0.9)
>>> loss = lambda params: np.mean(mlp(params, X) ** 2)
>>> following, state = optimizer.step(params, grad(loss)(params), optimizer.init(params))
>>> bool(loss(following) < loss(params))
True
"""

from __future__ import annotations

from refgrad.models.networks import cnn, init_cnn, init_mlp, mlp
from refgrad.models.optimizers import SGD, Adam, AdamState, Optimizer

__all__ = ["SGD", "Adam", "AdamState", "Optimizer", "cnn", "init_cnn", "init_mlp", "mlp"]
