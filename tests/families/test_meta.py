"""MAML, FOMAML and Reptile of the package equal the quantities, with ==, and tell the known mistakes apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import refgrad.numpy as rnp
from refgrad import exact, grad
from refgrad.contracts.meta import maml as by_hand
from refgrad.contracts.meta.maml_variants import MAML_VARIANTS
from refgrad.contracts.meta.problems import few_shot
from refgrad.contracts.tools.answer import NotApplicable
from refgrad.contracts.tools.losses import EXACT_TABLE, Quadratic, Quartic
from refgrad.errors import InvalidInput, NotConverged
from refgrad.meta import adapt, fomaml_gradient, maml_gradient, reptile_update

some = settings(max_examples=15, deadline=None, derandomize=True, database=None)


def exact_tasks(inputs):
    def batch(pair):
        return exact.asarray(pair[0]), exact.asarray(pair[1])

    return [(batch(support), batch(query)) for support, query in inputs["tasks"]]


@pytest.mark.proves("maml-gradient", "fomaml-gradient")
@pytest.mark.parametrize(
    ("ours", "truth"), [(maml_gradient, by_hand.maml_gradient), (fomaml_gradient, by_hand.fomaml_gradient)]
)
@some
@given(inputs=few_shot("crisp"))
def test_meta_gradients_of_a_quartic_equal_the_hand_derived_ones(ours, truth, inputs):
    theta, tasks = exact.asarray(inputs["theta"]), exact_tasks(inputs)
    lr, steps = exact.asarray(inputs["lr"]), inputs["steps"]
    found = ours(Quartic(rnp), theta, tasks, lr, steps)
    assert (found == truth(Quartic(EXACT_TABLE), theta, tasks, lr, steps).value).all()


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
    found = reptile_update(Quartic(rnp), theta, tasks, lr, epsilon)
    assert (found == by_hand.reptile_update(Quartic(EXACT_TABLE), theta, tasks, lr, epsilon).value).all()
    one = reptile_update(Quartic(rnp), theta, [task[:1] for task in tasks], lr, epsilon)
    joint = sum(Quartic(EXACT_TABLE).grad(theta, task[0]) for task in tasks) / len(tasks)
    assert (one == theta - epsilon * lr * joint).all()


def test_every_known_mistake_differs_from_maml_on_one_problem():
    rng = np.random.default_rng(7)
    batch = lambda: (
        exact.asarray(rng.integers(-2, 3, (3, 2)).astype(object)),
        exact.asarray(rng.integers(-2, 3, 3).astype(object)),
    )
    tasks, theta, lr = [(batch(), batch()) for _ in range(3)], exact.asarray([1, 2]), exact.asarray("1/256")
    found = maml_gradient(Quartic(rnp), theta, tasks, lr, 3)
    told_apart = 0
    for variant in MAML_VARIANTS:
        try:
            other = variant.answer(Quartic(EXACT_TABLE), theta, tasks, lr, 3).value
        except NotApplicable:
            continue
        assert not (other == found).all(), variant.name
        told_apart += 1
    assert told_apart >= 15


def test_parameters_may_be_a_container_and_keep_their_dtype():
    rng = np.random.default_rng(0)
    theta = {"w": rng.normal(size=(2, 3)).astype("f4"), "v": rng.normal(size=3).astype("f4")}
    batch = lambda: (rng.normal(size=(4, 2)).astype("f4"), rng.normal(size=4).astype("f4"))
    tasks = [(batch(), batch())]

    def loss(theta, batch):
        return rnp.mean((np.tanh(batch[0] @ theta["w"]) @ theta["v"] - batch[1]) ** 2)

    for f in (maml_gradient, fomaml_gradient):
        g = f(loss, theta, tasks, 0.1, 2)
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
    with np.errstate(over="ignore", invalid="ignore"), pytest.raises(NotConverged, match=r"diverged.*step"):
        maml_gradient(loss, theta, [task], 1e9, 12)
