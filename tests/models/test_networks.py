"""The small networks, on rationals and in closed form."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from refgrad import exact, grad, vmap
from refgrad.errors import InvalidInput, ShapeError
from refgrad.models import cnn, init_cnn, init_mlp, mlp
from refgrad.tree import flatten, map

R = exact.asarray


def rational(rng, *shape):
    return R(rng.integers(-4, 5, shape)) / 3


@pytest.mark.parametrize("sizes", [(2, 1), (3, 4, 2), (1, 5, 2, 3)])
def test_a_network_of_squares_is_its_formula_in_rationals(sizes):
    rng = np.random.default_rng(0)
    params = [{"W": rational(rng, m, n), "b": rational(rng, n)} for m, n in pairwise(sizes)]
    x = X = rational(rng, 5, sizes[0])
    for k, layer in enumerate(params):
        x = np.stack([np.stack([row @ layer["W"][:, j] + layer["b"][j] for j in range(sizes[k + 1])]) for row in x])
        x = x if k == len(params) - 1 else x * x
    assert (mlp(params, X, activation=lambda t: t * t) == x).all()


def test_the_gradient_of_a_layer_is_its_inputs_times_what_comes_back():
    rng = np.random.default_rng(1)
    params = [{"W": rng.normal(size=(3, 4)), "b": rng.normal(size=4)}, {"W": rng.normal(size=(4, 2)), "b": np.zeros(2)}]
    X, G = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
    found = grad(lambda params: np.sum(mlp(params, X) * G))(params)
    h = np.tanh(X @ params[0]["W"] + params[0]["b"])
    back = (G @ params[1]["W"].T) * (1 - h * h)
    wanted = [{"W": X.T @ back, "b": back.sum(0)}, {"W": h.T @ G, "b": G.sum(0)}]
    assert all(np.allclose(a, b, rtol=1e-13) for a, b in zip(flatten(found)[0], flatten(wanted)[0], strict=True))


def test_convolutions_with_relu_and_pooling_are_their_formula_in_rationals():
    rng = np.random.default_rng(2)
    params = {"conv": [{"W": rational(rng, 2, 1, 3, 3), "b": rational(rng, 2)}],
              "dense": {"W": rational(rng, 2 * 2 * 1, 3), "b": rational(rng, 3)}}  # fmt: skip
    images = rational(rng, 2, 1, 5, 3)  # the last row and column are left out by the pooling
    maps = {}
    for n, o, i, j in np.ndindex(2, 2, 5, 3):
        total = params["conv"][0]["b"][o]
        for p, q in np.ndindex(3, 3):
            if 0 <= i + p - 1 < 5 and 0 <= j + q - 1 < 3:
                total = total + params["conv"][0]["W"][o, 0, p, q] * images[n, 0, i + p - 1, j + q - 1]
        maps[n, o, i, j] = max(total, 0 * total)
    pooled = lambda n, o, a: max(maps[n, o, 2 * a + p, q] for p, q in np.ndindex(2, 2))
    features = np.stack([np.stack([pooled(n, o, a) for o in (0, 1) for a in (0, 1)]) for n in (0, 1)])
    assert (cnn(params, images) == features @ params["dense"]["W"] + params["dense"]["b"]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_initial_weights_have_glorots_bound_and_the_dtype_asked_for(dtype):
    rng = np.random.default_rng(3)
    dense, conv = init_mlp((300, 200), rng, dtype), init_cnn((3, 8, 8), (20, 10), 10, rng, dtype)
    for W, bound in ((dense[0]["W"], (6 / 500) ** 0.5), (conv["conv"][1]["W"], (6 / (9 * 30)) ** 0.5)):
        assert W.dtype == dtype
        assert 0.95 * bound < abs(W).max() <= np.nextafter(dtype(bound), dtype(2))
    images = rng.normal(size=(4, 3, 8, 8)).astype(dtype)
    assert conv["dense"]["W"].shape == (10 * 2 * 2, 10)
    assert cnn(conv, images).shape == (4, 10)
    assert cnn(conv, images).dtype == dtype
    assert all(leaf.dtype == dtype for leaf in flatten(grad(lambda p: np.sum(cnn(p, images)))(conv))[0])
    assert cnn(conv, images[:0]).shape == (0, 10)


def test_a_batch_of_networks_is_each_of_them():
    nets = [init_mlp((3, 4, 2), np.random.default_rng(k)) for k in range(5)]
    X = np.random.default_rng(9).normal(size=(6, 3))
    together = vmap(lambda params: mlp(params, X))(map(lambda *leaves: np.stack(leaves), *nets))
    assert np.allclose(together, np.stack([mlp(params, X) for params in nets]), rtol=1e-14)


def test_wrong_shapes_are_told():
    params = init_mlp((3, 2), np.random.default_rng(0))
    with pytest.raises(ShapeError, match=r"expected X of shape \(N, 3\), got \(5, 4\)"):
        mlp(params, np.zeros((5, 4)))
    with pytest.raises(InvalidInput, match="expected the widths"):
        init_mlp((3,), np.random.default_rng(0))
    with pytest.raises(InvalidInput, match="sides of at least 4"):
        init_cnn((1, 3, 8), (2, 2), 10, np.random.default_rng(0))
    with pytest.raises(ShapeError, match="expected images of shape"):
        cnn(init_cnn((1, 8, 8), (2,), 3, np.random.default_rng(0)), np.zeros((2, 64)))
