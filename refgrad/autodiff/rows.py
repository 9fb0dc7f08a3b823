"""Rows of a Jacobian that reverse mode has spoilt for one another, taken from forward mode.

Reverse mode pulls a unit vector back for each output. Its zeros, which stand for the other outputs, meet the slopes of
these on their way, and 0 times an infinite or NaN slope is NaN: one NaN among the outputs leaves NaN in every row.
Forward mode multiplies along the ways from one argument to one output: what is infinite or NaN on the way to another
output does not come into it. Where its entry is a number, every slope on those ways is finite, or is met by no tangent
at all, as in what `refgrad.numpy.where` did not choose; so it is the sum that the chain rule states.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from refgrad import backend
from refgrad.autodiff.batch import BatchTracer, batched_at
from refgrad.autodiff.core import PRIMITIVES, Tracer, primal
from refgrad.autodiff.linearize import Run
from refgrad.backend import shape_of
from refgrad.typing import Array

__all__ = ["independent_rows"]

MOST_PASSES = 100
"""Of forward mode, each for as many columns as there are rows, and so as long as the Jacobian took."""


def independent_rows(run: Run, blocks: list[Array]) -> list[Array]:
    """The rows of a Jacobian, one block for each argument, in which no row holds the NaN of another.

    An entry that is NaN, though its output is not, is that of forward mode. One output has no others, and its row is
    left to agree with `grad`. So is everything inside other transformations than `vmap`, where a value decides nothing.
    """
    if sum(math.prod(shape_of(y)) for y in run.values) < 2:
        return blocks
    return [_independent(run, k, block) if _may_be_nan(block) else block for k, block in enumerate(blocks)]


def _may_be_nan(x: Array) -> bool:
    while type(x) is BatchTracer:
        x = x.value
    if isinstance(x, Tracer):
        return False
    xp = backend.of(x)
    return not xp.exact and bool(_on_host(xp.isnan(x)).any())


def _on_host(x: Any) -> np.ndarray:
    return np.asarray(x.get() if hasattr(x, "get") else x)


def _independent(run: Run, k: int, block: Array) -> Array:
    """The rows by argument k, with the entries that forward mode knows better."""
    rows, *shape = shape_of(block)
    n = math.prod(shape)
    reshape, concat, isnan = PRIMITIVES["reshape"], PRIMITIVES["concat"], PRIMITIVES["isnan"]
    matrix = reshape(block, shape=(rows, n))
    undefined = concat(*(reshape(isnan(y), shape=(math.prod(shape_of(y)), 1)) for y in run.values), axis=0)
    spoilt = PRIMITIVES["bitwise_and"](isnan(matrix), PRIMITIVES["invert"](undefined))
    columns = np.flatnonzero(_on_host(primal(spoilt)).reshape(-1, n).any(axis=0))
    if not 0 < len(columns) <= MOST_PASSES * rows:
        return block
    like = primal(matrix)
    xp = backend.of(like)

    def push(t: Array) -> list[Array]:
        return run.push([t if i == k else None for i in range(len(run.primals))])

    parts = []
    for start in range(0, len(columns), rows):
        chosen = columns[start : start + rows]
        with np.errstate(all="ignore"):  # reverse mode has said what there is to say
            units = reshape(xp.onehot(xp.xp.asarray(chosen), n, like), shape=(len(chosen), *shape))
            found = batched_at(push, (units,), {}, 0, 0)
        parts.append(concat(*(reshape(y, shape=(len(chosen), math.prod(shape_of(y)[1:]))) for y in found), axis=1))
    forward = PRIMITIVES["transpose"](concat(*parts, axis=0), axes=(1, 0))
    both = concat(matrix, PRIMITIVES["astype"](forward, dtype=like.dtype), axis=1)
    places = np.arange(n)
    places[columns] = n + np.arange(len(columns))
    chosen = PRIMITIVES["take"](both, xp.xp.asarray(places), axis=1)
    return reshape(PRIMITIVES["where"](spoilt, chosen, matrix), shape=shape_of(block))
