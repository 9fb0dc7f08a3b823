"""What the engine needs and NumPy has not, in NumPy alone.

The table of NumPy takes these functions as they stand, and a program exported as source (`refgrad.source`) carries the
text of those it calls. So each is complete in itself: it uses ``np`` and its arguments, nothing else.
"""

from __future__ import annotations

import numpy as np

__all__ = [
    "fold",
    "logistic",
    "logsumexp",
    "pad",
    "put_along_axis_add",
    "recurrence",
    "scatter_add",
    "softplus",
    "sum_to",
    "windows",
]


def logistic(x):
    """``1 / (1 + exp(-x))`` without overflow, accurate for large negative x."""
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, np.ones_like(e)) / (1 + e)


def softplus(x):
    """``log(1 + exp(x))`` without overflow."""
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, np.zeros_like(x))


def logsumexp(x, axis, keepdims):
    """``log(sum(exp(x)))`` over axes, without overflow; -inf where all terms are -inf."""
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, np.zeros_like(top))
    y = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return y if keepdims else np.squeeze(y, axis=axis)


def sum_to(x, shape):
    """The sum over the axes along which an array of `shape` was broadcast to that of `x`."""
    extra = np.ndim(x) - len(shape)
    if np.shape(x)[extra:] == shape:
        return np.sum(x, axis=tuple(range(extra)))
    kept = tuple(extra + i for i, n in enumerate(shape) if n == 1 and np.shape(x)[extra + i] != 1)
    return np.reshape(np.sum(x, axis=tuple(range(extra)) + kept, keepdims=True), shape)


def pad(x, shape, index):
    """Zeros of `shape` that hold `x` at the slices `index`."""
    y = np.zeros(shape, x.dtype)
    y[index] = x
    return y


def windows(x, shape, strides, dilation):
    """Windows of `shape` over the last axes of `x`, a read-only view: their places, then what is in them."""
    lead = (slice(None),) * (np.ndim(x) - len(shape))
    spans = tuple(d * (w - 1) + 1 for w, d in zip(shape, dilation, strict=True))
    y = np.lib.stride_tricks.sliding_window_view(x, spans, axis=tuple(range(-len(shape), 0)))
    return y[lead + tuple(slice(None, None, s) for s in strides + dilation)]


def fold(g, size, strides, dilation):
    """The transpose of `windows`: zeros that end in the axes `size`, the windows `g` added in their places."""
    k = len(size)
    places, shape = g.shape[-2 * k : -k], g.shape[-k:]
    y = np.zeros(g.shape[: -2 * k] + size, g.dtype)
    every = (slice(None),) * (g.ndim - k)
    for offset in np.ndindex(*shape):
        spans = zip(offset, places, strides, dilation, strict=True)
        here = every[:-k] + tuple(slice(o * d, o * d + s * (m - 1) + 1, s) for o, m, s, d in spans)
        y[here] += g[every + offset]
    return y


def scatter_add(g, indices, axis, size):
    """Zeros of length `size` along `axis`, to which `g` is added at `indices`; repeated indices accumulate."""
    g = np.asarray(g)
    y = np.zeros((*g.shape[:axis], size, *g.shape[axis + np.ndim(indices) :]), g.dtype)
    # add.at accumulates over repeated indices, where y[...] += g would keep the last one
    np.add.at(y, (slice(None),) * axis + (indices,), g)
    return y


def put_along_axis_add(g, indices, axis, size):
    """Zeros of length `size` along `axis`, `g` added at `indices`: the transpose of `numpy.take_along_axis`."""
    g = np.asarray(g)
    y = np.zeros(g.shape[:axis] + (size,) + g.shape[axis + 1 :], g.dtype)
    index = list(np.ogrid[tuple(slice(n) for n in g.shape)])
    index[axis] = indices
    np.add.at(y, tuple(index), g)
    return y


def recurrence(a, b, axis):
    """``s_k = a_k s_{k-1} + b_k`` along `axis`, from ``s_0 = b_0``."""
    a, b = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)
    parts = [b[0]]
    for k in range(1, len(b)):
        parts.append(a[k] * parts[-1] + b[k])
    return np.moveaxis(np.stack(parts), 0, axis)
