"""Wide bilevel problems: up to 40 weights and hyperparameters, any curvature, and what a pass over problems covers.

H at the solution is chosen, its eigenvalues from 1 to the condition number, and the symmetric matrix A of the inner
loss is what is left of it when the parts that w and phi bring along are taken away.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from refgrad.contracts.implicit.losses import Inner, Penalised, TwoLayers
from refgrad.contracts.wide import Numbers, Wide, scale_of

__all__ = ["HYPERGRADIENTS", "NEUMANN", "UNROLLED", "remainder"]

Inputs = dict[str, Any]
OUTPUTS = 3

SIZES = {
    "weights": range(1, 41),
    "hyperparameters": range(1, 41),
    "condition": (2**4, 2**14) * 2,  # twice, for a single weight has none
    "hessian": ("definite", "indefinite"),
    "loss": ("penalised", "two layers"),
    "direct": ("absent", "present"),
    "outer": ("usual", "tiny", "huge"),
}
SIGNS = ("zero", "negative", "positive")


def inner_loss(inputs: Mapping[str, Any], array: Any) -> Inner:
    """The inner loss of a problem, its constants made by ``array(values)``."""
    constants = {name: array(inputs[name]) for name in "ACGUVY" if name in inputs}
    return (TwoLayers if "U" in inputs else Penalised)(
        **constants, w_star=array(inputs["w"]), phi_star=array(inputs["phi"])
    )


def remainder(H: Any, inputs: Mapping[str, Any]) -> list[list[float]]:
    """The symmetric A with which the Hessian of the inner loss at the solution is H, up to rounding."""
    H = np.array(H, float)
    rest = H - hessian({**inputs, "A": np.zeros_like(H)})
    return ((rest + rest.T) / 2).tolist()  # type: ignore[no-any-return]


def hessian(inputs: Mapping[str, Any]) -> np.ndarray:
    """The Hessian of the inner loss at the solution."""
    w, phi = np.array(inputs["w"], float), np.array(inputs["phi"], float)
    found: np.ndarray = inner_loss(inputs, lambda values: np.array(values, float)).hessian(w, phi)
    return found


def build(
    numbers: Numbers,
    weights: int,
    hyperparameters: int,
    condition: int,
    hessian: str,
    loss: str,
    direct: str,
    outer: str,
) -> Inputs:
    """Inputs as those of `refgrad.contracts.implicit.problems.bilevel_losses`, at one setting of the sizes."""
    n, m = weights, hyperparameters
    small = 2 / math.sqrt(max(n, m))
    inputs: Inputs = {"phi": numbers.vector(m), "w": numbers.vector(n)}
    inputs["G"] = numbers.matrix(n, m, small)
    if loss == "two layers":
        inputs |= {"U": numbers.matrix(OUTPUTS, n, small), "V": numbers.matrix(OUTPUTS, n, small)}
        inputs["Y"] = numbers.matrix(OUTPUTS, m, small)
    else:
        inputs["C"] = numbers.matrix(n, m)
    inputs["A"] = remainder(spectral(numbers, n, condition, hessian), inputs)
    inputs["Q"] = spectral(numbers, n, 4, "definite").tolist()
    inputs["t"] = numbers.vector(n)
    bound = 2.0 if direct == "present" else 0.0
    P = np.array(numbers.matrix(m, m, bound)) * bound / 2
    inputs["R"] = (np.array(numbers.matrix(n, m, bound)) * bound / 2).tolist()
    inputs["P"] = ((P + P.T) / 2).tolist()
    inputs["q"] = (np.array(numbers.vector(m, bound)) * bound / 2).tolist()
    scale = {"usual": 1.0, "tiny": 2.0**-30, "huge": 2.0**30}[outer]  # the outer loss, and with it the answer
    return inputs | {name: (np.array(inputs[name]) * scale).tolist() for name in "QRPq"}


def spectral(numbers: Numbers, n: int, condition: int, definiteness: str) -> np.ndarray:
    """A symmetric matrix with eigenvalues from 1 to `condition`, those of every second one negative if indefinite."""
    values = np.array([float(condition) ** ((n - 1 - i) / max(1, n - 1)) for i in range(n)])
    if definiteness == "indefinite":
        values = values * [-1.0 if i % 2 == 0 else 1.0 for i in range(n)]
    if numbers.plain:
        return np.diag(np.round(values))
    basis, _ = np.linalg.qr(np.array([[numbers.rng.gauss(0, 1) for _ in range(n)] for _ in range(n)]))
    H = (basis * values) @ basis.T
    return (H + H.T) / 2


def build_series(numbers: Numbers, lr: str, terms: int, **sizes: Any) -> Inputs:
    """The same with the step and the last power of a series: a quarter to one of the largest eigenvalue's inverse."""
    inputs = build(numbers, **sizes)
    return inputs | {"lr": step(numbers, lr, inputs), "terms": terms}


def build_steps(numbers: Numbers, lr: str, steps: int, **sizes: Any) -> Inputs:
    """The same with a start, and the length and number of steps."""
    inputs = build(numbers, **sizes)
    start = (np.array(inputs["w"]) + numbers.vector(len(inputs["w"]), 1.0)).tolist()
    return inputs | {"w0": start, "lr": step(numbers, lr, inputs), "steps": steps}


def step(numbers: Numbers, sign: str, inputs: Mapping[str, Any]) -> float:
    """A step of one sign, from a quarter of the inverse of the largest eigenvalue on; a power of two if it is plain."""
    largest = float(np.linalg.norm(hessian(inputs), 2))
    size = 2.0 ** -math.ceil(math.log2(largest)) if numbers.plain else numbers.rng.uniform(0.25, 1) / largest
    return {"zero": 0.0, "negative": -size, "positive": size}[sign]


def covered(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What a problem has: sizes, the condition number as a power of two, signs and kinds."""
    eigenvalues = np.linalg.eigvalsh(hessian(inputs))
    sizes = np.abs(eigenvalues)
    definite = bool(eigenvalues.min() > 0)
    found: dict[str, Any] = {
        "weights": len(inputs["w"]),
        "hyperparameters": len(inputs["phi"]),
        "condition": 2 ** round(math.log2(max(1.0, sizes.max() / sizes.min()))),
        "hessian": "definite" if definite else "indefinite",
        "loss": "two layers" if "U" in inputs else "penalised",
        "outer": scale_of(np.ravel(inputs["Q"]).tolist()),
        "direct": "present" if np.any([np.any(inputs[name]) for name in ("R", "P", "q")]) else "absent",
    }
    if "lr" in inputs:
        found["lr"] = "zero" if inputs["lr"] == 0 else "negative" if inputs["lr"] < 0 else "positive"
    return found | {name: inputs[name] for name in ("terms", "steps") if name in inputs}


HYPERGRADIENTS = Wide(SIZES, build, covered)
NEUMANN = Wide(SIZES | {"lr": SIGNS, "terms": range(21)}, build_series, covered)
UNROLLED = Wide(SIZES | {"lr": SIGNS, "steps": range(7)}, build_steps, covered)
