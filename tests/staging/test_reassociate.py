"""Sums in another order: what is gained, and that the last bits stay within the bound that is stated."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.bits import same_bits
from helpers.fisher import variance_of_jacobians

import refgrad.numpy as rnp
from refgrad import exact, grad, per_example_grad, source, stage, vmap
from refgrad.continual import empirical_fisher_diagonal, fisher_diagonal
from refgrad.staging.program import record
from refgrad.staging.reassociate import rearrange
from refgrad.staging.simplify import simplify
from refgrad.staging.staged import program_of

N, D, H, C = 7, 3, 4, 3


def diagonal_fisher(p, X):
    """The true Fisher diagonal of a softmax network, the mean over the examples."""

    def log_probabilities(p, x):
        W, b, V, c = p
        logits = np.tanh(x @ W + b) @ V + c
        return logits - rnp.logsumexp(logits)

    total = None
    for label in range(C):

        def of_label(p, x):
            log_p = log_probabilities(p, x)[label]
            return log_p, np.exp(log_p)

        def weighted_squares(p, x):
            g, probability = grad(of_label, has_aux=True)(p, x)
            return [probability * a * a for a in g]

        terms = [np.sum(t, axis=0) for t in vmap(weighted_squares, in_axes=(None, 0))(p, X)]
        total = terms if total is None else [s + t for s, t in zip(total, terms, strict=True)]
    return tuple(t / len(X) for t in total)


def network(rng, dtype=np.float64):
    sizes = ((D, H), (H,), (H, C), (C,))
    return tuple(rng.normal(size=s).astype(dtype) for s in sizes), rng.normal(size=(N, D)).astype(dtype)


@pytest.mark.parametrize(("f", "size"), [(diagonal_fisher, N * H * max(D, C)), (variance_of_jacobians, N * C * H * D)])
def test_the_gradients_of_examples_never_come_to_be(f, size):
    p, X = network(np.random.default_rng(0))
    plain = simplify(record(f, (p, X), {}))
    program = rearrange(plain)
    largest = lambda program: max(int(np.prod(e.output.shape)) for e in program.equations)
    assert largest(plain) == size
    assert largest(program) == N * H
    assert "(X * X).T @ " in source(f, p, X, reassociate=True)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_number_in_the_gradient_of_an_example_is_a_factor_like_any_other(dtype):
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.normal(size=shape).astype(dtype)
    params, X, y = [draw(D, H), draw(H)], draw(N, D), draw(N)

    def squares(params, X, y):
        slopes = per_example_grad(lambda p, x, t: (np.tanh(x @ p[0]) @ p[1] - t) ** 2)(params, X, y)
        return [np.mean(g**2, axis=0) for g in slopes]

    program = program_of(squares, (params, X, y), {}, reassociate=True, longest=100)
    assert max(int(np.prod(e.output.shape)) for e in program.equations) == N * H
    truth = exact.evaluate(squares, params, X, y)
    found = stage(squares, reassociate=True)(params, X, y)
    assert {g.dtype.name for g in found} == {dtype}
    assert exact.error(found, truth) <= 5 * exact.attainable(squares, (params, X, y), dtype)


def test_the_fisher_diagonals_of_the_package_form_no_gradient_of_an_example():
    p, X = network(np.random.default_rng(0))
    logits = lambda p, X: rnp.tanh(X @ p[0] + p[1]) @ p[2] + p[3]
    for f in (
        lambda p, X: fisher_diagonal(logits, p, X),
        lambda p, X: empirical_fisher_diagonal(logits, p, X, np.arange(N) % C),
    ):
        program = program_of(f, (p, X), {}, reassociate=True, longest=100)
        assert max(int(np.prod(e.output.shape)) for e in program.equations) == N * H
        staged = stage(f, p, X, reassociate=True)(p, X)
        assert all(np.abs(a - b).max() <= 2.0**-48 * b.max() for a, b in zip(staged, f(p, X), strict=True))


def test_the_expectation_over_labels_needs_no_loop():
    p, X = network(np.random.default_rng(0))
    names = [e.primitive.name for e in rearrange(simplify(record(variance_of_jacobians, (p, X), {}))).equations]
    # forward, V for all labels at once, means and mean squares over labels of both layers, one product per layer
    assert names.count("matmul") == 2 + 1 + 4 + 2


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("f", [diagonal_fisher, variance_of_jacobians])
def test_a_diagonal_fisher_is_as_accurate_as_before(f, dtype):
    p, X = network(np.random.default_rng(3), dtype)
    truth = exact.evaluate(diagonal_fisher, p, X)
    attainable = exact.attainable(diagonal_fisher, (p, X), dtype)
    for function in (f, stage(f, reassociate=True)):
        assert exact.error(function(p, X), truth) <= 5 * attainable


def test_a_sum_of_squared_outer_products_is_within_the_bound_exactly():
    rng = np.random.default_rng(1)
    A, B, w = rng.normal(size=(9, 4)), rng.normal(size=(9, 5)), rng.normal(size=(9,))

    def f(A, B, w):
        outer = A[:, :, None] * B[:, None, :]
        return np.sum(w[:, None, None] * outer * outer, axis=0)

    staged = stage(f, A, B, w, reassociate=True)
    assert ".T @" in source(f, A, B, w, reassociate=True)
    rational = [exact.asarray(a) for a in (A, B, w)]
    truth = f(*rational)
    terms = f(*[exact.asarray(np.abs(a)) for a in (A, B, w)])
    n = 9 + 5
    gamma = exact.asarray(n) * exact.asarray(2**-53) / (1 - n * exact.asarray(2**-53))
    for found in (staged(A, B, w), f(A, B, w)):
        assert bool((abs(exact.asarray(found) - truth) <= gamma * terms).all())
    assert not same_bits(staged(A, B, w), f(A, B, w))


SUMS = {
    "first power": lambda A, B, w: np.sum(A[:, :, None] * B[:, None, :], axis=0),
    "kept axes": lambda A, B, w: np.sum(A[:, :, None] * B[:, None, :], axis=0, keepdims=True),
    "powers": lambda A, B, w: np.sum((A[:, :, None] * B[:, None, :]) ** 3, axis=0),
    "the summed axis last": lambda A, B, w: np.sum(A.T[:, None, :] * B.T[None, :, :] * w, axis=2),
    "columns before rows": lambda A, B, w: np.sum(B[:, None, :4] * A[:, :, None], axis=0),
    "a weight alone on the summed axis": lambda A, B, w: np.sum(
        A[:, :, None] * w[:, None, None] * B[:, None, :], axis=0
    ),
    "three axes on one side": lambda A, B, w: np.sum(
        (A[:, :, None] * w[:, None, None])[:, :, :, None] * B[:, None, None, :], axis=0
    ),
    "an axis of its own on one side": lambda A, B, w: np.sum(A[:, :, None] * B[:, None, :], axis=(0, 2)),
    "both axes summed": lambda A, B, w: np.sum(A[:, :, None] * B[:, None, :], axis=(1, 2)),
    "a batch axis that stays": lambda A, B, w: np.sum(
        A[:, :, None] * (A * w[:, None])[:, :, None] * B[:, None, :], axis=1
    ),
    "two stacks of matrices": lambda A, B, w: np.sum(
        (A[:, :, None] - w[:3])[:, :, :, None] * (A[:, :, None] - B[0, :2])[:, :, None, :], axis=1
    ),
    "an axis that a third factor has": lambda A, B, w: np.sum(
        (A[:, :, None] * w[:3])[:, :, :, None] * (A[:, :, None] - B[0, :2])[:, :, None, :] * A[0, :, None, None],
        axis=(0, 1),
    ),
    "a third factor on one of two summed axes": lambda A, B, w: np.sum(
        (A[:, :, None, None, None] - w[:3, None, None])
        * (A[:, :, None, None, None] - B[0, :2, None])
        * (A[0, :, None, None, None] - w[:2]),
        axis=(0, 1),
    ),
    "an axis that one group has alone": lambda A, B, w: np.sum((A[:, :, None] * B[:, None, :]) ** 2, axis=2),
    "the same, then the other axis": lambda A, B, w: np.sum(
        np.sum((A[:, :, None, None] * (B[:, :, None] * w[:3])[:, None]) ** 2, axis=3), axis=0
    ),
    "two such axes at once": lambda A, B, w: np.sum((A[:, :, None, None] * (B[:, :, None] - w)[:, None]), axis=(2, 3)),
    "a factor without the summed axis": lambda A, B, w: np.sum((B[:, :, None] - w) * A[:, :1, None], axis=2),
    "a summed axis of length 1": lambda A, B, w: np.sum(A[:, None, :] * w[:, None, None], axis=1),
    "no sum at all": lambda A, B, w: A[:, :, None] * B[:, None, :],
    "a factor over all axes": lambda A, B, w: np.sum(np.tanh(A[:, :, None] * B[:, None, :]) * w[:, None, None], axis=0),
    "products added": lambda A, B, w: A.T @ B + A.T @ (B * B) + A.T @ (w[:, None] * B),
    "sums added": lambda A, B, w: np.sum(A, axis=0) + np.sum(A * A, axis=0) - np.sum(w[:, None] * A, axis=0),
    "a stack times a matrix": lambda A, B, w: A.reshape((3, 3, 4)) @ B[:4],
}


@pytest.mark.parametrize("name", SUMS)
def test_every_rewrite_keeps_the_value_up_to_rounding(name):
    f = SUMS[name]
    rng = np.random.default_rng(2)
    A, B, w = (rng.integers(-4, 5, size).astype(float) for size in ((9, 4), (9, 5), (9,)))
    staged = stage(f, A, B, w, reassociate=True)
    if name == "a factor over all axes":  # nothing to rewrite here
        assert same_bits(staged(A, B, w), f(A, B, w))
    else:  # on small integers every sum is exact, in any order; only the sign of a zero may differ
        assert same_bits(staged(A, B, w) + 0.0, f(A, B, w) + 0.0)


def test_without_the_option_nothing_of_this_happens():
    p, X = network(np.random.default_rng(0))
    assert same_bits(stage(diagonal_fisher)(p, X), diagonal_fisher(p, X))
    loss = lambda w, x: (x @ w) ** 2
    w = np.arange(3.0)
    assert same_bits(stage(per_example_grad(loss))(w, X), per_example_grad(loss)(w, X))
