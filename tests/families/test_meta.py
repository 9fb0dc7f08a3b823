"""MAML, FOMAML and Reptile of the package equal the quantities, with ==, and tell the known mistakes apart."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.bits import same_bits
from hypothesis import given, settings
from hypothesis import strategies as st

import refgrad.numpy as rnp
from refgrad import exact, grad, hessian, jacrev, stage
from refgrad.autodiff import blocks
from refgrad.contracts import meta as by_hand
from refgrad.contracts.meta.maml_variants import MAML_VARIANTS
from refgrad.contracts.meta.problems import few_shot
from refgrad.contracts.meta.problems import loss as loss_of
from refgrad.contracts.tools.losses import EXACT_TABLE, Quadratic, Quartic
from refgrad.errors import InvalidInput, NoDerivative, NotConverged
from refgrad.meta import adapt, fomaml_gradient, maml_gradient, reptile_update
from refgrad.staging.program import record
from refgrad.staging.simplify import simplify

some = settings(max_examples=15, deadline=None, derandomize=True, database=None)


def exact_tasks(inputs):
    def batch(pair):
        return exact.asarray(pair[0]), exact.asarray(pair[1])

    return [(batch(support), batch(query)) for support, query in inputs["tasks"]]


@pytest.mark.proves("maml-gradient", "fomaml-gradient")
@pytest.mark.parametrize(
    ("ours", "truth"),
    [(maml_gradient, by_hand.maml_gradient), (fomaml_gradient, by_hand.fomaml_gradient)],
    ids=["maml", "fomaml"],
)
@some
@given(inputs=few_shot("crisp"))
def test_meta_gradients_of_one_and_of_two_layers_equal_the_hand_derived_ones(ours, truth, inputs):
    theta, tasks = exact.asarray(inputs["theta"]), exact_tasks(inputs)
    lr, steps = exact.asarray(inputs["lr"]), inputs["steps"]
    found = ours(loss_of(inputs, rnp), theta, tasks, lr, steps)
    assert (found == truth(loss_of(inputs, EXACT_TABLE), theta, tasks, lr, steps).value).all()


@pytest.mark.proves("maml-gradient")
def test_the_backward_recursion_is_the_derivative_through_the_unrolled_loop():
    rng = np.random.default_rng(0)
    batch = lambda: (
        exact.asarray(rng.integers(-2, 3, (3, 2)).astype(object)),
        exact.asarray(rng.integers(-2, 3, 3).astype(object)),
    )
    tasks, theta, lr = [(batch(), batch()) for _ in range(2)], exact.asarray([1, -1]), exact.asarray("1/64")
    loss = Quartic(rnp)

    def objective(theta):
        return sum(loss(adapt(loss, theta, [support] * 3, lr)[-1], query) for support, query in tasks) / 2

    assert (grad(objective)(theta) == maml_gradient(loss, theta, tasks, lr, 3)).all()


@pytest.mark.proves("maml-gradient")
def test_on_a_quadratic_with_one_batch_two_fomaml_steps_are_one_maml_step():
    X, y = exact.asarray([[1, 2], [0, 1], [1, -1]]), exact.asarray([1, 0, 2])
    task, theta, lr = ((X, y), (X, y)), exact.asarray([3, -1]), exact.asarray("1/8")
    loss = Quadratic(rnp)
    for j in (1, 2, 3):
        assert (fomaml_gradient(loss, theta, [task], lr, 2 * j) == maml_gradient(loss, theta, [task], lr, j)).all()


@pytest.mark.proves("reptile-update")
@some
@given(inputs=few_shot("crisp"), epsilon=st.sampled_from(["1", "1/2", "1/10"]))
def test_reptile_equals_its_quantity_and_one_step_is_joint_training(inputs, epsilon):
    theta, lr, epsilon = exact.asarray(inputs["theta"]), exact.asarray(inputs["lr"]), exact.asarray(epsilon)
    tasks = [list(task) for task in exact_tasks(inputs)]
    loss, hand = loss_of(inputs, rnp), loss_of(inputs, EXACT_TABLE)
    found = reptile_update(loss, theta, tasks, lr, epsilon)
    assert (found == by_hand.reptile_update(hand, theta, tasks, lr, epsilon).value).all()
    one = reptile_update(loss, theta, [task[:1] for task in tasks], lr, epsilon)
    joint = sum(hand.grad(theta, task[0]) for task in tasks) / len(tasks)
    assert (one == theta - epsilon * lr * joint).all()


METHODS = [
    lambda loss, theta, tasks: maml_gradient(loss, theta, tasks, exact.asarray("1/64"), 3),
    lambda loss, theta, tasks: fomaml_gradient(loss, theta, tasks, exact.asarray("1/64"), 3),
    lambda loss, theta, tasks: reptile_update(loss, theta, tasks, exact.asarray("1/64"), 1),
]


def quartic(theta, batch):
    """A quartic in two containers of parameters; the batch is a dict with a power and the shared weights in it."""
    residual = batch["X"] @ (theta["w"] * theta["w"]) + theta["b"] * batch["power"] - batch["y"]
    return rnp.sum(batch["weights"] * residual**2)


def tasks_of_all_shapes(count, weights):
    rng = np.random.default_rng(count)
    integers = lambda *shape: exact.asarray(rng.integers(-2, 3, shape).astype(object))
    batch = lambda n, power: {"X": integers(n, 2), "y": integers(n), "power": power, "weights": weights}
    return [(batch(1 + i % 2, i % 3 % 2), batch(3, 1)) for i in range(count)]


@pytest.mark.proves("maml-gradient", "fomaml-gradient", "reptile-update")
@pytest.mark.parametrize("method", METHODS, ids=["maml", "fomaml", "reptile"])
@pytest.mark.parametrize("count", [1, 2, 7])
@pytest.mark.parametrize("tasks_in_a_block", [1, 2, 100])
def test_tasks_of_any_shapes_at_once_are_the_mean_of_one_after_the_other(method, count, tasks_in_a_block, monkeypatch):
    weights = exact.asarray(["1/2"])
    theta = {"w": exact.asarray([1, 2]), "b": exact.asarray([1])}
    tasks = tasks_of_all_shapes(count, weights)
    monkeypatch.setattr(blocks, "BLOCK", tasks_in_a_block * 64 * (3 + 2 * 12) * (4 if method is METHODS[0] else 1))
    found = method(quartic, theta, tasks)
    single = [method(quartic, theta, [task]) for task in tasks]
    for name in theta:
        assert (found[name] == sum(one[name] for one in single) / count).all()
        assert (found[name] == method(quartic, theta, tasks[::-1])[name]).all()


def test_the_loss_is_computed_once_for_all_tasks_of_one_shape_and_shared_arrays_are_not_copied():
    shared, calls = np.ones(3), []

    def loss(theta, batch):
        calls.append(batch)
        return np.sum((theta * batch[0] - batch[1]) ** 2) / 8

    tasks = [((shared, np.full(3, float(i))),) * 2 for i in range(9)]
    for method, runs in ((maml_gradient, 2 + 1), (fomaml_gradient, 2 + 1)):
        calls.clear()
        method(loss, np.ones(3), tasks, 0.1, 2)
        assert len(calls) == runs
        assert all(batch[0] is shared for batch in calls)


def test_the_program_of_many_tasks_is_as_long_as_that_of_two():
    rng = np.random.default_rng(0)
    batch = lambda: (rng.normal(size=(4, 2)), rng.normal(size=4))
    lengths = []
    for count in (2, 25):
        tasks = [(batch(), batch()) for _ in range(count)]
        method = lambda theta, tasks: maml_gradient(Quartic(rnp), theta, tasks, 1 / 64, 5)
        equations = simplify(record(method, (np.ones(2), tasks), {})).equations
        lengths.append(sum(e.primitive.name not in ("reshape", "concat") for e in equations))
        staged = stage(method, np.ones(2), tasks)
        assert same_bits(staged(np.ones(2), tasks), method(np.ones(2), tasks))
    assert lengths[0] == lengths[1]


def test_a_loss_that_cannot_be_computed_for_many_tasks_is_computed_for_one_after_the_other():
    rng = np.random.default_rng(1)
    batch = lambda: (rng.normal(size=(3, 2)), rng.normal(size=3))
    tasks, theta = [(batch(), batch()) for _ in range(5)], np.array([0.5, -1.0])
    weight = lambda X: np.where(X[0, 0] > 0, 1.0, 3.0)
    losses = [
        lambda theta, b: weight(b[0]) * np.mean((b[0] @ theta - b[1]) ** 2),
        lambda theta, b: (1.0 if b[0][0, 0] > 0 else 3.0) * np.mean((b[0] @ theta - b[1]) ** 2),
        lambda theta, b: float(weight(b[0])) * np.mean((b[0] @ theta - b[1]) ** 2),
    ]
    for method in (maml_gradient, fomaml_gradient):
        found = [method(loss, theta, tasks, 0.05, 3) for loss in losses]
        assert np.abs(found[1] - found[0]).max() <= 2.0**-46 * np.abs(found[0]).max()
        assert (found[1] == found[2]).all()


def test_an_error_in_the_loss_is_the_error_that_is_raised():
    def loss(theta, batch):
        raise KeyError("the user's own")

    tasks = [((np.ones(1),) * 2,) * 2] * 3
    with pytest.raises(KeyError, match="own") as raised:
        maml_gradient(loss, np.ones(1), tasks, 0.1, 1)
    assert raised.value.__context__ is None
    with pytest.raises(NoDerivative, match=r"grad\(.*vector\): expected a result of shape \(\), one number"):
        maml_gradient(vector, np.ones(2), tasks, 0.1, 1)


def vector(theta, batch):
    return theta * batch[0]


def test_the_meta_gradient_has_derivatives_of_its_own():
    tasks = tasks_of_all_shapes(4, exact.asarray(["1/2"]))
    theta, lr = {"w": exact.asarray([1, 2]), "b": exact.asarray([1])}, exact.asarray("1/64")

    def objective(theta):
        return sum(quartic(adapt(quartic, theta, [support] * 2, lr)[-1], query) for support, query in tasks) / 4

    found = jacrev(lambda t: maml_gradient(quartic, t, tasks, lr, 2))(theta)
    expected = hessian(objective)(theta)
    assert all((found[a][b] == expected[a][b]).all() for a in theta for b in theta)


STEPS = {"last-two-steps-only": 4, "last-three-steps-only": 4}
"""What is MAML where there are no more steps than it keeps; with all others two steps do."""


def test_every_known_mistake_differs_from_maml_on_one_problem():
    rng = np.random.default_rng(7)
    batch = lambda n: (
        exact.asarray(rng.integers(-2, 3, (n, 2)).astype(object)),
        exact.asarray(rng.integers(-2, 3, n).astype(object)),
    )
    tasks, theta = [(batch(n), batch(6 - n)) for n in (2, 3, 4)], exact.asarray([1, 2])
    lr = exact.asarray("1/256")
    found = {steps: maml_gradient(Quartic(rnp), theta, tasks, lr, steps) for steps in (2, 4)}
    for variant in MAML_VARIANTS:
        steps = STEPS.get(variant.name, 2)
        other = variant.answer(Quartic(EXACT_TABLE), theta, tasks, lr, steps).value
        assert not (other == found[steps]).all(), variant.name


def test_parameters_may_be_a_container_and_keep_their_dtype():
    rng = np.random.default_rng(0)
    theta = {"w": rng.normal(size=(2, 3)).astype("f4"), "v": rng.normal(size=3).astype("f4")}
    batch = lambda: (rng.normal(size=(4, 2)).astype("f4"), rng.normal(size=4).astype("f4"))
    tasks = [(batch(), batch()) for _ in range(3)]

    def loss(theta, batch):
        return rnp.mean((np.tanh(batch[0] @ theta["w"]) @ theta["v"] - batch[1]) ** 2)

    for f, count in ((maml_gradient, 1), (fomaml_gradient, 1), (maml_gradient, 3), (fomaml_gradient, 3)):
        g = f(loss, theta, tasks[:count], 0.1, 2)
        assert {k: (a.shape, a.dtype) for k, a in g.items()} == {k: (a.shape, a.dtype) for k, a in theta.items()}


def test_numpy_scalars_do_not_raise_the_dtype_and_tasks_may_be_any_iterable():
    theta, batch = np.ones(1, "f4"), (np.ones((1, 1), "f4"), np.zeros(1, "f4"))
    for f in (maml_gradient, fomaml_gradient):
        assert f(Quartic(rnp), theta, iter([(batch, batch)]), np.float64(0.1), np.int64(2)).dtype == np.float32
    moved = reptile_update(Quartic(rnp), theta, iter([iter([batch])]), np.float64(0.1), np.float64(0.5))
    assert moved.dtype == np.float32


def test_bad_inputs_are_named():
    loss, theta, task = Quartic(rnp), np.ones(1), ((np.ones((1, 1)), np.zeros(1)),) * 2
    with pytest.raises(InvalidInput, match="at least one task"):
        maml_gradient(loss, theta, [], 0.1, 1)
    for steps in (0, -1, 1.0, True):
        with pytest.raises(InvalidInput, match="steps"):
            maml_gradient(loss, theta, [task], 0.1, steps)
    for lr in ("0.1", None, [0.1]):
        with pytest.raises(InvalidInput, match="lr to be a number"):
            maml_gradient(loss, theta, [task], lr, 1)
    with pytest.raises(InvalidInput, match="epsilon to be a number"):
        reptile_update(loss, theta, [[task[0]]], 0.1, "1")
    with pytest.raises(InvalidInput, match="pair"):
        fomaml_gradient(loss, theta, [(1, 2, 3)], 0.1, 1)
    with pytest.raises(InvalidInput, match="batch"):
        reptile_update(loss, theta, [[]], 0.1, 1.0)
    for tasks in ([task], [task] * 3):
        with np.errstate(over="ignore", invalid="ignore"), pytest.raises(NotConverged, match=r"diverged.*step"):
            maml_gradient(loss, theta, tasks, 1e9, 12)
