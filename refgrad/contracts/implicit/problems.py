"""Strategies of quadratic bilevel problems, for hypergradients by implicit differentiation.

    inner(w, phi) = 1/2 w^T H w - w^T (c + C phi)
    outer(w, phi) = 1/2 (w - t)^T Q (w - t) + w^T R phi + 1/2 phi^T P phi + q^T phi

The solution w comes first and ``c = H w - C phi`` is computed from it, so that w is stationary *exactly*, in float32 as
well: a subject that is given w is not judged for an inner problem that somebody else has left unsolved.

A problem separates the known formulas only if H is no multiple of the identity (a solve or a scale), the learning rate
is not 1 (a Neumann sum with its step or without), the direct term ``R^T w + P phi + q`` is not zero, and C is not
symmetric (the cross derivative or its transpose). Most draws have all of these; there are as many weights as
hyperparameters in some, which alone lets C be transposed by mistake, and not in others.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from refgrad.strategies.matrices import ill_conditioned, spd, step_size, symmetric, turned_round
from refgrad.strategies.numbers import entries, integers, matrix, rough, vector

__all__ = ["bilevel"]

SHAPES = ((1, 1), (2, 2), (2, 3), (3, 2), (3, 3), (2, 2), (2, 3))
"""(n, m), the simplest first."""

SPECTRAL_SHAPES = ((2, 2), (4, 3), (4, 4), (4, 4))
"""(n, m) of problems whose H has a chosen spectrum."""

Problem = dict[str, Any]


@st.composite
def bilevel(draw: Any, kind: str = "crisp") -> Problem:
    """Inputs ``H, C, c, Q, t, R, P, q, phi, w, lr, terms``: a problem, its exact inner solution, a Neumann sum.

    Shapes are those of `QuadraticBilevel`: H and Q (n, n), C and R (n, m), P (m, m), c, t and w (n,), q
    and phi (m,). H and Q are positive definite, P is symmetric. `lr` is a power of two below the reciprocal of the
    trace of H, so that the Neumann series converges; `terms`, from 0 to 4, is its last power.

    Parameters
    ----------
    kind : str
        ``"crisp"``: integers. ``"rough"``: full float32 mantissas in t, R, P and q; multiples of 2^-12 in H, Q and C
        and of 2^-5 in w and phi, so that c, below 2^7 in multiples of 2^-17, has at most 24 bits.
        ``"ill_conditioned"``: eigenvalues of H are powers of two, the largest from 2^2 to 2^14 times the smallest;
        integers in Q, C, w and phi, full mantissas in t, R, P and q. ``"degenerate"``: one weight, H a multiple of the
        identity, phi zero, a stationary outer loss, no direct term.
    """
    n, m = draw(st.sampled_from(SPECTRAL_SHAPES if kind == "ill_conditioned" else SHAPES))
    terms, halvings = draw(st.integers(0, 4)), draw(st.integers(0, 1))
    change = draw(st.sampled_from((single, isotropic, at_zero, stationary, indirect))) if kind == "degenerate" else None
    outer = entries("rough" if kind == "ill_conditioned" else kind)
    coupling, point = (rough(2, 13), rough(2, 6)) if kind == "rough" else (integers(), integers())
    problem: Problem = {
        "H": draw(ill_conditioned(n) if kind == "ill_conditioned" else spd(n, kind)),
        "C": draw(matrix(coupling, n, m)),
        "Q": turned_round(draw(spd(n, kind))),
        "t": draw(vector(outer, n)),
        "R": draw(matrix(outer, n, m)),
        "P": draw(symmetric(m, outer)),
        "q": draw(vector(outer, m)),
        "phi": draw(vector(point, m)),
        "w": draw(vector(point, n)),
    }
    if change is not None:
        problem = change(problem)
    H, C, w, phi = (np.array(problem[name]) for name in ("H", "C", "w", "phi"))
    lr = step_size([problem["H"]]) / 2**halvings
    return {**problem, "c": (H @ w - C @ phi).tolist(), "lr": lr, "terms": terms}


def single(problem: Problem) -> Problem:
    """The first weight alone, the others left out of both losses."""
    kept = {name: [row[:1] for row in problem[name][:1]] for name in ("H", "Q")}
    return {**problem, **kept, **{name: problem[name][:1] for name in ("C", "R", "t", "w")}}


def isotropic(problem: Problem) -> Problem:
    """H a multiple of the identity: every weight curves alike."""
    return {**problem, "H": (problem["H"][0][0] * np.eye(len(problem["H"]))).tolist()}


def at_zero(problem: Problem) -> Problem:
    """Hyperparameters zero."""
    return {**problem, "phi": [0.0] * len(problem["phi"])}


def stationary(problem: Problem) -> Problem:
    """The outer loss stationary in w: nothing is propagated through the inner problem."""
    return {**problem, "t": problem["w"], "R": np.zeros_like(problem["R"]).tolist()}


def indirect(problem: Problem) -> Problem:
    """An outer loss that depends on phi through w alone: no direct term."""
    return {**problem, **{name: np.zeros_like(problem[name]).tolist() for name in ("R", "P", "q")}}
