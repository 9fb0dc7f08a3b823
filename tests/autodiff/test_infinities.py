"""Activations and losses at infinite arguments: value and gradient are their limits, which follow by hand.

A logit of -inf is a probability of 0. One of inf is left out: a softmax of two of them has no limit.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import refgrad.numpy as rnp
from refgrad import grad, jvp, stage
from refgrad.numpy import nn

inf = math.inf
one = {"reduction": "sum"}
pair = lambda x: rnp.stack([x, 0 * rnp.nan_to_num(x)])
first = lambda y: y[..., 0]

LIMITS = {
    "relu": (rnp.relu, (0, 0), (inf, 1)),
    "leaky_relu": (lambda x: nn.leaky_relu(x, 0.25), (-inf, 0.25), (inf, 1)),
    "elu": (nn.elu, (-1, 0), (inf, 1)),
    "silu": (nn.silu, (0, 0), (inf, 1)),
    "gelu": (nn.gelu, (0, 0), (inf, 1)),
    "gelu, tanh": (lambda x: nn.gelu(x, approximate=True), (0, 0), (inf, 1)),
    "softplus": (rnp.softplus, (0, 0), (inf, 1)),
    "logistic": (rnp.logistic, (0, 0), (1, 0)),
    "log_logistic": (nn.log_logistic, (-inf, 1), (0, 0)),
    "tanh": (rnp.tanh, (-1, 0), (1, 0)),
    "erf": (rnp.erf, (-1, 0), (1, 0)),
    "softmax": (lambda x: first(nn.softmax(pair(x), 0)), (0, 0), None),
    "softmax, of the other": (lambda x: nn.softmax(pair(x), 0)[1], (1, 0), None),
    "log_softmax": (lambda x: first(nn.log_softmax(pair(x), 0)), (-inf, 1), None),
    "log_softmax, of the other": (lambda x: nn.log_softmax(pair(x), 0)[1], (0, 0), None),
    "logsumexp": (lambda x: rnp.logsumexp(pair(x)), (0, 0), None),
    "mean_squared_error": (lambda x: nn.mean_squared_error(x, 2.0, **one), (inf, -inf), (inf, inf)),
    "huber": (lambda x: nn.huber(x, 2.0, delta=3, **one), (inf, -3), (inf, 3)),
    "huber, of the target": (lambda x: nn.huber(2.0, x, delta=0.5, **one), (inf, -0.5), (inf, 0.5)),
    "binary_cross_entropy, 0": (lambda x: nn.binary_cross_entropy(x, 0.0, **one), (0, 0), (inf, 1)),
    "binary_cross_entropy, 1": (lambda x: nn.binary_cross_entropy(x, 1.0, **one), (inf, -1), (0, 0)),
    "binary_cross_entropy, 1/4": (lambda x: nn.binary_cross_entropy(x, 0.25, **one), (inf, -0.25), (inf, 0.75)),
    "cross_entropy, its label": (lambda x: nn.cross_entropy(pair(x), np.array(0)), (inf, -1), None),
    "cross_entropy, another": (lambda x: nn.cross_entropy(pair(x), np.array(1)), (0, 0), None),
    "poisson_nll, 0": (lambda x: nn.poisson_nll(x, 0.0, **one), (0, 0), (inf, inf)),
    "poisson_nll, 2": (lambda x: nn.poisson_nll(x, 2.0, **one), (inf, -2), (inf, inf)),
    "gaussian_nll": (lambda x: nn.gaussian_nll(x, 1.0, 2.0, **one), (inf, -inf), (inf, inf)),
    "gaussian_nll, of the variance": (lambda v: nn.gaussian_nll(1.0, 3.0, abs(v), **one), (inf, 0), (inf, 0)),
    "kl_divergence": (lambda x: nn.kl_divergence(pair(x), np.zeros(2)), (math.log(2), 0), None),
    "kl_divergence, of q": (lambda x: nn.kl_divergence(np.zeros(2), pair(x)), (inf, -0.5), None),
}


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning", "ignore:overflow:RuntimeWarning")
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("name", LIMITS)
def test_values_and_gradients_at_infinity_are_the_limits(name, dtype):
    f, *limits = LIMITS[name]
    for x, limit in zip((dtype(-inf), dtype(inf)), limits, strict=True):
        if limit is None:
            continue
        value, slope = limit
        found = float(f(x)), float(grad(f)(x)), float(jvp(f, (x,), (dtype(1),))[1])
        assert found == (pytest.approx(value, rel=1e-3), slope, slope), x
        assert float(stage(grad(f), x)(x)) == slope
