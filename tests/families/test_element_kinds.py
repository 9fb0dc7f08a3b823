"""One code, three kinds of number: rationals of either type give equal results, and balls contain them.

And a fourth: what floats leave as an error stays within a stated multiple of the attainable one.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from helpers.drawing import draws
from helpers.fraction_arrays import FRACTIONS, FractionArray, converted

import refgrad.numpy as rnp
from refgrad import exact
from refgrad.continual import empirical_fisher_diagonal, ewc_penalty, fisher_diagonal
from refgrad.contracts.continual.problems import classification
from refgrad.contracts.implicit import QuadraticBilevel
from refgrad.contracts.implicit.problems import bilevel as problems_of_bilevel
from refgrad.contracts.meta.problems import few_shot, loss
from refgrad.contracts.multitask.problems import task_gradients
from refgrad.errors import Undecided
from refgrad.implicit import hypergradient
from refgrad.meta import fomaml_gradient, maml_gradient, reptile_update
from refgrad.multitask import mgda_direction, min_norm

LIMIT = 5
"""The errors of the families in float64 and float32 stay below this many attainable errors; a stable method may need
about 2, and the kit passes 30."""


def bilevel(H, C, c, Q, t, R, P, q, w, phi, solver):
    problem = QuadraticBilevel(H, C, c, Q, t, R, P, q)
    return hypergradient(problem.inner, problem.outer, w, phi, solver=solver).value


def by_conjugate_gradients(*arguments):
    return bilevel(*arguments, "cg")


def is_tied(J):
    """Whether a row without weight is at the level of the min-norm point as well, or two rows are of one length."""
    found = min_norm(J)
    level = found.direction @ found.direction
    at_level = J @ found.direction == level
    squares = exact.to_fractions(rnp.sum(J * J, axis=1))
    return bool((at_level & (found.weights == 0)).any()) or len(set(squares)) < len(squares)


def features(theta, X):
    """Two outputs for each example, polynomial in theta."""
    return rnp.stack([X @ theta, (X @ theta) ** 2], axis=1)


def problems(kind="rough"):
    """(name, function of exact arrays, its arguments)."""
    for i, drawn in enumerate(draws(problems_of_bilevel(kind), 4)):
        parts = [exact.asarray(drawn[name]) for name in ("H", "C", "c", "Q", "t", "R", "P", "q", "w", "phi")]
        yield f"hypergradient-{i}", lambda *a: bilevel(*a, "dense"), tuple(parts)
        yield f"hypergradient-cg-{i}", by_conjugate_gradients, tuple(parts)
    for i, drawn in enumerate(draws(few_shot(kind), 4)):
        lr, steps = exact.asarray(drawn["lr"]), drawn["steps"]
        theta, tasks = exact.asarray(drawn["theta"]), [[to_batch(b) for b in task] for task in drawn["tasks"]]
        f = loss(drawn, rnp)
        for method in (maml_gradient, fomaml_gradient):
            call = lambda theta, tasks, lr, f=f, m=method, k=steps: m(f, theta, tasks, lr, k)
            yield f"{method.__name__}-{i}", call, (theta, tasks, lr)
        steps_of = [[support, query, support] for support, query in tasks]
        yield (
            f"reptile_update-{i}",
            lambda theta, tasks, lr, f=f: reptile_update(f, theta, tasks, lr, lr),
            (theta, steps_of, lr),
        )
    for i, drawn in enumerate(draws(task_gradients(kind), 6)):
        yield f"mgda_direction-{i}", mgda_direction, (exact.asarray(drawn["J"]),)
    for i, drawn in enumerate(draws(classification(kind), 3)):
        X = exact.asarray(drawn["X"])
        theta, y = exact.asarray(drawn["theta"])[: X.shape[1]], exact.asarray(np.stack([drawn["y"]] * 2, 1))
        yield f"fisher-{i}", lambda t, X: fisher_diagonal(features, t, X, likelihood="gaussian"), (theta, X)
        yield (
            f"empirical-fisher-{i}",
            lambda t, X, y: empirical_fisher_diagonal(features, t, X, y, likelihood="gaussian"),
            (theta, X, y),
        )
        yield f"ewc_penalty-{i}", ewc_penalty, (theta, theta - 1, theta * theta, exact.asarray("3/4"))


def to_batch(batch):
    return tuple(exact.asarray(part) for part in batch)


def every(*kinds):
    cases = [pytest.param(f, a, id=f"{kind}-{name}") for kind in kinds for name, f, a in problems(kind)]
    return pytest.mark.parametrize(("function", "arguments"), cases)


@every("crisp", "rough")
def test_both_types_of_rationals_give_equal_results(function, arguments):
    ours = function(*arguments)
    theirs = function(*converted(list(arguments), lambda x: FRACTIONS.asarray(exact.to_fractions(x))))
    assert isinstance(theirs, FractionArray)
    assert all(type(q) is Fraction for q in theirs.data.flat)
    assert np.array_equal(np.asarray(exact.to_fractions(ours)), np.asarray(theirs.data))


@every("crisp", "rough")
def test_balls_contain_the_rational_result(function, arguments):
    truth = np.asarray(exact.to_fractions(function(*arguments)), object)
    with exact.precision(256):
        # no ball is a seventh exactly, so that what is enclosed is a whole neighbourhood of the problem
        inexact = converted(list(arguments), lambda x: exact.balls(x) + exact.balls("1/7") - exact.balls("1/7"))
        try:
            low, high = exact.bounds(function(*inexact))
        except Undecided:
            # no precision tells a zero residual from a small one, nor a row at the level from one above it
            assert function is by_conjugate_gradients or (function is mgda_direction and is_tied(*arguments))
            return
    assert function is not by_conjugate_gradients
    assert np.all(low <= truth)
    assert np.all(truth <= high)
    assert max(high.flat[i] - low.flat[i] for i in range(low.size)) < Fraction(1, 2**80)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@every("rough", "ill_conditioned")
def test_floats_stay_within_five_times_the_attainable_error(function, arguments, dtype):
    given = converted(list(arguments), lambda x: x.astype(dtype))
    found = function(*given)
    error = exact.error(found, exact.evaluate(function, *given))
    attainable = exact.attainable(function, tuple(given), dtype)
    if function is mgda_direction:  # where the hull holds 0, and does so nearby, the terms of a sum cancel to it
        (J,) = given
        attainable += Fraction(float(np.finfo(dtype).eps / 2 * (min_norm(J).weights @ abs(J)).max()))
    assert error <= LIMIT * attainable


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_hull_that_holds_zero_leaves_no_more_than_the_rounding_of_its_terms(dtype):
    J = [[-6.06228381e-04, -4.15572543e-05], [4.25292494e-04, 1.23654099e-03], [6.89100674e-05, -4.39778462e-04]]
    J = np.array(J, dtype)
    found = min_norm(J)
    assert exact.evaluate(mgda_direction, J).low.max() == 0
    assert abs(found.direction).max() <= LIMIT * np.finfo(dtype).eps / 2 * (found.weights @ abs(J)).max()


def test_the_multiple_is_not_generous_a_formula_that_cancels_exceeds_it():
    x = np.array([1e6 + 1, 1e6 - 1, 1e6])
    variance = lambda x: rnp.sum((x - rnp.sum(x) / 3) ** 2) / 3
    in_one_pass = lambda x: x @ x / 3 - (rnp.sum(x) / 3) ** 2
    truth, unit = exact.evaluate(variance, x), exact.attainable(variance, x)
    assert exact.evaluate(in_one_pass, x).low == truth.low
    assert exact.error(variance(x), truth) <= LIMIT * unit
    assert exact.error(in_one_pass(x), truth) > 30 * unit


def mlp(parameters, batch):
    """The mean squared error of a 4-6-3 tanh network, with the factor 1/2."""
    (W, b, V, c), (X, Y) = parameters, batch
    residual = rnp.tanh(X @ W + b) @ V + c - Y
    return rnp.sum(residual * residual) / (2 * Y.shape[0])


def test_five_steps_of_maml_through_a_tanh_network_are_certified_to_73_bits():
    rng = np.random.default_rng(0)
    # eighths, so that the exact evaluation and the floats share their inputs
    eighths = lambda *shape: rng.integers(-8, 9, shape) / 8
    theta = (eighths(4, 6), eighths(6), eighths(6, 3), eighths(3))
    tasks = [((eighths(8, 4), eighths(8, 3)), (eighths(8, 4), eighths(8, 3))) for _ in range(2)]
    method = lambda theta, tasks: maml_gradient(mlp, theta, tasks, Fraction(1, 8), 5)
    truth = exact.evaluate(method, theta, tasks)
    assert not truth.exact
    for low, high in zip(truth.low, truth.high, strict=True):
        assert max((high - low).flat) <= max(abs(low).flat) / 2**73
    floats = maml_gradient(mlp, theta, tasks, 0.125, 5)
    assert exact.error(floats, truth) <= LIMIT * exact.attainable(method, (theta, tasks), patterns=1)
    first_order = fomaml_gradient(mlp, theta, tasks, 0.125, 5)
    assert exact.error(first_order, truth) > Fraction(1, 1000)
