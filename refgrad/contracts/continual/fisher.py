"""Diagonals of Fisher information matrices, by their definitions, and whatever is squared and added up in their place.

With ``p_n = softmax(z_n)`` and the score ``s_nc = d log p_nc / d theta = J_nc - sum_k p_nk J_nk``, the diagonals are

    true:       ``1/N sum_n sum_c p_nc s_nc^2``      the label is drawn from the model
    empirical:  ``1/N sum_n s_{n, y_n}^2``           the label is the one in the data

squares elementwise, per example, *mean* over examples. In their magnitudes ``|J_nc| + sum_k p_nk |J_nk|`` stands for
the score.

References
----------
Amari 1998, Natural gradient works efficiently in learning; Kunstner, Balles and Hennig 2019, Limitations of the
empirical Fisher approximation, arXiv 1905.12558, eqs. (2) and (3), with sums for means; Kirkpatrick et
al. 2017, arXiv 1612.00796.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from refgrad.backend import of
from refgrad.contracts.continual.logits import Logits
from refgrad.contracts.tools.answer import NotApplicable
from refgrad.contracts.tools.terms import measured, settled
from refgrad.typing import Array

__all__ = [
    "Diagonal", "Scores", "blocks", "empirical_fisher_diagonal", "fisher_diagonal", "gaussian_fisher_diagonal",
]  # fmt: skip

_BLOCK = 2**23  # numbers of a Jacobian that are held at once: 64 MiB of float64


@dataclass(frozen=True)
class Scores:
    """What every diagonal is made of, for a block of n examples.

    Attributes
    ----------
    start : int
        The place of the first one among all examples.
    z, p : array, shape (n, C)
        Logits, which are rational where the model is, and probabilities.
    J, s : array, shape (n, C, p)
        Derivatives of the logits and of the log-probabilities.
    """

    start: int
    z: Array
    p: Array
    J: Array
    s: Array


def blocks(logits: Logits, theta: Array, X: Array, count: int) -> Iterator[Scores]:
    """The scores of all labels of `count` examples, as many examples at once as 64 MiB hold."""
    start, step = 0, max(1, _BLOCK // (logits(theta, X[:1]).shape[1] * theta.shape[0]))
    while start < count:
        here = X[start : start + step]
        z, J = logits(theta, here), settled(logits.jacobian(theta, here))
        xp = of(z, J)
        e = xp.exp(z - xp.amax(z, (1,), True))
        p = e / xp.sum(e, (1,), True)
        yield Scores(start, z, p, J, J - xp.sum(p[:, :, None] * J, (1,), True))
        start += step


@dataclass(frozen=True)
class Diagonal:
    """A diagonal, as a function ``(logits, theta, X, y)``; the choices by default are those of the true Fisher.

    Attributes
    ----------
    label : str
        At which labels the scores are taken: ``"model"``: at all of them, weighted; ``"data"``; ``"argmax"``: the most
        likely one; ``"next"``: that of the example after it, and for the last one that of the first; ``"sum"``,
        ``"mean"``: the sum or the mean of the scores of all labels.
    weight : str or int
        Of all labels: ``""``: their probabilities; ``"uniform"``: 1/C; ``"none"``: 1; a number k: the probabilities of
        the k most likely ones. Of one label: ``""``: 1; ``"p"``: its probability.
    kind : str
        ``"log"``: squares of scores; ``"p"``: of gradients of probabilities; ``"abs"``: absolute scores.
    batch : int
        How many examples, in their order, are added up before they are squared; 0 stands for all.
    last : bool
        Whether a smaller last batch counts.
    unit : str
        Of a batch of b examples: ``"mean"``: the squared mean; ``"sum"``: the squared sum; ``"size"``: b times the
        squared mean.
    scale : str or tuple
        Of the sum over the units, which are examples or batches: ``"mean"``: 1 over their number; ``"sum"``: 1;
        ``"n-1"``: 1 over their number less 1; ``"N"``: 1 over the number of examples; ``"N^2"``; ``"NC"``;
        ``("batches", B)``: 1 over the number of batches of B; ``("padded", B)``: 1 over B times that;
        ``("means", B)``: the mean over batches of B of the mean over the examples of each.
    """

    label: str = "model"
    weight: str | int = ""
    kind: str = "log"
    batch: int = 1
    last: bool = True
    unit: str = "mean"
    scale: str | tuple[str, int] = "mean"

    def __call__(self, logits: Logits, theta: Array, X: Array, y: Any) -> Array:
        """The diagonal, shape (p,), for theta of shape (p,), X of shape (N, d) and labels y of shape (N,)."""
        y = np.asarray(y)
        divisor = self._divisor(len(y), lambda: logits(theta, X[:1]).shape[1])
        squares = self._of_examples if self.batch == 1 else self._of_batches
        total: Array = 0
        for part in squares(blocks(logits, theta, X, len(y)), y):
            total = part + total
        return total / divisor

    def _divisor(self, count: int, classes: Callable[[], int]) -> int:
        """What the sum over the units is divided by."""
        rule, size = self.scale if isinstance(self.scale, tuple) else (self.scale, self.batch or count)
        units = -(-count // size) if self.last else count // size
        if count == 1 and self.batch != 1:
            raise NotApplicable("one example is its own batch")
        if rule == "means" and (count < size or count % size == 0):
            raise NotApplicable("the batches are of one size")
        if units == 0 or (rule == "n-1" and units == 1):
            raise NotApplicable("there are too few examples")
        if isinstance(self.weight, int) and self.weight >= classes():
            raise NotApplicable("these are all classes")
        if rule == "NC":
            return units * classes()
        divisors = {"sum": 1, "n-1": units - 1, "N": count, "N^2": count**2, "padded": units * size}
        return divisors.get(rule, units)

    def _of_examples(self, found: Iterator[Scores], y: Any) -> Iterator[Array]:
        """For each block the sum over its examples."""
        for block in found:
            s, weights = self._scores(block, y)
            square = abs(s) if self.kind == "abs" else s * s
            square = square if weights is None else weights[:, :, None] * square
            if isinstance(self.scale, tuple) and self.scale[0] == "means":
                size = self.scale[1]
                starts = (block.start + np.arange(len(s))) // size * size
                square = square / np.minimum(size, len(y) - starts)[:, None, None]
            yield of(square).sum(square, (0, 1), False)

    def _of_batches(self, found: Iterator[Scores], y: Any) -> Iterator[Array]:
        """The square of each batch, which may begin in one block and end in another."""
        count, size = len(y), self.batch or len(y)
        inside: Array = 0
        for block in found:
            s, _ = self._scores(block, y)
            stop = block.start + len(s)
            for first in range(block.start // size * size, stop, size):
                end = min(first + size, count)
                inside = of(s).sum(s[max(first - block.start, 0) : end - block.start, 0], (0,), False) + inside
                if end <= stop:
                    if self.last or end - first == size:
                        yield self._square(inside, end - first)
                    inside = 0

    def _square(self, inside: Array, size: int) -> Array:
        inside = inside if self.unit == "sum" else inside / size
        square = abs(inside) if self.kind == "abs" else inside * inside
        return square * size if self.unit == "size" else square

    def _scores(self, block: Scores, y: Any) -> tuple[Array, Array | None]:
        """What is squared of each example, shape (n, R, p), and the weights, shape (n, R), if they are not all 1."""
        p, s, xp = block.p, block.s, of(block.s)
        n, C = p.shape
        weights: Array | None = p
        if self.label in ("sum", "mean"):
            s, weights = xp.sum(s, (1,), True), None
            s = s if self.label == "sum" else s / C
        elif self.label != "model":
            at = np.arange(n)[:, None], self._labels(block, y)[:, None]
            p, s = p[at], s[at]
            weights = p if self.weight == "p" else None
        elif self.weight == "none":
            weights = None
        elif self.weight == "uniform":
            weights = (0 * p + 1) / C
        elif self.weight:
            weights = p * (ranks(block.z) < self.weight)
        return (p[:, :, None] * s if self.kind == "p" else s), weights

    def _labels(self, block: Scores, y: Any) -> Any:
        if self.label == "argmax":  # of the logits: a tie between balls of probabilities is never decided
            return np.asarray(of(block.z).argmax(block.z, 1))
        places = block.start + np.arange(len(block.z))
        return y[places] if self.label == "data" else y[(places + 1) % len(y)]

    def __str__(self) -> str:
        at = {"data": "{n, y_n}", "argmax": "{n, c_n}", "next": "{n, y_(n+1)}"}.get(self.label, "nc")
        score = {"sum": "sum_c s_nc", "mean": "1/C sum_c s_nc"}.get(self.label, f"s_{at}")
        score = f"p_{at} {score}" if self.kind == "p" else score
        rule, size = self.scale if isinstance(self.scale, tuple) else (self.scale, self.batch)
        scales = {"sum": "", "N": "1/N ", "N^2": "1/N^2 ", "NC": "1/(N C) ", "padded": f"1/({size} J) "}
        if self.batch == 1:
            weight = {"": "p_nc ", "uniform": "1/C ", "none": "", "p": f"p_{at} "}.get(str(self.weight), "p_nc ")
            inside = f"{weight if self.label == 'model' or self.weight == 'p' else ''}{self._power(score)}"
            every = f"sum_(c among the {self.weight} likeliest)" if isinstance(self.weight, int) else "sum_c"
            inside = f"{every} {inside}" if self.label == "model" else inside
            scales |= {"mean": "1/N ", "n-1": "1/(N - 1) ", "batches": "1/J ", "means": "1/J sum_j 1/b_j "}
            said = f"{scales[rule]}sum_{'(n in j)' if rule == 'means' else 'n'} {inside}"
        else:
            b, among = ("b_j", "sum_(n in j)") if self.batch else ("N", "sum_n")
            inside = self._power(f"{among} {score}" if self.unit == "sum" else f"1/{b} {among} {score}")
            scales |= {"mean": "1/J " if self.batch else "", "n-1": "1/(J - 1) "}
            said = f"{scales[rule]}{'sum_j ' if self.batch else ''}{f'{b} ' if self.unit == 'size' else ''}{inside}"
        said += f", the J batches j of {size}{'' if self.last else ' without a smaller last one'}" if size > 1 else ""
        return said + (", c_n = argmax_c p_nc" if self.label == "argmax" else "")

    def _power(self, inside: str) -> str:
        inside = f"({inside})" if " " in inside.replace(", ", ",") and self.kind != "abs" else inside
        return f"|{inside}|" if self.kind == "abs" else f"{inside}^2"


def ranks(z: Array) -> Any:
    """The place of each class among those of its example, shape (n, C), 0 for the most likely one."""
    down = np.asarray(of(z).argsort(-z, 1))
    places = np.empty(down.shape, int)
    np.put_along_axis(places, down, np.broadcast_to(np.arange(down.shape[1]), down.shape), 1)
    return places


@measured
def fisher_diagonal(logits: Logits, theta: Array, X: Array, y: Any) -> Array:
    """The diagonal of the true Fisher information, mean over examples, shape (p,). The labels `y` have no influence.

    Parameters
    ----------
    logits : Logits
    theta : array, shape (p,)
    X : array, shape (N, d)
    y : array of int, shape (N,)
    """
    return Diagonal()(logits, theta, X, y)


@measured
def empirical_fisher_diagonal(logits: Logits, theta: Array, X: Array, y: Any) -> Array:
    """The mean over examples of the squared score of the example's own label, shape (p,)."""
    return Diagonal("data")(logits, theta, X, y)


@measured
def gaussian_fisher_diagonal(X: Array, variance: Any) -> Array:
    """``1/(N variance) sum_n x_n^2``, shape (d,): the Fisher of ``y ~ N(x . theta, variance)``, rational in X."""
    return of(X).sum(X * X, (0,), False) / X.shape[0] / variance
