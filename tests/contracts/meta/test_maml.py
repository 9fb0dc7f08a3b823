"""The meta-gradient against unrolled series, explicit matrix products and closed forms; and its variants."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from helpers.drawing import Rationals, draws
from helpers.jets import coefficient, line
from hypothesis import given, settings

from refgrad import exact
from refgrad.contracts import get, meta
from refgrad.contracts.meta.maml import iterates
from refgrad.contracts.meta.maml_variants import BACKWARDS, FOMAML_VARIANTS, MAML_VARIANTS, OUTERS
from refgrad.contracts.meta.problems import few_shot
from refgrad.contracts.tools import EXACT_TABLE, Quadratic, Quartic
from refgrad.errors import NotRational

VARIANT = {v.name: v.answer for v in MAML_VARIANTS}
FOMAML_VARIANT = {v.name: v.answer for v in FOMAML_VARIANTS}


def arguments(inputs):
    return get("maml_gradient").arguments(inputs, Rationals)


def still(batch):
    """A batch as series that do not move."""
    return tuple(line(x, 0 * x) for x in batch)


def same(a, b):
    return bool(np.all(a == b))


@settings(max_examples=40, deadline=None)
@given(few_shot("crisp"))
def test_the_maml_gradient_is_the_derivative_of_the_unrolled_query_loss(inputs):
    loss, theta, tasks, lr, steps = arguments(inputs)
    gradient = meta.maml_gradient(loss, theta, tasks, lr, steps).value
    for i in range(len(theta)):
        total = 0
        for support, query in tasks:
            point = line(theta, exact.asarray([int(i == j) for j in range(len(theta))]))
            support, query, rate = still(support), still(query), line(lr, 0 * lr)
            for _ in range(steps):
                point = point - rate * loss.grad(point, support)
            total = total + loss(point, query)
        assert gradient[i] == coefficient(total, 1) / len(tasks)


def matrices(inputs):
    """Of the first task, in Fractions: the support's Hessians along the path, those of the query loss, all as explicit
    matrices, the query gradients along the path, and lr."""
    loss, theta, tasks, lr, steps = arguments(inputs)
    (support, query), units = tasks[0], [exact.asarray(row) for row in np.eye(len(theta), dtype=int).tolist()]
    H, H_q, g = [], [], []
    for _ in range(steps + 1):
        for batch, found in ((support, H), (query, H_q)):
            columns = [exact.to_fractions(loss.hvp(theta, batch, unit)) for unit in units]
            found.append(np.array(columns, object).T)
        g.append(np.array(exact.to_fractions(loss.grad(theta, query)), object))
        theta = theta - lr * loss.grad(theta, support)
    return H, H_q, g, exact.to_fractions(lr)


def product(hessians, v, lr):
    """The factors of the list, the first of which is applied first."""
    for H in hessians:
        v = v - lr * (H @ v)
    return v


def after_each(weights):
    """The gradient of a sum of query losses, from a function of the number of steps to the weights of each."""

    def formula(H, Q, g, lr):
        k = len(H) - 1
        return sum(w * product(H[:j][::-1], g[j], lr) for j, w in enumerate(weights(k), 1))

    return formula


BACKWARD = {
    "fomaml": lambda H, Q, g, lr: g[-1],
    "reversed-product": lambda H, Q, g, lr: product(H[:-1], g[-1], lr),
    "hessians-at-start": lambda H, Q, g, lr: product([H[0]] * (len(H) - 1), g[-1], lr),
    "hessian-at-next-iterate": lambda H, Q, g, lr: product(H[:0:-1], g[-1], lr),
    "hessians-at-end": lambda H, Q, g, lr: product([H[-1]] * (len(H) - 1), g[-1], lr),
    "query-hessians": lambda H, Q, g, lr: product(Q[-2::-1], g[-1], lr),
    "neumann-first-order": lambda H, Q, g, lr: g[-1] - lr * sum(H[:-1]) @ g[-1],
    "one-leap": lambda H, Q, g, lr: g[-1] - (len(H) - 1) * lr * H[0] @ g[-1],
    "lr-missing-in-backward": lambda H, Q, g, lr: product(H[-2::-1], g[-1], 1),
    "lr-halved-in-backward": lambda H, Q, g, lr: product(H[-2::-1], g[-1], lr / 2),
    "lr-doubled-in-backward": lambda H, Q, g, lr: product(H[-2::-1], g[-1], lr * 2),
    "lr-sign-in-backward": lambda H, Q, g, lr: product(H[-2::-1], g[-1], -lr),
    "first-hvp-missing": lambda H, Q, g, lr: product(H[-2:0:-1], g[-1], lr),
    "last-hvp-missing": lambda H, Q, g, lr: product(H[:-2][::-1], g[-1], lr),
    "last-step-only": lambda H, Q, g, lr: product([H[-2]], g[-1], lr),
    "last-two-steps-only": lambda H, Q, g, lr: product(H[-2::-1][:2], g[-1], lr),
    "last-three-steps-only": lambda H, Q, g, lr: product(H[-2::-1][:3], g[-1], lr),
    "first-step-only": lambda H, Q, g, lr: product([H[0]], g[-1], lr),
}
OUTER = {
    "outer-gradient-at-start": lambda H, Q, g, lr: product(H[-2::-1], g[0], lr),
    "outer-gradient-before-last-step": lambda H, Q, g, lr: product(H[-2::-1], g[-2], lr),
    "multi-step-loss": after_each(lambda k: [Fraction(1, k)] * k),
    "multi-step-loss-summed": after_each(lambda k: [1] * k),
    "multi-step-loss-annealed": after_each(
        lambda k: [1] if k == 1 else [Fraction(1, 10 * (k - 1))] * (k - 1) + [Fraction(9, 10)]
    ),
}
FORMULAS = BACKWARD | OUTER


def test_every_choice_of_the_backward_recursion_and_of_the_outer_point_is_written_out():
    assert set(BACKWARD) == {c.name for c in BACKWARDS} - {"maml"}
    assert set(OUTER) == {c.name for c in OUTERS}


@pytest.mark.parametrize("name", FORMULAS)
@settings(max_examples=20, deadline=None)
@given(inputs=few_shot("crisp"))
def test_variants_of_the_product_equal_explicit_products_of_matrices(name, inputs):
    inputs = inputs | {"tasks": inputs["tasks"][:1]}
    assert same(VARIANT[name](*arguments(inputs)).value, FORMULAS[name](*matrices(inputs)))


@settings(max_examples=20, deadline=None)
@given(few_shot("crisp"))
def test_the_maml_gradient_of_one_task_equals_the_product_with_the_last_hessian_first(inputs):
    inputs = inputs | {"tasks": inputs["tasks"][:1]}
    H, _, g, lr = matrices(inputs)
    assert same(meta.maml_gradient(*arguments(inputs)).value, product(H[-2::-1], g[-1], lr))


@settings(max_examples=30, deadline=None)
@given(few_shot("rough"))
def test_variants_on_tasks_and_steps_equal_the_quantity_with_other_arguments(inputs):
    loss, theta, tasks, lr, steps = arguments(inputs)
    for table, method in ((VARIANT, meta.maml_gradient), (FOMAML_VARIANT, meta.fomaml_gradient)):

        def of(name, table=table):
            return table[name](loss, theta, tasks, lr, steps).value

        truth = method(loss, theta, tasks, lr, steps).value
        one = [method(loss, theta, [task], lr, steps).value for task in tasks]
        assert same(sum(one) / len(one), truth)
        assert same(of("sum-over-tasks"), sum(one))
        assert same(of("last-task-only"), one[-1])
        assert same(of("last-task-divided"), one[-1] / len(tasks))
        assert same(of("first-task-only"), one[0])
        assert same(of("one-step-more"), method(loss, theta, tasks, lr, steps + 1).value)
        assert same(of("one-step-fewer"), method(loss, theta, tasks, lr, steps - 1).value)
        assert same(of("support-loss-in-outer"), method(loss, theta, [(s, s) for s, _ in tasks], lr, steps).value)
        assert same(of("adapts-on-query"), method(loss, theta, [(q, q) for _, q in tasks], lr, steps).value)
        assert same(of("gradient-at-start"), sum(loss.grad(theta, q) for _, q in tasks) / len(tasks))
        assert same(of("support-gradient-at-start"), sum(loss.grad(theta, s) for s, _ in tasks) / len(tasks))
        assert same(of("zero"), 0 * theta)
        assert same(of("sets-exchanged"), method(loss, theta, [(q, s) for s, q in tasks], lr, steps).value)
        assert same(of("outer-loss-summed"), tasks[0][1][1].shape[0] * truth)
        assert same(of("query-size-of-first-task"), truth)
        assert same(of("updated-parameters"), theta - lr * truth)
        ends = [iterates(loss, theta, s, lr, steps)[-1] for s, _ in tasks]
        assert same(of("adapted-parameters"), sum(ends) / len(tasks))


def test_tasks_of_unequal_sizes_are_weighted_by_the_variants_that_say_so():
    """Two tasks whose gradients are g and h, with 1 and 3 examples in the support sets, and 2 and 1 in the others."""
    a = exact.asarray
    sets = [a([[1, 2]]), a([[1, 0], [2, 1]]), a([[1, 1], [0, 1], [2, -1]]), a([[1, -1]])]
    first, second = (tuple((X, a([1, -1, 2][: X.shape[0]])) for X in pair) for pair in (sets[:2], sets[2:]))
    call = Quartic(EXACT_TABLE), a([1, "1/2"])
    lr = a("1/32")
    for table, method in ((VARIANT, meta.maml_gradient), (FOMAML_VARIANT, meta.fomaml_gradient)):
        of = lambda name, table=table: table[name](*call, [first, second], lr, 2).value
        g, h = (method(*call, [task], lr, 2).value for task in (first, second))
        assert same(of("weighted-by-support-size"), (g + 3 * h) / 4)
        assert same(of("weighted-by-query-size"), (2 * g + h) / 3)
        assert same(of("outer-loss-summed"), (2 * g + h) / 2)
        assert same(of("query-size-of-first-task"), (2 * g + h) / 4)
        tripled = method(*call, [second], 3 * lr, 2).value
        assert same(of("support-size-of-first-task"), (g + tripled) / 2)
        assert same(of("inner-loss-summed"), (g + tripled) / 2)


@settings(max_examples=30, deadline=None)
@given(few_shot("crisp"))
def test_task_leakage_starts_each_task_where_the_one_before_ended(inputs):
    loss, theta, tasks, lr, steps = arguments(inputs)
    for table, method in ((VARIANT, meta.maml_gradient), (FOMAML_VARIANT, meta.fomaml_gradient)):
        if len(tasks) * steps > 6:
            with pytest.raises(NotRational):
                table["task-leakage"](loss, theta, tasks, lr, steps)
            continue
        start, total = theta, 0 * theta
        for support, query in tasks:
            total = total + method(loss, start, [(support, query)], lr, steps).value
            for _ in range(steps):
                start = start - lr * loss.grad(start, support)
        assert same(table["task-leakage"](loss, theta, tasks, lr, steps).value, total / len(tasks))


@settings(max_examples=20, deadline=None)
@given(few_shot("crisp"))
def test_other_variants_are_the_quantity_on_changed_losses_or_gradients(inputs):
    loss, theta, tasks, lr, steps = arguments(inputs)

    def of(name):
        return VARIANT[name](loss, theta, tasks, lr, steps).value

    count = len(inputs["tasks"][0][0][1])
    one = [meta.fomaml_gradient(loss, theta, [task], lr, steps).value for task in tasks]
    assert same(of("inner-loss-summed"), meta.maml_gradient(loss, theta, tasks, count * lr, steps).value)
    assert same(of("fomaml-sum-over-tasks"), sum(one))
    assert same(of("fomaml-last-task-divided"), one[-1] / len(tasks))


@settings(max_examples=20, deadline=None)
@given(few_shot("crisp"))
def test_reptiles_direction_is_the_move_divided_by_the_learning_rate(inputs):
    loss, theta, tasks, lr, steps = arguments(inputs)
    moved = meta.reptile_update(loss, theta, [[s] * steps for s, _ in tasks], lr, exact.asarray(1)).value
    assert same(VARIANT["reptile-direction"](loss, theta, tasks, lr, steps).value, (theta - moved) / lr)


def scalar_tasks(curvatures, centres):
    """Tasks ``a/2 (theta - c)^2``, support equal to query, as least squares on ``x = a, y = a c`` with weight 1/a."""
    tasks = []
    for a, c in zip(curvatures, centres, strict=True):
        X = exact.asarray([[root(a)]])
        batch = (X, exact.asarray([root(a) * c]))
        tasks.append((batch, batch))
    return tasks


def root(a):
    return {Fraction(1, 4): Fraction(1, 2), Fraction(1): Fraction(1), Fraction(4): Fraction(2)}[Fraction(a)]


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_gradient_vanishes_at_the_closed_form_minimiser_of_quadratic_tasks(steps):
    a, c, lr = [Fraction(1, 4), Fraction(1), Fraction(4)], [0, 3, 10], Fraction(1, 5)
    weights = [x * (1 - lr * x) ** (2 * steps) for x in a]
    minimiser = sum(w * x for w, x in zip(weights, c, strict=True)) / sum(weights)
    call = (Quadratic(EXACT_TABLE), exact.asarray([minimiser]), scalar_tasks(a, c), exact.asarray(lr), steps)
    assert meta.maml_gradient(*call).value[0] == 0
    assert all(VARIANT[name](*call).value[0] != 0 for name in ("fomaml", "one-step-more", "one-step-fewer"))


def test_fomaml_with_twice_the_steps_is_maml_on_quadratic_tasks_with_equal_support_and_query():
    loss, lr, theta = Quadratic(EXACT_TABLE), exact.asarray("1/5"), exact.asarray([7])
    tasks = scalar_tasks([Fraction(1, 4), 1, 4], [0, 3, 10])
    for steps in (0, 1, 2, 3):
        maml = meta.maml_gradient(loss, theta, tasks, lr, steps).value
        assert same(meta.fomaml_gradient(loss, theta, tasks, lr, 2 * steps).value, maml)


def test_reptile_with_one_step_is_a_step_on_the_mean_loss():
    loss, lr, theta = Quartic(EXACT_TABLE), exact.asarray("1/16"), exact.asarray([1, 0])
    batches = [(exact.asarray([[1, k], [2, -1]]), exact.asarray([k, 1])) for k in range(3)]
    mean = sum(loss.grad(theta, batch) for batch in batches) / 3
    update = meta.reptile_update(loss, theta, [[b] for b in batches], lr, exact.asarray("1/2")).value
    assert same(update, theta - lr * mean / 2)


def test_the_magnitude_bounds_the_value_everywhere():
    for kind in ("crisp", "rough", "ill_conditioned", "degenerate"):
        for inputs in draws(few_shot(kind), 10):
            for method in (meta.maml_gradient, meta.fomaml_gradient, VARIANT["reversed-product"]):
                answer = method(*arguments(inputs))
                assert np.all(abs(answer.value) <= answer.magnitude * (1 + Fraction(1, 2**30)))  # made of float64


def test_a_reversed_product_is_seen_on_a_quartic_but_not_on_a_quadratic_loss():
    support = (exact.asarray([[1, 0], [1, 1]]), exact.asarray([1, 0]))
    task = [(support, (exact.asarray([[1, 2]]), exact.asarray([1])))]
    call = (exact.asarray([2, 1]), task, exact.asarray("1/32"), 2)
    for loss, differs in ((Quartic(EXACT_TABLE), True), (Quadratic(EXACT_TABLE), False)):
        truth, reversed_ = (m(loss, *call).value for m in (meta.maml_gradient, VARIANT["reversed-product"]))
        assert same(truth, reversed_) != differs
