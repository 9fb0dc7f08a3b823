"""What one call notes of tensors: a cut graph, a loss that is used, tensors that change, seeds that are given back."""

from pathlib import Path

import pytest

from refgrad import contracts
from refgrad.conformance.subject.process import ChildSubject, LocalSubject

pytestmark = pytest.mark.interop
torch = pytest.importorskip("torch")
SUBJECTS = Path(__file__).parent / "subjects"
INPUTS = {
    "loss": ["quartic"],
    "theta": [1.0, -1.0, 2.0],
    "tasks": [
        [([[1.0, 0.0, 2.0]], [1.0]), ([[0.0, 1.0, 1.0]], [2.0])],
        [([[3.0, 0.0, 1.0]], [0.0]), ([[0.0, 2.0, 1.0]], [1.0])],
    ],
    "lr": 0.5,
    "steps": 1,
}


@pytest.fixture
def child():
    """A started subject of one of the files here, in a process of its own."""
    opened = []

    def start(name, framework="torch"):
        target = f"{SUBJECTS / framework}_calls.py:{name}"
        opened.append(ChildSubject(contracts.get("maml_gradient"), target, framework, "float64", timeout=60.0))
        opened[-1].start()
        return opened[-1]

    yield start
    for subject in opened:
        subject.close()


@pytest.mark.parametrize("name", ["grad_of_a_copy", "data_alone", "not_in_the_graph", "without_grad"])
def test_a_graph_that_is_cut_is_said(child, name):
    outcome = child(name).call(INPUTS)
    assert outcome.kind == "graph_cut"
    assert outcome.message.startswith("no gradient reaches theta: the graph is cut (copy, .data, detach)")


def test_a_gradient_that_was_not_returned_is_found_where_it_lies(child):
    outcome = child("leaves_it_in_grad").call(INPUTS)
    assert (outcome.kind, outcome.message) == (
        "not_an_array", "expected an array, got NoneType, though theta.grad is there: return it",
    )  # fmt: skip


def test_the_tuple_that_torch_returns_has_its_element_named(child):
    outcome = child("in_a_tuple").call(INPUTS)
    assert outcome.message == "expected shape (3,), got (1, 3): a tuple of 1, return its element [0]"


def test_parameters_in_place_of_a_gradient_are_noted(child):
    outcome = child("a_parameter").call(INPUTS)
    assert (outcome.kind, outcome.message) == (
        "value", "a torch Parameter came back: parameters, not their gradient",
    )  # fmt: skip


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_a_watched_loss_is_differentiated_like_the_loss_itself(child, framework):
    pytest.importorskip(framework)
    names = ["plain", "by_transform" if framework == "torch" else "compiled"]
    first, second = (child(name, framework) for name in names)
    assert first.call(INPUTS).value.tolist() == second.call(INPUTS).value.tolist() == [0.0, -1.0, -1.0]
    product, by_hand = child("forward_over_reverse", framework), child("by_hand", framework)
    assert product.call(INPUTS).value.tolist() == by_hand.call(INPUTS).value.tolist() == [0.0, 6.0, 6.0]
    assert {subject.unused() for subject in (first, second, product, by_hand)} == {()}


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_a_loss_of_ones_own_leaves_the_other_unused(child, framework):
    pytest.importorskip(framework)
    subject = child("own_loss", framework)
    assert subject.call(INPUTS).kind == "value"
    assert subject.unused() == ("loss",)


@pytest.mark.parametrize(
    ("name", "framework", "mutated"),
    [
        ("theta_in_place", "torch", ("theta",)),
        ("batch_in_place", "torch", ("tasks",)),
        ("leaves_it_in_grad", "torch", ()),
        ("plain", "torch", ()),
        ("tasks_popped", "jax", ("tasks",)),
        ("plain", "jax", ()),
    ],
)
def test_tensors_that_a_call_changes_are_named(child, name, framework, mutated):
    pytest.importorskip(framework)
    assert child(name, framework).call(INPUTS).mutated == mutated


def test_torch_begins_from_one_seed_at_each_call(child):
    subject = child("drops_out")
    first = subject.call(INPUTS)
    assert first.same_bits(subject.call(INPUTS))
    assert first.same_bits(subject.call_fresh(INPUTS))
    assert not first.same_bits(subject.call(INPUTS, seed=1))


def test_a_subject_in_this_process_gives_the_generator_of_torch_back():
    def noise(loss, theta, tasks, lr, steps):
        return torch.randn(theta.shape, dtype=theta.dtype)

    subject = LocalSubject(contracts.get("maml_gradient"), "noise", "torch", "float64", function=noise)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    assert subject.call(INPUTS).same_bits(subject.call(INPUTS))
    assert torch.equal(torch.rand(3), expected)
