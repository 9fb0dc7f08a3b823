"""Strategies of quadratic bilevel problems, for hypergradients by implicit differentiation.

    inner(w, phi) = 1/2 w^T H w - w^T (c + C phi)
    outer(w, phi) = 1/2 (w - t)^T Q (w - t) + w^T R phi + 1/2 phi^T P phi + q^T phi

The solution w comes first and ``c = H w - C phi`` is computed from it, so that w is stationary *exactly*, in float32 as
well: a subject that is given w is not judged for an inner problem that somebody else has left unsolved.

A problem separates the known formulas only if H is no multiple of the identity (a solve or a scale), the learning rate
is not 1 (a Neumann sum with its step or without), the direct term ``R^T w + P phi + q`` is not zero, and C is not
symmetric (the cross derivative or its transpose). Most draws have all of these; there are as many weights as
hyperparameters in some, which alone lets C be transposed by mistake, and not in others.

The problems of the contracts have inner losses that are not quadratic in w and phi together, see
`refgrad.contracts.implicit.losses`: penalties that phi weighs, or two layers of weights that multiply one another.
These are stationary at the w that is given whatever their numbers are, so that every number may have a full mantissa.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from refgrad.contracts.implicit.wide_problems import remainder
from refgrad.strategies.matrices import ill_conditioned, spd, step_size, symmetric, turned_round
from refgrad.strategies.numbers import entries, integers, matrix, rough, vector

__all__ = ["bilevel", "bilevel_losses", "bilevel_series", "bilevel_steps"]

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


@st.composite
def bilevel_losses(draw: Any, kind: str = "crisp") -> Problem:
    """Inputs ``A, G, phi, w, Q, t, R, P, q``, and ``C`` of a `Penalised` loss or ``U, V, Y`` of `TwoLayers`.

    H at the solution is that of `bilevel`; with the step ``lr`` and the last power ``terms`` of a series, as there.

    Parameters
    ----------
    kind : str
        As for `bilevel`; but ``"rough"``: the full mantissas of float64 everywhere; and ``"degenerate"``: a saddle too.
    """
    problem = draw(solved_roughly() if kind == "rough" else bilevel(kind))
    H, C = np.array(problem.pop("H")), problem.pop("C")
    n, m = len(problem["w"]), len(problem["phi"])
    problem.pop("c", None)
    numbers = full(draw) if kind == "rough" else few(draw)
    inputs = problem | {"G": numbers(n, m)}
    if draw(st.booleans()):
        k = draw(st.integers(1, 2))
        inputs |= {"U": numbers(k, n), "V": numbers(k, n), "Y": numbers(k, m)}
    else:
        inputs["C"] = C
    if kind == "degenerate" and draw(st.booleans()):
        H[0, 0] *= -1  # the other weights' curvature is positive: one eigenvalue is negative, and none is zero
    return {**inputs, "A": remainder(H, inputs)}


@st.composite
def solved_roughly(draw: Any) -> Problem:
    """The inputs of `bilevel` but for c, with the full mantissas of float64 in all but H and Q."""
    n, m = draw(st.sampled_from(SHAPES))
    numbers, H = full(draw), draw(spd(n, "rough"))
    P = np.array(numbers(m, m))
    (w,), (t,), (phi,), (q,) = numbers(1, n), numbers(1, n), numbers(1, m), numbers(1, m)
    return {
        "H": H,
        "C": numbers(n, m),
        "Q": turned_round(draw(spd(n, "rough"))),
        "R": numbers(n, m),
        "w": w,
        "t": t,
        "P": (P + P.T).tolist(),
        "phi": phi,
        "q": q,
        "lr": step_size([H]),
        "terms": draw(st.integers(0, 4)),
    }


def few(draw: Any) -> Callable[..., Any]:
    """A function that makes matrices of 0, 1 and -1."""
    return lambda rows, columns: draw(matrix(integers(1), rows, columns))


def full(draw: Any) -> Callable[..., Any]:
    """A function that makes arrays of numbers with the full mantissas of float64, between -2 and 2, as nested lists."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return lambda *shape: rng.uniform(-2, 2, shape).tolist()


def without_series(kind: str) -> Any:
    """Bilevel losses without the step and the terms of a series."""
    return bilevel_losses(kind).map(lambda inputs: {k: v for k, v in inputs.items() if k not in ("lr", "terms")})


@st.composite
def bilevel_series(draw: Any, kind: str = "crisp") -> Problem:
    """The inputs of `bilevel_losses` with ``lr`` and ``terms``; degenerate ones have lr of any sign, or zero.

    The step is a power of two below the reciprocal of the trace of H, if that is positive definite; full mantissas for
    kind ``"rough"``. The last power is small, or 12 or 20.
    """
    inputs = draw(bilevel_losses(kind))
    return inputs | {"lr": rate(draw, kind, inputs["lr"]), "terms": draw(st.sampled_from((1, 2, 0, 3, 4, 12, 20)))}


@st.composite
def bilevel_steps(draw: Any, kind: str = "crisp") -> Problem:
    """The inputs of `bilevel_losses` with a start ``w0``, ``lr`` as for `bilevel_series`, and 0 to 3 ``steps``.

    Where the steps are linear in w there may be 6: rationals then do not grow threefold with every step.
    """
    inputs = draw(bilevel_losses(kind))
    del inputs["terms"]
    steps = draw(st.sampled_from((2, 3, 1, 0) if "U" in inputs else (2, 3, 1, 0, 4, 6)))
    n = len(inputs["w"])
    start = full(draw)(n) if kind == "rough" else draw(vector(integers(), n))
    return inputs | {"w0": start, "lr": rate(draw, kind, inputs["lr"]) / 2, "steps": steps}


def rate(draw: Any, kind: str, lr: float) -> float:
    """A step near one that converges, or for degenerate problems any other."""
    if kind == "rough":
        return lr * (1 + abs(draw(rough(1, 53)))) / 2
    return lr * draw(st.sampled_from((1.0, 0.0, -1.0))) if kind == "degenerate" else lr
