"""Implicit differentiation: gradients through the solution of an inner problem, and roots as functions.

>>> import numpy as np
>>> from refgrad.implicit import hypergradient
>>> inner = lambda w, lam: np.sum((w - 3.0) ** 2) / 2 + lam[0] * np.sum(w**2) / 2  # w* = 3 / (1 + lam)
>>> outer = lambda w, lam: np.sum((w - 1.0) ** 2) / 2
>>> result = hypergradient(inner, outer, np.array([0.75]), np.array([3.0]))
>>> float(result.value[0])  # (w* - 1) dw*/dlam = -1/4 * (-3/16)
0.046875
"""

from __future__ import annotations

from refgrad.implicit.alignment import Alignment, alignment, joint_descent, steps_to_zero
from refgrad.implicit.auxilearn import AuxiLearn, Official, SeriesHypergradient, auxilearn, series_hypergradient
from refgrad.implicit.hypergradient import hypergradient
from refgrad.implicit.result import Flags, Hypergradient
from refgrad.implicit.root import custom_root, fixed_point
from refgrad.implicit.unrolled import Unrolled, unrolled

__all__ = [
    "Alignment", "AuxiLearn", "Flags", "Hypergradient", "Official", "SeriesHypergradient", "Unrolled", "alignment",
    "auxilearn", "custom_root", "fixed_point", "hypergradient", "joint_descent", "series_hypergradient",
    "steps_to_zero", "unrolled",
]  # fmt: skip
