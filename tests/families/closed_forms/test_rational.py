"""Families of bilevel problems with rational hypergradients: the engine has them with ==, on vectors and on leaves."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from helpers.hypergradients import Draw, has, hypergradients, made, quadratic, same, sized

import refgrad.numpy as rnp
from refgrad import exact, grad, hessian, jacfwd, jacrev
from refgrad.contracts.implicit import AuxiliaryTasks, Ridge, probe
from refgrad.contracts.tools import checked_solve
from refgrad.errors import IndefiniteHessian
from refgrad.implicit import custom_root, hypergradient

a = exact.asarray
pytestmark = pytest.mark.proves("hypergradient")
several = pytest.mark.parametrize("seed", range(3))


def test_the_probe():
    problem, w, phi = probe()
    assert has(problem, phi, a(["-4/5", "-4/5", "-6/5"]), w)


@several
@sized
def test_quadratic_losses(n, m, seed):
    problem, _, phi = quadratic(100 * seed + n + 10 * m, n, m)
    assert has(problem, phi)
    assert not has(problem, phi, problem.hypergradient(phi).value + 1)


@several
@sized
def test_manufactured_solutions_of_a_loss_of_degree_four(n, m, seed):
    problem, _, phi = made(100 * seed + n + 10 * m, n, m)
    assert has(problem, phi)


@several
@pytest.mark.parametrize("penalties", ["one", "one each", "of groups"])
@sized
def test_ridge_regression(n, m, penalties, seed):
    draw = Draw(100 * seed + n + 10 * m)
    G = {"one": 1 + 0 * draw(n, 1), "one each": draw.eye(n), "of groups": abs(draw(n, m))}[penalties]
    problem = Ridge(draw(m + 1, n), draw(m + 1), draw(2, n), draw(2), G)
    assert has(problem, abs(draw(G.shape[1])) / 2)


@several
@sized
def test_weights_of_auxiliary_tasks_zero_among_them(n, m, seed):
    draw = Draw(100 * seed + n + 10 * m)
    A = rnp.stack([draw.definite(n) for _ in range(m)])
    problem = AuxiliaryTasks(draw.definite(n), draw(n), A, draw(m, n), draw.definite(n), draw(n))
    phi = abs(draw(m))
    assert has(problem, phi)
    assert has(problem, 0 * phi)
    assert has(problem, rnp.concatenate([0 * phi[:1], phi[1:]]))


@several
@sized
def test_weights_of_examples(n, m, seed):
    draw = Draw(100 * seed + n + 10 * m)
    problem = AuxiliaryTasks.of_examples(draw(m, n), draw(m), a("3/4"), (draw(m + 2, n), draw(m + 2)))
    phi = abs(draw(m))
    for weights in (phi / 3, 1 + 0 * phi, 0 * phi):
        assert has(problem, weights)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_what_acts_once_directly_and_twice_through_the_solution(n):
    inner, outer = lambda w, p: (w - p) @ (w - p) / 2, lambda w, p: w @ w / 2 + p @ w
    phi = Draw(n)(n)
    for found in hypergradients(inner, outer, phi, phi):  # w* = phi, and F is 3/2 |phi|^2
        assert same(found, 3 * phi)


def saddle(seed, n, m):
    """An inner loss with eigenvalues of both signs."""
    problem, _, phi = quadratic(seed, n, m)
    draw = Draw(seed + 1)
    L = draw.eye(n) + rnp.tril(draw(n, n), -1)
    signs = a([(-1) ** k for k in range(n)])
    problem.H = L @ (signs[:, None] * L.T)  # Sylvester: as many of each sign as `signs` has
    return problem, phi


@several
@pytest.mark.parametrize(("n", "m"), [(2, 1), (2, 3), (3, 3), (5, 2)])
def test_saddles_if_they_are_asked_for(n, m, seed):
    problem, phi = saddle(seed, n, m)
    assert has(problem, phi, definite=False)
    with pytest.raises(IndefiniteHessian):
        hypergradient(problem.inner, problem.outer, problem.solution(phi), phi)


def test_the_saddle_of_two_weights():
    inner, outer = lambda w, p: (w[0] ** 2 - w[1] ** 2) / 2 - w @ p, lambda w, p: w @ w / 2
    for found in hypergradients(inner, outer, a([3, -3]), a([3, 3]), definite=False):
        assert same(found, a([3, 3]))


@pytest.mark.proves("custom-root")
@several
@pytest.mark.parametrize("n", [1, 2, 4])
def test_roots_of_a_matrix_that_is_not_symmetric(n, seed):
    draw = Draw(10 * seed + n)
    A = rnp.triu(draw(n, n), 1)
    M, g = draw.definite(n) + A - A.T, draw(n)  # w^T M w > 0: invertible
    found = grad(lambda p: g @ custom_root(lambda w, p: M @ w - p, lambda p: checked_solve(M, p))(p))(draw(n))
    assert same(M.T @ found, g)
    assert n == 1 or not same(M @ found, g)


@pytest.mark.proves("custom-root")
def test_the_root_of_two_numbers():
    M = a([[1, 2], [0, 1]])
    root = custom_root(lambda w, p: M @ w - p, lambda p: checked_solve(M, p))
    assert same(grad(lambda p: root(p) @ a([-1, 1]))(a([5, 7])), a([-1, 3]))  # by M^-1 it is (-3, 1)


@pytest.mark.proves("custom-root")
@several
@pytest.mark.parametrize(("n", "m"), [(2, 1), (3, 2), (5, 2), (2, 2)])
def test_quadratic_programs_by_their_right_hand_sides(n, m, seed):
    # min 1/2 w^T Q w + c^T w with A w = b: w = Q^-1 (A^T l - c) with A Q^-1 A^T l = b + A Q^-1 c
    draw = Draw(10 * seed + n)
    Q, c, g, b = draw.definite(n), draw(n), draw(n), draw(m)
    A = rnp.concatenate([draw.eye(m), draw(m, n - m)], 1) if n > m else draw.eye(m)

    def solution(b):
        l = checked_solve(A @ checked_solve(Q, A.T), b + A @ checked_solve(Q, c))
        return {"w": checked_solve(Q, A.T @ l - c), "multipliers": -l}

    def conditions(x, b):
        return {"w": Q @ x["w"] + c + A.T @ x["multipliers"], "multipliers": A @ x["w"] - b}

    root = custom_root(conditions, solution)
    truth = checked_solve(A @ checked_solve(Q, A.T), A @ checked_solve(Q, g))
    assert same(grad(lambda b: g @ root(b)["w"])(b), truth)
    value = lambda b: root(b)["w"] @ (Q @ root(b)["w"]) / 2 + c @ root(b)["w"]
    assert same(grad(value)(b), -solution(b)["multipliers"])  # the envelope theorem


@several
@pytest.mark.parametrize(("n", "k", "m"), [(1, 1, 1), (3, 2, 2), (1, 4, 3), (4, 1, 2)])
def test_a_shared_part_and_the_head_of_an_auxiliary_task(n, k, m, seed):
    # an outer loss of the n shared weights alone; the k of the head move with phi and with the shared ones
    problem, w, phi = quadratic(100 * seed + n + 10 * k + 1, n + k, m)
    t = w[:n] - Draw(seed)(n)
    outer = lambda w, p: (w[:n] - t) @ (w[:n] - t) / 2
    H, C, g = problem.H, problem.C, w[:n] - t
    head = checked_solve(H[n:, n:], rnp.concatenate([H[n:, :n], C[n:]], 1))
    schur, C_of_schur = H[:n, :n] - H[:n, n:] @ head[:, :n], C[:n] - H[:n, n:] @ head[:, n:]
    full = C_of_schur.T @ checked_solve(schur, g)
    assert has(SimpleNamespace(inner=problem.inner, outer=outer), phi, full, w)
    block = C[:n].T @ checked_solve(H[:n, :n], g)  # with the head held fixed
    held = lambda s, p: problem.inner(rnp.concatenate([s, w[n:]]), p)
    assert has(SimpleNamespace(inner=held, outer=outer), phi, block, w[:n])
    assert not same(full, block)


def test_a_head_held_fixed_turns_the_sign():
    H, C, w = a([[3, 1], [1, 1]]), a([-1, -3]), a([2, 0])
    inner = lambda w, p: w @ (H @ w) / 2 - w @ (C * p[0] + c)
    outer = lambda w, p: (w[0] - 1) ** 2 / 2
    phi = a([1])
    c = H @ w - C
    assert has(SimpleNamespace(inner=inner, outer=outer), phi, a([1]), w)
    held = lambda s, p: inner(rnp.concatenate([s, w[1:]]), p)
    assert has(SimpleNamespace(inner=held, outer=outer), phi, a(["-1/3"]), w[:1])


def seconds(problem, phi):
    """The second derivatives through the root of the slope, reverse over reverse and forward over forward."""
    root = custom_root(lambda w, p: grad(problem.inner)(w, p), problem.solution)
    F = lambda p: problem.outer(root(p), p)
    return jacrev(jacrev(F))(phi), jacfwd(jacfwd(F))(phi)


@pytest.mark.proves("custom-root")
@sized
def test_second_derivatives_of_quadratic_and_manufactured_problems(n, m):
    problem, _, phi = quadratic(n + m, n, m)
    assert all(same(found, problem.second_derivative(phi)) for found in seconds(problem, phi))
    problem, _, phi = made(n + m, n, m)
    truth = hessian(lambda p: problem.outer(problem.psi(p), p))(phi)  # a polynomial
    assert all(same(found, truth) for found in seconds(problem, phi))


@pytest.mark.proves("custom-root")
@pytest.mark.parametrize("n", [1, 2, 4])
def test_second_derivatives_of_ridge_regression_with_orthogonal_inputs(n):
    # w_i = c_i / (s_i + phi_i), and F is the sum of (w_i - t_i)^2 / 2: here B depends on w, and H on phi
    draw = Draw(n)
    x, y, t, phi = abs(draw(n)), draw(n), draw(n), abs(draw(n)) / 2
    problem = Ridge(x * draw.eye(n), y, draw.eye(n), t, draw.eye(n))
    c, h = x * y, x * x + phi
    truth = (c * c / h**4 + 2 * (c / h - t) * c / h**3) * draw.eye(n)
    assert all(same(found, truth) for found in seconds(problem, phi))
