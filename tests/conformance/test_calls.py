"""What one call of a subject brings with it: seeds, limits, what was used and changed, and what is out of reach."""

import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refgrad import contracts
from refgrad.conformance import verify
from refgrad.conformance.subject import process
from refgrad.conformance.subject.arguments import names
from refgrad.conformance.subject.outcome import Outcome
from refgrad.conformance.subject.process import ChildSubject, LocalSubject, NotRunnable

MAML_INPUTS = {
    "loss": ["quartic"],
    "theta": [1.0, -1.0, 2.0],
    "tasks": [
        [([[1.0, 0.0, 2.0]], [1.0]), ([[0.0, 1.0, 1.0]], [2.0])],
        [([[3.0, 0.0, 1.0]], [0.0]), ([[0.0, 2.0, 1.0]], [1.0])],
    ],
    "lr": 0.5,
    "steps": 1,
}
FORM_INPUTS = {"function": "form", "Q": [[1.0, 0.0], [0.0, 2.0]], "b": [1.0, 1.0], "a": [0.0, 1.0], "x": [1.0, 2.0]}
X = {"x": [1.0, 2.0, 3.0]}


@pytest.fixture
def child(square):
    """A started subject of the file ``watched``, in a process of its own."""
    opened = []

    def start(name, contract="square", timeout=30.0):
        chosen = square if contract == "square" else contracts.get(contract)
        subject = ChildSubject(chosen, f"watched:{name}", "numpy", "float64", timeout=timeout)
        opened.append(subject)
        subject.start()
        return subject

    yield start
    for subject in opened:
        subject.close()


@pytest.fixture
def local(square):
    """A subject of the file ``watched`` in this process."""
    import watched

    return lambda name: LocalSubject(square, name, "numpy", "float64", function=getattr(watched, name))


@pytest.mark.parametrize("name", ["by_python", "by_numpy"])
def test_two_calls_agree_where_only_shared_generators_matter(child, name):
    subject = child(name)
    first, again, other = (subject.call(X, seed=seed) for seed in (0, 0, 1))
    assert first.same_bits(again)
    assert first.same_bits(subject.call_fresh(X))
    assert not first.same_bits(other)


@pytest.mark.parametrize("name", ["by_python", "by_numpy"])
def test_a_subject_in_this_process_is_seeded_and_gives_the_generators_back(local, name):
    subject = local(name)
    random.seed(7)
    np.random.seed(7)
    expected = random.random(), np.random.random()
    random.seed(7)
    np.random.seed(7)
    assert subject.call(X).same_bits(subject.call(X))
    assert (random.random(), np.random.random()) == expected


def test_the_first_call_after_every_start_has_the_limit_of_a_start(child):
    subject = child("slow_at_first", timeout=0.5)
    assert [subject.call(X).kind for _ in range(3)] == ["value"] * 3
    assert subject.call_fresh(X).kind == "value"


def test_a_later_call_has_its_own_limit(child):
    subject = child("slow", timeout=0.5)
    assert [subject.call(X).kind for _ in range(2)] == ["value", "timeout"]


def test_the_limit_of_a_start_is_spent_in_vain_only_once(child, monkeypatch):
    monkeypatch.setattr(process, "START_LIMIT", 4.0)
    subject = child("hangs", timeout=0.1)
    messages = [subject.call(X).message for _ in range(2)]
    assert "no answer within 4 seconds" in messages[0]
    assert "no answer within 0.1 seconds" in messages[1]


def test_a_fresh_process_has_none_of_the_state_of_the_one_before(child):
    subject = child("counted")
    assert [subject.call(X).value[0] for _ in range(3)] == [1, 2, 3]
    assert subject.call_fresh(X).value[0] == 1
    subject.restart()
    assert subject.call(X).value[0] == 1
    other = child("by_process")
    assert not other.call(X).same_bits(other.call_fresh(X))


def test_a_subject_in_this_process_keeps_its_state(local):
    subject = local("counted")
    first = subject.call(X).value[0]
    assert subject.call_fresh(X).value[0] == first + 1


@pytest.mark.parametrize(
    ("name", "unused"), [("own_loss", ("loss",)), ("called", ()), ("by_hand", ()), ("used_once", ())]
)
def test_a_callable_argument_that_no_call_uses_is_said(child, name, unused):
    subject = child(name, "maml_gradient")
    assert subject.unused() == ()
    for _ in range(3):
        assert subject.call(MAML_INPUTS).kind == "value"
    assert subject.unused() == unused


@pytest.mark.parametrize(
    ("name", "contract", "inputs", "mutated"),
    [
        ("reads_only", "maml_gradient", MAML_INPUTS, ()),
        ("by_hand", "maml_gradient", MAML_INPUTS, ()),
        ("theta_in_place", "maml_gradient", MAML_INPUTS, ("theta",)),
        ("labels_in_place", "maml_gradient", MAML_INPUTS, ("tasks",)),
        ("tasks_popped", "maml_gradient", MAML_INPUTS, ("tasks",)),
        ("tasks_reversed", "maml_gradient", MAML_INPUTS, ("tasks",)),
        ("tasks_in_themselves", "maml_gradient", MAML_INPUTS, ("tasks",)),
        ("shape_in_place", "maml_gradient", MAML_INPUTS, ("theta",)),
        ("constants_in_place", "gradient", FORM_INPUTS, ("f",)),
    ],
)
def test_arguments_that_a_call_changes_are_named(child, name, contract, inputs, mutated):
    outcome = child(name, contract).call(inputs)
    assert (outcome.kind, outcome.mutated) == ("value", mutated)


@pytest.mark.parametrize(
    ("signature", "count", "expected"),
    [
        ("subject(loss, theta, tasks, lr, steps)", 5, ("loss", "theta", "tasks", "lr", "steps")),
        ("subject(x)", 1, ("x",)),
        ("subject(x)", 2, ("argument 1", "argument 2")),
        ("subject", 1, ("argument 1",)),
    ],
)
def test_arguments_have_the_names_of_the_signature(signature, count, expected):
    assert names(signature, count) == expected


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("in_a_tuple", "expected shape (3,), got (1, 3): a tuple of 1, return its element [0]"),
        ("in_a_dict", "expected an array, got dict: a dict of 2, return its element ['value of x']"),
        ("with_its_value", "got tuple of arrays of unequal shapes: a tuple of 2, return its element [1]"),
        ("in_two", "expected shape (3,), got (2, 3): a tuple of 2"),
    ],
)
def test_the_element_to_return_is_said(child, name, words):
    assert child(name).call(X).message.endswith(words)


@pytest.mark.parametrize("name", ["oracle", "oracle_by_attribute", "oracle_by_verify", "oracle_in_theory"])
def test_the_judge_is_out_of_reach_of_what_is_judged(child, name):
    outcome = child(name).call(X)
    assert outcome.kind == "raised"
    assert "is withheld from it" in outcome.message
    assert f", in {name})" in outcome.message


def test_exact_arithmetic_is_within_reach(child):
    assert child("exact_numbers").call(X).value.tolist() == [1, 4, 9]


def test_a_file_that_also_holds_its_contract_and_its_test_is_a_subject_as_any_other(square):
    assert verify("with_a_test:square", square, max_examples=20).exit_code == 0


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import json\n\nimport no_such_library\n", "No module named 'no_such_library' (mine/subject_file.py:3)"),
        ("x = 1\ndef f(x) return x\n", "(mine/subject_file.py:2)"),
        ("import json\njson.loads('{')\n", "(mine/subject_file.py:2)"),
        ("def g():\n    return 1 / 0\ng()\n", "ZeroDivisionError: division by zero (mine/subject_file.py:2, in g)"),
    ],
)
def test_an_import_that_fails_says_the_line_of_the_file_itself(square, tmp_path, source, words):
    file = tmp_path / "mine" / "subject_file.py"
    file.parent.mkdir()
    file.write_text(source)
    with pytest.raises(NotRunnable, match="while it was imported: ") as caught:
        ChildSubject(square, f"{file}:f", "numpy", "float64").start()
    assert words in str(caught.value)


VALUE = {"kind": "value", "dtype": "float64", "shape": [2], "hex": ["0x1p+0", "0x1p+1"], "field": False}


def test_a_reply_as_it_should_be_is_a_value():
    outcome = Outcome.of(VALUE | {"used": ["f"], "callables": ["f"], "mutated": []}, "float64", (2,))
    assert (outcome.kind, outcome.value.tolist(), outcome.used) == ("value", [1.0, 2.0], ("f",))


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "splendid"},
        {"kind": None},
        {"dtype": 64},
        {"shape": [3]},
        {"shape": [2, 1]},
        {"shape": None},
        {"hex": ["0x1p+0"]},
        {"hex": ["0x1p+0"] * 3},
        {"hex": ["0x1p+0", "one"]},
        {"hex": ["0x1p+0", 1.0]},
        {"hex": ["0x1p+0", "0x1p+99999"]},
        {"hex": 3},
        {"message": ["no", "text"]},
        {"used": 3},
        {"mutated": [None]},
    ],
)
def test_a_reply_that_is_none_is_an_outcome_of_its_own(change):
    assert Outcome.of(VALUE | change, "float64", (2,)).kind == "bad_reply"


@pytest.mark.parametrize("number", ["inf", "-inf", "nan"])
def test_infinite_numbers_are_no_value(number):
    assert Outcome.of(VALUE | {"hex": [number, "0x1p+0"]}, "float64", (2,)).kind == "not_finite"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "float64", "0x1p+0", "inf", "f"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*VALUE, "message", "used", "callables", "mutated"]), JSON))
def test_no_reply_raises_whatever_its_fields_hold(changes):
    outcome = Outcome.of(json.loads(json.dumps(VALUE | changes)), "float64", (2,))
    assert outcome.value is None or outcome.value.shape == (2,)
