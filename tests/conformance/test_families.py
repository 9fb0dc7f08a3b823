"""A family of contracts: chosen by params, on the command line and in Python; and the tests that it writes."""

import json
from fractions import Fraction

import numpy as np
import pytest
from helpers.drawing import Doubles, Rationals, draws

from refgrad import contracts, verify
from refgrad.cli import main
from refgrad.conformance.judging.referee import Referee
from refgrad.contracts.contract import Failure, Family
from refgrad.contracts.operators import OPERATORS
from refgrad.contracts.regression import regression
from refgrad.errors import UsageError

FAMILY = contracts.get("operator_derivative")
INV = """\
import numpy as np

def right(x, u, v):
    X = np.linalg.inv(x)
    return X @ u @ X @ v @ X + X @ v @ X @ u @ X

def half(x, u, v, scale=1.0):
    X = np.linalg.inv(x)
    return scale * X @ u @ X @ v @ X
"""
MEMBERS = [(o.name, order) for o in OPERATORS.values() for order in o.orders]
members = pytest.mark.parametrize(("op", "order"), MEMBERS)
CHOICE = ["--contract", "operator_derivative", "--param", "op=inv", "--param", "order=2"]


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(INV)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_member_is_verified_from_the_command_line_by_its_options(mine, capsys):
    assert main(["verify", "mine.py:right", *CHOICE, "--max-examples", "30", "--json", "r.json"]) == 0
    report = json.loads((mine / "r.json").read_text())
    assert (report["contract"], report["grade"]) == ("operator_derivative", "accurate")
    assert report["environment"]["params"] == {"op": "inv", "order": 2}
    assert "op=inv, order=2)" in capsys.readouterr().out.splitlines()[0]


def test_a_wrong_formula_is_named_and_its_test_fails_until_it_is_mended(mine, monkeypatch):
    options = ["--max-examples", "30", "--param", "scale=1.0", "--json", "r.json"]
    assert main(["verify", "mine.py:half", *CHOICE, *options]) == 1
    report = json.loads((mine / "r.json").read_text())
    assert report["diagnosis"] == "one-cross-term"
    assert report["environment"]["params"] == {"op": "inv", "order": 2, "scale": 1.0}
    assert report["counterexample"]["inputs"]["op"] == "inv"
    assert "imported(*arguments, scale=1.0)" in report["regression_test"]
    monkeypatch.syspath_prepend(str(mine))
    for text, fails in ((report["regression_test"], True), (report["regression_test"].replace("half", "right"), False)):
        names = {}
        exec(text.replace(", scale=1.0", "" if not fails else ", scale=1.0"), names)
        (test,) = [value for name, value in names.items() if name.startswith("test_")]
        assert test.__name__.endswith("computes_the_operator_derivative_inv_2")
        if fails:
            with pytest.raises(AssertionError):
                test()
        else:
            test()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (["op=inv"], "expected order among the params, one of 1, 2; got nothing"),
        (["order=1"], "expected op among the params, one of tanh, exp, log"),
        (["op=inverse", "order=1"], "got 'inverse'"),
        (["op=inv", "order=3"], "one of 1, 2; got 3"),
        (["op=inv", "order=True"], "got True"),
        (["op=ldexp", "order=2"], "linear in x: expected order=1"),
    ],
)
def test_options_that_are_none_exit_with_2_and_list_those_that_are(params, message, capsys):
    words = [word for param in params for word in ("--param", param)]
    assert main(["verify", "mine.py:f", "--contract", "operator_derivative", *words]) == 2
    assert message in capsys.readouterr().err


def test_the_command_contracts_lists_the_operators_with_their_calls_and_shows_a_member_in_full(capsys):
    assert main(["contracts", "operator_derivative"]) == 0
    listed = capsys.readouterr().out
    for name in OPERATORS:
        assert f"op={name}: " in listed
    assert "subject((a, b), (u_a, u_b), (v_a," in listed
    assert main(["contracts", "operator_derivative", "--param", "op=solve", "--param", "order=1"]) == 0
    shown = capsys.readouterr().out
    assert "subject((a, b), (u_a, u_b))" in shown
    assert "transposed-system" in shown
    assert main(["contracts", "operator_derivative", "--param", "op=solve"]) == 2
    assert main(["contracts", "min_norm", "--param", "op=solve"]) == 2


def test_the_example_of_the_family_conforms(tmp_path):
    (tmp_path / "mine.py").write_text(FAMILY.example)
    params = {"op": "inv", "order": 2}
    for dtype in ("float64", "float32"):
        report = verify(f"{tmp_path / 'mine.py'}:second_of_inv", FAMILY, params=params, dtype=dtype, max_examples=40)
        assert report.grade == "accurate", str(report)


def test_a_family_is_registered_and_its_name_is_taken():
    assert isinstance(contracts.contracts()["operator_derivative"], Family)
    with pytest.raises(UsageError, match="taken"):
        contracts.register_contract(Family(**(vars(FAMILY) | {"version": "9"})))


@members
def test_a_member_says_what_it_is_and_poses_problems_of_the_shape_it_states(op, order):
    contract, left = FAMILY.choose({"op": op, "order": order, "steps": 3})
    assert left == {"steps": 3}
    assert contract.options == {"op": op, "order": order}
    assert set(contract.parameters) == {"x", "u", "v"} - ({"v"} if order == 1 else set())
    referee = Referee(contract)
    for kind in contract.problems:
        for problem in draws(contract.problems[kind](), 6):
            call = contract.arguments(problem.inputs, Rationals)
            assert len(call) == order + 1
            truth = referee.truth(problem)
            assert truth is not None
            assert len(truth.low) == np.prod(contract.shape(problem.inputs), dtype=int)


def failure_on(problem, truth, framework="numpy"):
    line, tolerance = "from somewhere import subject", Fraction(1, 2**30)
    return Failure(line, "subject", framework, "float64", problem, truth, tolerance, None, "a comment")


def executed(source, subject):
    names = {}
    exec(source.replace("from somewhere import subject", ""), names)
    names["subject"] = subject
    (test,) = [f for key, f in names.items() if key.startswith("test_")]
    test()


@members
def test_the_test_that_a_member_writes_passes_on_the_truth_and_fails_beside_it(op, order):
    contract, _ = FAMILY.choose({"op": op, "order": order})
    referee = Referee(contract)
    for problem in draws(contract.problems["crisp"](), 3):
        truth = referee.truth(problem)
        right = np.array([float(x) for x in truth.middle]).reshape(contract.shape(problem.inputs))
        source = regression(contract, failure_on(problem, truth))
        assert "refgrad" not in source
        calls = []
        executed(source, lambda *given, right=right: calls.append(given) or right)
        expected = contract.arguments(problem.inputs, Doubles)
        assert len(calls[0]) == len(expected)
        assert str(calls[0]) == str(expected)
        with pytest.raises(AssertionError):
            executed(source, lambda *given, right=right: right + 0.01)


@pytest.mark.parametrize("framework", ["numpy", "torch", "jax", "cupy"])
def test_the_test_that_a_member_writes_is_valid_python_for_every_framework(framework):
    for op, order in (("ldexp", 1), ("solve", 2), ("tanh", 2)):
        contract, _ = FAMILY.choose({"op": op, "order": order})
        (problem,) = draws(contract.problems["crisp"](), 1)
        truth = Referee(contract).truth(problem)
        compile(regression(contract, failure_on(problem, truth, framework)), "regression", "exec")
