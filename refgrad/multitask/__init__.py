"""Multi-task gradients: one direction for several losses.

>>> import numpy as np
>>> from refgrad.multitask import min_norm
>>> result = min_norm(np.array([[1.0, 0.0], [-1.0, 2.0]]))
>>> result.weights.tolist(), result.direction.tolist(), result.descends
([0.75, 0.25], [0.5, 0.5], True)
"""

from __future__ import annotations

from refgrad.multitask.min_norm import mgda_direction, min_norm
from refgrad.multitask.result import Aggregate, MinNorm, gap

__all__ = ["Aggregate", "MinNorm", "gap", "mgda_direction", "min_norm"]
