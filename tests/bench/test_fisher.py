"""What the exact diagonal of the Fisher information costs, against the formula for dense layers written out by hand.

With per-example gradients ``a_n d_n^T`` of a layer's weights, ``mean_n (a_n d_n^T)^2`` is ``(A*A)^T (D*D) / N``: no
gradient of an example is ever formed [goodfellow2015]_. For the expectation over labels the class loop goes away too:
``sum_c p_c (e_c - p)(e_c - p)^T = diag(p) - p p^T``, whose diagonal, seen through the last weights, is
``p (V*V)^T - (p V^T)^2`` for each hidden unit. This difference cancels where the model is sure (50,000 attainable
errors at a logit of 15 in float32); the formula label by label, and the package's, do not. In a program the package
takes ``sum_{c<k} p_c p_k (e_c - e_k)(e_c - e_k)^T``, and squares differences of the last weights once for all examples.

References
----------
.. [goodfellow2015] I. Goodfellow, Efficient per-example gradient computations, arXiv:1510.01799 (2015), sec. 4.
"""

from __future__ import annotations

import time

import numpy as np
import pytest
from bench.measure import microseconds, summarise, table
from bench.networks import classifier, proved
from helpers.fisher import variance_of_jacobians

import refgrad.numpy as rnp
from refgrad import exact, jacrev, per_example_grad, stage, vmap
from refgrad.continual import empirical_fisher_diagonal, fisher_diagonal

pytestmark = pytest.mark.bench
BY_HAND = "NumPy by hand, dense layers"


def logits(p, X):
    W, b, V, c = p
    return rnp.tanh(X @ W + b) @ V + c


def by_hand(p, X):
    W, b, V, c = p
    h = np.tanh(X @ W + b)
    z = h @ V + c
    e = np.exp(z - z.max(axis=1, keepdims=True))
    q = e / e.sum(axis=1, keepdims=True)
    variance = q * (1 - q)
    s, mean = 1 - h * h, q @ V.T
    d = (s * s) * (q @ (V * V).T - mean * mean)
    N = len(X)
    return (X * X).T @ d / N, d.sum(0) / N, (h * h).T @ variance / N, variance.sum(0) / N


def label_by_label(p, X):
    """The same without the identity for the expectation over labels: deltas for each label, one product in the end."""
    W, b, V, c = p
    h = np.tanh(X @ W + b)
    z = h @ V + c
    e = np.exp(z - z.max(axis=1, keepdims=True))
    q = e / e.sum(axis=1, keepdims=True)
    slope, outer, inner = 1 - h * h, 0, 0
    for k in range(len(c)):
        r = -q
        r[:, k] += 1
        d = (r @ V.T) * slope
        outer, inner = outer + q[:, k : k + 1] * (r * r), inner + q[:, k : k + 1] * (d * d)
    N = len(X)
    return (X * X).T @ inner / N, inner.sum(0) / N, (h * h).T @ outer / N, outer.sum(0) / N


def in_chunks(p, X, size=50):
    parts = [variance_of_jacobians(p, X[k : k + size]) for k in range(0, len(X), size)]
    return tuple(sum(a) / len(parts) for a in zip(*parts, strict=True))


def stable(f, arguments):
    """Whether f is the Fisher diagonal, but for what rounding does to a stable method."""
    error = exact.error(f(*arguments), exact.evaluate(by_hand, *arguments))
    return error <= 30 * exact.attainable(by_hand, arguments)


def test_the_exact_fisher_diagonal_of_two_thousand_examples():
    few = classifier(np.random.default_rng(1), (3, 4, 3), 2)[:2]
    assert proved(by_hand, variance_of_jacobians, *few)
    assert stable(by_hand, few)
    assert stable(label_by_label, few)
    p, X, _ = classifier(np.random.default_rng(0), (64, 128, 10), 2000, np.float32)
    runs = {BY_HAND: lambda: by_hand(p, X), "NumPy by hand, label by label": lambda: label_by_label(p, X)}
    assert stable(stage(variance_of_jacobians, *few, reassociate=True), few)
    staged = stage(variance_of_jacobians, p, X, reassociate=True)
    runs["staged, reassociated"] = lambda: staged(p, X)
    times = microseconds(runs, rounds=20, inner=2)
    start = time.process_time()
    in_chunks(p, X)
    times["eager, vmap over 50 examples at a time"] = (time.process_time() - start) * 1e6
    against = dict.fromkeys([name for name in times if name != BY_HAND], BY_HAND)
    table("true Fisher diagonal, MLP 64-128-10, 2000 examples, float32", times, against)
    ratio = times["staged, reassociated"] / times[BY_HAND]
    summarise("variance of Jacobians, staged", ratio, "x NumPy by hand", "<= 1.5")


def empirical_by_hand(p, X, Y):
    W, b, V, c = p
    h = np.tanh(X @ W + b)
    z = h @ V + c
    e = np.exp(z - z.max(axis=1, keepdims=True))
    r = e / e.sum(axis=1, keepdims=True) - Y
    d = (r @ V.T) * (1 - h * h)
    N, r, d = len(X), r * r, d * d
    return (X * X).T @ d / N, d.sum(0) / N, (h * h).T @ r / N, r.sum(0) / N


def test_the_fisher_diagonals_of_the_package():
    p, X, Y = classifier(np.random.default_rng(1), (3, 4, 3), 2)
    labels = lambda Y: np.argmax(np.asarray(Y, float), axis=1)
    assert proved(by_hand, lambda p, X: fisher_diagonal(logits, p, X), p, X)
    empirical = lambda p, X, Y: empirical_fisher_diagonal(logits, p, X, labels(exact.bounds(Y)[0]))
    assert proved(empirical_by_hand, empirical, p, X, Y)
    p, X, Y = classifier(np.random.default_rng(0), (64, 128, 10), 2000, np.float32)
    y = labels(Y)
    loss = lambda p, x, y: rnp.logsumexp(logits(p, x)) - logits(p, x)[y]
    gradients, jacobians = per_example_grad(loss), vmap(jacrev(logits), (None, 0))
    true_staged = stage(lambda p, X: fisher_diagonal(logits, p, X), p, X, reassociate=True)
    empirical_staged = stage(lambda p, X, y: empirical_fisher_diagonal(logits, p, X, y), p, X, y, reassociate=True)
    times = microseconds(
        {
            BY_HAND: lambda: by_hand(p, X),
            "NumPy by hand, label by label": lambda: label_by_label(p, X),
            "fisher_diagonal, staged, reassociated": lambda: true_staged(p, X),
            "empirical, by hand": lambda: empirical_by_hand(p, X, Y),
            "empirical, staged, reassociated": lambda: empirical_staged(p, X, y),
        },
        rounds=15,
        inner=4,
    )
    times |= microseconds(
        {
            "vmap(jacrev), all examples at once": lambda: jacobians(p, X),
            "fisher_diagonal": lambda: fisher_diagonal(logits, p, X),
            "per_example_grad, squared": lambda: [np.mean(g * g, axis=0) for g in gradients(p, X, y)],
            "empirical_fisher_diagonal": lambda: empirical_fisher_diagonal(logits, p, X, y),
        },
        rounds=5,
        inner=1,
    )
    against = {
        "fisher_diagonal": BY_HAND,
        "fisher_diagonal, staged, reassociated": BY_HAND,
        "empirical_fisher_diagonal": "empirical, by hand",
        "empirical, staged, reassociated": "empirical, by hand",
    }
    table("Fisher diagonals, MLP 64-128-10, 2000 examples, float32", times, against)
    for name, other, wanted in (
        ("fisher_diagonal", "vmap(jacrev), all examples at once", "<= 1.2"),
        ("fisher_diagonal, staged, reassociated", BY_HAND, "<= 1.5"),
        ("fisher_diagonal, staged, reassociated", "NumPy by hand, label by label", "<= 1.5"),
        ("empirical_fisher_diagonal", "per_example_grad, squared", "<= 1.2"),
        ("empirical, staged, reassociated", "empirical, by hand", "<= 1.5"),
    ):
        summarise(name, times[name] / times[other], f"x {other}", wanted)
