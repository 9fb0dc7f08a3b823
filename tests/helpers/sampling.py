"""Inputs for primitives, drawn from their domains: exact rationals that are also exact floats.

``real`` values are distinct over one whole draw (each is a half plus its own sixty-fourth), so no maximum is tied and
no kink is hit; ``positive`` and ``nonzero`` keep away from 0 by construction; ``invertible`` matrices are
``L D U`` with unit triangular L, U and a diagonal D of non-zero integers.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from refgrad import exact


@st.composite
def arguments(draw, case):
    """Exact arrays for the arguments of `case`; integer and boolean NumPy arrays where it says so."""
    taken = 0
    arrays = []
    for domain in case.args:
        size = int(np.prod(domain.shape, dtype=int))
        if domain.kind == "index":
            values = draw(st.lists(st.integers(0, domain.high - 1), min_size=size, max_size=size))
            arrays.append(np.array(values, np.int64).reshape(domain.shape))
        elif domain.kind == "mask":
            values = draw(st.lists(st.booleans(), min_size=size, max_size=size))
            arrays.append(np.array(values, bool).reshape(domain.shape))
        elif domain.kind == "invertible":
            arrays.append(draw(invertible(domain.shape)))
        else:
            low = {"real": -4, "positive": 1, "nonzero": 1}[domain.kind]
            halves = draw(st.lists(st.integers(low, 4), min_size=size, max_size=size))
            signs = draw(st.lists(st.sampled_from([1, -1]), min_size=size, max_size=size))
            values = []
            for half, sign in zip(halves, signs, strict=True):
                taken += 1
                value = Fraction(half, 2) + Fraction(taken, 64)
                values.append(value * sign if domain.kind == "nonzero" else value)
            arrays.append(exact.asarray(np.array([*values, None], object)[:-1].reshape(domain.shape)))
    return arrays


@st.composite
def invertible(draw, shape):
    *batch, n, _ = shape
    matrices = []
    for _ in range(int(np.prod(batch, dtype=int))):
        lower, upper = (np.eye(n, dtype=int).astype(object) for _ in range(2))
        for i in range(n):
            for j in range(i):
                lower[i, j], upper[j, i] = draw(st.integers(-2, 2)), draw(st.integers(-2, 2))
        diagonal = np.diag([draw(st.sampled_from([1, 2, -1, 4])) for _ in range(n)]).astype(object)
        matrices.append(lower @ diagonal @ upper)
    return exact.asarray(np.array(matrices, object).reshape(shape))


def directions(arrays, seed):
    """Small integer vectors of the shapes of the differentiable `arrays`; None for indices and masks."""
    rng = np.random.default_rng(seed)
    return [
        exact.asarray(rng.integers(-3, 4, size=a.shape).astype(object)) if isinstance(a, exact.ExactArray) else None
        for a in arrays
    ]
