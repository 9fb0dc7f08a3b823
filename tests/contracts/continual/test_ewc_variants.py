"""The penalty of elastic weight consolidation and what is computed in its place, each written out again."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from refgrad import exact
from refgrad.contracts import continual
from refgrad.contracts.continual.ewc_variants import PENALTY_VARIANTS
from refgrad.contracts.tools import NotApplicable

THETA, STAR, FISHER = ["1", "1/2", "-3"], ["0", "2", "1"], ["2", "1/3", "5"]
LAM = Fraction(3, 4)
# F d^2 is 2, 3/4 and 80; d^2 is 1, 9/4 and 16
FORMULAS = {
    "missing-half": LAM * (2 + Fraction(3, 4) + 80),
    "mean-over-parameters": LAM / 2 * (2 + Fraction(3, 4) + 80) / 3,
    "halved": Fraction(1, 2) * LAM / 2 * (2 + Fraction(3, 4) + 80),
    "uniform-importance": LAM / 2 * (1 + Fraction(9, 4) + 16),
    "zero": Fraction(0),
}
VARIANT = {v.name: v for v in PENALTY_VARIANTS}


def arguments():
    return (*(exact.asarray(x) for x in (THETA, STAR, FISHER)), exact.asarray(LAM))


def test_every_variant_has_an_independent_value_here():
    assert list(FORMULAS) == [v.name for v in PENALTY_VARIANTS]


@pytest.mark.parametrize("name", FORMULAS)
def test_each_variant_has_the_value_written_out_and_a_magnitude_that_bounds_it(name):
    answer = VARIANT[name].answer(*arguments())
    assert answer.value == FORMULAS[name]
    assert answer.magnitude == answer.value  # every term is positive
    theta, star, fisher, lam = arguments()
    negative = VARIANT[name].answer(theta, star, -fisher, -lam)
    assert negative.magnitude == answer.magnitude


def test_no_two_formulas_agree_and_none_is_the_penalty():
    values = [*FORMULAS.values(), exact.to_fractions(continual.ewc_penalty(*arguments()).value)]
    assert len(set(values)) == len(values)


@pytest.mark.parametrize("name", FORMULAS)
def test_at_the_old_parameters_every_variant_is_zero(name):
    _, star, fisher, lam = arguments()
    assert VARIANT[name].answer(star, star, fisher, lam).value == 0


def test_the_mean_over_one_parameter_is_no_variant():
    one = [x[:1] for x in arguments()[:3]]
    with pytest.raises(NotApplicable):
        VARIANT["mean-over-parameters"].answer(*one, exact.asarray(LAM))
    two = [x[:2] for x in arguments()[:3]]
    assert VARIANT["mean-over-parameters"].answer(*two, exact.asarray(LAM)).value == LAM / 4 * Fraction(11, 4)


CURVATURES = {
    "missing-half": lambda F, i: 2 * F[i],
    "mean-over-parameters": lambda F, i: F[i] / 3,
    "halved": lambda F, i: F[i] / 2,
    "uniform-importance": lambda F, i: 1,
    "zero": lambda F, i: 0,
}


def curvatures(penalty):
    """The second derivatives of a polynomial of degree two by each parameter, from differences with step 1."""
    theta, *rest = arguments()
    units = [exact.asarray([int(i == j) for j in range(3)]) for i in range(3)]
    return [sum(w * penalty(theta + k * e, *rest).value for k, w in ((-1, 1), (0, -2), (1, 1))) for e in units]


@pytest.mark.parametrize("name", FORMULAS)
def test_each_variant_has_its_own_multiple_of_the_importances_as_second_derivatives(name):
    found = curvatures(VARIANT[name].answer)
    assert all(found[i] == LAM * CURVATURES[name](arguments()[2], i) for i in range(3))


def test_the_penalty_itself_has_lambda_times_the_importances_as_second_derivatives():
    assert all(h == LAM * f for h, f in zip(curvatures(continual.ewc_penalty), arguments()[2], strict=True))


def test_a_linear_change_of_parameters_keeps_the_penalty_of_a_full_matrix_and_not_that_of_its_diagonal():
    J, F, d = exact.asarray([[1, 2], [0, 3]]), exact.asarray([[2, 1], [1, 4]]), exact.asarray([5, -1])
    pulled = J.T @ F @ J
    assert d @ pulled @ d == (J @ d) @ F @ (J @ d)
    zero = exact.asarray([0, 0])

    def penalty(matrix, at):
        return continual.ewc_penalty(at, zero, exact.asarray(np.diag(matrix.data)), exact.asarray(2)).value

    assert penalty(pulled, d) != penalty(F, J @ d)
