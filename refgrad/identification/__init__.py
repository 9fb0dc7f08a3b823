"""What an output that a person already has was computed by: the question of `refgrad.verify` on their own model.

`identify` computes every formula that a contract knows on the person's own loss, data and parameters, with the
derivatives of their own framework in float64, and says which of them gives what they have.

>>> import numpy as np
>>> import refgrad
>>> def loss(w, batch):
...     X, y = batch
...     return ((np.tanh(X @ w["in"]) @ w["out"] - y) ** 2).mean()
>>> rng = np.random.default_rng(0)
>>> theta = {"in": rng.standard_normal((2, 3)), "out": rng.standard_normal(3)}
>>> draw = lambda n: (rng.standard_normal((n, 2)), rng.standard_normal(n))
>>> tasks = [(draw(5), draw(7)) for _ in range(2)]
>>> def first_order(support, query):
...     slope = refgrad.grad(loss)(theta, support)
...     adapted = {name: theta[name] - 0.1 * slope[name] for name in theta}
...     return refgrad.grad(loss)(adapted, query)
>>> grads = [first_order(*task) for task in tasks]
>>> output = {name: sum(g[name] for g in grads) / 2 for name in theta}
>>> found = refgrad.identify(output, "maml_gradient", loss=loss, theta=theta, tasks=tasks, lr=0.1, steps=1)
>>> found.name, found.exit_code
('fomaml', 1)
"""

from __future__ import annotations

from refgrad.identification.answer import Identification
from refgrad.identification.identify import identify
from refgrad.identification.models import torch_logits, torch_loss

__all__ = ["Identification", "identify", "torch_logits", "torch_loss"]
