"""Quadratic problems have on every draw what their strategies construct, and mostly what separates the formulas."""

from __future__ import annotations

import ast
import json
import math
from fractions import Fraction
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from helpers.drawing import draws
from helpers.problems import determinant, diagonal, floats, multiple_of_identity, positive_definite, smallest
from hypothesis import given, settings

import refgrad.strategies
from refgrad import exact
from refgrad.contracts import implicit, tools
from refgrad.contracts.implicit.problems import bilevel
from refgrad.contracts.meta.problems import quadratic_tasks, rational_tasks
from refgrad.theory.continual.problems import consecutive_regressions

PROBLEMS = {"bilevel": bilevel, "quadratic_tasks": quadratic_tasks, "consecutive_regressions": consecutive_regressions}
KINDS = ("crisp", "rough", "ill_conditioned", "degenerate")
every = pytest.mark.parametrize(("name", "kind"), [(n, k) for n in PROBLEMS for k in KINDS])


@cache
def problems(name, kind):
    """A sweep, drawn once for all the claims about it."""
    strategy = PROBLEMS[name](kind)
    if kind == "degenerate":  # of few draws, many are alike
        return [inputs for seed in range(4) for inputs in draws(strategy, 30, seed)]
    return draws(strategy, 80 if kind == "crisp" else 30)


def commute(A, B):
    return np.all(exact.asarray(A) @ exact.asarray(B) == exact.asarray(B) @ exact.asarray(A))


# all problems


@every
def test_every_float_is_exact_in_float32_without_negative_zeros_and_survives_json(name, kind):
    for inputs in problems(name, kind):
        values = floats(inputs)
        assert values
        full = kind == "rough" or (name, kind) == ("bilevel", "ill_conditioned")
        assert full or all(float(np.float32(x)) == x for x in values)
        assert all(x != 0 or math.copysign(1, x) == 1 for x in values)
        assert json.loads(json.dumps(inputs)) == inputs


@every
def test_no_draw_is_thrown_away(name, kind):
    @settings(max_examples=20, database=None, deadline=None)  # with all health checks
    @given(PROBLEMS[name](kind))
    def drawn(inputs):
        tried.append(inputs)

    tried = []
    drawn()
    assert tried


def test_no_strategy_filters():
    used = set()
    package = Path(refgrad.__file__).parent
    paths = [*package.glob("strategies/*.py"), *package.rglob("problems.py")]
    assert len(paths) >= 10
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            used |= {getattr(node, word) for word in ("attr", "arg", "id") if hasattr(node, word)}
    assert "sampled_from" in used
    assert not used & {"filter", "assume", "reject", "unique", "unique_by"}


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_smallest_problem_is_of_order_one_and_in_zeros_and_ones(name):
    found = smallest(PROBLEMS[name]("crisp"))
    assert set(floats({**found, "lr": 0.0})) <= {0, 1}
    assert len(floats(found)) <= 12


# bilevel problems


def bilevel_problem(inputs):
    arrays = {name: exact.asarray(inputs[name]) for name in ("H", "C", "c", "Q", "t", "R", "P", "q")}
    return implicit.QuadraticBilevel(**arrays), exact.asarray(inputs["w"]), exact.asarray(inputs["phi"])


@pytest.mark.parametrize("kind", KINDS)
def test_the_inner_solution_is_stationary_exactly(kind):
    for inputs in problems("bilevel", kind):
        problem, w, phi = bilevel_problem(inputs)
        n, m = len(w), len(phi)
        assert np.all(problem.H @ w - problem.c - problem.C @ phi == 0)
        shapes = {"H": (n, n), "Q": (n, n), "C": (n, m), "R": (n, m), "P": (m, m), "c": (n,), "t": (n,), "q": (m,)}
        assert {name: np.shape(inputs[name]) for name in shapes} == shapes
        assert positive_definite(inputs["H"])
        assert positive_definite(inputs["Q"])
        assert np.all(problem.P == problem.P.T)


@pytest.mark.parametrize("kind", KINDS)
def test_the_neumann_step_is_a_power_of_two_below_the_reciprocal_of_the_trace(kind):
    found = problems("bilevel", kind)
    for inputs in found:
        trace = sum(Fraction(inputs["H"][i][i]) for i in range(len(inputs["H"])))
        assert math.frexp(inputs["lr"])[0] == 0.5
        assert 1 / (4 * trace) <= Fraction(inputs["lr"]) < 1 / trace
        assert type(inputs["terms"]) is int
    assert len({inputs["terms"] for inputs in found}) >= 4
    assert {inputs["terms"] for inputs in found} <= set(range(5))


def test_most_bilevel_problems_have_what_separates_the_formulas():
    found = problems("bilevel", "crisp")
    shapes = [np.shape(inputs["C"]) for inputs in found]
    assert sum(n >= 2 for n, m in shapes) > 40
    assert sum(n != m for n, m in shapes) > 10
    assert sum(n == m >= 2 for n, m in shapes) > 10
    posed = [bilevel_problem(inputs) for inputs in found]
    assert sum(not multiple_of_identity(p.H) for p, _, _ in posed) > 45
    assert sum(bool(np.any(p.R.T @ w + p.P @ phi + p.q != 0)) for p, w, phi in posed) > 60
    square = [p.C for p, w, phi in posed if len(w) == len(phi) >= 2]
    assert sum(bool(np.any(C != C.T)) for C in square) > len(square) / 2
    assert all(inputs["lr"] < 1 for inputs in found)
    assert sum(inputs["H"] != inputs["Q"] for inputs in found) > 60


def test_crisp_bilevel_problems_separate_four_known_mistakes():
    separated = dict.fromkeys(("missing direct", "identity", "Neumann without its step", "not transposed"), 0)
    transposable = 0
    for inputs in problems("bilevel", "crisp"):
        p, w, phi = bilevel_problem(inputs)
        lr = exact.asarray(inputs["lr"])
        direct, g = p.R.T @ w + p.P @ phi + p.q, p.Q @ (w - p.t) + p.R @ phi
        u = tools.checked_solve(p.H, g)
        truth = direct + p.C.T @ u
        assert np.all(truth == p.hypergradient(phi).value)
        power = total = g
        for _ in range(inputs["terms"]):
            power = power - lr * (p.H @ power)
            total = total + power
        # a Neumann sum with its step against one without it, the others against the exact answer
        pairs = {
            "missing direct": (truth, p.C.T @ u),
            "identity": (truth, direct + p.C.T @ g),
            "Neumann without its step": (direct + lr * (p.C.T @ total), direct + p.C.T @ total),
        }
        if len(w) == len(phi) >= 2:
            transposable += 1
            pairs["not transposed"] = (truth, direct + p.C @ u)
        for name, (right, wrong) in pairs.items():
            separated[name] += bool(10 * np.max(abs(wrong - right)) > np.max(abs(right)))
    assert separated.pop("not transposed") > transposable / 2 > 5
    assert all(count > 45 for count in separated.values()), separated


def test_rough_bilevel_problems_fill_the_mantissas():
    found = problems("bilevel", "rough")
    bits = [max(Fraction(x).numerator.bit_length() for x in inputs["c"]) for inputs in found]
    assert max(bits) <= 24
    assert sum(b >= 16 for b in bits) > 18
    assert all(Fraction(x).numerator.bit_length() >= 12 for inputs in found for x in inputs["t"] if abs(x) > 1)
    for inputs in (*found, *problems("bilevel", "ill_conditioned")):
        assert all(Fraction(x).denominator == 2**52 for x in floats([inputs[name] for name in ("t", "R", "P", "q")]))


def test_ill_conditioned_bilevel_problems_range_over_ten_powers_of_two():
    found = [np.linalg.cond(inputs["H"]) for inputs in problems("bilevel", "ill_conditioned")]
    assert 3.9 < min(found) < 20
    assert 2**11.9 < max(found) < 2**14.1


# quadratic tasks


def curvatures(inputs):
    return [exact.asarray(task["A"]) for task in inputs["tasks"]]


def centres(inputs):
    return [task["c"] for task in inputs["tasks"]]


@pytest.mark.parametrize("kind", KINDS)
def test_steps_on_quadratic_tasks_contract_towards_every_optimum(kind):
    moved = 0
    for inputs in problems("quadratic_tasks", kind):
        lr = exact.asarray(inputs["lr"])
        for task in inputs["tasks"]:
            A, start = exact.asarray(task["A"]), exact.asarray(inputs["theta"]) - exact.asarray(task["c"])
            assert positive_definite(task["A"])
            assert Fraction(inputs["lr"]) * sum(Fraction(task["A"][i][i]) for i in range(len(start))) < 1
            end = start - lr * (A @ start)
            assert end @ (A @ end) <= start @ (A @ start)
            moved += bool(100 * (end @ (A @ end)) < 99 * (start @ (A @ start)))
        assert inputs["steps"] in (1, 2, 3)
        assert inputs["lam"] > 0
    assert moved > 18


def test_most_quadratic_tasks_differ_and_do_not_commute():
    found = problems("quadratic_tasks", "crisp")
    pairs = [[(a, b) for a in i["tasks"] for b in i["tasks"]] for i in found]
    assert sum(any(not commute(a["A"], b["A"]) for a, b in pair) for pair in pairs) > 40
    assert sum(any(a["c"] != b["c"] for a, b in pair) for pair in pairs) > 45
    assert sum(inputs["steps"] >= 2 for inputs in found) > 40


def test_rough_quadratic_tasks_fill_the_mantissas_and_ill_conditioned_ones_have_large_condition_numbers():
    for inputs in problems("quadratic_tasks", "rough"):
        assert all(Fraction(x).denominator == 2**52 for x in floats([inputs["theta"], centres(inputs)]))
    found = problems("quadratic_tasks", "ill_conditioned")
    assert all(3.9 < np.linalg.cond(task["A"]) < 2**14.1 for inputs in found for task in inputs["tasks"])


def fractions(value):
    """All numbers of nested lists and dictionaries but counts of steps."""
    if isinstance(value, dict):
        return fractions([part for name, part in value.items() if name != "steps"])
    return [x for part in value for x in fractions(part)] if isinstance(value, list) else [value]


def dyadic(q):
    return q.denominator & (q.denominator - 1) == 0


def test_rational_tasks_are_positive_definite_contract_and_are_mostly_no_binary_numbers():
    found = draws(rational_tasks(), 60)
    for inputs in found:
        assert all(type(x) is Fraction for x in fractions(inputs))
        assert inputs["lam"] > 0
        assert inputs["steps"] in (1, 2, 3)
        for task in inputs["tasks"]:
            assert positive_definite(task["A"])
            assert 0 < inputs["lr"] * sum(task["A"][i][i] for i in range(len(task["c"]))) < 1
            assert len(task["A"]) == len(task["c"]) == len(inputs["theta"])
    for name in ("theta", "tasks", "lr", "lam"):
        assert sum(any(not dyadic(x) for x in fractions([inputs[name]])) for inputs in found) > 20
    pairs = [[(x["A"], y["A"]) for x in i["tasks"] for y in i["tasks"]] for i in found]
    assert sum(any(not commute(x, y) for x, y in pair) for pair in pairs) > 25
    assert any(len(inputs["theta"]) == 3 for inputs in found)


def test_the_smallest_rational_tasks_are_in_integers_but_for_the_step():
    found = smallest(rational_tasks())
    assert set(fractions({**found, "lr": Fraction(0)})) <= {0, 1}
    assert found["lr"] == Fraction(1, 2)


# consecutive regressions


def gram(X):
    return exact.asarray(X).T @ exact.asarray(X)


@pytest.mark.parametrize("kind", KINDS)
def test_both_regressions_have_one_solution(kind):
    for inputs in problems("consecutive_regressions", kind):
        for task in "AB":
            X, y = inputs[f"X_{task}"], inputs[f"y_{task}"]
            assert len(X) == len(y) >= len(X[0])
            assert determinant(exact.to_fractions(gram(X)).tolist()) > 0
        assert inputs["lam"] > 0 or kind == "degenerate"


def test_most_regressions_have_correlated_features_different_sizes_and_different_optima():
    found = problems("consecutive_regressions", "crisp")
    assert sum(not diagonal(gram(i["X_A"])) for i in found) > 40
    assert sum(len(i["y_A"]) != len(i["y_B"]) for i in found) > 45
    optima = [[np.linalg.lstsq(i[f"X_{t}"], i[f"y_{t}"])[0] for t in "AB"] for i in found]
    assert sum(not np.allclose(*pair) for pair in optima) > 55
    assert len({i["lam"] for i in found}) == 4


def test_rough_regressions_fill_the_mantissas_but_for_the_triangle():
    for inputs in problems("consecutive_regressions", "rough"):
        d = len(inputs["X_A"][0])
        for task in "AB":
            X, y = np.array(inputs[f"X_{task}"]), inputs[f"y_{task}"]
            filled = [*X[d:].flat, *X[np.tril_indices(d, -1)], *y]
            assert all(Fraction(x).denominator == 2**52 for x in filled)


def test_ill_conditioned_regressions_have_nearly_collinear_features():
    found = [i["X_A"] for i in problems("consecutive_regressions", "ill_conditioned") if len(i["X_A"][0]) > 1]
    assert len(found) > 18
    assert all(np.linalg.cond(np.array(X).T @ X) > 64**2 for X in found)


# degenerate problems


def propagated(inputs):
    """The slope of the outer loss in w."""
    p, w, phi = bilevel_problem(inputs)
    return p.Q @ (w - p.t) + p.R @ phi


DEGENERACIES = {
    "bilevel": {
        "single": lambda i: len(i["w"]) == 1,
        "isotropic": lambda i: multiple_of_identity(exact.asarray(i["H"])),
        "at_zero": lambda i: not any(i["phi"]),
        "stationary": lambda i: not np.any(propagated(i) != 0),
        "indirect": lambda i: not any(floats([i["R"], i["P"], i["q"]])),
    },
    "quadratic_tasks": {
        "commuting": lambda i: all(map(multiple_of_identity, curvatures(i))),
        "equal": lambda i: all(task == i["tasks"][0] for task in i["tasks"]),
        "agreeing": lambda i: all(c == centres(i)[0] for c in centres(i)),
        "at_optimum": lambda i: all(c == i["theta"] for c in centres(i)),
    },
    "consecutive_regressions": {
        "same": lambda i: (i["X_A"], i["y_A"]) == (i["X_B"], i["y_B"]),
        "agreeing": lambda i: not any(i["y_A"] + i["y_B"]),
        "uncorrelated": lambda i: diagonal(gram(i["X_A"])) and diagonal(gram(i["X_B"])),
        "unpenalised": lambda i: i["lam"] == 0,
    },
}


def degeneracies(name, inputs):
    return {word for word, holds in DEGENERACIES[name].items() if holds(inputs)}


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_degenerate_problem_is_degenerate(name):
    assert all(degeneracies(name, inputs) for inputs in problems(name, "degenerate"))


@pytest.mark.parametrize(("name", "word"), [(n, word) for n in PROBLEMS for word in DEGENERACIES[n]])
def test_each_degeneracy_is_brought_about_in_problems_that_had_none_and_is_drawn_alone(name, word):
    change = getattr(import_module(PROBLEMS[name].__module__), word)
    generic = [inputs for inputs in problems(name, "crisp") if not degeneracies(name, inputs)]
    assert len(generic) > 20
    implied = set.intersection(*(degeneracies(name, change(inputs)) for inputs in generic))
    assert word in implied
    assert implied in [degeneracies(name, inputs) for inputs in problems(name, "degenerate")]
