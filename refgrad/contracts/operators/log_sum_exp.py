"""The log-sum-exp family: values, and both derivatives by hand.

With ``p = exp x / sum exp x``, ``E[u] = sum p u`` and ``cov = E[u v] - E[u] E[v]``:

logsumexp     D = E[u]             D^2 = cov
softmax       D = p (u - E[u])     D^2 = p ((u - E[u]) (v - E[v]) - cov)
log_softmax   D = u - E[u]         D^2 = -cov, in every place
logcumsumexp  the first, over each prefix of x
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refgrad.backend import of
from refgrad.contracts.operators.operator import Operator
from refgrad.contracts.tools.answer import Variant
from refgrad.contracts.tools.assemble import vector
from refgrad.typing import Array

__all__ = ["LOGCUMSUMEXP", "LOGSUMEXP", "LOG_SOFTMAX", "SOFTMAX"]

EPSILON, UNIT = (1e-13).as_integer_ratio()
"""Over one another the double that PyTorch's rule for logcumsumexp adds to a sum of exponentials."""


def shifted(x: Array) -> tuple[Array, int]:
    """``exp(x - max x)``, and where the largest element is."""
    xp = of(x)
    largest = int(xp.argmax(x, 0))
    return xp.exp(x - x[largest]), largest


def weights(x: Array) -> Array:
    """``p``; the largest element is subtracted first for the sake of floats."""
    e, _ = shifted(x)
    return e / e.sum()


def expectation(x: Array, u: Any) -> Array:
    """``E[u]``."""
    return (weights(x) * u).sum()


def covariance(x: Array, u: Array, v: Array) -> Array:
    """``E[u v] - E[u] E[v]``."""
    return expectation(x, u * v) - expectation(x, u) * expectation(x, v)


def total(x: Array) -> Array:
    """``log sum exp x``."""
    e, largest = shifted(x)
    return of(x).log(e.sum()) + x[largest]


def prefixes(f: Callable[..., Array], x: Array, *others: Array) -> Array:
    """A function of every prefix."""
    return vector([f(x[: k + 1], *(u[: k + 1] for u in others)) for k in range(len(x))])


def uncentred(x: Array, u: Array, v: Array) -> Array:
    """``E[u v]``."""
    return expectation(x, u * v)


def with_epsilon_added(w: Array) -> Array:
    """``sum w + 1e-13``."""
    return (UNIT * w.sum() + EPSILON) / UNIT


def with_epsilon(x: Array, u: Array) -> Array:
    """``sum w u / (sum w + 1e-13)`` over prefixes, with ``w = exp(x - max x)`` and the maximum of all of x."""
    w, _ = shifted(x)
    return vector([(w[: k + 1] @ u[: k + 1]) / with_epsilon_added(w[: k + 1]) for k in range(len(x))])


def with_epsilon_twice(x: Array, u: Array, v: Array) -> Array:
    """The derivative of `with_epsilon` along v; the maximum moves with its element."""
    w, largest = shifted(x)
    w_v = w * (v - v[largest])
    found = []
    for k in range(len(x)):
        part, denominator = slice(k + 1), with_epsilon_added(w[: k + 1])
        ratio = w[part] @ u[part] / denominator
        found.append(w_v[part] @ u[part] / denominator - ratio * w_v[part].sum() / denominator)
    return vector(found)


PYTORCH = ("https://github.com/pytorch/pytorch/issues/196705", "https://github.com/pytorch/pytorch/pull/196741")
HELD = "zero: the weights p are held still"


def still(x: Array, u: Array, v: Array) -> Array:
    """0, a number."""
    return 0 * (u @ v)


LOGSUMEXP = Operator(
    name="logsumexp",
    formula="log sum_i exp x_i of a vector x",
    value=total,
    first=expectation,
    second=covariance,
    shape=lambda x: (),
    wrong={
        1: (
            Variant(
                "unnormalised",
                "sum_i exp(x_i) u_i",
                "the derivative of the sum of exponentials",
                (),
                lambda x, u: of(x).exp(x) @ u,
            ),
        ),
        2: (
            Variant("uncentred", "E[u v]", "the term E[u v] without -E[u] E[v]", (), uncentred),
            Variant("saved-weights", "0", HELD, (), still),
        ),
    },
)

LOGCUMSUMEXP = Operator(
    name="logcumsumexp",
    formula="log sum_{i <= k} exp x_i for k = 1, ..., n of a vector x of shape (n,)",
    value=lambda x: prefixes(total, x),
    first=lambda x, u: prefixes(expectation, x, u),
    second=lambda x, u, v: prefixes(covariance, x, u, v),
    shape=lambda x: x,
    wrong={
        1: (
            Variant(
                "epsilon-in-denominator",
                "sum_{i<=k} w_i u_i / (sum_{i<=k} w_i + 1e-13), w = exp(x - max x)",
                "the derivative with 1e-13 added to a sum of exponentials, measured against the largest of all: "
                "too small by 1e-13 in every place, and lost where a prefix is far below the maximum",
                PYTORCH,
                with_epsilon,
            ),
        ),
        2: (
            Variant(
                "epsilon-in-denominator",
                "the derivative along v of sum_{i<=k} w_i u_i / (sum_{i<=k} w_i + 1e-13), w = exp(x - max x)",
                "the derivative of a first derivative that has 1e-13 added to its denominator",
                PYTORCH,
                with_epsilon_twice,
            ),
            Variant(
                "uncentred",
                "E[u v]",
                "the term E[u v] without -E[u] E[v]",
                (),
                lambda x, u, v: prefixes(uncentred, x, u, v),
            ),
        ),
    },
)

SOFTMAX = Operator(
    name="softmax",
    formula="exp x / sum_i exp x_i of a vector x",
    value=weights,
    first=lambda x, u: weights(x) * (u - expectation(x, u)),
    second=lambda x, u, v: weights(x) * ((u - expectation(x, u)) * (v - expectation(x, v)) - covariance(x, u, v)),
    shape=lambda x: x,
    wrong={
        1: (
            Variant(
                "diagonal-jacobian",
                "p (1 - p) u",
                "the diagonal of the Jacobian alone",
                (),
                lambda x, u: weights(x) * (1 - weights(x)) * u,
            ),
            Variant(
                "unnormalised", "p u", "the derivative with the normaliser held still", (), lambda x, u: weights(x) * u
            ),
        ),
        2: (
            Variant(
                "saved-weights",
                "p (u - E[u]) (v - E[v])",
                "the derivative of p (u - E[u]) with the weights in E held still",
                (),
                lambda x, u, v: weights(x) * (u - expectation(x, u)) * (v - expectation(x, v)),
            ),
            Variant(
                "output-saved",
                "-p cov",
                "the derivative of p (u - E[u]) with the factor p held still",
                (),
                lambda x, u, v: -weights(x) * covariance(x, u, v),
            ),
        ),
    },
)

LOG_SOFTMAX = Operator(
    name="log_softmax",
    formula="x - log sum_i exp x_i of a vector x",
    value=lambda x: x - total(x),
    first=lambda x, u: u - expectation(x, u),
    second=lambda x, u, v: 0 * u - covariance(x, u, v),
    shape=lambda x: x,
    wrong={
        1: (
            Variant(
                "normaliser-detached",
                "u",
                "the direction itself: the normaliser is held still",
                (),
                lambda x, u: u,
            ),
            Variant(
                "softmax-derivative",
                "p (u - E[u])",
                "the derivative of softmax",
                (),
                lambda x, u: weights(x) * (u - expectation(x, u)),
            ),
        ),
        2: (
            Variant(
                "uncentred",
                "-E[u v]",
                "the term -E[u v] without E[u] E[v]",
                (),
                lambda x, u, v: 0 * u - uncentred(x, u, v),
            ),
            Variant("saved-weights", "0", HELD, (), lambda x, u, v: 0 * u),
        ),
    },
)
