"""Layers and losses of machine learning, as plain functions over the primitives: no rules of their own.

Like the rest of `refgrad.numpy` they work on plain, traced, CuPy and exact arrays. Their constants are integers and
what follows from integers, so the same code that trains in float32 has certified enclosures on balls.

>>> import numpy as np
>>> from refgrad import grad
>>> from refgrad.numpy import nn
>>> loss = lambda logits: nn.cross_entropy(logits, np.array([1]))
>>> grad(loss)(np.zeros((1, 2))).tolist()
[[0.5, -0.5]]
"""

from __future__ import annotations

from refgrad.numpy.creation import one_hot
from refgrad.numpy.elementwise import logistic, relu, sigmoid, softplus
from refgrad.numpy.nn.activations import elu, gelu, leaky_relu, log_logistic, log_softmax, silu
from refgrad.numpy.nn.attention import dot_product_attention
from refgrad.numpy.nn.convolution import avg_pool, conv1d, conv2d, max_pool
from refgrad.numpy.nn.losses import (
    binary_cross_entropy,
    cross_entropy,
    gaussian_nll,
    huber,
    kl_divergence,
    mean_squared_error,
    poisson_nll,
)
from refgrad.numpy.nn.normalization import batch_norm, layer_norm, rms_norm
from refgrad.numpy.reductions import softmax

__all__ = [
    "avg_pool", "batch_norm", "binary_cross_entropy", "conv1d", "conv2d", "cross_entropy", "dot_product_attention",
    "elu", "gaussian_nll", "gelu", "huber", "kl_divergence", "layer_norm", "leaky_relu", "log_logistic",
    "log_softmax", "logistic", "max_pool", "mean_squared_error", "one_hot", "poisson_nll", "relu", "rms_norm",
    "sigmoid", "silu", "softmax", "softplus",
]  # fmt: skip
