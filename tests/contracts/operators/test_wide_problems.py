"""The wide problems of the operators: every end is there, every truth exists, and memory and infinities are real."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import permutations
from math import prod

import numpy as np
import pytest
from helpers.drawing import Rationals

from refgrad import contracts, exact
from refgrad.accuracy import LIMIT
from refgrad.conformance.judging.referee import Referee
from refgrad.conformance.subject.frameworks import framework
from refgrad.contracts.contract import Problem
from refgrad.contracts.operators import OPERATORS
from refgrad.contracts.operators.matrices import expand
from refgrad.contracts.operators.wide_problems import DOMAINS
from refgrad.contracts.regression import Dialect

FAMILY = contracts.get("operator_derivative")
every = pytest.mark.parametrize("name", OPERATORS)


def member(name):
    return FAMILY.member(op=name, order=max(OPERATORS[name].orders))


def wide(name, seed=0, dtype="float64"):
    return member(name).wide.inputs(seed, dtype=dtype)


@every
def test_every_size_and_every_layout_at_an_end_is_in_two_problems_of_every_run(name):
    ranges = member(name).wide.ranges
    for seed in range(20):
        measured = [member(name).wide.measure(inputs) for inputs in wide(name, seed)]
        for layout in ranges["memory"]:
            assert sum(m["memory"] == layout for m in measured) >= 2
        if "elements" in ranges and "shape" not in ranges:
            for end in (ranges["elements"][0], ranges["elements"][-1]):
                assert sum(m["elements of x"] == end for m in measured) >= 2
        if "order" in ranges and "x" in wide(name, seed)[0]:
            for end in (1, 6):
                assert sum(m["rows of x"] == end for m in measured) >= 2


@every
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_wide_problem_has_a_truth_that_is_a_number_of_the_dtype(name, dtype):
    referee = Referee(member(name), dtype)
    for inputs in wide(name, 1, dtype):
        assert json.loads(json.dumps(inputs)) == inputs
        truth = referee.truth(Problem("wide", inputs))
        assert truth is not None
        assert max(map(abs, truth.high)) < float(np.finfo(dtype).max)


@pytest.mark.parametrize("name", ["prod", "cumprod"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("seed", range(4))
def test_a_whole_product_leaves_the_range_at_both_ends_of_every_run_and_its_derivative_does_not(name, dtype, seed):
    limits, contract = np.finfo(dtype), FAMILY.member(op=name, order=1)
    ends = {"underflow": 0, "overflow": 0}
    for inputs in contract.wide.inputs(seed, dtype=dtype):
        if 0.0 in inputs["x"]:
            continue
        product = abs(prod(map(Fraction, inputs["x"])))
        last = abs(Referee(contract, dtype).truth(Problem("wide", inputs)).middle[-1])
        beyond = {
            "underflow": product < Fraction(float(limits.tiny)) / 2,
            "overflow": product > limits.max,
        }
        for end, there in beyond.items():
            ends[end] += there
            assert not there or Fraction(float(limits.tiny)) <= last <= Fraction(float(limits.max))
    assert min(ends.values()) >= 2, ends


@every
def test_the_plain_formula_in_floats_is_the_exact_one_to_the_attainable_error(name):
    contract = member(name)
    referee, floats = Referee(contract), framework("numpy", "float64")
    for inputs in wide(name, 2)[:6]:
        problem = Problem("wide", inputs | {"memory": "usual"})
        with np.errstate(over="ignore", under="ignore"):  # of products that are no part of the answer
            value = np.asarray(contract.quantity.plain(*contract.arguments(problem.inputs, floats)))
        judgement = referee.judge(problem, value)
        assert judgement.high <= LIMIT * 50 * referee.attainable(problem), inputs


def test_the_expansion_by_minors_is_the_sum_over_permutations():
    rng = np.random.default_rng(0)
    x, u, v = (rng.integers(-4, 5, (5, 5)) for _ in range(3))

    def leibniz(rows):
        return sum(
            round(np.linalg.det(np.eye(5)[list(p)])) * int(np.prod([rows[i][p[i]] for i in range(5)]))
            for p in permutations(range(5))
        )

    def replaced(*pairs):
        rows = x.tolist()
        for i, row in pairs:
            rows[i] = row.tolist()
        return leibniz(rows)

    d, d_u, d_v, d_uv = expand(*(exact.asarray(m) for m in (x, u, v)))
    assert d == leibniz(x.tolist())
    assert d_u == sum(replaced((i, u[i])) for i in range(5))
    assert d_v == sum(replaced((i, v[i])) for i in range(5))
    assert d_uv == sum(replaced((i, u[i]), (j, v[j])) for j in range(5) for i in range(j))


def test_singular_matrices_have_their_zero_pivot_in_every_place():
    places = set()
    for seed in range(40):
        for inputs in wide("det", seed):
            x = np.array(inputs["x"])
            n = len(x)
            if n < 3:
                continue
            s = np.linalg.svd(x)[1]
            if s[-1] > 1e-12 * s[0]:
                continue
            ranks = [np.linalg.matrix_rank(x[:, : k + 1]) for k in range(n)]
            places.add(next(k for k in range(n) if ranks[k] == k))
    assert places == {0, 1, 2, 3, 4, 5}


def test_definite_matrices_have_equal_eigenvalues_off_the_diagonal_and_nearly_equal_ones():
    equal = near = 0
    for seed in range(10):
        for inputs in wide("logdet", seed):
            x = np.array(inputs["x"])
            values = np.linalg.eigvalsh(x)
            assert np.array_equal(x, x.T)
            assert values[0] > 0
            gap = np.min(np.diff(values), initial=np.inf) / values[-1]
            dense = np.any(x != np.diag(np.diag(x)))
            equal += bool(dense and gap < 1e-15)
            near += bool(dense and 1e-15 < gap < 1e-9)
    assert equal > 5
    assert near > 5


def test_infinities_are_infinities_for_a_library_and_large_numbers_for_exact_arithmetic():
    contract = FAMILY.member(op="log_softmax", order=1)
    inputs = next(i for i in wide("log_softmax", 0) if "infinite" in i)
    inputs = {"op": "log_softmax", "order": 1, "x": inputs["x"], "u": inputs["u"], "infinite": inputs["infinite"]}
    x, _ = contract.arguments(inputs, framework("numpy", "float64"))
    assert np.isneginf(x[inputs["infinite"]]).all()
    assert np.isfinite(x).sum() == len(x) - len(inputs["infinite"])
    low, _ = contract.arguments(inputs, Rationals)
    assert all(low[place] == -(2**20) for place in inputs["infinite"])
    text, _ = contract.arguments(inputs, Dialect("numpy", "float64"))
    assert np.array_equal(eval(text, {"array": np.array}), x)


LAYOUTS = {
    "usual": lambda a: a.flags.c_contiguous and a.flags.writeable,
    "strided": lambda a: not a.flags.c_contiguous and a.strides[-1] == 16,
    "reversed": lambda a: a.strides[0] < 0,
    "read-only": lambda a: not a.flags.writeable,
    "Fortran": lambda a: a.flags.f_contiguous and not a.flags.c_contiguous,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_array_lies_in_memory_as_its_problem_says_and_so_does_that_of_the_test(layout):
    contract = FAMILY.member(op="batch_norm", order=1)
    values = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    inputs = {"op": "batch_norm", "order": 1, "x": values, "u": values, "memory": layout}
    (text, _), (x, _) = (
        contract.arguments(inputs, f) for f in (Dialect("numpy", "float64"), framework("numpy", "float64"))
    )
    for array in (x, eval(text, {"array": np.array, "np": np})):
        assert np.array_equal(array, values)
        assert LAYOUTS[layout](array)


def test_every_operator_has_wide_problems():
    assert set(DOMAINS) == set(OPERATORS)
