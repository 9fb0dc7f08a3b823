"""Convolution and pooling against their definitions as loops over single numbers, on Taylor series of rationals."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from helpers.compositions import along, assert_derivatives
from helpers.strict import array_api_strict

import refgrad.numpy as rnp
from refgrad import exact, grad, hvp, vjp, vmap
from refgrad.errors import ShapeError
from refgrad.numpy import nn

CONVOLUTIONS = [
    ((1, 1, 4), (1, 1, 2), {}),
    ((2, 2, 5), (3, 2, 3), {"stride": 2}),
    ((1, 2, 3), (2, 1, 2), {"groups": 2, "padding": 1}),
    ((1, 1, 6), (1, 1, 2), {"dilation": 3, "padding": ((0, 1),), "stride": (2,)}),
    ((1, 4, 3), (4, 2, 3), {"groups": 2, "padding": 2}),
    ((1, 1, 3, 3), (1, 1, 2, 2), {}),
    ((2, 2, 3, 2), (2, 2, 2, 1), {"padding": 1}),
    ((1, 1, 4, 5), (1, 1, 2, 3), {"stride": (2, 1), "padding": (0, 1)}),
    ((1, 1, 3, 4), (2, 1, 2, 2), {"dilation": (2, 1), "padding": ((1, 0), (0, 2))}),
    ((1, 2, 2, 3), (4, 1, 2, 2), {"groups": 2}),
    ((1, 1, 5, 5), (1, 1, 1, 1), {"stride": 3}),
]


def per_axis(value, rank):
    return [value] * rank if isinstance(value, int) else list(value)


def places(dims, kernel, stride, padding, dilation):
    """The outputs' places along each axis, and where in x, or outside it, each element of their windows lies."""
    rank = len(dims)
    pairs = [p if isinstance(p, tuple) else (p, p) for p in per_axis(padding, rank)]
    axes = []
    for n, k, s, (before, after), d in zip(
        dims, kernel, per_axis(stride, rank), pairs, per_axis(dilation, rank), strict=True
    ):
        count = (n + before + after - d * (k - 1) - 1) // s + 1
        axes.append([[s * p + d * q - before for q in range(k)] for p in range(count)])
    return axes


def inside(index, dims):
    return all(0 <= i < n for i, n in zip(index, dims, strict=True))


def convolution(x, weight, stride=1, padding=0, dilation=1, groups=1):
    (n, _, *dims), (o, inputs, *kernel) = x.shape, weight.shape
    axes = places(dims, kernel, stride, padding, dilation)
    y = np.zeros((n, o, *map(len, axes)), object)
    for i, j, *p in np.ndindex(y.shape):
        first = j // (o // groups) * inputs
        for k, *q in np.ndindex(weight.shape[1:]):
            at = [axis[a][b] for axis, a, b in zip(axes, p, q, strict=True)]
            if inside(at, dims):
                y[(i, j, *p)] = y[(i, j, *p)] + x[(i, first + k, *at)] * weight[(j, k, *q)]
    return y


def pooling(reduce, x, size, stride=None, padding=0):
    n, c, *dims = x.shape
    size = per_axis(size, len(dims))
    axes = places(dims, size, size if stride is None else stride, padding, 1)
    y = np.zeros((n, c, *map(len, axes)), object)
    for i, j, *p in np.ndindex(y.shape):
        window = itertools.product(*(axis[a] for axis, a in zip(axes, p, strict=True)))
        y[(i, j, *p)] = reduce([x[(i, j, *at)] for at in window if inside(at, dims)], math.prod(size))
    return y


def quarters(shape, seed):
    rng = np.random.default_rng(seed)
    n = math.prod(shape)
    return exact.asarray((2 * rng.permutation(n) - n).astype(object).reshape(shape)) / 4


def steps(shape, seed):
    return exact.asarray(np.random.default_rng(seed).integers(-3, 4, size=shape).astype(object))


def layer(shape):
    return nn.conv1d if len(shape) == 3 else nn.conv2d


@pytest.mark.parametrize(("image", "kernel", "options"), CONVOLUTIONS)
def test_a_convolution_is_the_sum_over_the_window_in_value_and_all_derivatives(image, kernel, options):
    xs, vs = [quarters(image, 0), quarters(kernel, 1)], [steps(image, 2), steps(kernel, 3)]
    f = lambda x, w: layer(image)(x, w, **options)
    assert_derivatives(f, xs, vs, convolution(*along(xs, vs), **options))


@pytest.mark.parametrize(("image", "kernel", "options"), CONVOLUTIONS)
def test_convolutions_keep_float32_and_run_batched_and_on_a_strict_library(image, kernel, options):
    x, w = quarters(image, 0), quarters(kernel, 1)
    bias = quarters((kernel[0],), 2)
    f = lambda x, w, b: layer(image)(x, w, b, **options)
    expected = f(x, w, bias).astype(float)
    assert (expected == convolution(x, w, **options).astype(float) + shaped(bias, len(image)).astype(float)).all()
    floats = [a.astype("float32") for a in (x, w, bias)]
    y, back = vjp(f, *floats)
    assert y.dtype == np.float32
    assert (y == expected).all()  # small dyadic numbers: no rounding
    assert [g.dtype for g in back(np.ones_like(y))] == [np.float32] * 3
    h = hvp(lambda t: rnp.sum(f(*t) ** 2), tuple(floats), tuple(floats))
    assert [(a.shape, a.dtype) for a in h] == [(a.shape, np.float32) for a in floats]
    gradients = grad(lambda *a: rnp.sum(f(*a) ** 2), (0, 1, 2))
    loop = [gradients(x[i : i + 1], w, bias) for i in range(len(x))]
    batched = vmap(gradients, in_axes=(0, None, None))(x.reshape(image[0], 1, *image[1:]), w, bias)
    assert all((batched[k] == np.stack([g[k] for g in loop])).all() for k in range(3))
    z = f(*(array_api_strict.asarray(a.astype(float)) for a in (x, w, bias)))
    assert (np.asarray(z) == expected).all()


def shaped(bias, ndim):
    return bias.reshape(-1, *[1] * (ndim - 2))


POOLINGS = [
    ((1, 2, 4), 2, {}),
    ((1, 1, 5), 3, {"stride": 1, "padding": 1}),
    ((1, 1, 5), (2,), {"stride": 2, "padding": ((0, 1),)}),
    ((2, 1, 4, 4), 2, {}),
    ((1, 1, 3, 4), (2, 3), {"stride": (1, 2), "padding": (1, 0)}),
]


@pytest.mark.parametrize(("image", "size", "options"), POOLINGS)
def test_pooling_takes_the_largest_or_the_mean_of_each_window_in_value_and_all_derivatives(image, size, options):
    xs, vs = [quarters(image, 0)], [steps(image, 2)]
    (series,) = along(xs, vs)
    largest, average = (lambda window, n: max(window)), (lambda window, n: sum(window) / n)
    assert_derivatives(lambda x: nn.max_pool(x, size, **options), xs, vs, pooling(largest, series, size, **options))
    assert_derivatives(lambda x: nn.avg_pool(x, size, **options), xs, vs, pooling(average, series, size, **options))
    x = xs[0].astype("float32")
    for f, reduce in ((nn.max_pool, largest), (nn.avg_pool, average)):
        y, back = vjp(lambda x, f=f: f(x, size, **options), x)
        truth = pooling(reduce, x, size, **options).astype(float)
        assert y.dtype == back(np.ones_like(y))[0].dtype == np.float32
        assert np.abs(y - truth).max() <= 2.0**-22 * np.abs(truth).max()
        z = f(array_api_strict.asarray(x.astype(float)), size, **options)
        assert np.abs(np.asarray(z) - truth).max() <= 2.0**-22 * np.abs(truth).max()


def test_the_padding_is_never_the_largest_and_equal_elements_share():
    x = np.array([[[-3.0, -1.0, -1.0]]])
    pool = lambda x: nn.max_pool(x, 3, stride=2, padding=1)
    assert pool(x).tolist() == [[[-1.0, -1.0]]]
    assert grad(lambda x: rnp.sum(pool(x)))(x).tolist() == [[[0.0, 1.5, 0.5]]]
    assert nn.max_pool(x, 1, padding=1)[0, 0, 0] == -np.inf


@pytest.mark.parametrize(
    "call",
    [
        lambda x, w: nn.conv1d(x, w),
        lambda x, w: nn.conv2d(x, w[:, :1]),
        lambda x, w: nn.conv2d(x, w, groups=2),
        lambda x, w: nn.conv2d(x, w, groups=0),
        lambda x, w: nn.conv2d(x, w[:3, :1], groups=2),
        lambda x, w: nn.conv2d(x, w, np.ones(1)),
        lambda x, w: nn.conv2d(x, w, padding=-1),
        lambda x, w: nn.conv2d(x, w, padding=(1, 2, 3)),
        lambda x, w: nn.conv2d(x, w, dilation=9),
        lambda x, w: nn.max_pool(x, 9),
        lambda x, w: nn.max_pool(x, (1, 2, 3)),
        lambda x, w: nn.avg_pool(x[0, 0], 1),
    ],
)
def test_shapes_that_do_not_fit_are_refused(call):
    with pytest.raises(ShapeError, match="expected"):
        call(np.ones((1, 2, 4, 4)), np.ones((4, 2, 2, 2)))
