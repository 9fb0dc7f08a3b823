"""Magnitudes, in units of which answers are judged: the value where all terms are positive, more where some cancel.

Every cancelling problem is small enough to be added up by hand; the comments do it.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from helpers import bilevel

from refgrad import exact
from refgrad.contracts import continual, meta, multitask
from refgrad.contracts.continual import LinearLogits
from refgrad.contracts.continual.fisher import blocks
from refgrad.contracts.implicit import (
    AuxiliaryTasks,
    LogisticIntercept,
    Manufactured,
    PoissonIntercept,
    QuadraticBilevel,
    QuadraticMap,
    Ridge,
)
from refgrad.contracts.meta import QuadraticForm, imaml_gradient, per_step_gradient, rate_gradients, strength_gradient
from refgrad.contracts.tools import EXACT_TABLE, Quadratic, Quartic
from refgrad.contracts.tools.terms import measured
from refgrad.contracts.tools.terms import terms as one_term
from refgrad.theory.continual import LinearGaussian

a = exact.asarray
FORM, QUARTIC = QuadraticForm(), Quartic(EXACT_TABLE)
VARIANT = bilevel.variants()
UNIT, ONES, ZERO = a([[1, 0], [0, 1]]), a([1, 1]), a([0, 0])
OUTER = {"Q": UNIT, "t": a([0, 2]), "R": a([[5], [-6]]), "P": a([[2]]), "q": a([-7])}
"""At w = (1, 1) and phi = 1: g = w - t + R phi = (6, -7), and d = 5 - 6 + 2 - 7 of the terms 5 + 6 + 2 + 7."""


def quadratic():
    """``H = diag(1, 2)``, ``C = (3, 4)``, ``c = (-2, -2)``: w = (1, 1) at phi = 1."""
    return QuadraticBilevel(a([[1, 0], [0, 2]]), a([[3], [4]]), a([-2, -2]), **OUTER)


def ridge():
    """w = (1, 2) at phi = 1, where H = 2 I; g = w - (-3, 4) = (4, -2) and u = (2, -1)."""
    return Ridge(UNIT, a([2, 4]), UNIT, a([-3, 4]), a([[1], [1]]))


def auxiliary():
    """``A_0 = A_1 = A_val = I``: w = (1, 1) at phi = 1, where H = 2 I; the slope is (-1, 1), g = (2, 2), u = (1, 1)."""
    return AuxiliaryTasks(UNIT, a([0, 2]), a([[[1, 0], [0, 1]]]), a([[2, 0]]), UNIT, a([-1, -1]))


def manufactured():
    """``psi = (3 phi - 2, 4 phi - 3)``, which is (1, 1) at phi = 1, and ``Hess l + mu I = I``."""
    psi = QuadraticMap(a([-2, -3]), a([[3], [4]]), a([[[0]], [[0]]]))
    return Manufactured(Quadratic(EXACT_TABLE), (UNIT, ZERO), psi, a("1/2"), **OUTER)


def at(problem, name, w=(1, 1)):
    return bilevel.part(name)(problem, a(list(w)), a([1]))


def variant(name):
    return VARIANT[name](quadratic(), a([1]), lr=1, terms=1)


HALVED = (UNIT, ZERO)  # a rate of 1/2 takes theta to theta / 2
COUNTERPOISE = (UNIT, a(["-1/2", "3/2"]))  # whose gradient at (1/2, 1/2) is (1, -1)

CANCELLING = {
    # d + C^T u: -6 + 3 * 6 - 4 * 7/2
    "hypergradient of a quadratic problem": (lambda: quadratic().hypergradient(a([1])), [-2], [20 + 32]),
    "direct term": (lambda: at(quadratic(), "d"), [-6], [20]),
    "slope of the inner loss by phi": (lambda: at(quadratic(), "slope_phi", (1, -1)), [-3 + 4], [7]),
    # -(w * u) = -(1 * 2 - 2 * 1)
    "hypergradient of ridge regression": (lambda: ridge().hypergradient(a([1])), [0], [4]),
    "slope of ridge regression by phi": (
        lambda: at(Ridge(UNIT, ZERO, UNIT, ZERO, a([[1], [-1]])), "slope_phi", (1, 2)),
        [Fraction(1, 2) - 2],
        [Fraction(1, 2) + 2],
    ),
    # (w - (2, 0)) @ u = -1 + 1, of the terms 1 + 2 and 1
    "hypergradient of auxiliary tasks": (lambda: auxiliary().hypergradient(a([1])), [0], [4]),
    # |w|^2 / 2 - 2 w_1
    "slope of auxiliary tasks by phi": (lambda: at(auxiliary(), "slope_phi"), [-1], [3]),
    # d + J^T g = -6 + 3 * 6 - 4 * 7
    "hypergradient of a manufactured problem": (lambda: manufactured().hypergradient(a([1])), [-16], [20 + 46]),
    # J^T (mu psi - w) with w = (2, -1): 3 (1/2 - 2) + 4 (1/2 + 1); the terms of psi are 3 + 2 and 4 + 3
    "slope of a manufactured problem by phi": (
        lambda: at(manufactured(), "slope_phi", (2, -1)),
        [Fraction(3, 2)],
        [3 * (Fraction(5, 2) + 2) + 4 * (Fraction(7, 2) + 1)],
    ),
    # m p - m_1 = 6/2 - 3
    "hypergradient of a logistic intercept": (
        lambda: LogisticIntercept(EXACT_TABLE, 1, 1, 3, 3).hypergradient(a([2, 2])),
        [0, 0],
        [3, 3],
    ),
    "indirect term of the other sign": (lambda: variant("indirect-sign-flipped"), [-10], [52]),
    "both terms of the other sign": (lambda: variant("sign-flipped"), [2], [52]),
    "twice the hypergradient": (lambda: variant("doubled"), [-4], [104]),
    "half of it": (lambda: variant("halved"), [-1], [26]),
    "twice the indirect term": (lambda: variant("indirect-doubled"), [2], [84]),
    "no direct term": (lambda: variant("missing-direct"), [4], [32]),
    "no indirect term": (lambda: variant("direct-only"), [-6], [20]),
    # d inner / dphi = -C^T w = -7
    "the slope of the inner loss added": (lambda: variant("inner-loss-leak"), [-9], [7 + 52]),
    # C^T (g + (I - H) g) with (I - H) g = (0, 7): 3 * 6 + 4 (-7 + 7); the terms of g are 6 and 3 + 6
    "a Neumann series": (lambda: variant("neumann"), [-6 + 18], [20 + 18 + 4 * (9 + 7)]),
    # C^T H g = 3 * 6 - 4 * 14
    "the Hessian not inverted": (lambda: variant("hessian-not-inverted"), [-6 - 38], [20 + 18 + 4 * 2 * 9]),
    "a cross derivative not transposed": (
        # C = [[1, 1], [0, 0]] and g = u = (2, -2), no direct term
        lambda: VARIANT["mixed-partial-not-transposed"](
            QuadraticBilevel(UNIT, a([[1, 1], [0, 0]]), ZERO, UNIT, a([-2, 2]), 0 * UNIT, 0 * UNIT, ZERO), ZERO
        ),
        [0, 0],
        [4, 0],
    ),
    # -1 - (-1) * 2
    "maml": (
        lambda: meta.maml_gradient(FORM, a([1]), [((a([[2]]), a([0])), (a([[1]]), a([0])))], a(1), 1),
        [1],
        [3],
    ),
    "maml with a rate for each step": (
        lambda: per_step_gradient(FORM, a([1]), [([(a([[2]]), a([0]))], (a([[1]]), a([0])))], a([1])),
        [1],
        [3],
    ),
    "first-order maml": (
        lambda: meta.fomaml_gradient(FORM, ONES, [(HALVED, (a([[1, -1], [-1, 1]]), ZERO))], a("1/2"), 1),
        [0, 0],
        [1, 1],
    ),
    # two tasks whose gradients are 1 and -1
    "first-order maml of opposite tasks": (
        lambda: meta.fomaml_gradient(FORM, a([0]), [(None, (a([[1]]), a([c]))) for c in (1, -1)], a(1), 0),
        [0],
        [1],
    ),
    # -<(1, -1), (1, 1)>, where 1 = 1/2 + 1/2 and -1 = 1/2 - 3/2
    "gradient of a rate": (lambda: rate_gradients(FORM, ONES, [([HALVED], COUNTERPOISE)], a(["1/2"])), [0], [3]),
    # two steps from 2 towards 0, of 1 and 1/2, and two towards 4, of (2 - 4) / 2 and (3 - 4) / 2: the moves have the
    # terms 2 + 1 + 1/2 + 2 and 2 + 3 + 7/2 + 2
    "reptile": (
        lambda: meta.reptile_update(FORM, a([2]), [[(a([[1]]), a([c]))] * 2 for c in (0, 4)], a("1/2"), a("1/2")),
        [2],
        [2 + Fraction(8, 2)],
    ),
    # phi* = (1, 1), half of theta, and u = (1, -1): -<u, phi* - theta>
    "gradient of the strength": (
        lambda: strength_gradient(2 * ONES, [(HALVED, (UNIT, a([-1, 3])))], a(1)),
        [0],
        [6],
    ),
    # phi* = (1, 1) and g = (1, -1) - g: the terms 1 + 1/2
    "implicit maml": (
        lambda: imaml_gradient(FORM, 2 * ONES, [ONES], [(HALVED, (a([[2, -1], [-3, 2]]), ZERO))], a(1)),
        [Fraction(1, 2), Fraction(-1, 2)],
        [3 + Fraction(1, 2), 5 + Fraction(1, 2)],
    ),
    "penalty of importances of both signs": (lambda: continual.ewc_penalty(ONES, ZERO, a([1, -1]), a(-4)), [0], [4]),
    "gradient of the penalty": (
        lambda: continual.ewc_gradient(a([1, -2]), a([0, 1]), a([3, 5]), a(-2)),
        [-6, 30],
        [6, 30],
    ),
    # the rows (1, 0) and (-1, 0) with equal weights
    "min-norm weights": (lambda: multitask.min_norm(a([[1, 0], [-1, 0]])), ["1/2", "1/2"], [1, 1]),
    "min-norm direction": (lambda: multitask.direction(a([[3, 0], [-1, 0]])), [0, 0], [4, 0]),  # columns summed
    "squared norm": (lambda: multitask.squared_norm(a([[3, 0], [-1, 0]])), [0], [9]),
    # two examples at x = 1 with residuals -1 and 1; and x = (1, 1) along v = (1, -1), where 3 r^2 is 3
    "gradient of a quartic loss": (
        lambda: terms(QUARTIC, a([0]), (a([[1], [1]]), a([1, -1]))),
        [0],
        [1],
    ),
    "Hessian of a quartic loss": (
        lambda: curvature(QUARTIC, ZERO, (a([[1, 1]]), a([1])), a([1, -1])),
        [0, 0],
        [6, 6],
    ),
    "gradient of a quadratic loss": (
        lambda: terms(Quadratic(EXACT_TABLE), a([0]), (a([[1], [1]]), a([1, -1]))),
        [0],
        [1],
    ),
    "Hessian of a quadratic loss": (
        lambda: curvature(Quadratic(EXACT_TABLE), ZERO, (a([[1, 1]]), a([1])), a([1, -1])),
        [0, 0],
        [2, 2],
    ),
    "gradient of a Gaussian model": (
        lambda: terms(LinearGaussian(EXACT_TABLE, 2), a([0]), (a([[1], [1]]), a([1, -1]))),
        [0],
        [Fraction(1, 2)],
    ),
    "Hessian of a Gaussian model": (
        lambda: curvature(LinearGaussian(EXACT_TABLE, 2), ZERO, (a([[1, 1]]), a([1])), a([1, -1])),
        [0, 0],
        [1, 1],
    ),
}


def terms(loss, theta, batch):
    return measured(loss.grad)(theta, batch)


def curvature(loss, theta, batch, v):
    return measured(loss.hvp)(theta, batch, v)


@pytest.mark.parametrize("name", CANCELLING)
def test_a_magnitude_counts_terms_that_cancel(name):
    answer, value, magnitude = CANCELLING[name]
    found = answer()
    assert found.value.shape == found.magnitude.shape
    assert np.all(found.value == a(value))
    assert np.all(found.magnitude == a(magnitude))


def test_the_magnitude_of_a_fisher_diagonal_squares_the_terms_of_the_score():
    logits, half = LinearLogits(EXACT_TABLE, 2), Fraction(1, 2)
    arguments = logits, a([0, 0]), a([[1]]), np.array([0])
    # J is the identity and p = (1/2, 1/2): the scores +-1/2 are 1 - 1/2 and 0 - 1/2, of the terms 3/2 and 1/2
    score = next(blocks(logits, one_term(np.zeros(2)), one_term(np.ones((1, 1))), 1)).s
    assert np.all(score.value == [[[0.5, -0.5], [-0.5, 0.5]]])
    assert np.all(score.magnitude == [[[1.5, 0.5], [0.5, 1.5]]])
    for quantity, magnitudes in (
        (continual.fisher_diagonal, [Fraction(5, 4), Fraction(5, 4)]),
        (continual.empirical_fisher_diagonal, [Fraction(9, 4), Fraction(1, 4)]),
    ):
        run = exact.evaluate(quantity, *arguments)
        for low, high, truth in (
            (run.low.value, run.high.value, [half**2] * 2),
            (run.low.magnitude, run.high.magnitude, magnitudes),
        ):
            assert all(x <= t <= y for x, t, y in zip(low, truth, high, strict=True))


X, Y = a([[1, 2], [3, 1]]), a([0, 0])
POSITIVE = {
    "quadratic problem": lambda: QuadraticBilevel(
        UNIT, a([[3], [4]]), ONES, UNIT, ZERO, a([[5], [6]]), a([[2]]), a([7])
    ).hypergradient(a([1])),
    "manufactured problem": lambda: Manufactured(
        Quadratic(EXACT_TABLE), (UNIT, ZERO), QuadraticMap(ONES, a([[3], [4]]), a([[[1]], [[2]]])), a(1),
        UNIT, ZERO, a([[5], [6]]), a([[2]]), a([7]),
    ).hypergradient(a([1])),
    "Poisson intercept": lambda: PoissonIntercept(EXACT_TABLE, 4, 2, 3).hypergradient(a([3])),
    "maml without steps": lambda: meta.maml_gradient(QUARTIC, ONES, [((X, Y), (X, Y))] * 2, a(1), 0),
    "first-order maml": lambda: meta.fomaml_gradient(QUARTIC, ONES, [((0 * X, Y), (X, Y))], a(1), 2),
    "penalty": lambda: continual.ewc_penalty(a([3, 1]), ONES, a([2, 5]), a(3)),
    "gradient of the penalty": lambda: continual.ewc_gradient(a([3, 2]), ONES, a([2, 5]), a(3)),
    "Gaussian Fisher": lambda: continual.gaussian_fisher_diagonal(X, a(2)),
    "quartic loss": lambda: terms(QUARTIC, ONES, (X, Y)),
    "Hessian of a quartic loss": lambda: curvature(QUARTIC, ONES, (X, Y), a([1, 2])),
    "quadratic loss": lambda: terms(Quadratic(EXACT_TABLE), ONES, (X, Y)),
    "Gaussian model": lambda: curvature(LinearGaussian(EXACT_TABLE, 2), ONES, (X, Y), a([1, 2])),
    "quadratic form": lambda: terms(FORM, a([3, 2]), (a([[2, 1], [1, 3]]), -ONES)),
}  # fmt: skip


@pytest.mark.parametrize("name", POSITIVE)
def test_where_all_terms_are_positive_the_magnitude_is_the_value(name):
    found = POSITIVE[name]()
    assert np.all(found.value > 0)
    assert np.all(found.value == found.magnitude)


def test_variants_of_a_problem_whose_terms_are_all_positive_have_their_values_for_magnitudes():
    # H below 1 and a small rate: all powers (I - lr H)^j g are positive
    problem = QuadraticBilevel(UNIT / 2, a([[3], [4]]), ONES, UNIT, ZERO, a([[5], [6]]), a([[2]]), a([7]))
    for name in ("neumann", "neumann-one-term-more", "one-step-unroll", "identity", "hessian-not-inverted", "doubled"):
        found = VARIANT[name](problem, a([1]))
        assert np.all(found.value == found.magnitude), name
