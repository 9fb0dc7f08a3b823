"""Bilevel problems against truncated series: every derivative by hand, every solution and every hypergradient."""

from __future__ import annotations

import copy
from fractions import Fraction

import numpy as np
import pytest
from helpers import bilevel
from helpers.jets import JetArray, coefficient, line
from hypothesis import given, settings
from hypothesis import strategies as st

from refgrad import exact
from refgrad.backend.exact.array import ElementArray
from refgrad.contracts.continual import SquaredLogits
from refgrad.contracts.implicit import quantities
from refgrad.contracts.implicit.auxiliary import AuxiliaryTasks
from refgrad.contracts.implicit.bilevel import QuadraticBilevel
from refgrad.contracts.implicit.intercepts import LogisticIntercept, PoissonIntercept
from refgrad.contracts.implicit.losses import Outer, Penalised, TwoLayers
from refgrad.contracts.implicit.manufactured import Manufactured, QuadraticMap
from refgrad.contracts.implicit.problem import Derivatives
from refgrad.contracts.implicit.ridge import Ridge
from refgrad.contracts.tools import EXACT_TABLE, Quartic, checked_solve

VARIANT = bilevel.variants()
EPS = Fraction(1, 2**40)


@pytest.fixture(autouse=True, scope="module")
def many_bits():
    with exact.precision(256):
        yield


class Numbers:
    """Exact arrays of the integers drawn, in order; or balls of them."""

    def __init__(self, values, convert=exact.asarray):
        self.values, self.convert = iter(values), convert

    def __call__(self, *shape):
        return self.convert(np.array([next(self.values) for _ in range(int(np.prod(shape)))], object).reshape(shape))

    def symmetric(self, n):
        a = self(n, n)
        return a + a.T

    def positive(self, *diagonal):
        """``L D L^T`` with unit lower triangular L: positive definite if the diagonal is positive."""
        L = self.convert(np.eye(len(diagonal), dtype=int).astype(object))
        for i, j in zip(*np.tril_indices(len(diagonal), -1), strict=True):
            L[i, j] = self()
        return L @ self.convert(np.diag(diagonal).astype(object)) @ L.T

    def outer(self, n, m):
        return {"Q": self.symmetric(n), "t": self(n), "R": self(n, m), "P": self.symmetric(m), "q": self(m)}


def quadratic(a, n=2, m=3):
    return QuadraticBilevel(H=a.positive(2, -3), C=a(n, m), c=a(n), **a.outer(n, m)), a(m)


def ridge(a, n=2):
    return Ridge(X=a(3, n), y=a(3), X_val=a(2, n), y_val=a(2), G=exact.asarray([[1], [1]])), 1 + abs(a(1))


def ridge_of_features(a, n=2):
    identity = exact.asarray([[1, 0], [0, 1]])
    return Ridge(X=a(3, n), y=a(3), X_val=a(2, n), y_val=a(2), G=identity), 1 + abs(a(2))


def ridge_of_groups(a, n=3):
    groups = exact.asarray([[1, 0], ["1/2", 2], [0, 3]])
    return Ridge(X=a(2, n), y=a(2), X_val=a(2, n), y_val=a(2), G=groups), 1 + abs(a(2))


def auxiliary(a, n=2):
    tasks = [a.positive(1, 2), a.positive(3, 1)]
    A = exact.asarray(np.array([exact.to_fractions(A) for A in tasks], object))
    return AuxiliaryTasks(a.positive(1, 1), a(n), A, a(2, n), a.symmetric(n), a(n)), abs(a(2))


def manufactured(a, n=2, m=2):
    psi = QuadraticMap(a(n) / 2, a(n, m), a(n, m, m) / 4)
    problem = Manufactured(Quartic(EXACT_TABLE), (a(2, n), a(2)), psi, a.convert(["1/2"])[0], **a.outer(n, m))
    return problem, a(m)


class CrossEntropy:
    """The mean cross-entropy of some logits as a loss."""

    def __init__(self, logits):
        self.logits, self.grad, self.hvp = logits, logits.grad, logits.hvp

    def __call__(self, theta, batch):
        X, y = batch
        z = self.logits(theta, X)
        total = EXACT_TABLE.log(EXACT_TABLE.sum(EXACT_TABLE.exp(z), 1))
        return sum(total[n] - z[n, y[n]] for n in range(len(y))) / len(y)


def classifier(a, n=3, m=2):
    a.convert = exact.balls
    psi = QuadraticMap(a(n) / 2, a(n, m) / 2, a(n, m, m) / 4)
    loss, batch = CrossEntropy(SquaredLogits(EXACT_TABLE, 2)), (a(2, 1) / 2, np.array([0, 1]))
    # a large mu, because a curvature without an inverse is not what is tested
    return Manufactured(loss, batch, psi, exact.balls(40), **a.outer(n, m)), a(m)


def logistic(a):
    a.convert = exact.balls
    return LogisticIntercept(EXACT_TABLE, *(1 + abs(a(2))), *abs(a(2))), (1 + abs(a(2))) / 2


def poisson(a):
    a.convert = exact.balls
    return PoissonIntercept(EXACT_TABLE, 1 + abs(a()), 4 + a(), 3), (2 + a(1)) / 2


class Given:
    """An inner and an outer loss as the contracts hand them in, at the solution that the inner one was made to have."""

    def __init__(self, inner, outer):
        self.inner, self.outer = inner, outer

    def inner_grad(self, w, phi):
        return self.inner.grad(w, phi)

    def inner_hvp(self, w, phi, v):
        return self.inner.hvp(w, phi, v)

    def mixed(self, w, phi, u):
        return self.inner.mixed(w, phi, u)

    def solution(self, phi):
        return self.inner.w_star

    def derivatives(self, w, phi):
        inner, outer = self.inner, self.outer
        by_inner = {"slope": inner.grad, "slope_phi": inner.slope_phi, "H": inner.hessian, "B": inner.cross}
        by_outer = {"g": outer.grad_w, "d": outer.grad_phi, "Q": outer.hessian}
        return Derivatives(**{name: f(w, phi) for name, f in (by_inner | by_outer).items()})

    def hypergradient(self, phi):
        return quantities.hypergradient(self.inner, self.outer, self.inner.w_star, phi)


def steep(a, n):
    """A symmetric matrix that no other part of a Hessian in these tests makes singular."""
    return a.symmetric(n) + 200 * exact.asarray(np.eye(n, dtype=int).astype(object))


def penalised(a, n=3, m=2):
    phi = a(m)
    return Given(Penalised(steep(a, n), a(n, m), a(n, m), a(n), phi), Outer(**a.outer(n, m))), phi


def two_layers(a, n=2, m=3):
    phi = a(m)
    inner = TwoLayers(steep(a, n), a(n, m), a(2, n), a(2, n), a(2, m), a(n), phi)
    return Given(inner, Outer(**a.outer(n, m))), phi


RATIONAL = [quadratic, ridge, ridge_of_features, ridge_of_groups, auxiliary, manufactured]
BUILDERS = [*RATIONAL, classifier, logistic, poisson, penalised, two_layers]
sweep = settings(max_examples=3, deadline=None)
integers = st.integers(0, 999).map(lambda seed: np.random.default_rng(seed).integers(-3, 4, 110).tolist())


def same(a, b):
    """Equal; or balls that may be, and are too small for that to be chance."""
    low, high = exact.bounds(a - b)
    return all(x <= 0 <= y and y - x < Fraction(1, 2**100) for x, y in zip(low.flat, high.flat, strict=True))


def bounded(answer):
    """Whether the magnitude, which is a float64 number, is at least the absolute value."""
    return bool(np.all(exact.bounds(abs(answer.value))[0] <= (1 + EPS) * exact.bounds(answer.magnitude)[1]))


def still(x):
    """A problem, or anything it is made of, with series that do not move in the place of numbers."""
    if isinstance(x, ElementArray):
        return line(x, 0 * x)
    if isinstance(x, tuple):
        return tuple(still(part) for part in x)
    if isinstance(x, CrossEntropy):
        return CrossEntropy(still(x.logits))
    if hasattr(x, "__dict__"):
        moved = copy.copy(x)
        moved.__dict__ = {name: still(part) for name, part in vars(x).items()}
        return moved
    return x


def unit(like, k):
    return 0 * like + np.eye(len(like), dtype=int)[k]


def taylor(f, w, phi):
    """The gradient and the Hessian of ``f(w, phi)`` by both variables together, from series along lines."""
    units = [(unit(w, i), 0 * phi) for i in range(len(w))] + [(0 * w, unit(phi, k)) for k in range(len(phi))]

    def along(*chosen):
        v_w, v_phi = (sum(parts) for parts in zip(*chosen, strict=True))
        return f(line(w, v_w), line(phi, v_phi))

    single = [along(e) for e in units]
    squares = [2 * coefficient(y, 2) for y in single]
    hessian = [
        [(2 * coefficient(along(a, b), 2) - squares[i] - squares[j]) / 2 for j, b in enumerate(units)]
        for i, a in enumerate(units)
    ]
    return np.array([coefficient(y, 1) for y in single], object), np.array(hessian, object)


@pytest.mark.parametrize("build", BUILDERS)
@sweep
@given(integers)
def test_every_derivative_by_hand_is_that_of_the_series_of_the_loss(build, values):
    numbers = Numbers(values)
    problem, phi = build(numbers)
    n = len(problem.solution(phi))
    w = numbers(n) / 2
    found = problem.derivatives(w, phi)
    gradient, hessian = taylor(still(problem).inner, w, phi)
    assert same(found.slope, gradient[:n])
    assert same(found.slope_phi, gradient[n:])
    assert same(found.H, hessian[:n, :n])
    assert same(found.B, hessian[:n, n:])
    gradient, hessian = taylor(still(problem).outer, w, phi)
    assert same(found.g, gradient[:n])
    assert same(found.d, gradient[n:])
    assert same(found.Q, hessian[:n, :n])
    if not isinstance(problem, Given):
        assert bounded(bilevel.part("slope_phi")(problem, w, phi))
        assert bounded(bilevel.part("d")(problem, w, phi))


@pytest.mark.parametrize("build", BUILDERS)
@sweep
@given(integers)
def test_products_with_the_derivatives_are_those_of_the_matrices(build, values):
    problem, phi = build(Numbers(values))
    w = problem.solution(phi) + 1
    u = 0 * w + np.array([2, -3, 5, 1, -1][: len(w)])
    found = problem.derivatives(w, phi)
    assert same(problem.inner_grad(w, phi), found.slope)
    hvp, mixed = problem.inner_hvp(w, phi, u), problem.mixed(w, phi, u)
    assert all(same(hvp[i], sum(found.H[i, j] * u[j] for j in range(len(w)))) for i in range(len(w)))
    assert all(same(mixed[k], sum(found.B[i, k] * u[i] for i in range(len(w)))) for k in range(len(phi)))


def solution_series(problem, phi, v):
    """The series of the inner solution along ``phi + t v``: Newton's iteration settles one coefficient at a time."""
    moved, w = line(phi, v), problem.solution(phi)
    H = problem.derivatives(w, phi).H
    inverse = np.stack([checked_solve(H, unit(w, i)).data for i in range(len(w))], axis=1)
    series = line(w, 0 * w)
    for _ in range(3):
        series = series - JetArray(inverse) @ still(problem).inner_grad(series, moved)
    return series, moved


@pytest.mark.parametrize("build", BUILDERS)
@sweep
@given(integers)
def test_the_solution_is_stationary_and_stays_so_along_its_series(build, values):
    problem, phi = build(Numbers(values))
    w = problem.solution(phi)
    assert same(w - w, taylor(still(problem).inner, w, phi)[0][: len(w)])
    series, moved = solution_series(problem, phi, unit(phi, 0) + 1)
    slope = still(problem).inner_grad(series, moved)
    assert all(same(w - w, coefficient(slope, k)) for k in range(4))


@pytest.mark.parametrize("build", BUILDERS)
@sweep
@given(integers)
def test_the_hypergradient_is_the_first_coefficient_of_the_outer_loss_along_the_solution(build, values):
    problem, phi = build(Numbers(values))
    answer = problem.hypergradient(phi)
    assert bounded(answer)
    for k in range(len(phi)):
        F = still(problem).outer(*solution_series(problem, phi, unit(phi, k)))
        assert same(answer.value[k], coefficient(F, 1))


@pytest.mark.parametrize("build", [quadratic, poisson])
@sweep
@given(integers)
def test_the_second_derivative_is_twice_the_second_coefficient(build, values):
    problem, phi = build(Numbers(values))
    found = problem.second_derivative(phi)
    for k in range(len(phi)):
        for j in range(len(phi)):
            v = unit(phi, k) + unit(phi, j)
            F = still(problem).outer(*solution_series(problem, phi, v))
            assert same(v @ found @ v, 2 * coefficient(F, 2))
    assert same(found, found.T)


def unrolled(problem, phi, start, lr, steps):
    """The derivative by phi of the outer loss after some steps of gradient descent from a start held fixed."""
    moving, lr, columns = still(problem), still(exact.asarray(lr)), []
    for k in range(len(phi)):
        w, moved = line(start, 0 * start), line(phi, unit(phi, k))
        for _ in range(steps):
            w = w - lr * moving.inner_grad(w, moved)
        columns.append(coefficient(moving.outer(w, moved), 1))
    return np.array(columns, object)


UNROLLED = {
    "neumann": (Fraction(1, 16), 4),
    "neumann-one-term-fewer": (Fraction(1, 16), 3),
    "neumann-one-term-more": (Fraction(1, 16), 5),
    "neumann-lr-one": (1, 4),
    "one-step-unroll": (Fraction(1, 16), 1),
    "direct-only": (Fraction(1, 16), 0),
}


@pytest.mark.parametrize("name", UNROLLED)
@pytest.mark.parametrize("build", [quadratic, ridge_of_groups, auxiliary, manufactured])
@settings(max_examples=2, deadline=None)
@given(integers)
def test_a_neumann_series_is_gradient_descent_from_the_solution_differentiated(build, name, values):
    problem, phi = build(Numbers(values))
    lr, steps = UNROLLED[name]
    assert same(VARIANT[name](problem, phi).value, unrolled(problem, phi, problem.solution(phi), lr, steps))


@pytest.mark.parametrize("steps", [1, 2, 5])
@sweep
@given(integers)
def test_for_a_quadratic_inner_loss_descent_from_any_start_is_a_neumann_series_at_its_end(steps, values):
    numbers = Numbers(values)
    problem, phi = quadratic(numbers)
    lr, start = Fraction(1, 8), numbers(2)
    w = start
    for _ in range(steps):
        w = w - lr * (problem.H @ w - problem.c - problem.C @ phi)
    moved = copy.copy(problem)
    moved.c = problem.H @ w - problem.C @ phi  # the solution is where descent has ended
    answer = VARIANT["neumann"](moved, phi, lr=lr, terms=steps - 1)
    assert same(answer.value, unrolled(problem, phi, start, lr, steps))
    assert bounded(answer)


@pytest.mark.parametrize("build", RATIONAL)
@sweep
@given(integers)
def test_a_neumann_series_lacks_the_inverse_applied_to_its_next_power(build, values):
    problem, phi = build(Numbers(values))
    found = problem.derivatives(problem.solution(phi), phi)
    lr, rest = Fraction(1, 5), found.g
    for terms in range(4):
        rest = rest - lr * (found.H @ rest)
        lacking = found.B.T @ checked_solve(found.H, rest)
        answer = VARIANT["neumann"](problem, phi, lr=lr, terms=terms)
        assert same(answer.value - problem.hypergradient(phi).value, lacking)
        assert bounded(answer)


@pytest.mark.parametrize("build", [penalised, two_layers])
@pytest.mark.parametrize("steps", [0, 1, 2, 3])
@settings(max_examples=2, deadline=None)
@given(integers)
def test_the_unrolled_hypergradient_is_the_first_coefficient_of_the_outer_loss_where_the_steps_end(
    steps, build, values
):
    numbers = Numbers(values)
    problem, phi = build(numbers)
    start, lr = numbers(len(problem.inner.w_star)), Fraction(-1, 256)
    answer = quantities.unrolled_hypergradient(problem.inner, problem.outer, start, phi, exact.asarray(lr), steps)
    assert same(answer.value, unrolled(problem, phi, start, lr, steps))
    assert bounded(answer)


@pytest.mark.parametrize("build", [penalised, two_layers])
@pytest.mark.parametrize("terms", [0, 1, 3])
@settings(max_examples=2, deadline=None)
@given(integers)
def test_the_neumann_hypergradient_is_the_unrolled_one_from_the_solution_with_as_many_steps_as_terms(
    terms, build, values
):
    problem, phi = build(Numbers(values))
    call = problem.inner, problem.outer, problem.inner.w_star, phi, exact.asarray(Fraction(1, 256))
    answer = quantities.neumann_hypergradient(*call, terms)
    assert same(answer.value, quantities.unrolled_hypergradient(*call, terms + 1).value)
    assert bounded(answer)


@sweep
@given(integers)
def test_parts_of_a_hessian_are_those_of_the_squares_and_of_the_penalties(values):
    problem, phi = two_layers(Numbers(values))
    w, inner = problem.inner.w_star, problem.inner
    J = np.array([[coefficient(still(inner).residuals(line(w, unit(w, i)), line(phi, 0 * phi))[k], 1) for i in (0, 1)]
                  for k in (0, 1)], object)  # fmt: skip
    without = copy.copy(inner)
    without.G = 0 * inner.G
    assert same(inner.hessian(w, phi) - inner.penalty(phi), without.hessian(w, phi))
    assert same(
        inner.hessian(w, phi) - inner.second_order(w, phi), exact.asarray(J.T @ J) + inner.A + inner.penalty(phi)
    )
