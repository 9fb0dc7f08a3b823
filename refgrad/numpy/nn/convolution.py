"""Convolution and pooling: contractions and maxima of sliding windows, with no rules of their own.

What is called convolution here is cross-correlation, as everywhere in machine learning: the kernel is not reversed.

References
----------
.. [dumoulin2016] V. Dumoulin, F. Visin, A guide to convolution arithmetic for deep learning, arXiv:1603.07285.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from refgrad import backend
from refgrad.autodiff.core import primal
from refgrad.autodiff.rules import elementwise, matrix
from refgrad.autodiff.rules import shape as rules
from refgrad.backend import shape_of
from refgrad.errors import ShapeError
from refgrad.numpy.conversion import asarray
from refgrad.numpy.manipulation import add_border
from refgrad.numpy.reductions import max, mean, min
from refgrad.numpy.sliding import Lengths, windows
from refgrad.typing import Array

Padding = int | Sequence[Any]
"""A number of places on all sides, or one for each spatial axis, or a pair (before, after) for each."""


def conv1d(
    x: Any,
    weight: Any,
    bias: Any = None,
    *,
    stride: Lengths = 1,
    padding: Padding = 0,
    dilation: Lengths = 1,
    groups: int = 1,
) -> Array:
    """``y[n, o, p] = sum of weight[o, c, q] * x[n, c, stride * p + dilation * q]``: `conv2d` with one spatial axis.

    Parameters
    ----------
    x : array, shape (N, C, L)
    weight : array, shape (O, C // groups, k)
    bias, stride, padding, dilation, groups : as in `conv2d`

    Returns
    -------
    array, shape (N, O, (L + 2 * padding - dilation * (k - 1) - 1) // stride + 1)
        For one number `padding`, on both sides.
    """
    return _convolution(x, weight, bias, 1, stride, padding, dilation, groups)


def conv2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    *,
    stride: Lengths = 1,
    padding: Padding = 0,
    dilation: Lengths = 1,
    groups: int = 1,
) -> Array:
    """Sums of products of a kernel and the windows of images, over the channels [dumoulin2016]_.

    Parameters
    ----------
    x : array, shape (N, C, H, W)
    weight : array, shape (O, C // groups, k, l)
    bias : array, shape (O,), optional
        Added to every place.
    stride : int or two
        How far apart the windows start.
    padding : int, two, or two pairs
        How many zeros are put round x, on both sides of an axis or before and after it.
    dilation : int or two
        How far apart the elements of a window lie.
    groups : int
        In how many parts the channels fall: each part of the outputs sees one part of the inputs.

    Returns
    -------
    array, shape (N, O, P, Q)
        ``P = (H + 2 * padding - dilation * (k - 1) - 1) // stride + 1`` and
        ``Q = (W + 2 * padding - dilation * (l - 1) - 1) // stride + 1`` for one number each; else the numbers of each
        axis, those of the zeros before and after it in place of ``2 * padding``.

    Raises
    ------
    ShapeError
        If the shapes do not fit one another, or a window is longer than the padded x.
    """
    return _convolution(x, weight, bias, 2, stride, padding, dilation, groups)


def _convolution(
    x: Any, weight: Any, bias: Any, rank: int, stride: Lengths, padding: Padding, dilation: Lengths, groups: int
) -> Array:
    x, weight = asarray(x), asarray(weight)
    if len(shape_of(x)) != rank + 2 or len(shape_of(weight)) != rank + 2:
        raise ShapeError(
            f"conv{rank}d: expected {rank + 2} axes of x and weight, got shapes {shape_of(x)} and {shape_of(weight)}"
        )
    n, channels = shape_of(x)[:2]
    outputs, inputs, *kernel = shape_of(weight)
    if groups < 1 or inputs * groups != channels or outputs % groups:
        raise ShapeError(
            f"conv{rank}d: expected {groups} groups of {inputs} channels and a multiple of {groups} outputs; "
            f"got {channels} channels and {outputs} outputs"
        )
    y = windows(_pad(x, padding, rank, 0), kernel, strides=stride, dilation=dilation)
    places = shape_of(y)[2 : 2 + rank]
    # (n, c, places, kernel) -> (n, group, c within the group and kernel, places), the columns of a matrix product
    order = (0, 1, *range(2 + rank, 2 + 2 * rank), *range(2, 2 + rank))
    terms = inputs * math.prod(kernel)
    columns = rules.reshape(rules.transpose(y, axes=order), shape=(n, groups, terms, math.prod(places)))
    rows = rules.reshape(weight, shape=(groups, outputs // groups, terms))
    y = rules.reshape(matrix.matmul(rows, columns), shape=(n, outputs, *places))
    if bias is None:
        return y
    bias = asarray(bias)
    if shape_of(bias) != (outputs,):
        raise ShapeError(f"conv{rank}d: expected a bias of shape ({outputs},), got {shape_of(bias)}")
    return y + rules.reshape(bias, shape=(outputs,) + (1,) * rank)


def max_pool(x: Any, size: Lengths, *, stride: Lengths | None = None, padding: Padding = 0) -> Array:
    """The largest element of every window; equal ones share its derivative evenly.

    Parameters
    ----------
    x : array, shape (N, C, ...)
    size : int, or one for each spatial axis
        Of a window.
    stride : int, or one for each spatial axis
        How far apart the windows start; `size` by default, so that they do not overlap.
    padding : int, or one or two for each spatial axis
        How many places are put round x, which are never the largest. A window of these alone gives -inf.
    """
    x = asarray(x)
    if backend.of(primal(x)).exact:  # whose numbers are finite: any number below all of them does
        lowest = elementwise.stop_gradient(min(x)) - 1
    else:
        lowest = -math.inf
    return _pool(max, x, size, stride, padding, lowest)


def avg_pool(x: Any, size: Lengths, *, stride: Lengths | None = None, padding: Padding = 0) -> Array:
    """The mean of every window; the zeros of the padding are counted.

    Parameters
    ----------
    x, size, stride, padding : as in `max_pool`
    """
    return _pool(mean, asarray(x), size, stride, padding, 0)


def _pool(reduce: Any, x: Array, size: Lengths, stride: Lengths | None, padding: Padding, border: Any) -> Array:
    rank = len(shape_of(x)) - 2
    lengths = (int(size),) * rank if isinstance(size, (int, np.integer)) else tuple(size)
    if rank < 1 or len(lengths) != rank:
        raise ShapeError(f"pooling: expected x of shape (N, C, ...) and {rank} lengths, got {shape_of(x)} and {size!r}")
    y = windows(_pad(x, padding, rank, border), lengths, strides=lengths if stride is None else stride)
    return reduce(y, tuple(range(-rank, 0)))


def _pad(x: Array, padding: Padding, rank: int, value: Any) -> Array:
    """x with a border of `value` round its spatial axes."""
    given = (padding,) * rank if isinstance(padding, (int, np.integer)) else tuple(padding)
    pairs = [(p, p) if isinstance(p, (int, np.integer)) else tuple(p) for p in given]
    if len(pairs) != rank or any(len(pair) != 2 or pair[0] < 0 or pair[1] < 0 for pair in pairs):
        raise ShapeError(f"expected a padding, or one or two numbers for each of {rank} axes; got {padding!r}")
    return add_border(x, [(0, 0), (0, 0), *pairs], value)
