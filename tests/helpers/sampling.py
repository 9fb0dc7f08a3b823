"""Inputs for primitives, drawn from their domains: exact rationals that are also exact floats.

``real`` values are distinct over one whole draw (each is a half plus its own sixty-fourth), so no maximum is tied and
no kink is hit; ``positive`` and ``nonzero`` keep away from 0 by construction, and ``inside`` values are quarters of
``real`` ones; ``invertible`` matrices are ``L D U`` with unit triangular L, U and a diagonal D of non-zero integers.
Matrices to be factored are made of their factors, with Cayley's rational orthogonal matrices.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from refgrad import exact
from refgrad.backend.base import ELEMENTWISE
from refgrad.backend.exact.rationals import RATIONAL

IRRATIONAL = {name for name, row in ELEMENTWISE.items() if not row.rational} | {
    "log_abs_det", "logistic", "logsumexp", "norm", "polygamma", "pow_real", "sinc", "softplus",
}  # fmt: skip
"""Primitives that leave the rationals: they are evaluated in balls."""


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
        elif domain.kind in MATRICES:
            arrays.append(draw(stacks(MATRICES[domain.kind], domain.shape)))
        else:
            low = {"real": -4, "inside": -4, "positive": 1, "nonzero": 1, "beyond": 3}[domain.kind]
            halves = draw(st.lists(st.integers(low, 4), min_size=size, max_size=size))
            signs = draw(st.lists(st.sampled_from([1, -1]), min_size=size, max_size=size))
            values = []
            for half, sign in zip(halves, signs, strict=True):
                taken += 1
                value = Fraction(half, 2) + Fraction(taken, 64)
                values.append({"nonzero": value * sign, "inside": value / 4}.get(domain.kind, value))
            arrays.append(exact.asarray(np.array([*values, None], object)[:-1].reshape(domain.shape)))
    return arrays


@st.composite
def stacks(draw, matrices, shape):
    *batch, m, n = shape
    drawn = [draw(matrices(m, n)) for _ in range(int(np.prod(batch, dtype=int)))]
    return exact.asarray(np.array(drawn, object).reshape(shape))


def rows(x):
    return np.array(x, object) * Fraction(1)


@st.composite
def invertible(draw, n, _):
    lower, upper = (np.eye(n, dtype=int).astype(object) for _ in range(2))
    for i in range(n):
        for j in range(i):
            lower[i, j], upper[j, i] = draw(st.integers(-2, 2)), draw(st.integers(-2, 2))
    diagonal = np.diag([draw(st.sampled_from([1, 2, -1, 4])) for _ in range(n)]).astype(object)
    return lower @ diagonal @ upper


@st.composite
def skew(draw, n):
    k = np.full((n, n), Fraction(0), object)
    for i in range(n):
        for j in range(i):
            k[i, j] = Fraction(draw(st.integers(-3, 3)), 2)
            k[j, i] = -k[i, j]
    return k


@st.composite
def triangular(draw, n):
    """Lower triangles with a positive diagonal."""
    x = np.full((n, n), Fraction(0), object)
    for i in range(n):
        x[i, i] = Fraction(draw(st.integers(1, 4)), 2)
        for j in range(i):
            x[i, j] = Fraction(draw(st.integers(-2, 2)))
    return x


@st.composite
def orthogonal(draw, n):
    """Cayley's transforms ``(I - K) (I + K)^-1`` of skew K: orthogonal, and rational with K."""
    k, one = draw(skew(n)), np.eye(n, dtype=int).astype(object)
    inverse = RATIONAL.solve(exact.asarray(one + k), exact.asarray(one))
    return exact.to_fractions(exact.asarray(one - k) @ inverse)


@st.composite
def positive_definite(draw, n, _):
    factor = draw(triangular(n))
    return factor @ factor.T


@st.composite
def symmetric(draw, n, _):
    q = draw(orthogonal(n))
    values = draw(st.lists(st.integers(-6, 6), min_size=n, max_size=n, unique=True))
    return (q * rows(values)) @ q.T


@st.composite
def full_rank(draw, m, n):
    if m < n:
        return draw(full_rank(n, m)).T
    return draw(orthogonal(m))[:, :n] @ draw(triangular(n)).T


MATRICES = {
    "invertible": invertible,
    "positive_definite": positive_definite,
    "symmetric": symmetric,
    "full_rank": full_rank,
}


def directions(arrays, seed):
    """Small integer vectors of the shapes of the differentiable `arrays`; None for indices and masks."""
    rng = np.random.default_rng(seed)
    return [
        exact.asarray(rng.integers(-3, 4, size=a.shape).astype(object)) if isinstance(a, exact.ExactArray) else None
        for a in arrays
    ]
