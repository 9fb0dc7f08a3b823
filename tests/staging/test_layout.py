"""Last bits depend on where numbers lie in memory, and on wrapping round: what a program must not change."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.bits import same_bits

import refgrad.numpy as rnp
from refgrad import grad, source, stage
from refgrad.staging import buffers

rng = np.random.default_rng(0)


def run(text, *args):
    """The last function of a module, called."""
    module = {}
    exec(text, module)
    return module[text[text.rindex("\ndef ") + 5 :].split("(")[0]](*args)


@pytest.mark.parametrize("one", ["int8", "uint8", "int64", "float32", "float64"])
@pytest.mark.parametrize("two", ["int8", "uint8", "int64", "uint64"])
def test_minus_wraps_round_among_integers_before_the_sum_is_widened(one, two):
    a = np.array([0, 1, 100]).astype(one)
    b = np.array([np.iinfo(two).min, 1, np.iinfo(two).max], two)

    def f(a, b):
        return a + -b, -b + a, a - -b

    assert same_bits(stage(f)(a, b), f(a, b))


def test_a_negated_broadcast_array_keeps_its_say_in_the_order_of_axes():
    a = np.asfortranarray(rng.normal(size=(30, 40)))
    b = np.broadcast_to(rng.normal(size=(30, 1)), (30, 40))

    def f(a, b):
        return np.sum(a + -b), np.sum(-b + a), np.sum(a - -b), np.sum(a[1:] + -b[1:])

    assert (a + -b).strides != (a - b).strides
    assert same_bits(stage(f)(a, b), f(a, b))


def test_a_stack_of_products_is_not_row_major_if_the_stacks_are_not(monkeypatch):
    a = rng.normal(size=(16, 15, 4, 4)).transpose(1, 0, 2, 3)

    def f(a):
        product = a @ a
        return np.sum(product * np.full(product.shape, 2.0)), np.sum(np.tanh(product) * 2.0 + 1.0)

    assert not (a @ a).flags.c_contiguous
    for smallest in (0, buffers.SMALLEST):
        monkeypatch.setattr(buffers, "SMALLEST", smallest)
        assert same_bits(stage(f)(a), f(a))


def test_equal_factors_in_different_memory_stay_apart():
    def f(x):
        a, b, c = np.tanh(x), np.tanh(x), np.negative(-np.tanh(x))
        return a.T @ b, (1 * a).T @ a, rnp.einsum("ij,ik->jk", a, b), c.T @ b, a.T @ a, np.tanh(x[:, 1:]).T @ b

    differ = 0
    for n in (7, 9, 17, 33, 65):
        x = rng.normal(size=(n + 3, n))
        differ += not (np.tanh(x).T @ np.tanh(x) == f(x)[4]).all()
        for found in (stage(f)(x), run(source(f, x), x)):
            for i, (one, two) in enumerate(zip(found, f(x), strict=True)):
                assert same_bits(one, two), (n, i)
    assert differ >= 2, "NumPy's two ways are expected to differ, for which n depends on the processor"


def test_values_used_in_three_products_stay_apart_from_each_other():
    def f(x):
        a, b, c = np.sin(x), np.sin(x), np.sin(x)
        return a.T @ b + b.T @ c, a.T @ c

    x = rng.normal(size=(10, 7))
    assert same_bits(stage(f)(x), f(x))
    assert same_bits(stage(grad(lambda x: np.sum(f(x)[0])))(x), grad(lambda x: np.sum(f(x)[0]))(x))


def test_captured_arrays_keep_the_gaps_between_their_elements():
    table = rng.normal(size=(200, 7))
    column, rows, backwards = table[:, 3], table[::2, ::2], table[::-1, ::-1]
    spread = np.broadcast_to(column[:5], (4, 5))

    def f(w):
        return np.sum((column @ w) * w), rows.T @ w[:100], backwards.T @ w, spread @ w[:5], np.sum(spread * w[:5])

    w = rng.normal(size=200)
    assert (rows.T @ w[:100] != rows.copy().T @ w[:100]).any() or column @ w != column.copy() @ w
    assert same_bits(stage(f)(w), f(w))
    before = stage(f, w)
    expected = f(w)
    table[:] = 0.0
    assert same_bits(before(w), expected)


def test_numbers_are_arrays_where_a_method_is_asked():
    for given in (0.5, np.float32(0.5), np.float64(0.5), np.array(0.5)):
        for f in (lambda a: rnp.astype(a, np.float32), rnp.digamma):
            assert same_bits(stage(f)(given), f(given))
            assert same_bits(run(source(f, given), given), f(given))
