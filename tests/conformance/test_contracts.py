"""The contracts as data: their problems tell their variants apart, and their regression tests run on their own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from conformance.subjects.square_contract import SQUARE
from helpers.drawing import Doubles, Rationals, draws

import refgrad
from refgrad import contracts, exact
from refgrad.conformance import verify
from refgrad.conformance.judging.referee import Referee
from refgrad.contracts.contract import Failure, Problem
from refgrad.contracts.regression import regression
from refgrad.errors import UsageError

NAMES = (
    "maml_gradient",
    "fomaml_gradient",
    "reptile_update",
    "imaml_gradient",
    "min_norm",
    "mgda_direction",
    "fisher_diagonal",
    "empirical_fisher_diagonal",
    "ewc_penalty",
    "ewc_gradient",
    "gradient",
    "hvp",
)
SWEEPS = {"gradient": 150, "hvp": 150}  # of several families of functions, each with formulas of its own
every = pytest.mark.parametrize("name", NAMES)


@every
def test_a_contract_says_what_it_is(name):
    contract = contracts.get(name)
    assert contracts.contracts()[name] is contract
    assert contract.signature.startswith("subject(")
    assert contract.references
    assert set(contract.problems) == {"crisp", "rough", "ill_conditioned", "degenerate"}
    names = [v.name for v in contract.variants]
    assert len(names) == len(set(names)) >= 8
    assert all(v.formula and v.meaning and not v.meaning.endswith(".") for v in contract.variants)


def test_an_unknown_name_is_answered_with_the_closest_ones():
    with pytest.raises(UsageError, match="did you mean maml_gradient"):
        contracts.get("maml_grad")
    with pytest.raises(UsageError, match="there are empirical_fisher_diagonal"):
        contracts.get("zzz")


def test_a_name_cannot_be_registered_twice(monkeypatch):
    contract = contracts.get("min_norm")
    contracts.register_contract(contract)
    with pytest.raises(UsageError, match="taken"):
        contracts.register_contract(replace(contract, version="9.9"))


@every
@pytest.mark.parametrize("kind", ["crisp", "rough", "ill_conditioned", "degenerate"])
def test_the_truth_of_every_problem_is_known_in_the_shape_the_contract_states(name, kind):
    contract = contracts.get(name)
    for problem in draws(contract.problems[kind](), 25):
        assert problem.kind == kind
        call = contract.arguments(problem.inputs, Rationals)
        truth = exact.evaluate(contract.quantity, *call)
        assert truth.low.value.shape == truth.low.magnitude.shape == contract.shape(problem.inputs)
        if contract.error is not None:
            assert contract.error(call, truth.value.value) == 0
            assert contract.unit(call).magnitude > 0


def nearest(truth):
    return [float(x) for x in truth.middle]


def apart(a, b):
    scale = max(abs(x) for x in [*a, *b, 1e-30])
    return max(abs(x - y) for x, y in zip(a, b, strict=True)) > 1e-6 * scale


@pytest.fixture(scope="module", params=NAMES)
def sweep(request):
    """The contract, and for crisp problems, and some wide ones, the truth and what each variant answers."""
    contract = contracts.get(request.param)
    referee, rows = Referee(contract), []
    wide = [Problem("wide", inputs) for inputs in contract.wide.inputs(0)[2:8]] if contract.wide is not None else []
    for problem in [*draws(contract.problems["crisp"](), SWEEPS.get(contract.name, 70)), *wide]:
        answers = {}
        for variant in contract.variants:
            in_floats = referee.rough(problem, variant)
            exactly = referee.truth(problem, variant) if in_floats is None else None
            if in_floats is not None or exactly is not None:
                answers[variant.name] = nearest(exactly) if in_floats is None else in_floats.tolist()
        rows.append((contract.arguments(problem.inputs, Rationals), nearest(referee.truth(problem)), answers))
    return contract, rows


WIDE = {
    "best-pair-only", "best-three-only", "cg-three-iterations",
    "weighted-by-support-size", "weighted-by-query-size", "support-size-of-first-task", "query-size-of-first-task",
    "weighted-by-batches", "last-two-steps-only", "last-three-steps-only",
}  # fmt: skip
"""What wide problems tell, of unequal sizes, many steps or parameters; that two do is a test of each family."""


def test_every_pair_of_variants_differs_on_some_problem(sweep):
    contract, rows = sweep
    for a, b in combinations([v.name for v in contract.variants], 2):
        both = [r for _, _, r in rows if a in r and b in r]  # a formula for two tasks never meets one for three
        assert any(apart(r[a], r[b]) for r in both) or not both or {a, b} & WIDE, (a, b)


def test_the_truth_differs_from_every_variant_on_a_good_part_of_the_problems(sweep):
    contract, rows = sweep
    for variant in contract.variants:
        seen = [(call, truth, r[variant.name]) for call, truth, r in rows if variant.name in r]
        if contract.error is None:
            far = sum(apart(truth, answer) for _, truth, answer in seen)
        else:
            units = [float(contract.unit(call).magnitude) for call, _, _ in seen]
            errors = [float(contract.error(call, exact.asarray(answer))) for call, _, answer in seen]
            far = sum(error > 1e-6 * unit for error, unit in zip(errors, units, strict=True))
        # formulas for three tasks or more agree with the truth on the problems with two
        least = 0.12 if contract.name in ("min_norm", "mgda_direction") else 0.3
        if variant.name not in WIDE:
            assert far >= max(5, least * len(seen)), (variant.name, far, len(seen))


def right_min_norm(J):
    return np.array(exact.evaluate(contracts.get("min_norm").quantity, exact.asarray(J)).value.value.astype(float))


def right_direction(J):
    return right_min_norm(J) @ J


def right_maml(loss, theta, tasks, lr, steps, first_order=False):
    total = 0 * theta
    for support, query in tasks:
        path = [theta]
        for _ in range(steps):
            path.append(path[-1] - lr * loss.grad(path[-1], support))
        v = loss.grad(path[-1], query)
        for point in path[-2::-1] if not first_order else []:
            v = v - lr * loss.hvp(point, support, v)
        total = total + v
    return total / len(tasks)


def right_fomaml(loss, theta, tasks, lr, steps):
    return right_maml(loss, theta, tasks, lr, steps, first_order=True)


def right_reptile(loss, theta, tasks, lr, epsilon):
    total = 0 * theta
    for batches in tasks:
        point = theta
        for batch in batches:
            point = point - lr * loss.grad(point, batch)
        total = total + point - theta
    return theta + epsilon * total / len(tasks)


def right_imaml(loss, theta, adapted, tasks, lam):
    units = np.eye(len(theta))
    hessians = [np.array([loss.hvp(p, s, e) for e in units]) for p, (s, _) in zip(adapted, tasks, strict=True)]
    gradients = [loss.grad(p, q) for p, (_, q) in zip(adapted, tasks, strict=True)]
    return sum(np.linalg.solve(units + H / lam, g) for H, g in zip(hessians, gradients, strict=True)) / len(tasks)


def right_empirical(logits, theta, X, y):
    return sum(logits.grad(theta, (X[n : n + 1], y[n : n + 1])) ** 2 for n in range(len(y))) / len(y)


def right_fisher(logits, theta, X, y):
    total = 0 * theta
    for n in range(len(y)):
        z = logits(theta, X[n : n + 1])[0]
        p = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
        total = total + sum(p[c] * logits.grad(theta, (X[n : n + 1], np.array([c]))) ** 2 for c in range(len(p)))
    return total / len(y)


def right_penalty(theta, theta_star, fisher, lam):
    return lam / 2 * (fisher * (theta - theta_star) ** 2).sum()


def right_penalty_gradient(theta, theta_star, fisher, lam):
    return lam * fisher * (theta - theta_star)


def right_gradient(f, x):
    return f.grad(x)


def right_hvp(f, x, v):
    return f.hvp(x, v)


RIGHT = {
    "gradient": right_gradient,
    "hvp": right_hvp,
    "maml_gradient": right_maml,
    "fomaml_gradient": right_fomaml,
    "reptile_update": right_reptile,
    "imaml_gradient": right_imaml,
    "min_norm": right_min_norm,
    "mgda_direction": right_direction,
    "fisher_diagonal": right_fisher,
    "ewc_penalty": right_penalty,
    "ewc_gradient": right_penalty_gradient,
    "empirical_fisher_diagonal": right_empirical,
}


@every
def test_a_right_implementation_in_float64_is_within_rounding_of_the_quantity(name):
    contract = contracts.get(name)
    for kind in ("crisp", "rough"):
        for problem in draws(contract.problems[kind](), 20):
            got = RIGHT[name](*contract.arguments(problem.inputs, Doubles))
            call = contract.arguments(problem.inputs, Rationals)
            truth = exact.evaluate(contract.quantity, *call)
            if contract.error is not None:
                unit = contract.unit(call).magnitude
                assert contract.error(call, exact.asarray(got)) <= unit * Fraction(1, 2**49)
                continue
            scale = max([*truth.high.magnitude.flat, Fraction(1, 10**9)])
            pairs = zip(np.ravel(got), truth.low.value.flat, strict=True)
            assert all(abs(Fraction(g) - t) <= scale * Fraction(1, 2**46) for g, t in pairs)


def executed(source, subject):
    """Run the one test function of `source` with `subject` in place of what it imports."""
    namespace = {}
    exec(compile(source.replace("from somewhere import subject", ""), "regression", "exec"), namespace)
    namespace["subject"] = subject
    (test,) = [f for key, f in namespace.items() if key.startswith("test_")]
    test()


def source_of(contract, problem, tolerance, got, framework="numpy"):
    truth = exact.evaluate(contract.quantity, *contract.arguments(problem.inputs, Rationals))
    return regression(
        contract,
        Failure(
            "from somewhere import subject",
            "subject",
            framework,
            "float64",
            problem,
            truth,
            tolerance,
            got,
            "The smallest input found on which the result is not the exact one.",
        ),
    )


@every
def test_a_regression_test_passes_on_the_right_function_and_fails_on_a_wrong_one(name):
    contract = contracts.get(name)
    for problem in draws(contract.problems["crisp"](), 12):
        got = np.ravel(RIGHT[name](*contract.arguments(problem.inputs, Doubles)))
        square = max((sum(x * x for x in row) for row in problem.inputs.get("J", ())), default=0.0)
        source = source_of(contract, problem, 1e-9 * min(1.0, square or 1.0), list(got))
        assert "refgrad" not in source
        assert f"# It returned {[float(x) for x in got]}." in source or "# It returned [" in source
        executed(source, RIGHT[name])
        with pytest.raises(AssertionError):
            executed(source, lambda *args: RIGHT[name](*args) + 0.01)


@every
@pytest.mark.parametrize("framework", ["numpy", "torch", "jax", "cupy"])
def test_a_regression_test_is_valid_python_for_every_framework(name, framework):
    contract = contracts.get(name)
    (problem,) = draws(contract.problems["crisp"](), 1)
    source = source_of(contract, problem, Fraction(1, 2**40), None, framework)
    compile(source, "regression", "exec")
    assert source.startswith("import ")
    assert f"def test_subject_computes_the_{'min_norm_weights' if name == 'min_norm' else name}():" in source


def test_a_regression_test_runs_in_a_process_that_cannot_import_this_package(tmp_path):
    contract = contracts.get("maml_gradient")
    (problem,) = draws(contract.problems["crisp"](), 1, at=3)
    source = source_of(contract, problem, 1e-9, None)
    (tmp_path / "somewhere.py").write_text("def subject(loss, theta, tasks, lr, steps):\n    return theta + 1000\n")
    block = "import sys\nsys.modules['refgrad'] = None\n"
    (tmp_path / "regression.py").write_text(f"{block}{source}\ntest_subject_computes_the_maml_gradient()\n")
    done = subprocess.run([sys.executable, "regression.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "AssertionError" in done.stderr
    assert "ImportError" not in done.stderr


def test_a_framework_without_a_dialect_is_refused():
    contract = contracts.get("min_norm")
    (problem,) = draws(contract.problems["crisp"](), 1)
    with pytest.raises(UsageError, match="expected a framework"):
        source_of(contract, problem, 1.0, None, "fortran")


@every
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_example_that_a_contract_shows_conforms_to_it(name, dtype, tmp_path):
    contract = contracts.get(name)
    (tmp_path / "mine.py").write_text(contract.example)
    function = contract.example.rpartition("def ")[2].partition("(")[0]
    report = verify(f"{tmp_path / 'mine.py'}:{function}", name, dtype=dtype, max_examples=30)
    assert report.grade == "accurate", str(report)
    assert set(contract.parameters) == set(contract.signature.partition("(")[2].rstrip(")").split(", "))


HALVED = lambda inputs, framework: (framework.array(inputs["x"]) / 2,)
DOUBLED = lambda inputs, framework: (framework.array(inputs["x"]) * 2,)
ON_A_TABLE = lambda inputs, framework: (framework.xp.sum(framework.array(inputs["x"])),)
WITH_A_CALLABLE = lambda inputs, framework: (abs, framework.array(inputs["x"]))
WITH_A_DICT = lambda inputs, framework: ({"x": framework.array(inputs["x"])},)


@pytest.mark.parametrize(
    "changes",
    [
        {"arguments": HALVED},
        {"arguments": DOUBLED},
        {"arguments": ON_A_TABLE},
        {"arguments": WITH_A_CALLABLE, "signature": "subject(f, x)", "quantity": lambda f, x: SQUARE.quantity(x)},
        {"arguments": WITH_A_DICT, "quantity": lambda d: SQUARE.quantity(d["x"])},
        {"signature": "subject(x, n=2)"},
        {"signature": "subject(x, n)"},
        {"signature": "subject(*xs)"},
        {"signature": "square(x)"},
        {"signature": "subject of x"},
        {"error": lambda arguments, output: exact.asarray(0)},
    ],
)
def test_a_test_that_could_not_run_or_might_refuse_what_is_right_is_not_written(changes):
    problem = Problem("crisp", {"x": [1.0, 2.0]})
    written = source_of(SQUARE, problem, Fraction(1, 1000), np.array([1.0, 8.0]))
    compile(written, "written", "exec")
    assert source_of(replace(SQUARE, **changes), problem, Fraction(1, 1000), np.array([1.0, 8.0])) is None


def test_contracts_are_found_in_an_archive_too(tmp_path):
    archive = shutil.make_archive(str(tmp_path / "package"), "zip", Path(refgrad.__file__).parents[1], "refgrad")
    program = f"import sys; sys.path.insert(0, {archive!r}); import refgrad; print(*refgrad.contracts.contracts())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.split() == list(contracts.contracts())
