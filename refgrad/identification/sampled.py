"""Fisher diagonals that chance had a part in: labels drawn from the model, batches in an order that is not known.

Both are told by their moments, weight by weight, and are never exact. With J batches of B examples that were shuffled,
``m`` and ``var`` the mean and the variance over examples of a score,

    E (mean_{n in j} s_n)^2 = m^2 + var (1 - (B - 1) / (N - 1)) / B,

also for a smaller last one, which gives B if there are several batches; with R labels drawn for each example, the error
of ``1/(N R) sum s^2`` has the variance

    1/(N^2 R) sum_n (sum_c p_nc s_nc^4 - (sum_c p_nc s_nc^2)^2),

which gives R.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from refgrad.contracts.continual.fisher import blocks
from refgrad.identification.ranking import sine
from refgrad.identification.recorded import Recorded

__all__ = ["Sampled", "batch_sizes", "sampled"]

LEAST, MOST = 0.1, 3.0
"""Between which the mean of squared errors in units of their variance has to lie; weights are correlated."""
BATCHES = 6
"""So many batches are needed to tell their size by."""
NEARLY = 0.5
"""Of the logarithm of a likelihood, for each weight; what is closer than that is left open."""
SCALES: dict[tuple[str, str], tuple[str, Any]] = {
    ("batch-mean-squared", ""): ("mean over batches of squared mean gradients", lambda B, N, J: 1 / J),
    ("batch-mean-squared-times-size", "-over-n"): (
        "mean over batches, each counted by its size, of squared mean gradients", lambda B, N, J: B / N),
    ("batch-mean-squared", "-summed"): ("sum over batches of squared mean gradients", lambda B, N, J: 1 + 0 * J),
    ("batch-sum-squared", ""): ("mean over batches of squared summed gradients", lambda B, N, J: B**2 / J),
    ("batch-sum-squared", "-over-n"): (
        "sum over batches of squared summed gradients, over N,", lambda B, N, J: B**2 / N),
    ("batch-sum-squared", "-summed"): ("sum over batches of squared summed gradients", lambda B, N, J: B**2 + 0 * J),
}  # fmt: skip
"""What the squared mean gradient of a batch of B is multiplied by, of J batches, before all are added up."""
DRAWN = 50
"""Labels for each example, of which more are not told from all of them."""


@dataclass(frozen=True)
class Sampled:
    """A formula with chance in it, and how unlikely it makes what came, by errors and their variances."""

    name: str
    meaning: str
    unlikely: float


def sampled(recorded: Recorded) -> list[Sampled]:
    """What an output may be that no formula gives exactly: the most likely, and what is nearly as likely."""
    found = sorted([*_shuffled(recorded), *_drawn(recorded)], key=lambda s: s.unlikely)
    return [one for one in found if one.unlikely <= found[0].unlikely + NEARLY]


def batch_sizes(recorded: Recorded) -> list[int]:
    """The sizes of batches, in the order of the examples, whose squares an output is a multiple of."""
    logits, theta, places, y = recorded.arguments(0.0, 0)
    N, found = len(y), []
    for label in ("data", "argmax"):
        scores = []
        for block in blocks(logits, theta, places, N):
            chosen = y[block.start : block.start + len(block.p)] if label == "data" else block.z.argmax(1)
            scores.append(block.s[np.arange(len(chosen)), chosen])
        ends = np.vstack([np.zeros_like(recorded.output), np.cumsum(np.concatenate(scores), axis=0)])
        for B in range(2, N):
            edges = np.array([*range(0, N, B), N])
            squares, counts = np.diff(ends[edges], axis=0) ** 2, np.diff(edges)[:, None]
            full = len(counts) - 1 if N % B else len(counts)
            means = (squares / counts**2).sum(0), (squares / counts).sum(0), squares.sum(0), squares[:full].sum(0)
            if any(sine(recorded.output, f) < 1e-3 for f in means):
                found.append(B)
    return found


def _drawn(recorded: Recorded) -> Iterator[Sampled]:
    """Labels drawn from the model."""
    logits, theta, places, y = recorded.arguments(0.0, 0)
    N, mean, variance = len(y), 0 * recorded.output, 0 * recorded.output
    for block in blocks(logits, theta, places, N):
        squares = block.s**2
        second = (block.p[:, :, None] * squares).sum(1)
        mean = mean + second.sum(0) / N
        variance = variance + ((block.p[:, :, None] * squares**2).sum(1) - second**2).sum(0) / N**2
    q, unlikely = _misfit(recorded.output, mean, variance)
    if 1 / DRAWN <= q <= MOST:
        R = max(1, round(1 / q))
        several = f"about {R} labels" if R > 1 else "one label"
        name = "sampled-label" if R == 1 else f"sampled-labels-about-{R}"
        meaning = f"the squared gradient at {several} drawn from the model for each example"
        yield Sampled(name, meaning, unlikely)


def _shuffled(recorded: Recorded) -> Iterator[Sampled]:
    """Gradients of batches in an unknown order, squared."""
    logits, theta, places, y = recorded.arguments(0.0, 0)
    N = len(y)
    sizes = np.arange(2, N // 2 + 1)
    for label, words in (("data", ""), ("argmax", "argmax-label-with-"), ("model", "sampled-label-with-")):
        first, second = 0 * recorded.output, 0 * recorded.output
        for block in blocks(logits, theta, places, N):
            if label == "model":
                second = second + (block.p[:, :, None] * block.s**2).sum((0, 1)) / N
                continue
            chosen = y[block.start : block.start + len(block.p)] if label == "data" else block.z.argmax(1)
            s = block.s[np.arange(len(chosen)), chosen]
            first, second = first + s.sum(0) / N, second + (s**2).sum(0) / N
        square, spread = first**2, second - first**2
        full, last = N // sizes, N % sizes
        for (unit, suffix), (what, weight) in SCALES.items():
            expected, variance = np.zeros((2, len(sizes), len(spread)))
            for count, J in ((sizes, full), (last, np.minimum(last, 1))):  # full batches, and a smaller last one
                shares = (1 - (count - 1) / (N - 1)) / np.maximum(count, 1)
                between = shares[:, None] * spread  # of the means of batches, the variance
                w = weight(np.maximum(count, 1), N, -(-N // sizes))
                expected += (J * w)[:, None] * (square + between)
                variance += (J * w**2)[:, None] * (2 * between**2 + 4 * square * between)
            moving = np.flatnonzero(spread > 1e-9 * np.max(spread, initial=0.0))
            if not len(moving) or not len(sizes):
                continue
            errors = (recorded.output - expected)[:, moving] ** 2 / variance[:, moving]
            place = int((errors + np.log(variance[:, moving])).mean(1).argmin())
            if BATCHES * sizes[place] > N:
                continue
            B = int(sizes[place])
            q, unlikely = _misfit(recorded.output, expected[place], variance[place])
            if LEAST <= q <= MOST:
                meaning = f"the {what} of about {B} examples, in another order"
                if label != "data":
                    where = "most likely for the model" if label == "argmax" else "drawn from the model"
                    meaning += f", at the labels {where}"
                yield Sampled(f"{words}{unit}-by-about-{B}{suffix}", meaning, unlikely + abs(np.log(q)))


def _misfit(y: np.ndarray, expected: np.ndarray, variance: np.ndarray) -> tuple[float, float]:
    """The mean over weights of squared errors in units of their variance, and of that plus the variance's logarithm."""
    moving = variance > 1e-9 * np.max(variance, initial=0.0)
    above = (y > expected)[moving].mean() if np.any(moving) else 0.0
    if not LEAST <= above <= 1 - LEAST:
        return 0.0, np.inf
    squares = (y - expected)[moving] ** 2 / variance[moving]
    return float(squares.mean()), float(
        (squares / max(1e-12, squares.mean()) + np.log(variance[moving] * squares.mean())).mean()
    )
