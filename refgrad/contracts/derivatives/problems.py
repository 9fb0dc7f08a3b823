"""Strategies of smooth functions of a vector, with a point and a direction.

The functions are those of `functions`, beside this file: least squares with a linear, square, rational or tanh link
(quadratics, quartics, rational functions, small networks), log-sum-exp, and cubic forms whose matrix is not symmetric.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from refgrad.strategies.numbers import check_kind, matrix, rough, vector

__all__ = ["smooth_functions"]

FUNCTIONS = ("square", "form", "tanh", "logsumexp", "rational", "linear")
"""Least squares by their link, and the others; what separates most formulas first."""

SEPARATING = st.sampled_from((0.0, 1.0, -1.0, 2.0, -2.0, 3.0, 1.0))
"""Small integers with few zeros, at which too many formulas agree."""


@st.composite
def smooth_functions(draw: Any, kind: str = "crisp") -> dict[str, Any]:
    """Inputs ``function`` and its arrays, ``x`` and ``v``, as nested lists.

    Parameters
    ----------
    kind : str
        ``"crisp"``: integers. ``"rough"``: full float32 mantissas. ``"ill_conditioned"``: columns of A, or rows and
        columns of Q, that differ by a factor of 2^8. ``"degenerate"``: x or v zero, no residuals, equal logits.
    """
    numbers = rough(1) if check_kind(kind) == "rough" else SEPARATING
    function, n = draw(st.sampled_from(FUNCTIONS)), draw(st.sampled_from((1, 2, 2, 3, 3)))
    x, v = draw(vector(numbers, n)), draw(vector(numbers, n))
    if kind == "degenerate" and draw(st.booleans()):
        x = [0.0] * n
    if kind == "degenerate" and draw(st.booleans()):
        v = [0.0] * n
    if function == "form":
        arrays = {"Q": draw(matrix(numbers, n, n)), "b": draw(vector(numbers, n)), "a": draw(vector(numbers, n))}
        if kind == "ill_conditioned":
            arrays["Q"] = (np.array(arrays["Q"]) * scales(n) * scales(n)[:, None]).tolist()
        return {"function": function, **arrays, "x": x, "v": v}
    rows = draw(st.sampled_from((2, 3) if function == "logsumexp" else (1, 2, 3)))
    A = np.array(draw(matrix(numbers, rows, n)))
    if kind == "ill_conditioned":
        A = A * scales(n)
    if function == "logsumexp":
        b = [0.0] * len(A) if kind == "degenerate" else draw(vector(numbers, len(A)))
        return {"function": function, "A": A.tolist(), "b": b, "x": x, "v": v}
    small = rough(1) if kind == "rough" else st.sampled_from((0.0, 1.0, -1.0))
    C = np.array(draw(matrix(small, draw(st.sampled_from((1, 2, 3))), len(A))))
    y = draw(vector(numbers, len(C)))
    if kind == "degenerate" and function in ("linear", "square"):
        t = A @ x
        y = (C @ (t * t if function == "square" else t)).tolist()
    return {"function": function, "A": A.tolist(), "C": C.tolist(), "y": y, "x": x, "v": v}


def scales(n: int) -> np.ndarray:
    """1, and 2^-8 for the last of several."""
    return np.array([1.0] * (n - 1) + [2.0**-8 if n > 1 else 1.0])
