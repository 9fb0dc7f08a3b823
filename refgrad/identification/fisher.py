"""The arguments of Fisher formulas: derivatives of a network's logits, on some weights of every tensor.

A diagonal is computed weight by weight, so that formulas are compared on a few hundred of them; the one that is found
is computed on all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from refgrad.conformance.subject.places import said
from refgrad.errors import UsageError
from refgrad.identification.engines import engine_of, in_double, in_float64
from refgrad.identification.layout import Layout, is_array, leaves, noisy, once, to_numpy
from refgrad.identification.recorded import Recorded

__all__ = ["fisher_arguments"]

_NUMBERS = 2**21
"""Of derivatives that are held to compare formulas by."""
_ROOM = 2**25
"""Bytes of derivatives that are computed at once."""


class Logits:
    """What formulas ask of ``logits(theta, X)``, at one point, on the weights `chosen`; X are places of examples."""

    def __init__(self, point: Point, chosen: np.ndarray | None) -> None:
        self.point, self.chosen = point, chosen
        self._held: np.ndarray | None = None

    def __call__(self, theta: np.ndarray, places: np.ndarray) -> np.ndarray:
        return self.point.logits[places]

    def jacobian(self, theta: np.ndarray, places: np.ndarray) -> np.ndarray:
        if self.chosen is None:
            return np.concatenate(list(self.point.jacobians(places)))
        if self._held is None:
            every = np.arange(len(self.point.logits))
            self._held = np.concatenate([J[:, :, self.chosen] for J in self.point.jacobians(every)])
        return self._held[places]


class Point:
    """The logits of all examples at one theta, and their derivatives by it in parts."""

    def __init__(self, engine: str, function: Callable[..., Any], layout: Layout, theta: np.ndarray, X: Any) -> None:
        self.layout = layout
        try:
            self.rows: Callable[[np.ndarray], np.ndarray] = getattr(self, f"_{engine}")(function, theta, X)
        except Exception as error:
            raise UsageError(f"logits, called with the parameters and X, raised {said(error, 500)}") from error
        self.logits: np.ndarray = self._values
        if self.logits.ndim != 2 or len(self.logits) != len(X):
            raise UsageError(
                f"expected logits(theta, X) of shape ({len(X)}, C), one row for each example; got {self.logits.shape}"
            )

    def jacobians(self, places: np.ndarray) -> Any:
        """Of the examples at `places`, arrays of shape (n, C, p)."""
        step = max(1, _ROOM // (8 * self.logits.shape[1] * len(self.layout)))
        for start in range(0, len(places), step):
            yield self.rows(places[start : start + step])

    def _joined(self, parts: list[np.ndarray], count: int) -> np.ndarray:
        return np.concatenate([part.reshape(count, self.logits.shape[1], -1) for part in parts], axis=2)

    def _torch(self, function: Callable[..., Any], theta: np.ndarray, X: Any) -> Callable[[np.ndarray], np.ndarray]:
        import torch

        homes = [x for _, x in leaves(self.layout.tree)]
        parts = [
            torch.tensor(part, dtype=torch.float64, device=home.device)
            for part, home in zip(self.layout.parts(theta), homes, strict=True)
        ]
        inputs = X.detach().double() if X.is_floating_point() else X
        with torch.no_grad(), in_double(torch):
            self._values = to_numpy(function(self.layout.containers(parts), inputs))

        def one(parts: Any, x: Any) -> Any:
            return function(self.layout.containers(parts), x[None])[0]

        of_rows = torch.func.vmap(torch.func.jacrev(one), (None, 0))

        def rows(places: np.ndarray) -> np.ndarray:
            with in_double(torch):
                found = of_rows(tuple(parts), inputs[torch.as_tensor(places)])
            return self._joined([to_numpy(J) for J in found], len(places))

        return rows

    def _jax(self, function: Callable[..., Any], theta: np.ndarray, X: Any) -> Callable[[np.ndarray], np.ndarray]:
        import jax

        with in_float64(jax):
            parts = [jax.numpy.asarray(part, "float64") for part in self.layout.parts(theta)]
            inputs = X.astype("float64") if jax.numpy.issubdtype(X.dtype, jax.numpy.floating) else X
            self._values = to_numpy(function(self.layout.containers(parts), inputs))

            def one(parts: Any, x: Any) -> Any:
                return function(self.layout.containers(parts), x[None])[0]

            of_rows = jax.jit(jax.vmap(jax.jacrev(one), (None, 0)))

        def rows(places: np.ndarray) -> np.ndarray:
            with in_float64(jax):
                return self._joined([to_numpy(J) for J in of_rows(parts, inputs[places])], len(places))

        return rows

    def _numpy(self, function: Callable[..., Any], theta: np.ndarray, X: Any) -> Callable[[np.ndarray], np.ndarray]:
        from refgrad import jacrev, vmap

        parts = self.layout.parts(theta)
        inputs = np.asarray(X, float) if np.asarray(X).dtype.kind == "f" else np.asarray(X)
        self._values = to_numpy(function(self.layout.containers(parts), inputs))

        def one(parts: Any, x: Any) -> Any:
            return function(self.layout.containers(list(parts)), x[None])[0]

        of_rows = vmap(jacrev(one), (None, 0))

        def rows(places: np.ndarray) -> np.ndarray:
            return self._joined([np.asarray(J) for J in of_rows(tuple(parts), inputs[places])], len(places))

        return rows


def fisher_arguments(recorded: Recorded, given: Mapping[str, Any]) -> None:
    """``fisher_diagonal``, ``empirical_fisher_diagonal``: logits, parameters and a data set."""
    logits, X, layout = given["logits"], given["X"], recorded.layout
    if hasattr(logits, "named_parameters"):
        raise UsageError(
            "expected logits to be a function logits(theta, X), got a model: use refgrad.torch_logits(model)"
        )
    if not callable(logits) or not is_array(X) or not np.shape(X) or not is_array(given["y"]):
        raise UsageError("expected logits to be a function logits(theta, X), X an array of N examples, y their labels")
    theta, y = layout.flat(given["theta"], "theta"), to_numpy(given["y"]).astype(int)
    if y.shape != (len(X),):
        raise UsageError(f"expected y to be {len(X)} labels, one for each row of X; got shape {y.shape}")
    engine = engine_of(given["theta"])
    recorded.notes += getattr(logits, "notes", [])
    exact = Point(engine, logits, layout, theta, X)
    classes = exact.logits.shape[1]
    if y.min() < 0 or y.max() >= classes:
        raise UsageError(f"expected labels from 0 to {classes - 1}; got {y.min()} to {y.max()}")
    chosen = sample(layout, max(16, _NUMBERS // (len(X) * classes)))
    places, whole_output = np.arange(len(X)), recorded.output

    def arguments(unit: float, pattern: int) -> tuple[Any, ...]:
        rng = np.random.default_rng(pattern)
        moved = noisy(theta, unit, rng)
        point = Point(engine, logits, layout, moved, noisy(X, unit, rng)) if unit else exact
        return Logits(point, chosen), theta[chosen], places, y

    def whole(formula: Any) -> np.ndarray:
        return np.asarray(formula(Logits(exact, None), theta, places, y)) - whole_output

    recorded.arguments = once(arguments)
    recorded.output = whole_output[chosen]
    recorded.whole = whole if len(chosen) < len(layout) else None
    recorded.terms = len(X) * classes
    recorded.said += [f"{len(X):,} examples", f"{classes} classes"]
    recorded.constants = {"the number of examples": len(X), "the number of classes": classes}
    recorded.advice = "more examples than one batch, in a number that batches do not divide, and unsure predictions"


def sample(layout: Layout, count: int) -> np.ndarray:
    """Places of about `count` elements, some of every array, always the same ones."""
    if len(layout) <= count:
        return np.arange(len(layout))
    rng, found, start = np.random.default_rng(0), [], 0
    for size in layout.sizes:
        few = min(size, max(4, count * size // len(layout)))
        found.append(start + np.sort(rng.choice(size, few, replace=False)))
        start += size
    return np.concatenate(found)
