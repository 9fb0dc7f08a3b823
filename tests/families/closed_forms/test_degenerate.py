"""Kinks and singular Hessians: a value where the closed form has one that no choice decides, and else an error."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.hypergradients import Draw, same

import refgrad.numpy as rnp
from refgrad import exact, grad
from refgrad.contracts.tools import checked_solve
from refgrad.errors import InnerNotConverged, Kink, NoNearbySolution, SelectionDependent, Undecided
from refgrad.implicit import Flags, custom_root, hypergradient

a = exact.asarray
floats = lambda x: np.array(x, float)
pytestmark = pytest.mark.proves("hypergradient")


def softened(b):
    """The lasso with orthonormal inputs, ``1/2 |w - b|^2 + lam |w|_1``, as a root of its proximal map."""
    threshold = lambda lam: rnp.sign(b) * rnp.maximum(abs(b) - lam[0], 0 * b)
    return custom_root(lambda w, lam: w - threshold(lam), threshold)


@pytest.mark.proves("custom-root")
@pytest.mark.parametrize(("b", "lam"), [([3, -5, 1], 2), ([3, -5, 1], "1/2"), ([2], 1), ([2], 3)])
def test_the_path_of_the_lasso_has_its_slope_on_the_active_weights_alone(b, lam):
    b, lam, t = a(b), a([lam]), a([2])
    root = softened(b)
    w = root(lam)
    truth = -rnp.sum((w - t) * rnp.sign(b) * rnp.sign(abs(w)))
    assert grad(lambda lam: (root(lam) - t) @ (root(lam) - t) / 2)(lam)[0] == truth


@pytest.mark.proves("custom-root")
def test_where_a_weight_of_the_lasso_joins_the_derivative_is_undecided_and_in_floats_the_mean_of_both_sides():
    sides = [grad(lambda lam: rnp.sum(softened(a([3]))(lam)))(a([lam]))[0] for lam in ("29/10", "31/10")]
    assert sides == [-1, 0]
    with pytest.raises(Kink):
        grad(lambda lam: rnp.sum(softened(a([3]))(lam)))(a([3]))
    assert grad(lambda lam: rnp.sum(softened(floats([3]))(lam)))(floats([3]))[0] == -0.5  # refgrad.autodiff.conventions


def lasso(X, y):
    return lambda w, lam: (X @ w - y) @ (X @ w - y) / 2 + lam[0] * rnp.sum(abs(w))


@pytest.mark.parametrize("n", [1, 2, 4])
def test_the_lasso_with_any_inputs_where_all_weights_are_active(n):
    draw = Draw(n)
    X, w, t, lam = rnp.concatenate([draw.eye(n), draw(2, n)]), draw(n), draw(n), a(["3/2"])
    step = checked_solve(X.T @ X, rnp.sign(w))
    y = X @ (w + lam * step)  # X^T (y - X w) = lam sign(w)
    found = hypergradient(lasso(X, y), lambda w, lam: (w - t) @ (w - t) / 2, w, lam)
    assert found.value[0] == -(w - t) @ step


def test_a_weight_that_the_lasso_holds_at_zero_is_a_kink_and_its_neighbours_alone_have_the_derivative():
    # X^T X = ((2, 1), (1, 2)), w = (1, 0), and the second slope is within lam of zero: only w_1 moves, by -1/2
    H, w, lam = [[2, 1], [1, 2]], [1, 0], ["1/2"]

    def inner(convert):
        A = convert(H)
        c = A @ convert(w) + convert([1, 0]) / 2
        return lambda w, lam: w @ (A @ w) / 2 - c @ w + lam[0] * rnp.sum(abs(w))

    outer = lambda w, lam: w[0]
    for convert in (a, exact.balls):
        with pytest.raises(Kink):
            hypergradient(inner(convert), outer, convert(w), convert(lam))
    A = a(H)
    alone = lambda v, lam: A[0, 0] * v[0] ** 2 / 2 - a("5/2") * v[0] + lam[0] * abs(v[0])
    assert hypergradient(alone, outer, a([1]), a(lam)).value[0] == a("-1/2")
    # floats have a convention for |.|'(0), and with it another number: what the docstring says of inner
    plain = inner(floats)
    assert hypergradient(plain, outer, floats(w), floats([0.5])).value[0] == pytest.approx(-2 / 3)
    with pytest.raises(InnerNotConverged):  # with any other slope within lam it is told
        hypergradient(lambda v, lam: plain(v, lam) - 0.25 * v[1], outer, floats(w), floats([0.5]))


@pytest.mark.parametrize("p", [("1/2", "1/2"), ("3/4", "1/4"), (2, -1)])
def test_which_of_many_solutions_descent_takes_is_the_choice_of_its_preconditioner(p):
    # 1/2 (w_1 + w_2 - phi)^2 by diag(p), p_1 + p_2 = 1, is solved after one step: w_1 moves by p_1 (phi - w_1 - w_2)
    inner = lambda w, phi: (rnp.sum(w) - phi[0]) ** 2 / 2
    p, start, phi = a(p), a([5, -3]), a([3])

    def descent(phi):
        w = start - p * grad(inner)(start, phi)
        assert rnp.sum(w) == phi[0]
        return w

    w = descent(phi)
    assert grad(lambda phi: descent(phi)[0])(phi)[0] == p[0]
    with pytest.raises(SelectionDependent):
        hypergradient(inner, lambda w, phi: w[0], w, phi)
    found = hypergradient(inner, lambda w, phi: rnp.sum(w) ** 2 / 2, w, phi)  # and this depends on none
    assert same(found.value, phi)
    assert same(grad(lambda phi: rnp.sum(descent(phi)) ** 2 / 2)(phi), phi)
    assert found.flags == Flags.PSEUDO_INVERSE


def test_a_solution_may_be_smooth_where_its_hessian_is_not_invertible_which_is_told_as_an_error():
    inner, outer = lambda w, phi: w[0] ** 4 / 4 - phi[0] ** 3 * w[0], lambda w, phi: w[0]  # w* = phi
    for phi in (a([2]), a(["-1/3"])):
        assert hypergradient(inner, outer, phi, phi).value[0] == 1
    with pytest.raises(SelectionDependent):
        hypergradient(inner, outer, a([0]), a([0]))
    root = lambda w, phi: w[0] ** 4 / 4 - phi[0] * w[0]  # w* = phi^(1/3)
    with pytest.raises(NoNearbySolution):
        hypergradient(root, lambda w, phi: w[0] ** 2, a([0]), a([0]))


def test_a_direction_that_is_flat_to_second_order_only_is_taken_to_be_flat():
    # w* = phi^(2/5), and F = |phi|^(4/5) / 2 has no derivative at 0: the flag says that H is singular, no more
    inner, outer = lambda w, phi: w[0] ** 6 / 6 - phi[0] ** 2 * w[0], lambda w, phi: w[0] ** 2 / 2
    found = hypergradient(inner, outer, a([0]), a([0]))
    assert (found.flags, found.value[0]) == (Flags.PSEUDO_INVERSE, 0)


def softmax(n, counts):
    """A softmax model with intercepts alone, by weights of its classes: inner, outer."""
    normaliser = lambda w: rnp.log(rnp.sum(rnp.exp(w)))
    inner = lambda w, phi: rnp.sum(phi * n) * normaliser(w) - (phi * n) @ w
    return inner, lambda w, phi: rnp.sum(counts) * normaliser(w) - counts @ w


def to_second_order(n, counts, p):
    """The same up to third derivatives at the w with the probabilities p, in rationals, from there."""
    normaliser = lambda v: p @ v + (p @ (v * v) - (p @ v) ** 2) / 2
    inner = lambda v, phi: rnp.sum(phi * n) * normaliser(v) - (phi * n) @ v
    return inner, lambda v, phi: rnp.sum(counts) * normaliser(v) - counts @ v


@pytest.mark.parametrize("definite", [True, False])
@pytest.mark.parametrize(
    ("n", "counts", "phi", "known"),
    [
        ([3, 5, 2], [1, 4, 5], [2, 1, "1/2"], [2, "1/6", "-25/3"]),
        ([1, 1], [3, 0], [1, 4], None),
        ([2, 7, 1, 1, 4], [0, 3, 1, 5, 2], [1, "1/3", 2, 5, "3/4"], None),
    ],
)
def test_weights_of_classes_of_a_softmax_which_one_number_for_all_does_not_move(n, counts, phi, known, definite):
    # p_c = phi_c n_c / sum: w_c = log phi_c n_c moves by 1 / phi_c, and dF / dphi_c = (M p_c - m_c) / phi_c
    n, counts, phi = a(n), a(counts), a(phi)
    p = phi * n / rnp.sum(phi * n)
    truth = (rnp.sum(counts) * p - counts) / phi
    assert known is None or same(truth, a(known))
    found = hypergradient(*to_second_order(n, counts, p), 0 * n, phi, definite=definite)
    assert same(found.value, truth)
    assert found.flags == Flags.PSEUDO_INVERSE
    plain = [x.astype(float) for x in (n, counts, phi)]
    w = np.log(plain[2] * plain[0])
    found = hypergradient(*softmax(*plain[:2]), w, plain[2], definite=definite)
    assert found.flags == Flags.PSEUDO_INVERSE
    # by interlacing, the other eigenvalues lie between the least and the largest phi_c n_c: within a factor of 6
    assert np.abs(found.value - truth.astype(float)).max() <= 1e-13 * np.abs(truth.astype(float)).max()
    with pytest.raises(SelectionDependent):  # of one logit the value depends on the number for all
        hypergradient(to_second_order(n, counts, p)[0], lambda v, phi: v[0], 0 * n, phi, definite=definite)
    with exact.precision(200):
        counted, at = softmax(exact.balls(n), exact.balls(counts)), exact.balls(phi)
        start = rnp.log(at * exact.balls(n))
        with pytest.raises(Undecided):  # balls do not tell that a matrix is singular
            hypergradient(*counted, start, at, definite=definite)
