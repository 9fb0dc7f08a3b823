"""Normalisation by moments of the very numbers that are normalised.

The moments are differentiated like everything else. A rule that holds the mean and the inverse deviation fixed is right
to first order and silently wrong beyond.

References
----------
.. [ioffe2015] S. Ioffe, C. Szegedy, Batch normalization, ICML 2015, algorithm 1.
.. [ba2016] J. L. Ba, J. R. Kiros, G. E. Hinton, Layer normalization, arXiv:1607.06450, eq. (4).
.. [zhang2019] B. Zhang, R. Sennrich, Root mean square layer normalization, NeurIPS 2019, eq. (4).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from refgrad.autodiff.rules import shape as rules
from refgrad.autodiff.rules.norm import norm
from refgrad.backend import shape_of
from refgrad.errors import ShapeError
from refgrad.numpy.conversion import asarray, astype, floating
from refgrad.numpy.creation import number_like
from refgrad.numpy.elementwise import sqrt
from refgrad.numpy.reductions import axes_of, mean
from refgrad.numpy.statistics import var
from refgrad.typing import Array, Axes


def layer_norm(x: Any, gain: Any = None, bias: Any = None, *, axis: Axes = -1, epsilon: Any = 1e-5) -> Array:
    """``gain * (x - mean) / sqrt(var + epsilon) + bias``, with the moments over `axis` of each example.

    Parameters
    ----------
    x : array
    gain, bias : arrays, optional
        Broadcast against x.
    axis : int or tuple of ints
        What is normalised together, the features.
    epsilon : number
        Added to the variance, which is divided by N. Exact arrays need an exact one, such as ``Fraction(1, 100000)``.

    References
    ----------
    [ba2016]_
    """
    x = asarray(x)
    z = _wide(x)
    y = _by_root(z - mean(z, axis, keepdims=True), axes_of(x, axis, "layer_norm"), epsilon)
    return _scale_and_shift(_narrow(y, x), gain, bias)


def rms_norm(x: Any, gain: Any = None, *, axis: Axes = -1, epsilon: Any = 1e-5) -> Array:
    """``gain * x / sqrt(mean(x**2) + epsilon)``, with the mean over `axis` of each example [zhang2019]_.

    Parameters
    ----------
    x : array
    gain : array, optional
        Broadcast against x.
    axis : int or tuple of ints
        What is normalised together, the features.
    epsilon : number
        Added to the mean square; see `layer_norm`.
    """
    x = floating(x)
    z = _wide(x)
    return _scale_and_shift(_narrow(_by_root(z, axes_of(x, axis, "rms_norm"), epsilon), x), gain, None)


def batch_norm(
    x: Any,
    gain: Any = None,
    bias: Any = None,
    *,
    axis: int = 1,
    epsilon: Any = 1e-5,
    statistics: tuple[Any, Any] | None = None,
) -> tuple[Array, Array, Array]:
    """``gain * (x - mean) / sqrt(var + epsilon) + bias``, with the moments of each channel over the batch.

    Parameters
    ----------
    x : array, shape (N, C, ...)
    gain, bias : arrays, shape (C,), optional
    axis : int
        That of the channels; the moments are over all the others.
    epsilon : number
        Added to the variance; see `layer_norm`.
    statistics : pair of arrays, shape (C,), optional
        Mean and variance to be used in place of the batch's, as after training.

    Returns
    -------
    y : array, shape of x
    mean, var : arrays, shape (C,)
        Those used. The batch's variance is divided by N, not N - 1: frameworks that keep a running variance often keep
        the latter. They are differentiable; `refgrad.stop_gradient` makes constants of them.

    Raises
    ------
    ShapeError
        If an array for the channels does not have shape (C,).

    References
    ----------
    [ioffe2015]_, algorithm 1
    """
    x = asarray(x)
    place = axes_of(x, axis, "batch_norm")[0]
    others = tuple(i for i in range(len(shape_of(x))) if i != place)
    aligned = tuple(n if i == place else 1 for i, n in enumerate(shape_of(x)))

    def spread(v: Any, what: str) -> Any:
        if shape_of(v) != (aligned[place],):
            raise ShapeError(f"batch_norm: expected {what} of shape ({aligned[place]},), got {shape_of(v)}")
        return rules.reshape(v, shape=aligned)

    z = _wide(x)
    m, v = (mean(z, others), var(z, others)) if statistics is None else map(asarray, statistics)
    z = z - spread(m, "a mean")
    y = _by_root(z, others, epsilon) if statistics is None else z / sqrt(spread(v, "a variance") + epsilon)
    y = _narrow(y, x)
    m, v = _narrow(m, x), _narrow(v, x)
    gain, bias = (None if p is None else spread(asarray(p), "gain and bias") for p in (gain, bias))
    return _scale_and_shift(y, gain, bias), m, v


def _by_root(x: Array, axes: tuple[int, ...], epsilon: Any) -> Array:
    """``x / sqrt(mean(x**2) + epsilon)`` over axes, also where the squares leave the range."""
    count = number_like(x, math.prod(shape_of(x)[a] for a in axes))
    return x / (norm(x, count * epsilon, axis=axes, keepdims=True) / sqrt(count))


def _wide(x: Array) -> Array:
    """x, in float32 if it is of float16, where the square of 256 is infinite."""
    return astype(x, np.float32) if getattr(getattr(x, "dtype", None), "char", "") == "e" else x


def _narrow(y: Array, x: Array) -> Array:
    """What was computed from ``_wide(x)``, in the dtype of x."""
    return y if _wide(x) is x else astype(y, x.dtype)


def _scale_and_shift(y: Array, gain: Any, bias: Any) -> Array:
    y = y if gain is None else y * asarray(gain)
    return y if bias is None else y + asarray(bias)
