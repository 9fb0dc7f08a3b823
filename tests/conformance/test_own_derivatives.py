"""This project's own engine under the contracts of derivatives: accurate, in every composition of modes."""

from __future__ import annotations

import pytest
from helpers.modes import FIRST, SECOND, Modes

import refgrad
import refgrad.numpy as rnp
from refgrad import verify
from refgrad.contracts.operators import OPERATORS

EPS = 2.0**-10


def normalized(axis):
    def function(x):
        c = x - rnp.mean(x, axis=axis, keepdims=True)
        return c / rnp.sqrt(rnp.mean(c * c, axis=axis, keepdims=True) + EPS)

    return function


def lower(x):
    return x @ rnp.swapaxes(x, -1, -2)


def log_cumulative(x):
    return rnp.stack([rnp.logsumexp(x[: k + 1]) for k in range(x.shape[0])])


FUNCTIONS = {
    "tanh": rnp.tanh,
    "exp": rnp.exp,
    "log": rnp.log,
    "sqrt": rnp.sqrt,
    "ldexp": lambda x, e: x * 2.0**e,
    "prod": rnp.prod,
    "cumprod": lambda x: rnp.cumprod(x, axis=0),
    "norm": rnp.linalg.norm,
    "logsumexp": rnp.logsumexp,
    "logcumsumexp": log_cumulative,
    "softmax": rnp.softmax,
    "log_softmax": lambda x: x - rnp.logsumexp(x),
    "matmul": rnp.matmul,
    "det": rnp.linalg.det,
    "logdet": lambda x: rnp.linalg.slogdet(x)[1],
    "inv": rnp.linalg.inv,
    "solve": rnp.linalg.solve,
    "cholesky": rnp.linalg.cholesky,
    "cholesky_inverse": lambda x: rnp.linalg.inv(lower(x)),
    "cholesky_solve": lambda b, x: rnp.linalg.solve(lower(x), b),
    "layer_norm": normalized(-1),
    "batch_norm": normalized(0),
}
"""What the engine has, written with its own functions where it has no such operator."""

MODES = Modes(
    refgrad.jvp,
    lambda f, argnums: refgrad.grad(f, argnums=argnums),
    lambda a, b: rnp.sum(a * b),
    lambda parts, shape: rnp.reshape(rnp.stack(parts), shape),
    rnp.shape,
)


def cases():
    for name in FUNCTIONS:
        for modes in (*FIRST, *SECOND):
            if len(modes) in OPERATORS[name].orders:
                yield name, modes, "float64"
                if modes in ("f", "fr"):
                    yield name, modes, "float32"


@pytest.mark.parametrize(("name", "modes", "dtype"), [*cases()])
def test_an_operator_of_the_engine_is_accurate(name, modes, dtype):
    subject = MODES.subject(FUNCTIONS[name], modes, len(OPERATORS[name].fixed))
    params = {"op": name, "order": len(modes)}
    report = verify(subject, "operator_derivative", backend="numpy", dtype=dtype, params=params, max_examples=16)
    assert report.grade in ("accurate", "exact"), str(report)


def gradient(f, x):
    return refgrad.grad(f)(x)


def forward_over_reverse(f, x, v):
    return refgrad.hvp(f, x, v)


def reverse_over_reverse(f, x, v):
    return refgrad.grad(lambda y: rnp.sum(refgrad.grad(f)(y) * v))(x)


def reverse_over_forward(f, x, v):
    return refgrad.grad(lambda y: refgrad.jvp(f, (y,), (v,))[1])(x)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("subject", "contract"),
    [
        (gradient, "gradient"),
        (forward_over_reverse, "hvp"),
        (reverse_over_reverse, "hvp"),
        (reverse_over_forward, "hvp"),
    ],
)
def test_gradients_and_products_of_the_engine_are_accurate(subject, contract, dtype):
    report = verify(lambda *a: subject(*a), contract, backend="numpy", dtype=dtype, max_examples=60)
    assert report.grade in ("accurate", "exact"), str(report)
