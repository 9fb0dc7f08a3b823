"""Losses. Each gives one number for each example or element, then their mean, their sum, or all of them.

`reduction` is ``"mean"``, ``"sum"`` or ``"none"``. A mean is over the examples: for `cross_entropy` and `kl_divergence`
the classes are summed over, and for the elementwise losses every element is an example.

References
----------
.. [huber1964] P. J. Huber, Robust estimation of a location parameter, Annals of Mathematical Statistics 35, 1964.
"""

from __future__ import annotations

import math
from typing import Any

from refgrad import backend
from refgrad.autodiff.core import primal
from refgrad.autodiff.rules import shape as rules
from refgrad.autodiff.rules.elementwise import join, weigh
from refgrad.backend import shape_of
from refgrad.errors import InvalidInput, ShapeError
from refgrad.numpy.conversion import asarray, floating, ones_like
from refgrad.numpy.creation import number_like
from refgrad.numpy.elementwise import arctan, exp, lgamma, log, softplus, where
from refgrad.numpy.indexing import beside, take_along_axis, wide
from refgrad.numpy.nn.activations import log_softmax
from refgrad.numpy.reductions import axes_of, mean, sum
from refgrad.typing import Array


def mean_squared_error(prediction: Any, target: Any, *, reduction: str = "mean") -> Array:
    """``(prediction - target)**2``, without a factor 1/2.

    Parameters
    ----------
    prediction, target : arrays of one shape
    reduction : str
        The mean is over all elements.
    """
    residual = _fitting(prediction, target, "mean_squared_error")
    return _reduce(residual * residual, reduction)


def huber(prediction: Any, target: Any, *, delta: Any = 1, reduction: str = "mean") -> Array:
    """``r**2 / 2`` where ``|r| <= delta`` and ``delta * (|r| - delta / 2)`` elsewhere, r = prediction - target.

    Twice differentiable but at ``|r| = delta``, where the second derivative is that of the inside [huber1964]_.

    Parameters
    ----------
    prediction, target : arrays of one shape
    delta : number
        Where the square ends, positive.
    reduction : str
        The mean is over all elements.
    """
    r = _fitting(prediction, target, "huber")
    size = where(r < 0, -r, r)  # abs has a kink at 0, where huber has none
    inside = where(size <= delta, r, 0)  # no square of a large residual, whose derivative is weighed with 0
    loss = where(size <= delta, inside * inside / 2, delta * (size - number_like(r, 1) * delta / 2))
    return _reduce(join(loss, lambda: size - delta), reduction)


def cross_entropy(logits: Any, labels: Any, *, axis: int = -1, reduction: str = "mean") -> Array:
    """``logsumexp(logits) - logits[label]``: minus the log-probability of the labels under the softmax of the logits.

    With labels t of the shape of the logits z, ``-sum(t * log_softmax(z))``: its expectation under probabilities t, as
    in distillation, label smoothing and replay. The gradient is ``softmax(z) * sum(t) - t`` by z, for t of any sum, and
    ``-log_softmax(z)`` by t.

    Parameters
    ----------
    logits : array, shape (..., C, ...)
        With -inf where a class is left out.
    labels : array
        Integers from 0 to C - 1, of the shape of the logits without `axis`; or numbers of the shape of the logits.
        Where a number is 0 and the logit is -inf, the term and its derivatives are 0.
    axis : int
        That of the classes, which are summed over.
    reduction : str
        The mean is over the examples: what is left without `axis`.

    Raises
    ------
    ShapeError
        If the shapes do not fit.
    InvalidInput
        If labels without the axis of the classes are not integers.
    IndexError
        If a label is out of range.
    """
    logits = asarray(logits)
    place = axes_of(logits, axis, "cross_entropy")[0]
    labels, dims = beside(asarray(labels), logits), shape_of(logits)
    if shape_of(labels) == dims:
        return _reduce(-sum(floating(labels) * _finite(log_softmax(logits, place), labels), place), reduction)
    if shape_of(labels) != dims[:place] + dims[place + 1 :]:
        raise ShapeError(
            f"cross_entropy: expected integer labels of shape {dims[:place] + dims[place + 1 :]} or probabilities of "
            f"shape {dims}, got {shape_of(labels)}"
        )
    if getattr(getattr(labels, "dtype", None), "kind", "i") not in "iu":
        raise InvalidInput(
            f"cross_entropy: expected integer labels, got {primal(labels).dtype}; probabilities have the shape {dims} "
            "of the logits"
        )
    # an unsigned dtype has no negatives, by which the range is looked up
    column = rules.reshape(wide(labels), shape=(*dims[:place], 1, *dims[place + 1 :]))
    chosen = take_along_axis(log_softmax(logits, place), _within(column, dims[place]), place)
    return _reduce(rules.reshape(-chosen, shape=shape_of(labels)), reduction)


def _finite(log_p: Array, weights: Array) -> Array:
    """The logarithms of probabilities, 0 in place of -inf where the weight is 0."""
    if backend.of(primal(log_p)).exact:  # no exact number is infinite
        return log_p
    return where((weights == 0) & (log_p == -math.inf), 0, log_p)


def _within(labels: Array, n: int) -> Array:
    """The labels, if all are from 0 to n - 1: -1 would be the last class, not a label to be left out."""
    plain = primal(labels)
    if 0 not in shape_of(plain):
        xp, every = backend.of(plain), tuple(range(len(shape_of(plain))))
        low, high = -int(xp.amax(-plain, every, False)), int(xp.amax(plain, every, False))
        if low < 0 or high >= n:
            raise IndexError(f"cross_entropy: expected labels from 0 to {n - 1}, got {low} to {high}")
    return labels


def binary_cross_entropy(logits: Any, targets: Any, *, reduction: str = "mean") -> Array:
    """``targets * softplus(-logits) + (1 - targets) * softplus(logits)``: minus the log-likelihood of `targets`.

    Parameters
    ----------
    logits : array
    targets : array of numbers from 0 to 1, shape of the logits
        Probabilities of 1, or 0 and 1 themselves.
    reduction : str
        The mean is over all elements.
    """
    x, t = _same_shape(logits, targets, "binary_cross_entropy")
    return _reduce(weigh(t, softplus(-x)) + weigh(1 - t, softplus(x)), reduction)


def gaussian_nll(mean: Any, target: Any, variance: Any, *, full: bool = False, reduction: str = "mean") -> Array:
    """``(log(variance) + (target - mean)**2 / variance) / 2``: minus the log-density of a normal distribution.

    Parameters
    ----------
    mean, target, variance : arrays
        `variance`, positive, is broadcast against the others.
    full : bool
        Whether to add the constant ``log(2 * pi) / 2``.
    reduction : str
        The mean is over all elements.
    """
    residual, variance = _fitting(mean, target, "gaussian_nll"), asarray(variance)
    terms = log(variance) + residual / variance * residual
    if full:
        terms = terms + log(8 * arctan(number_like(residual, 1)))  # 2 pi
    return _reduce(terms / 2, reduction)


def poisson_nll(log_rate: Any, target: Any, *, full: bool = False, reduction: str = "mean") -> Array:
    """``exp(log_rate) - target * log_rate``: minus the log-likelihood of counts.

    Parameters
    ----------
    log_rate, target : arrays of one shape
    full : bool
        Whether to add ``log(target!) = lgamma(target + 1)``, which does not depend on the rate.
    reduction : str
        The mean is over all elements.
    """
    x, t = _same_shape(log_rate, target, "poisson_nll")
    # beyond 1000 the rate is infinite in every format: no infinity is taken from that
    finite = x if backend.of(primal(x)).exact else where(x > 1000, 1000, x)
    losses = exp(x) - weigh(t, finite)
    return _reduce(losses + lgamma(t + ones_like(x)) if full else losses, reduction)


def kl_divergence(logits_p: Any, logits_q: Any, *, axis: int = -1, reduction: str = "mean") -> Array:
    """``sum(p * (log(p) - log(q)))`` over the classes, for ``p = softmax(logits_p)`` and ``q = softmax(logits_q)``.

    Parameters
    ----------
    logits_p, logits_q : arrays of one shape
        With -inf where a probability is 0; where p is 0, so is the term.
    axis : int
        That of the classes.
    reduction : str
        The mean is over what is left without `axis`.
    """
    x, y = _same_shape(logits_p, logits_q, "kl_divergence")
    log_p, log_q = log_softmax(x, axis), log_softmax(y, axis)
    p = exp(log_p)
    distance = where(p == 0, 0, log_p) - where(p == 0, 0, log_q)
    return _reduce(sum(p * distance, axis), reduction)


def _same_shape(a: Any, b: Any, what: str) -> tuple[Array, Array]:
    a, b = floating(a), asarray(b)
    if shape_of(a) != shape_of(b):
        # (n,) against (n, 1) would be broadcast to (n, n) without a word
        raise ShapeError(f"{what}: expected two arrays of one shape, got {shape_of(a)} and {shape_of(b)}")
    return a, b


def _fitting(prediction: Any, target: Any, what: str) -> Array:
    a, b = _same_shape(prediction, target, what)
    return a - b


def _reduce(losses: Array, reduction: str) -> Array:
    if reduction not in ("mean", "sum", "none"):
        raise InvalidInput(f"expected reduction mean, sum or none, got {reduction!r}")
    return losses if reduction == "none" else mean(losses) if reduction == "mean" else sum(losses)
