"""Normalization by mean and variance: of each row (``layer_norm``), of each column (``batch_norm``).

With means over one axis, ``c = x - mean x``, ``q = mean c^2 + eps`` and ``s = q^(-1/2)``, the output is ``y = c s``.
Let ``c_u = u - mean u``, and c_v alike. Then

    q_u = 2 mean(c c_u),                 q_uv = 2 mean(c_u c_v),
    s_u = -s^3 q_u / 2,                  s_uv = 3 s^5 q_u q_v / 4 - s^3 q_uv / 2,
    D y = c_u s + c s_u,                 D^2 y = c_u s_v + c_v s_u + c s_uv.

``eps`` is 2^-10, which is exact in every dtype; there is no weight and no bias.
"""

from __future__ import annotations

from typing import Any

from refgrad.backend import of
from refgrad.contracts.operators.operator import Operator
from refgrad.contracts.tools.answer import Variant
from refgrad.contracts.tools.terms import settled
from refgrad.typing import Array

__all__ = ["BATCH_NORM", "LAYER_NORM"]


class Normalization:
    """One axis to average over, and the derivatives.

    Parameters
    ----------
    axis : int
    """

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def mean(self, x: Array) -> Array:
        """The mean over the axis, which is kept with length 1."""
        axis = self.axis % x.ndim
        return of(x).sum(x, (axis,), True) / x.shape[axis]

    def deviations(self, x: Array) -> Array:
        """``x - mean x``, as one term: where x is far from 0 it loses what x itself loses when it is rounded."""
        return settled(x - self.mean(x))

    def scale(self, x: Array) -> Array:
        """``s``."""
        c = self.deviations(x)
        return 1 / of(x).sqrt((1024 * self.mean(c * c) + 1) / 1024)

    def value(self, x: Array) -> Array:
        """``c s``."""
        return self.deviations(x) * self.scale(x)

    def twice_mean(self, a: Any, b: Any) -> Array:
        """``2 mean(a b)``."""
        return 2 * self.mean(a * b)

    def first(self, x: Array, u: Array) -> Array:
        """``c_u s + c s_u``."""
        c, c_u, s = self.deviations(x), self.deviations(u), self.scale(x)
        return c_u * s - c * s * s * s * self.twice_mean(c, c_u) / 2

    def second(self, x: Array, u: Array, v: Array) -> Array:
        """``c_u s_v + c_v s_u + c s_uv``."""
        c, c_u, c_v, s = self.deviations(x), self.deviations(u), self.deviations(v), self.scale(x)
        cube, q_u, q_v = s * s * s, self.twice_mean(c, c_u), self.twice_mean(c, c_v)
        s_u, s_v = -cube * q_u / 2, -cube * q_v / 2
        s_uv = 3 * cube * s * s * q_u * q_v / 4 - cube * self.twice_mean(c_u, c_v) / 2
        return c_u * s_v + c_v * s_u + c * s_uv

    def saved(self, x: Array, u: Array, v: Array) -> Array:
        """``v s_u - c s^3 mean(c_u v)``: where x stands it moves, and its mean and s do not."""
        c, c_u, s = self.deviations(x), self.deviations(u), self.scale(x)
        return -(v * self.twice_mean(c, c_u) + c * self.twice_mean(c_u, v)) * s * s * s / 2

    def saved_other_order(self, x: Array, u: Array, v: Array) -> Array:
        """`saved` with u and v exchanged."""
        return self.saved(x, v, u)

    def scale_saved(self, x: Array, u: Array) -> Array:
        """``c_u s``."""
        return self.deviations(u) * self.scale(x)

    def statistics_saved(self, x: Array, u: Array) -> Array:
        """``u s``."""
        return u * self.scale(x)


def operator(name: str, formula: str, axis: int, *references: str) -> Operator:
    """Normalization over one axis."""
    norm = Normalization(axis)
    meaning = "the derivative of the first derivative with the saved mean and s held still"
    formulas = "-s^3 (v mean(c c_u) + c mean(c_u v))", "-s^3 (u mean(c c_v) + c mean(c_v u))"
    return Operator(
        name=name,
        formula=formula,
        value=norm.value,
        first=norm.first,
        second=norm.second,
        shape=lambda x: x,
        wrong={
            1: (
                Variant(
                    "statistics-detached", "u s", "the derivative with mean and s held still", (), norm.statistics_saved
                ),
                Variant("scale-detached", "(u - mean u) s", "the derivative with s held still", (), norm.scale_saved),
            ),
            2: (
                Variant("saved-statistics", formulas[0], meaning, references, norm.saved),
                Variant(
                    "saved-statistics-other-order",
                    formulas[1],
                    f"{meaning}, with u and v exchanged",
                    references,
                    norm.saved_other_order,
                ),
            ),
        },
    )


LAYER_NORM = operator(
    "layer_norm",
    "(x - mean) / sqrt(variance + 2^-10) of every row of a matrix x; the variance over n, no weight, no bias",
    -1,
    "https://github.com/pytorch/pytorch/issues/196700",
)

BATCH_NORM = operator(
    "batch_norm",
    "(x - mean) / sqrt(variance + 2^-10) of every column of x of shape (N, C), the statistics those of the batch; the "
    "variance over N, no weight, no bias",
    0,
    "https://github.com/pytorch/pytorch/issues/196699",
)
