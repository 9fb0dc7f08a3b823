"""What the contracts on Fisher diagonals pose and how: ranges, conventions, blocks, and formulas on float64 vectors."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from helpers.drawing import Doubles, NumPyTable, Rationals, draws
from helpers.jets import coefficient, line

from refgrad import exact
from refgrad.conformance.judging.referee import Referee
from refgrad.contracts import get
from refgrad.contracts.continual import LinearLogits, TanhLogits, fisher
from refgrad.contracts.continual.fisher import Diagonal
from refgrad.contracts.contract import Problem
from refgrad.contracts.tools import EXACT_TABLE, NotApplicable
from refgrad.errors import UsageError

NAMES = ("fisher_diagonal", "empirical_fisher_diagonal")
either = pytest.mark.parametrize("name", NAMES)
ENDS = {
    "examples": (1, 41),
    "classes": (2, 7),
    "parameters": (40,),
    "layers": (1, 2),
    "units": ("squared", "tanh"),
    "logits": ("moderate", "large"),
    "labels": ("unlikely",),
}


@pytest.mark.parametrize("seed", range(20))
def test_every_end_of_every_range_is_in_two_problems_of_a_run(seed):
    wide = get("fisher_diagonal").wide
    found = [wide.measure(inputs) for inputs in wide.inputs(seed)]
    for name, ends in ENDS.items():
        for end in ends:
            assert sum(one[name] == end for one in found) >= 2, (name, end)
    assert all(one["parameters"] <= 40 for one in found)


def test_wide_numbers_have_full_mantissas_and_logits_no_larger_than_they_should():
    for inputs in get("fisher_diagonal").wide.inputs(0):
        numbers = [*inputs["theta"], *(x for row in inputs["X"] for x in row)]
        assert sum(float(np.float32(x)) != x for x in numbers) > 0.9 * len(numbers)
        z = Doubles.xp and get("fisher_diagonal").arguments(inputs, Doubles)
        largest = abs(z[0](z[1], z[2])).max()
        assert abs(largest - 30) < 1e-12 * 30 or abs(largest - 3) < 1e-12


@either
def test_every_variant_is_told_from_the_contract_by_two_problems_of_a_run(name):
    contract = get(name)
    referee = Referee(contract)
    problems = [Problem("wide", inputs) for inputs in contract.wide.inputs(7)]
    for variant in contract.variants:
        assert sum(referee.differs(problem, variant) for problem in problems) >= 2, variant.name


@either
@pytest.mark.parametrize("reduction", ["sum", "n-1"])
def test_a_declared_reduction_scales_the_diagonal_and_is_no_variant_of_its_own(name, reduction):
    contract = get(name)
    declared, left = contract.choose({"reduction": reduction, "other": 1})
    assert left == {"other": 1}
    assert declared.options == {"reduction": reduction}
    assert len({v.name for v in declared.variants}) == len(declared.variants)
    own = {v.name for v in contract.variants if v.declare == f"--param reduction={reduction}"}
    assert len(own) == 1
    assert not own & {v.name for v in declared.variants}
    (mean,) = [v for v in declared.variants if v.declare == "--param reduction=mean"]
    assert mean.answer.plain == contract.quantity.plain
    for problem in draws(declared.problems["crisp"](), 20):
        *given, y = declared.arguments(problem.inputs, Rationals)
        N = len(y)
        if reduction == "n-1":
            assert N > 1
        with exact.precision(256):
            given = [exact.balls(x) if i else x for i, x in enumerate(given)]
            quantity, scaled = contract.quantity(*given, y).value, declared.quantity(*given, y).value
            difference = scaled - quantity * (N if reduction == "sum" else exact.balls(Fraction(N, N - 1)))
            assert np.all(exact.bounds(abs(difference))[1] < Fraction(1, 2**200))


def test_a_reduction_that_does_not_exist_is_named_with_those_that_do():
    with pytest.raises(UsageError, match="one of mean, sum, n-1; got 'median'"):
        get("fisher_diagonal").choose({"reduction": "median"})


def network(examples=11, classes=3, hidden=2, d=2):
    rng = np.random.default_rng(0)
    theta, X = rng.normal(size=hidden * (d + classes)), rng.normal(size=(examples, d))
    return TanhLogits(NumPyTable(), classes), theta, X, rng.integers(0, classes, examples)


class Watched:
    """Logits that note how many numbers their largest Jacobian has."""

    def __init__(self, logits):
        self.logits, self.most, self.calls = logits, 0, 0

    def __call__(self, theta, X):
        return self.logits(theta, X)

    def jacobian(self, theta, X):
        J = self.logits.jacobian(theta, X)
        self.most, self.calls = max(self.most, J.size), self.calls + 1
        return J


def recipes():
    contract = get("fisher_diagonal")
    return [Diagonal(), *(v.answer.plain for v in (*contract.variants, *contract.products()))]


@pytest.mark.parametrize("examples_in_a_block", [1, 2, 5])
def test_every_formula_is_the_same_in_blocks_of_few_examples(examples_in_a_block, monkeypatch):
    logits, *rest = network()
    whole = [recipe(logits, *rest) for recipe in recipes() if not undefined(recipe, logits, *rest)]
    size = 3 * len(rest[0])
    monkeypatch.setattr(fisher, "_BLOCK", size * examples_in_a_block + size // 2)
    found = []
    for recipe in (r for r in recipes() if not undefined(r, logits, *rest)):
        watched = Watched(logits)
        found.append(recipe(watched, *rest))
        assert watched.most <= size * examples_in_a_block
        assert watched.calls in (0, -(-11 // examples_in_a_block))
    assert len(found) > 200
    for a, b in zip(whole, found, strict=True):
        assert np.abs(a - b).max() <= 2.0**-48 * 10 * max(np.abs(a).max(), 1e-3)


def undefined(recipe, *arguments):
    try:
        recipe(*arguments)
    except NotApplicable:
        return True
    return False


@either
def test_every_formula_on_float64_vectors_is_its_exact_value_within_rounding(name):
    contract = get(name)
    referee, met = Referee(contract), 0
    problem = Problem("wide", contract.wide.inputs(0)[1])
    arguments = contract.arguments(problem.inputs, Doubles)
    for variant in (*contract.variants, *contract.products()[::9]):
        if referee.truth(problem, variant) is not None:
            assert referee.matches(problem, variant.answer.plain(*arguments), variant), variant.name
            met += 1
    assert met > 40
    assert referee.judge(problem, contract.quantity.plain(*arguments)).verdict == "passed"


def test_the_magnitude_adds_up_the_absolute_terms_of_the_scores():
    logits, theta, X, y = network()
    z = logits(theta, X)
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    J = abs(logits.jacobian(theta, X))
    terms = J + np.einsum("nc,ncp->np", p, J)[:, None]
    expected = np.einsum("nc,ncp->p", p, terms**2) / 11
    exactly = TanhLogits(EXACT_TABLE, 3), exact.balls(exact.asarray(theta)), exact.balls(exact.asarray(X)), y
    with exact.precision(256):
        found = get("fisher_diagonal").quantity(*exactly).magnitude.astype(float)
        assert np.abs(found - expected).max() < 1e-13 * expected.max()
        by_data = get("empirical_fisher_diagonal").quantity(*exactly).magnitude.astype(float)
        assert np.abs(by_data - (terms[np.arange(11), y] ** 2).mean(0)).max() < 1e-13 * by_data.max()


def test_the_derivatives_of_a_tanh_network_are_those_of_its_series():
    def still(x):
        return line(x, 0 * x)

    with exact.precision(256):
        logits = TanhLogits(EXACT_TABLE, 3)
        theta, X = exact.balls(exact.asarray(range(-4, 6))) / 5, exact.balls(exact.asarray([[1, -2], [3, 1]])) / 2
        J, y = logits.jacobian(theta, X), np.array([0, 2])
        v = exact.balls(exact.asarray([(-1) ** i * (i + 1) for i in range(10)]))
        assert overlap((J @ v).data, coefficient(logits(line(theta, v), still(X)), 1))
        hv = logits.hvp(theta, (X, y), v)
        assert overlap(hv.data, coefficient(logits.grad(line(theta, v), (still(X), y)), 1))


def overlap(a, b):
    """Whether two arrays of balls may be equal, and are tight enough for that to mean something."""
    assert all(float(x.rad()) < 2.0**-100 for x in [*np.ravel(a), *np.ravel(b)])
    return all(x.overlaps(y) for x, y in zip(np.ravel(a), np.ravel(b), strict=True))


def test_two_layers_of_one_unit_are_the_product_of_their_weights_and_of_what_is_squared():
    linear, squared = (
        LinearLogits(EXACT_TABLE, 2),
        get("fisher_diagonal").arguments(
            {"model": "squared", "classes": 2, "theta": [3.0, 2.0, -1.0], "X": [[2.0]], "y": [0]}, Rationals
        ),
    )
    logits, theta, X, _ = squared
    assert np.all(logits(theta, X) == [[36 * 2, -36]])
    assert np.all(linear(theta[1:], X * 0 + 36) == logits(theta, X))
