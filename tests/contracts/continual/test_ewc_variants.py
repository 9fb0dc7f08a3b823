"""The penalty of elastic weight consolidation, its gradient and what is computed in their place, written out again."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

import numpy as np
import pytest
from helpers.drawing import Doubles

from refgrad import exact
from refgrad.conformance.judging import sweep
from refgrad.conformance.judging.referee import Referee
from refgrad.contracts import continual, get

THETA, STAR, FISHER = [Fraction(1), Fraction(1, 2), Fraction(-3)], [0, 2, 1], [Fraction(1, 4), Fraction(9), Fraction(4)]
LAM = Fraction(3, 4)
D = [t - s for t, s in zip(THETA, STAR, strict=True)]
PENALTY, GRADIENT = get("ewc_penalty"), get("ewc_gradient")
BOTH = {c.name: c for c in (PENALTY, GRADIENT)}
VARIANT = {c.name: {v.name: v.answer for v in c.variants} for c in (PENALTY, GRADIENT)}


def root(x):
    return Fraction(isqrt(x.numerator), isqrt(x.denominator))


def total(importances, distances=D, power=2):
    return sum(f * d**power for f, d in zip(importances, distances, strict=True))


OF_PENALTY = {
    "missing-half": LAM * total(FISHER),
    "mean-over-parameters": LAM / 2 * total(FISHER) / 3,
    "halved": LAM / 4 * total(FISHER),
    "uniform-importance": LAM / 2 * total([1, 1, 1]),
    "root-of-importance": LAM / 2 * total(map(root, FISHER)),
    "squared-importance": LAM / 2 * total([1, 1, 1], [f * d for f, d in zip(FISHER, D, strict=True)]),
    "importance-by-largest": LAM / 2 * total(FISHER) / 9,
    "importance-by-sum": LAM / 2 * total(FISHER) / Fraction(53, 4),
    "mean-importance": LAM / 2 * total([1, 1, 1]) * Fraction(53, 12),
    "centred-at-zero": LAM / 2 * total(FISHER, THETA),
    "centred-at-mean": LAM / 2 * total(FISHER, [t - 1 for t in THETA]),
    "absolute-distance": LAM / 2 * total(FISHER, map(abs, D), 1),
    "zero": 0,
}
TERMS = [LAM * f * d for f, d in zip(FISHER, D, strict=True)]
OF_GRADIENT = {
    "missing-half": [2 * t for t in TERMS],
    "mean-over-parameters": [t / 3 for t in TERMS],
    "halved": [t / 2 for t in TERMS],
    "uniform-importance": [LAM * d for d in D],
    "root-of-importance": [LAM * root(f) * d for f, d in zip(FISHER, D, strict=True)],
    "squared-importance": [f * t for f, t in zip(FISHER, TERMS, strict=True)],
    "importance-by-largest": [t / 9 for t in TERMS],
    "importance-by-sum": [t * 4 / 53 for t in TERMS],
    "mean-importance": [LAM * Fraction(53, 12) * d for d in D],
    "centred-at-zero": [LAM * f * t for f, t in zip(FISHER, THETA, strict=True)],
    "centred-at-mean": [LAM * f * (t - 1) for f, t in zip(FISHER, THETA, strict=True)],
    "absolute-distance": [abs(t) for t in TERMS],
    "sign-flipped": [-t for t in TERMS],
    "not-differentiated": [t * d / 2 for t, d in zip(TERMS, D, strict=True)],
    "zero": [0, 0, 0],
}
FORMULAS = {"ewc_penalty": OF_PENALTY, "ewc_gradient": OF_GRADIENT}
EVERY = [(contract, name) for contract, formulas in FORMULAS.items() for name in formulas]
every = pytest.mark.parametrize(("contract", "name"), EVERY)
both = pytest.mark.parametrize("contract", BOTH)


def arguments(convert=exact.asarray):
    return tuple(convert(x) for x in (THETA, STAR, FISHER, LAM))


def within(found, expected):
    low, high = exact.bounds(found)
    values = [np.ravel(np.array(x, object)) for x in (low, expected, high)]
    return all(a <= x <= b and b - a < Fraction(1, 2**100) for a, x, b in zip(*values, strict=True))


def test_every_variant_has_an_independent_value_here():
    assert {name: list(formulas) for name, formulas in FORMULAS.items()} == {n: list(v) for n, v in VARIANT.items()}


@every
def test_each_variant_has_the_value_written_out(contract, name):
    with exact.precision(256):
        assert within(VARIANT[contract][name](*arguments(exact.balls)).value, FORMULAS[contract][name])


@every
def test_the_magnitude_is_the_size_of_what_is_added_up(contract, name):
    with exact.precision(256):
        theta, star, fisher, lam = arguments(exact.balls)
        answer = VARIANT[contract][name](theta, star, fisher, -lam)
        low, high = exact.bounds(answer.magnitude - abs(answer.value))  # no term of this problem cancels another
    assert np.all(abs(low) + abs(high) < 1e-14)


@both
def test_no_two_formulas_agree_and_none_is_the_contract(contract):
    own = BOTH[contract].quantity(*arguments()).value
    values = [*FORMULAS[contract].values(), exact.to_fractions(own)]
    assert len({tuple(np.ravel(v)) for v in values}) == len(values)


@pytest.mark.parametrize("name", [n for n in OF_PENALTY if not n.startswith("centred")])
def test_at_the_old_parameters_the_penalty_is_zero_and_so_is_its_gradient(name):
    with exact.precision(64):
        _, star, fisher, lam = arguments(exact.balls)
        for contract in BOTH:
            assert np.all(VARIANT[contract][name](star, star, fisher, lam).value == 0)


@both
def test_every_pair_of_choices_on_two_axes_is_a_product_of_its_own(contract):
    products, own = BOTH[contract].products(), BOTH[contract].quantity.plain
    plain = {v.answer.plain for v in (*BOTH[contract].variants, *products)}
    assert len(plain) == len(BOTH[contract].variants) + len(products)
    assert own not in plain
    by_name = {v.name: v for v in products}
    found = by_name["missing-half-with-centred-at-zero"]
    theta, _, fisher, lam = arguments()
    twice = 2 * lam * fisher * theta if contract == "ewc_gradient" else lam * (fisher * theta * theta).sum()
    assert np.all(found.answer(*arguments()).value == twice)
    assert by_name["missing-half-with-mean-over-parameters"].declare == "--param half=false --param reduction=mean"


@both
@pytest.mark.parametrize("half", ["true", "false"])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_a_declared_convention_is_a_multiple_and_the_default_becomes_a_variant(contract, half, reduction):
    declared, left = BOTH[contract].choose({"half": half, "reduction": reduction})
    assert left == {}
    factor = Fraction(2 if half == "false" else 1, 3 if reduction == "mean" else 1)
    assert np.all(declared.quantity(*arguments()).value == factor * BOTH[contract].quantity(*arguments()).value)
    names = {v.name for v in declared.variants}
    assert ("missing-half" if half == "true" else "with-half") in names
    assert ("mean-over-parameters" if reduction == "sum" else "sum-over-parameters") in names
    assert len(names) == len(declared.variants) == len(BOTH[contract].variants)
    result = {}
    exec(declared.example, result)
    found = result["penalty"](*(np.array(x, float) for x in (THETA, STAR, FISHER)), float(LAM))
    expected = exact.to_fractions(declared.quantity(*arguments()).value)
    assert np.abs(found - np.array(expected, float)).max() < 1e-14 * np.abs(np.array(expected, float)).max()


@both
@pytest.mark.parametrize("seed", range(6))
def test_every_variant_is_told_from_the_contract_and_every_end_met_in_two_problems_of_a_run(contract, seed):
    pytest.importorskip("flint", reason="balls need python-flint, which the extra exact brings")
    referee = Referee(BOTH[contract], seed=seed)
    problems = list(sweep.problems(BOTH[contract], 100, seed))
    for variant in BOTH[contract].variants:
        left = 2
        for problem in problems:
            left -= bool(left) and referee.differs(problem, variant)
        assert left == 0, variant.name
    wide = [BOTH[contract].wide.measure(p.inputs) for p in problems if p.kind == "wide"]
    for name, end in (("parameters", 1), ("parameters", 40), ("lam", 0.0), ("lam", 1e10), ("importances", "some zero")):
        assert sum(one[name] == end for one in wide) >= 2


@both
def test_every_formula_on_float64_vectors_is_its_exact_value_within_rounding(contract):
    pytest.importorskip("flint", reason="balls need python-flint, which the extra exact brings")
    referee = Referee(BOTH[contract])
    problem = next(p for p in sweep.problems(BOTH[contract], 100, 0) if len(p.inputs["theta"]) == 40)
    given = BOTH[contract].arguments(problem.inputs, Doubles)
    for variant in (*BOTH[contract].variants, *BOTH[contract].products()):
        assert referee.truth(problem, variant) is not None
        assert referee.matches(problem, np.asarray(variant.answer.plain(*given)), variant), variant.name


CURVATURES = {
    "missing-half": lambda F, i: 2 * F[i],
    "mean-over-parameters": lambda F, i: F[i] / 3,
    "halved": lambda F, i: F[i] / 2,
    "uniform-importance": lambda F, i: 1,
    "squared-importance": lambda F, i: F[i] * F[i],
    "centred-at-zero": lambda F, i: F[i],
    "centred-at-mean": lambda F, i: F[i],
    "zero": lambda F, i: 0,
}


def curvatures(penalty):
    """The second derivatives of a polynomial of degree two by each parameter, from differences with step 1."""
    theta, *rest = arguments()
    units = [exact.asarray([int(i == j) for j in range(3)]) for i in range(3)]
    return [sum(w * penalty(theta + k * e, *rest).value for k, w in ((-1, 1), (0, -2), (1, 1))) for e in units]


@pytest.mark.parametrize("name", CURVATURES)
def test_each_variant_has_its_own_multiple_of_the_importances_as_second_derivatives(name):
    found = curvatures(VARIANT["ewc_penalty"][name])
    assert all(found[i] == LAM * CURVATURES[name](arguments()[2], i) for i in range(3))


@pytest.mark.parametrize("name", [n for n in OF_PENALTY if n not in ("absolute-distance", "root-of-importance")])
def test_the_gradient_of_a_variant_is_the_derivative_of_the_penalty_with_the_same_choice(name):
    theta, *rest = arguments()
    penalty, gradient = (VARIANT[contract][name] for contract in BOTH)
    for i, g in enumerate(gradient(theta, *rest).value):
        e = exact.asarray([int(i == j) for j in range(3)])
        assert g == (penalty(theta + e, *rest).value - penalty(theta - e, *rest).value) / 2  # of degree two


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
