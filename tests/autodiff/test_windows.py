"""Sliding windows: they are NumPy's, their transpose adds overlaps, and convolution made of them is convolution."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import refgrad.numpy as rnp
from refgrad import exact, grad, hessian, jvp, vjp, vmap
from refgrad.errors import ShapeError

GEOMETRIES = [
    (shape, strides, dilation, axes)
    for shape, strides, dilation in [
        (1, 1, 1),
        (2, 1, 1),
        (3, 2, 1),
        (2, 1, 3),
        (2, 5, 2),
        ((2, 3), (2, 1), (1, 2)),
        ((3, 1), 2, (2, 1)),
        ((5, 6), 1, 1),
    ]
    for axes in ((None, 0, 1, -2) if isinstance(shape, int) else (None, (0, 2), (-1, 0), (2, 1)))
    if axes is None or not isinstance(shape, tuple) or shape != (5, 6)
]


def x_of(kind=exact.asarray):
    return kind(np.arange(5 * 7 * 6).reshape(5, 7, 6).astype(object) ** 2)


def by_loop(x, shape, strides, dilation, axes):
    """Every window by its definition, element by element."""
    full = lambda n, k: (n,) * k if isinstance(n, int) else tuple(n)
    shape = full(shape, 1)
    k = len(shape)
    strides, dilation = full(strides, k), full(dilation, k)
    axes = tuple(range(-k, 0)) if axes is None else full(axes, 1)
    axes = [a % x.ndim for a in axes]
    dims = list(x.shape)
    for a, w, s, d in zip(axes, shape, strides, dilation, strict=True):
        dims[a] = len([p for p in range(0, x.shape[a], s) if p + d * (w - 1) < x.shape[a]])
    y = np.empty((*dims, *shape), object)
    for place in np.ndindex(*dims):
        for offset in np.ndindex(*shape):
            at = list(place)
            for a, s, d, q in zip(axes, strides, dilation, offset, strict=True):
                at[a] = s * place[a] + d * q
            y[(*place, *offset)] = x[tuple(at)]
    return y


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_windows_are_what_their_definition_says_on_every_kind_of_array_and_fold_adds_them_up(geometry):
    shape, strides, dilation, axes = geometry
    given = {"strides": strides, "dilation": dilation, "axes": axes}
    x = x_of()
    places = np.arange(x.size).reshape(x.shape)
    which = by_loop(places, shape, strides, dilation, axes).astype(int)
    assert (rnp.windows(places.astype(float), shape, **given) == which).all()
    found, back = vjp(lambda x: rnp.windows(x, shape, **given), x)
    assert found.shape == which.shape
    assert (found == x.ravel()[which]).all()
    g = exact.asarray((np.arange(which.size).reshape(which.shape) - 40).astype(object))
    added = np.zeros(x.size, object)
    np.add.at(added, which, np.arange(which.size).reshape(which.shape) - 40)
    expected = exact.asarray(added.reshape(x.shape))
    assert (back(g)[0] == expected).all()
    size = [x.shape[a] for a in ((-1,) if axes is None else (axes,) if isinstance(axes, int) else axes)]
    if axes is None and not isinstance(shape, int):
        size = x.shape[-len(shape) :]
    assert (rnp.fold(g, size, **given) == expected).all()
    assert (jvp(lambda x: rnp.windows(x, shape, **given), (x,), (expected,))[1] == expected.ravel()[which]).all()


def test_numpys_own_function_reaches_them():
    x = np.arange(12.0).reshape(3, 4)
    for window, axis in [((2, 3), None), (2, 1), (3, 0), ((2, 2), (1, 0))]:
        f = lambda x, w=window, a=axis: sliding_window_view(x, w, axis=a)
        assert (jvp(f, (x,), (x,))[1] == f(x)).all()
    with pytest.raises(ShapeError):
        grad(lambda x: np.sum(sliding_window_view(x, 2)))(x)


def convolve(x, w, stride, dilation):
    """The correlation of x, (n, m), with w, (p, q)."""
    return rnp.sum(rnp.windows(x, w.shape, strides=stride, dilation=dilation) * w, axis=(-2, -1))


def by_hand(x, w, stride, dilation):
    rows, columns = (range(0, n - dilation * (k - 1), stride) for n, k in zip(x.shape, w.shape, strict=True))
    return np.array([
        [sum(x[i + dilation * p, j + dilation * q] * w[p, q] for p, q in np.ndindex(*w.shape)) for j in columns]
        for i in rows
    ])  # fmt: skip


@pytest.mark.parametrize(("stride", "dilation"), list(itertools.product((1, 2), (1, 2))))
def test_a_convolution_and_all_its_second_derivatives_are_those_of_the_sum_written_out(stride, dilation):
    rng = np.random.default_rng(0)
    x, w = (exact.asarray(rng.integers(-4, 5, s).astype(object)) for s in ((5, 6), (2, 3)))
    plain = lambda x, w: by_hand(x.astype(int), w.astype(int), stride, dilation).astype(object)
    assert (convolve(x, w, stride, dilation) == exact.asarray(plain(x, w))).all()
    # of a sum of squares: y(x, w) is bilinear, so Taylor's formula for it in direction (u, v) ends after t^2
    u, v = (exact.asarray(rng.integers(-4, 5, s).astype(object)) for s in ((5, 6), (2, 3)))
    loss = lambda x, w: rnp.sum(convolve(x, w, stride, dilation) ** 2) / 2
    y0 = plain(x, w)
    y1 = plain(u, w) + plain(x, v)
    y2 = plain(u, v)
    first = lambda x, w: sum(rnp.sum(g * d) for g, d in zip(grad(loss, (0, 1))(x, w), (u, v), strict=True))
    assert first(x, w) == exact.asarray((y0 * y1).sum())
    assert jvp(first, (x, w), (u, v))[1] == exact.asarray((y1 * y1).sum() + 2 * (y0 * y2).sum())


def test_max_pooling_differentiates_to_the_largest_of_each_window():
    x = np.array([3.0, 1.0, 2.0, 5.0, 4.0, 0.0])
    pool = lambda x: rnp.sum(rnp.max(rnp.windows(x, 3, strides=3), axis=-1) ** 2)
    assert grad(pool)(x).tolist() == [6, 0, 0, 10, 0, 0]
    assert hessian(pool)(x).tolist() == np.diag([2, 0, 0, 2, 0, 0]).tolist()
    assert vmap(grad(pool))(np.stack([x, x[::-1]])).tolist() == [[6, 0, 0, 10, 0, 0], [0, 0, 10, 0, 0, 6]]


def test_the_windows_of_a_gradient_are_its_own_memory():
    x = np.arange(4.0)
    g = vjp(lambda g: rnp.fold(g, 4), np.ones((3, 2)))[1](x)[0]
    g += 1  # not a view, which would change overlapping windows at once
    assert g.tolist() == [[1, 2], [2, 3], [3, 4]]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: rnp.windows(x, 6), r"fit into lengths \(5,\), got shape \(6,\)"),
        (lambda x: rnp.windows(x, 3, dilation=3), "dilation"),
        (lambda x: rnp.windows(x, 0), "positive lengths"),
        (lambda x: rnp.windows(x, 2, strides=0), "positive lengths"),
        (lambda x: rnp.windows(x, 2, strides=(1, 1)), "for 1 axes"),
        (lambda x: rnp.windows(x, (2, 2, 2)), "of 2 axes"),
        (lambda x: rnp.windows(x, (2, 2), axes=(1, -1)), "different axes"),
        (lambda x: rnp.windows(x, ()), "some of 2 axes"),
        (lambda x: rnp.fold(x, 4), r"expected as many windows, got \(4,\)"),
        (lambda x: rnp.fold(x, 3), "expected as many windows"),
    ],
)
def test_lengths_that_do_not_fit_are_named(call, words):
    with pytest.raises(ShapeError, match=words):
        call(np.ones((4, 5)))
