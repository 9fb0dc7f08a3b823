"""A fully connected and a convolutional network as functions of their parameters.

Initial weights are uniform on ``[-a, a]`` with ``a = sqrt(6 / (fan_in + fan_out))`` [glorot2010]_, biases zero.

References
----------
.. [glorot2010] X. Glorot, Y. Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS
   2010, eq. (16).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from refgrad.backend import shape_of
from refgrad.errors import InvalidInput, ShapeError
from refgrad.numpy import relu, reshape, tanh
from refgrad.numpy.nn import conv2d, max_pool
from refgrad.typing import Array, Tree

__all__ = ["cnn", "init_cnn", "init_mlp", "mlp"]


def init_mlp(sizes: Sequence[int], rng: np.random.Generator, dtype: Any = np.float64) -> Tree:
    """A list with ``{"W": (in, out), "b": (out,)}`` for each layer.

    Parameters
    ----------
    sizes : sequence of ints
        The widths from the input to the output, at least two.
    rng : numpy.random.Generator
    dtype : dtype
    """
    if len(sizes) < 2 or min(sizes) < 1:
        raise InvalidInput(f"init_mlp: expected the widths of the input, the layers and the output, got {sizes}")
    return [_layer((m, n), m, n, rng, dtype) for m, n in pairwise(sizes)]


def mlp(params: Tree, X: Array, activation: Callable[[Array], Array] = tanh) -> Array:
    """The outputs of a fully connected network, a row for each example; the last layer is linear.

    Parameters
    ----------
    params : tree
        As `init_mlp` makes it.
    X : array, shape (N, d)
    activation : callable
        Between the layers.
    """
    if len(shape_of(X)) != 2 or shape_of(X)[1] != shape_of(params[0]["W"])[0]:
        raise ShapeError(f"mlp: expected X of shape (N, {shape_of(params[0]['W'])[0]}), got {shape_of(X)}")
    x = X
    for layer in params[:-1]:
        x = activation(x @ layer["W"] + layer["b"])
    return x @ params[-1]["W"] + params[-1]["b"]


def init_cnn(
    image: Sequence[int],
    channels: Sequence[int],
    classes: int,
    rng: np.random.Generator,
    dtype: Any = np.float64,
) -> Tree:
    """``{"conv": [{"W": (out, in, 3, 3), "b": (out,)}, ...], "dense": {"W": (features, classes), "b": (classes,)}}``.

    Parameters
    ----------
    image : sequence of ints
        The channels, height and width of an image; the sides are halved by each convolution, rounded down.
    channels : sequence of ints
        Of the convolutions' results.
    classes : int
    rng : numpy.random.Generator
    dtype : dtype
    """
    into, *sides = image
    last = [side >> len(channels) for side in sides]
    if len(sides) != 2 or min(into, classes, *channels, *last) < 1:
        raise InvalidInput(
            f"init_cnn: expected (channels, height, width) with sides of at least {2 ** len(channels)}, at least one "
            f"channel and class each, got {tuple(image)}, {tuple(channels)}, {classes}"
        )
    conv = [_layer((n, m, 3, 3), 9 * m, 9 * n, rng, dtype) for m, n in pairwise((into, *channels))]
    features = (into, *channels)[-1] * last[0] * last[1]
    return {"conv": conv, "dense": _layer((features, classes), features, classes, rng, dtype)}


def cnn(params: Tree, images: Array) -> Array:
    """The outputs of convolutions 3 x 3, each with ReLU and the largest of 2 x 2, and a linear layer, (N, classes).

    Parameters
    ----------
    params : tree
        As `init_cnn` makes it.
    images : array, shape (N, channels, height, width)
    """
    if len(shape_of(images)) != 4:
        raise ShapeError(f"cnn: expected images of shape (N, channels, height, width), got {shape_of(images)}")
    x = images
    for layer in params["conv"]:
        x = max_pool(relu(conv2d(x, layer["W"], layer["b"], padding=1)), 2)
    features = reshape(x, (shape_of(x)[0], math.prod(shape_of(x)[1:])))
    return features @ params["dense"]["W"] + params["dense"]["b"]


def _layer(
    shape: tuple[int, ...], fan_in: int, fan_out: int, rng: np.random.Generator, dtype: Any
) -> dict[str, np.ndarray]:
    a = math.sqrt(6 / (fan_in + fan_out))
    bias = shape[0] if len(shape) == 4 else shape[1]
    return {"W": rng.uniform(-a, a, shape).astype(dtype), "b": np.zeros(bias, dtype)}
