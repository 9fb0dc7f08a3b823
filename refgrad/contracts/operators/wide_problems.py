"""Wide problems of the operators: vectors of 1 to 8 elements, matrices to order 6, and where rules go wrong there.

Scales reach 1e150 in float64 and 1e16 in float32 where the operator and its derivatives are defined; matrices are
singular in columns or rows anywhere, have equal eigenvalues away from the identity, or nearly equal ones. An infinity
is written as a sign among the numbers, with its place, for exact numbers have none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from refgrad.contracts.tools.layout import LAYOUTS
from refgrad.contracts.wide import Numbers, Wide

__all__ = ["INFINITY", "wide_problems"]

EXPONENT = {"float64": 500, "float32": 56}
"""The exponent of two of the largest scale."""

INFINITY = {
    **dict.fromkeys(("tanh", "exp", "logsumexp", "softmax", "log_softmax", "logcumsumexp"), 2**20),
    **dict.fromkeys(("log", "sqrt"), 2**4400),
}
"""What stands for an infinity in exact arithmetic: what it leaves of a derivative is below every float."""

Point = tuple[dict[str, Any], dict[str, float]]
"""The inputs by name, and the scale of the direction of each that moves."""

SCALES = ("usual", "tiny", "huge")
ZEROS = ("usual", "one zero", "two zeros", "three zeros")


def power(numbers: Numbers, scale: str, share: float = 1.0) -> float:
    """The power of two of a scale, its exponent a share of the largest."""
    return 2.0 ** ({"tiny": -1, "huge": 1}.get(scale, 0) * int(EXPONENT[numbers.dtype] * share))


def away(numbers: Numbers, n: int, least: float = 0.5, most: float = 2.0) -> np.ndarray:
    """`n` numbers of either sign whose absolute values are between two bounds."""
    return np.array([numbers.rng.choice((-1, 1)) * between(numbers, least, most) for _ in range(n)])


def between(numbers: Numbers, least: float, most: float) -> float:
    """A number between two bounds, the larger one if the numbers are to be plain."""
    return most if numbers.plain else numbers.rng.uniform(least, most)


def shaped(x: np.ndarray, shape: str) -> Any:
    """Elements as a vector, as a matrix of two rows if there is an even number of them, or the first alone."""
    if shape == "number":
        return float(x[0])
    return (x.reshape(2, -1) if shape == "matrix" and len(x) % 2 == 0 else x).tolist()


def infinite(x: np.ndarray, places: list[int], sign: float) -> Point:
    """A vector with infinities."""
    x[places] = sign
    return {"x": x.tolist(), "infinite": places}, {"x": 1.0}


def some(numbers: Numbers, first: int, n: int) -> list[int]:
    """One or two places from `first` to n - 1."""
    return sorted(numbers.rng.sample(range(first, n), min(n - first, numbers.rng.randint(1, 2))))


def real(op: str, numbers: Numbers, elements: int, shape: str, values: str) -> Point:
    """Arguments of functions of a real number: moderate, tiny, where the function saturates, huge, infinite."""
    x = np.array(numbers.vector(elements, 4.0))
    far = 690.0 if numbers.dtype == "float64" else 80.0
    if values == "infinite":
        return infinite(x, some(numbers, 0, elements), 1.0 if op == "tanh" else -1.0)
    if values == "tiny":
        x = away(numbers, elements) * power(numbers, "tiny")
    elif values == "saturated":
        x = away(numbers, elements, 9.0, 19.0) if op == "tanh" else -away(numbers, elements, far / 2, far)
    elif values == "huge":
        x = away(numbers, elements) * power(numbers, "huge") if op == "tanh" else away(numbers, elements, far / 2, far)
    return {"x": shaped(x, shape)}, {"x": 1.0}


def positive(op: str, numbers: Numbers, elements: int, shape: str, values: str) -> Point:
    """Positive numbers: moderate, tiny, huge, of all sizes, infinite."""
    x = abs(away(numbers, elements, 0.1, 4.0))
    if values == "infinite":
        return infinite(x, some(numbers, 0, elements), 1.0)
    if values == "all sizes":
        most = EXPONENT[numbers.dtype]
        x = x * 2.0 ** np.array([numbers.rng.randint(-most, most) for _ in range(elements)])
    return {"x": shaped(x * power(numbers, values), shape)}, {"x": 1.0}


def exponents(op: str, numbers: Numbers, elements: int, values: str) -> Point:
    """Numbers and exponents of two, moderate, large or small."""
    most = {"float64": 1000, "float32": 110}[numbers.dtype]
    low, high = {"usual": (-5, 5), "tiny": (-most, -most // 2), "huge": (most // 2, most), "any": (-most, most)}[values]
    e = [numbers.rng.randint(low, high) for _ in range(elements)]
    return {"x": numbers.vector(elements), "e": e}, {"x": 1.0}


def factors(op: str, numbers: Numbers, elements: int, values: str) -> Point:
    """Factors, some zero; or all tiny or huge: their product is no normal float, but that of all but one is."""
    if values in ZEROS:
        x = away(numbers, elements)
        x[numbers.rng.sample(range(elements), min(ZEROS.index(values), elements))] = 0.0
    else:
        least, most = {"float64": (1074, 1022), "float32": (134, 126)}[numbers.dtype]
        of_all, of_others = (-least, -most) if values == "tiny" else (most + 2, most)
        x = away(numbers, elements, 0.8, 1.25) * 2.0 ** ((of_all / elements + of_others / (elements - 1)) / 2)
    return {"x": x.tolist()}, {"x": 1.0}


def nonzero(op: str, numbers: Numbers, elements: int, scale: str, zeros: bool) -> Point:
    """Vectors that are not zero; their squares are beyond the range of floats at the ends."""
    x = away(numbers, elements) * power(numbers, scale, 1.06 if numbers.dtype == "float64" else 1.25)
    if zeros:
        x[numbers.rng.sample(range(elements), elements // 2)] = 0.0
    return {"x": x.tolist()}, {"x": 1.0}


def logits(op: str, numbers: Numbers, elements: int, values: str) -> Point:
    """Logits: moderate, the first far below the last, all high, all low, some equal, some minus infinity."""
    x = np.array(numbers.vector(elements, 4.0))
    if values == "minus infinity":
        return infinite(x, some(numbers, 1, elements), -1.0)
    if values == "ties":
        x = x[[numbers.rng.randrange(min(2, elements)) for _ in range(elements)]]
    if values == "far apart":
        x = np.array([-between(numbers, 600.0, 1000.0), *numbers.vector(elements - 2), between(numbers, 600.0, 1000.0)])
    if values in ("high", "low"):  # where one of them is far above the others a rounded sum of weights shows
        x = away(numbers, elements) / 2 + (1 if values == "high" else -1) * (
            750.0 if numbers.dtype == "float64" else 120.0
        )
    return {"x": x.tolist()}, {"x": 1.0}


def products(op: str, numbers: Numbers, rows: int, inner: int, columns: int, scale: str) -> Point:
    """Two matrices that can be multiplied."""
    s = power(numbers, scale)
    a, b = np.array(numbers.matrix(rows, inner)) * s, numbers.matrix(inner, columns)
    return {"a": a.tolist(), "b": b}, {"a": s, "b": 1.0}


def any_matrix(op: str, numbers: Numbers, order: int, rank: str, scale: str) -> Point:
    """Square matrices, some singular, with the zero pivot in any place."""
    rng, s = numbers.rng, 2.0 ** ({"tiny": -40, "huge": 40}.get(scale, 0) // order)  # NumPy's det goes by its logarithm
    x = away(numbers, order * order).reshape(order, order)
    j, i, h = [*rng.sample(range(order), order), 0, 0][:3] if order > 2 else (order - 1, 0, 0)
    if rank == "zero column" or (rank != "full" and order == 1):
        x[:, j] = 0.0
    elif rank == "equal columns":
        x[:, j] = x[:, i] * rng.choice((1.0, -1.0, 2.0))
    elif rank == "equal rows":
        x[j] = x[i] * rng.choice((1.0, -1.0, 0.5))
    elif rank == "n - 2":
        x[:, j], x[:, h] = x[:, i], -2 * x[:, i]
    return {"x": (x * s).tolist()}, {"x": s}


def regular(numbers: Numbers, n: int, what: str) -> np.ndarray:
    """Matrices with an inverse: strong on a permuted diagonal, or with nearly dependent columns."""
    x = np.array(numbers.matrix(n, n, 1.0))
    place = numbers.rng.sample(range(n), n) if what == "permuted" else list(range(n))
    x[range(n), place] = away(numbers, n, n, n + 2.0)
    if what == "nearly dependent" and n > 1:
        x[:, -1] = x[:, 0] + x[:, -1] * 2.0 ** {"float64": -31, "float32": -9}[numbers.dtype]
    return x


def invertible(op: str, numbers: Numbers, order: int, what: str, scale: str) -> Point:
    """Matrices with an inverse."""
    s = power(numbers, scale, 0.9)
    return {"x": (regular(numbers, order, what) * s).tolist()}, {"x": s}


def systems(op: str, numbers: Numbers, order: int, columns: int, what: str, scale: str) -> Point:
    """Linear systems with several right-hand sides."""
    s = power(numbers, scale, 0.9)
    a = regular(numbers, order, what) * s
    return {"a": a.tolist(), "b": numbers.matrix(order, columns)}, {"a": s, "b": 1.0}


def definite(op: str, numbers: Numbers, order: int, eigenvalues: str, scale: str) -> Point:
    """Positive definite matrices, with equal eigenvalues away from the identity, and with nearly equal ones."""
    n, s = order, power(numbers, scale, 0.9)
    w = np.array([numbers.rng.choice((-1, 1)) * numbers.rng.randint(64, 255) / 128 for _ in range(n)])
    x = np.eye(n) * numbers.rng.choice((2.0, 3.0, 5.0))
    if eigenvalues != "all equal":
        x += np.outer(w, w)
    noise = {"different": 2.0**-2, "nearly equal": 2.0 ** {"float64": -40, "float32": -18}[numbers.dtype]}
    B = np.array(numbers.matrix(n, n, 1.0)) * noise.get(eigenvalues, 0.0)
    x = x + np.tril(B) + np.tril(B, -1).T
    if eigenvalues == "far apart":
        d = 2.0 ** -({"float64": 8, "float32": 2}[numbers.dtype] * np.arange(n))
        x = x * np.outer(d, d)
    return {"x": (x * s).tolist()}, {"x": s}


def lower(numbers: Numbers, n: int) -> np.ndarray:
    """A lower triangular matrix with a positive diagonal."""
    l = np.tril(np.array(numbers.matrix(n, n, 1.0)), -1)
    return l + np.diag(abs(away(numbers, n)))


def triangular(op: str, numbers: Numbers, order: int, scale: str) -> Point:
    """Lower triangular factors."""
    s = power(numbers, scale, 0.3)
    return {"x": (lower(numbers, order) * s).tolist()}, {"x": s}


def triangular_systems(op: str, numbers: Numbers, order: int, columns: int, stack: str, scale: str) -> Point:
    """Right-hand sides with one factor or with a stack of them, as many as b has rows, or another number."""
    s = power(numbers, scale, 0.3)
    columns = order if stack == "as many as rows" else columns
    count = {"one": 1, "three": 3, "as many as rows": order}.get(stack, 0)
    l = np.array([lower(numbers, order) for _ in range(count)]) if count else lower(numbers, order)
    return {"b": numbers.matrix(order, columns), "l": (l * s).tolist()}, {"b": 1.0, "l": s}


def batches(op: str, numbers: Numbers, rows: int, columns: int, values: str) -> Point:
    """Matrices to be normalized: moderate, tiny, large, far from zero, constant."""
    double = numbers.dtype == "float64"
    s = 2.0 ** ({"tiny": -1, "large": 1}.get(values, 0) * (100 if double else 12))
    x = np.array(numbers.matrix(rows, columns)) * s
    if values == "far from zero":
        x += 2.0 ** (20 if double else 8)
    if values == "constant":
        x[:] = x[0, 0]
    return {"x": x.tolist()}, {"x": s}


ELEMENTS, ORDER = range(1, 9), range(1, 7)
NUMBERS = ("usual", "tiny", "saturated", "huge", "infinite")
SHAPES = ("vector", "number", "matrix")
REGULAR = ("usual", "permuted", "nearly dependent")

DOMAINS: dict[str, tuple[Callable[..., Point], dict[str, Any]]] = {
    **dict.fromkeys(("tanh", "exp"), (real, {"elements": ELEMENTS, "shape": SHAPES, "values": NUMBERS})),
    **dict.fromkeys(
        ("log", "sqrt"),
        (positive, {"elements": ELEMENTS, "shape": SHAPES, "values": (*SCALES, "infinite", "all sizes")}),
    ),
    "ldexp": (exponents, {"elements": ELEMENTS, "values": ("usual", "tiny", "huge", "any")}),
    **dict.fromkeys(("prod", "cumprod"), (factors, {"elements": range(2, 9), "values": (*ZEROS, "tiny", "huge")})),
    "norm": (nonzero, {"elements": ELEMENTS, "scale": SCALES, "zeros": (False, True)}),
    **dict.fromkeys(
        ("logsumexp", "softmax", "log_softmax", "logcumsumexp"),
        (
            logits,
            {"elements": range(2, 9), "values": ("usual", "far apart", "high", "low", "ties", "minus infinity")},
        ),
    ),
    "matmul": (products, {"rows": ORDER, "inner": ORDER, "columns": ORDER, "scale": SCALES}),
    "det": (
        any_matrix,
        {"order": ORDER, "rank": ("full", "zero column", "equal columns", "equal rows", "n - 2"), "scale": SCALES},
    ),
    "inv": (invertible, {"order": ORDER, "what": REGULAR, "scale": SCALES}),
    "solve": (systems, {"order": ORDER, "columns": ORDER, "what": REGULAR, "scale": SCALES}),
    **dict.fromkeys(
        ("logdet", "cholesky"),
        (
            definite,
            {
                "order": ORDER,
                "eigenvalues": ("all equal", "different", "equal", "far apart", "nearly equal"),
                "scale": SCALES,
            },
        ),
    ),
    "cholesky_inverse": (triangular, {"order": ORDER, "scale": SCALES}),
    "cholesky_solve": (
        triangular_systems,
        {"order": ORDER, "columns": ORDER, "stack": ("none", "one", "as many as rows", "three"), "scale": SCALES},
    ),
    **dict.fromkeys(
        ("layer_norm", "batch_norm"),
        (
            batches,
            {
                "rows": range(1, 9),
                "columns": ORDER,
                "values": ("usual", "tiny", "large", "constant", "far from zero"),
            },
        ),
    ),
}
"""For each operator its points, and what they may be."""


def direction(op: str, numbers: Numbers, value: Any, scale: float, last: bool) -> Any:
    """A direction for an input: symmetric, or lower triangular, where the operator's inputs are."""
    shape = np.shape(value)
    u = np.array(numbers.vector(int(np.prod(shape, dtype=int)))).reshape(shape) * scale
    if op in ("logdet", "cholesky"):
        u = np.tril(u) + np.tril(u, -1).T
    if op in ("cholesky_inverse", "cholesky_solve") and last:
        u = np.tril(u)
    return u.tolist()


def build(op: str, times: int, numbers: Numbers, memory: str, **properties: Any) -> dict[str, Any]:
    """The inputs of a wide problem by name."""
    point, scales = DOMAINS[op][0](op, numbers, **properties)
    found = {"op": op, "order": times, **point, "memory": memory}
    for letter in "uv"[:times]:
        for name, scale in scales.items():
            called = letter if len(scales) == 1 else f"{letter}_{name}"
            found[called] = direction(op, numbers, point[name], scale, name == [*scales][-1])
    return found


def measure(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What a problem covers: the lengths of its axes, its numbers, and how they lie in memory."""
    found: dict[str, Any] = {"memory": inputs.get("memory", "usual")}
    for name in ("x", "e", "a", "b", "l"):
        if name not in inputs:
            continue
        value = np.array(inputs[name])
        axes = {0: (), 1: ("elements",), 2: ("rows", "columns"), 3: ("matrices", "rows", "columns")}[value.ndim]
        found |= {f"{axis} of {name}": length for axis, length in zip(axes, value.shape, strict=True)}
        found[f"dimensions of {name}"] = value.ndim
        found[f"|{name}|"] = (float(abs(value).min()), float(abs(value).max()))
        found[f"zeros in {name}"] = int((value == 0).sum())
    if inputs["op"] in INFINITY:
        found["infinities"] = len(inputs.get("infinite", ()))
    return found


def wide_problems(op: str, order: int) -> Wide:
    """The wide problems of one operator and one order of derivative."""
    return Wide({**DOMAINS[op][1], "memory": LAYOUTS}, partial(build, op, order), measure)
