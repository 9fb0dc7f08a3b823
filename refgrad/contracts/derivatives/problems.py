"""Strategies of smooth functions of a vector, with a point and a direction, and their wide problems.

The functions are those of `functions`, beside this file: least squares with a linear, square, rational or tanh link
(quadratics, quartics, rational functions, small networks), two layers that multiply one another, log-sum-exp, and cubic
forms whose matrix is not symmetric.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st

from refgrad.contracts.contract import Framework
from refgrad.contracts.derivatives.functions import Form, Function, LeastSquares, LogSumExp, TwoLayers
from refgrad.contracts.tools.losses import EXACT_TABLE
from refgrad.contracts.wide import Numbers, Wide
from refgrad.strategies.numbers import check_kind, matrix, rough, vector

__all__ = ["WIDE_DIRECTIONS", "WIDE_POINTS", "function", "smooth_functions"]

FUNCTIONS = ("square", "form", "tanh", "logsumexp", "rational", "two_layers", "linear")
"""Least squares by their link, and the others; what separates most formulas first."""

SEPARATING = st.sampled_from((0.0, 1.0, -1.0, 2.0, -2.0, 3.0, 1.0))
"""Small integers with few zeros, at which too many formulas agree."""


def function(inputs: Mapping[str, Any], framework: Framework) -> Function:
    """The function of a problem, its constants in the framework's arrays."""
    name, array = inputs["function"], framework.array
    if name == "form":
        return Form(framework.xp, array(inputs["Q"]), array(inputs["b"]), array(inputs["a"]))
    if name == "logsumexp":
        return LogSumExp(framework.xp, array(inputs["A"]), array(inputs["b"]))
    if name == "two_layers":
        X = inputs["X"]
        last = array([0.0] * (len(X[0]) - 1) + [1.0])
        return TwoLayers(framework.xp, inputs["link"], array(X), array(inputs["y"]), last)
    return LeastSquares(framework.xp, name, array(inputs["A"]), array(inputs["C"]), array(inputs["y"]))


@st.composite
def smooth_functions(draw: Any, kind: str = "crisp") -> dict[str, Any]:
    """Inputs ``function`` and its arrays, ``x`` and ``v``, as nested lists.

    Parameters
    ----------
    kind : str
        ``"crisp"``: integers. ``"rough"``: full mantissas. ``"ill_conditioned"``: columns of A or X, or rows and
        columns of Q, that differ by a factor of 2^8. ``"degenerate"``: x or v zero, no residuals, equal logits.
    """
    numbers = rough(1) if check_kind(kind) == "rough" else SEPARATING
    name, n = draw(st.sampled_from(FUNCTIONS)), draw(st.sampled_from((1, 2, 2, 3, 3)))
    hidden, width = draw(st.sampled_from(((2, 2), (1, 3), (1, 2)))) if name == "two_layers" else (0, 0)
    n = hidden * width or n
    x, v = draw(vector(numbers, n)), draw(vector(numbers, n))
    if kind == "degenerate" and draw(st.booleans()):
        x = [0.0] * n
    if kind == "degenerate" and draw(st.booleans()):
        v = [0.0] * n
    if name == "form":
        arrays = {"Q": draw(matrix(numbers, n, n)), "b": draw(vector(numbers, n)), "a": draw(vector(numbers, n))}
        if kind == "ill_conditioned":
            arrays["Q"] = (np.array(arrays["Q"]) * scales(n) * scales(n)[:, None]).tolist()
        return {"function": name, **arrays, "x": x, "v": v}
    rows = draw(st.sampled_from((2, 3) if name == "logsumexp" else (1, 2, 3)))
    if name == "two_layers":
        link = draw(st.sampled_from(("square", "tanh", "linear")))
        X = np.array(draw(matrix(numbers, rows, width - 1)))
        X = X * scales(width - 1) if kind == "ill_conditioned" else X
        y = draw(vector(numbers, rows))
        return {"function": name, "link": link, "X": [[*row, 0.0] for row in X.tolist()], "y": y, "x": x, "v": v}
    A = np.array(draw(matrix(numbers, rows, n)))
    if kind == "ill_conditioned":
        A = A * scales(n)
    if name == "logsumexp":
        b = [0.0] * len(A) if kind == "degenerate" else draw(vector(numbers, len(A)))
        return {"function": name, "A": A.tolist(), "b": b, "x": x, "v": v}
    small = rough(1) if kind == "rough" else st.sampled_from((0.0, 1.0, -1.0))
    C = np.array(draw(matrix(small, draw(st.sampled_from((1, 2, 3))), len(A))))
    y = draw(vector(numbers, len(C)))
    if kind == "degenerate" and name in ("linear", "square"):
        t = A @ x
        y = (C @ (t * t if name == "square" else t)).tolist()
    return {"function": name, "A": A.tolist(), "C": C.tolist(), "y": y, "x": x, "v": v}


def scales(n: int) -> np.ndarray:
    """1, and 2^-8 for the last of several."""
    return np.array([1.0] * (n - 1) + [2.0**-8 if n > 1 else 1.0])


EXPONENTS = {"float64": 50, "float32": 16}
"""A large scale is two to this power, a small one its reciprocal: finite with its fourth power, in every dtype."""


def wide_function(
    numbers: Numbers, parameters: int, function: str, scale: str, flat: bool, memory: str, direction: str = ""
) -> dict[str, Any]:
    """A function of many parameters, which are large or tiny, or of which some have no curvature.

    With x of scale s the constants have scales at which the function's own value stays moderate: the gradient is of
    scale 1 / s and the Hessian of 1 / s^2. Where x has zeros the third derivative is large beside the others, so that
    a point nearby is told from it. The direction is of the scale of x, or larger or smaller than that.
    """
    rng, n = numbers.rng, parameters
    exponent = EXPONENTS[numbers.dtype]
    s = 2.0 ** {"large": exponent, "tiny": -exponent}.get(scale, 0)
    low = 2.0**-8 if "zero" in scale else 1.0
    share = 2.0 ** -round(math.log2(n) / 2)  # a power of two near 1 / sqrt(n)
    moved = np.array([not flat or rng.random() < 0.5 for _ in range(n)], float)
    if not moved.any():
        moved[rng.randrange(n)] = 1.0
    x = np.array(numbers.vector(n)) * s * (2.0**-10 if scale == "some zero" else 1.0)
    x[: {"zero": n, "some zero": n // 2}.get(scale, 0)] = 0.0
    if function == "form":
        Q = np.array(numbers.matrix(n, n)) * share * low / s / s * np.outer(moved, moved)
        a, b = np.array(numbers.vector(n, 1.0)) * share * 4 / s * moved, np.array(numbers.vector(n, 1.0)) * low / s
        inputs = {"function": function, "Q": Q.tolist(), "b": b.tolist(), "a": a.tolist()}
    elif function == "two_layers":
        inputs = two_layers(numbers, n, s)
    else:
        rows = rng.randint(2, 8)
        A = np.array(numbers.matrix(rows, n)) * share / s * moved
        inputs = {"function": function, "A": A.tolist()}
        if function == "logsumexp":
            inputs["b"] = numbers.vector(rows)
        else:
            inputs |= {"C": numbers.matrix(rng.randint(2, 6), rows, 1.0)}
            inputs["y"] = numbers.vector(len(inputs["C"]), 4.0)
    inputs |= {"x": x.tolist(), "memory": memory}
    if direction:
        v = np.array(numbers.vector(n)) * s
        if direction == "along the gradient":
            v = gradient_in_floats(inputs, v, s)
        inputs["v"] = (v * 2.0 ** {"large": exponent, "tiny": -exponent}.get(direction, 0)).tolist()
    return inputs


def two_layers(numbers: Numbers, n: int, s: float) -> dict[str, Any]:
    """Two layers of n parameters of scale s, of as many hidden units as the square root of n and n itself allow."""
    hidden = max(h for h in range(1, n) if n % h == 0 and h * h <= n)
    width, examples = n // hidden, numbers.rng.randint(2, 6)
    share = 2.0 ** -round(math.log2(width) / 2)
    X = np.array(numbers.matrix(examples, width)) * share / s
    X[:, -1] = 0.0
    y = np.array(numbers.vector(examples, 4.0)) * s
    link = numbers.rng.choice(("tanh", "square", "rational"))
    return {"function": "two_layers", "link": link, "X": X.tolist(), "y": y.tolist()}


class Floats:
    """Arrays of NumPy: a point near the right one will do."""

    xp = EXACT_TABLE
    array = staticmethod(np.array)


def gradient_in_floats(inputs: Mapping[str, Any], v: np.ndarray, s: float) -> np.ndarray:
    """The gradient, as far as floats give it, at the scale of x; `v` where it is 0."""
    g = function(inputs, Floats()).grad(np.array(inputs["x"]))  # type: ignore[arg-type]
    largest = float(abs(g).max())
    return g * 2.0 ** round(math.log2(s / largest)) if largest else v


def measure(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What a problem covers."""
    name = inputs["function"]
    what = {"form": "cubic form", "logsumexp": "log-sum-exp", "two_layers": "two layers"}.get(name, f"{name} residuals")
    found: dict[str, Any] = {"parameters": len(inputs["x"]), "functions": what}
    for letter in ("x", "v"):
        if letter in inputs:
            found[f"|{letter}|"] = max(map(abs, inputs[letter]))
    return found | {"memory": inputs.get("memory", "usual")}


RANGES: dict[str, Any] = {
    "parameters": range(2, 41),
    "function": ("square", "tanh", "rational", "logsumexp", "two_layers", "form"),
    "scale": ("usual", "tiny", "zero", "large", "some zero"),
    "flat": (False, True),
    "memory": ("usual", "strided", "reversed", "read-only"),
}
"""The last of each make the largest problem, a form, which alone tells whether a matrix is taken for symmetric."""

WIDE_POINTS = Wide(RANGES, wide_function, measure)
WIDE_DIRECTIONS = Wide(RANGES | {"direction": ("any", "along the gradient", "tiny", "large")}, wide_function, measure)
