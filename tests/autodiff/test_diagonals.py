"""Diagonals, triangles and reversed axes: NumPy's values, and derivatives that put each element where it came from."""

from __future__ import annotations

import numpy as np
import pytest

import refgrad.numpy as rnp
from refgrad import exact, grad, jvp, vjp, vmap
from refgrad.errors import ShapeError

MOVES = {
    **{
        f"diagonal {axes} {k}": (lambda xp, x, k=k, axes=axes: xp.diagonal(x, k, *axes), (2, 3, 4))
        for axes in ((0, 1), (1, 2), (-1, 0), (2, 1))
        for k in (-4, -2, -1, 0, 1, 3, 5)
    },
    **{f"diagonal of a column {k}": (lambda xp, x, k=k: xp.diagonal(x, k), (4, 1)) for k in (-3, 0, 1)},
    **{f"diag of a matrix {k}": (lambda xp, x, k=k: xp.diag(x, k), (4, 2)) for k in (-3, 0, 1, 2)},
    **{f"diag of a vector {k}": (lambda xp, x, k=k: xp.diag(x, k), (3,)) for k in (-2, 0, 1)},
    "diag of nothing": (lambda xp, x: xp.diag(x), (0,)),
    **{f"trace {k}": (lambda xp, x, k=k: xp.trace(x, k, 2, 0), (2, 3, 4)) for k in (-1, 0, 4)},
    **{
        f"{name} {k} {shape}": (lambda xp, x, k=k, name=name: getattr(xp, name)(x, k), shape)
        for name in ("tril", "triu")
        for k in (-3, -1, 0, 2)
        for shape in ((3, 3), (2, 4), (2, 3, 2), (0, 2))
    },
    **{f"flip {axis}": (lambda xp, x, axis=axis: xp.flip(x, axis), (2, 3, 4)) for axis in (None, 0, -1, (0, 2), ())},
    "flip a number": (lambda xp, x: xp.flip(x), ()),
    "fliplr": (lambda xp, x: xp.fliplr(x), (2, 3)),
    "flipud": (lambda xp, x: xp.flipud(x), (2, 3)),
}


@pytest.mark.parametrize("name", MOVES)
def test_they_are_numpys_and_their_transpose_puts_every_element_back(name):
    move, shape = MOVES[name]
    plain = np.arange(1, 1 + np.prod(shape, dtype=int)).reshape(shape) ** 2
    x = exact.asarray(plain.astype(object))
    expected = move(np, plain)
    y, back = vjp(lambda x: move(np, x), x)  # NumPy's own name, on a traced value
    assert y.shape == expected.shape
    assert np.all(y == exact.asarray(expected))
    assert np.all(jvp(lambda x: move(rnp, x), (x,), (x,))[1] == y)
    # which element of x each element of the result is the sum of, by moving basis arrays
    u = np.arange(3, 3 + expected.size).reshape(expected.shape)
    g = np.zeros(shape, int)
    for at in np.ndindex(*shape):
        basis = np.zeros(shape, int)
        basis[at] = 1
        g[at] = (move(np, basis) * u).sum()
    assert np.all(back(exact.asarray(u))[0] == exact.asarray(g))
    floats = move(rnp, plain.astype(np.float32))
    assert floats.dtype == np.float32
    assert np.array_equal(floats, expected)
    X = np.stack([plain, 2 * plain]).astype(float)
    assert np.array_equal(vmap(lambda x: move(rnp, x))(X), np.stack([expected, 2 * expected]))


def test_what_lies_outside_a_triangle_does_not_count_even_if_it_is_nan():
    x = np.array([[1.0, np.nan], [2.0, np.inf]])
    assert grad(lambda x: rnp.sum(np.tril(x, -1) ** 2))(x).tolist() == [[0, 0], [4, 0]]
    assert rnp.triu(x.T, 1).tolist() == [[0, 2], [0, 0]]
    u = np.array([[np.nan, 1.0], [1.0, np.inf]])
    assert vjp(lambda x: rnp.triu(x, 1), x)[1](u)[0].tolist() == [[0, 1], [0, 0]]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: rnp.diagonal(x, 0, 1, -1), "two different axes"),
        (lambda x: rnp.diagonal(x, 0, 0, 2), "axis from -2 to 1"),
        (lambda x: rnp.diag(rnp.stack([x, x])), "a vector or a matrix"),
        (lambda x: rnp.tril(x[0]), "a matrix or a stack"),
        (lambda x: rnp.triu(x[0, 0]), "a matrix or a stack"),
        (lambda x: rnp.flip(x, 2), "axes from -2 to 1"),
    ],
)
def test_shapes_without_such_a_diagonal_are_named(call, words):
    with pytest.raises(ShapeError, match=words):
        vjp(call, np.ones((2, 3)))
