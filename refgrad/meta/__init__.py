"""Meta-learning: what an initialisation should be, given that it will be trained further.

>>> import numpy as np
>>> from refgrad.meta import fomaml_gradient, maml_gradient
>>> loss = lambda theta, batch: np.mean((batch[0] @ theta - batch[1]) ** 2)
>>> rng = np.random.default_rng(0)
>>> batch = lambda: (rng.normal(size=(5, 2)), rng.normal(size=5))
>>> tasks = [(batch(), batch()) for _ in range(3)]
>>> exact, first = (f(loss, np.zeros(2), tasks, 0.1, 2) for f in (maml_gradient, fomaml_gradient))
>>> bool(np.allclose(exact, first))
False
"""

from __future__ import annotations

from refgrad.meta.maml import adapt, fomaml_gradient, maml_gradient, reptile_update

__all__ = ["adapt", "fomaml_gradient", "maml_gradient", "reptile_update"]
