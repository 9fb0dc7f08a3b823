"""`refgrad.identify` on a NumPy model of two layers: each mistake has its name, and nothing else has one."""

import importlib
import json
import sys

import numpy as np
import pytest

import refgrad
from refgrad import contracts
from refgrad.errors import UsageError
from refgrad.identification.ranking import SENSITIVE

LR, STEPS = 0.3, 3


def loss(theta, batch):
    X, y = batch
    return ((np.tanh(X @ theta["in"]) @ theta["out"] - y) ** 2).mean()


def draw(rng, n):
    return rng.standard_normal((n, 2)), rng.standard_normal(n)


def setting(seed=0, dtype="float64", support=(4, 6, 5), query=(5, 3, 8), hidden=5):
    rng = np.random.default_rng(seed)
    theta = {"in": rng.standard_normal((2, hidden)), "out": rng.standard_normal(hidden) * (5 / hidden) ** 0.5}
    tasks = [(draw(rng, n), draw(rng, m)) for n, m in zip(support, query, strict=True)]
    cast = lambda x: x.astype(dtype)
    return {k: cast(v) for k, v in theta.items()}, [tuple(tuple(map(cast, b)) for b in t) for t in tasks]


def adapted(theta, batch, steps, *, first_order=False):
    w = theta
    for _ in range(steps):
        slope = refgrad.grad(loss)(w, batch)
        if first_order:
            slope = {k: refgrad.stop_gradient(g) for k, g in slope.items()}
        w = {k: w[k] - LR * slope[k] for k in w}
    return w


def meta_gradient(theta, tasks, *, first_order=False, fewer=0, on_support=False, total=False, factor=1.0):
    """The MAML gradient as people write it, with the mistakes that people make."""

    def objective(theta):
        losses = [
            loss(adapted(theta, support, STEPS - fewer, first_order=first_order), support if on_support else query)
            for support, query in tasks
        ]
        return factor * sum(losses) / (1 if total else len(tasks))

    return refgrad.grad(objective)(theta)


def identified(output, theta, tasks, contract="maml_gradient", **options):
    given = {"loss": loss, "theta": theta, "tasks": tasks, "lr": LR, "steps": STEPS} | options
    return refgrad.identify(output, contract, **given)


MISTAKES = {
    "maml_gradient": {},
    "fomaml": {"first_order": True},
    "sum-over-tasks": {"total": True},
    "one-step-fewer": {"fewer": 1},
    "support-loss-in-outer": {"on_support": True},
    "fomaml-sum-over-tasks": {"first_order": True, "total": True},
    "one-step-fewer-with-support-loss-in-outer": {"on_support": True, "fewer": 1},
    "2 times fomaml": {"first_order": True, "factor": 2.0},
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", MISTAKES)
def test_a_meta_gradient_has_the_name_of_what_was_done(name, dtype):
    theta, tasks = setting(dtype=dtype)
    found = identified(meta_gradient(theta, tasks, **MISTAKES[name]), theta, tasks)
    assert (found.name, found.exit_code) == (name, int(name != "maml_gradient")), str(found)
    assert found.dtype == dtype
    assert found.ranking[0]["distance"] < (1e-5 if dtype == "float32" else 1e-13) or "times" in name


@pytest.mark.parametrize("seed", range(3))
def test_a_gradient_of_no_formula_has_no_name(seed):
    theta, tasks = setting(seed)
    rng = np.random.default_rng(100 + seed)
    found = identified({k: rng.standard_normal(v.shape) for k, v in theta.items()}, theta, tasks)
    assert (found.grade, found.name, found.exit_code) == ("wrong", "", 1), str(found)
    assert "none of the" in found.summary
    assert "none is near" in found.summary
    assert "zero_grad" in found.advice


@pytest.mark.seeds
def test_none_of_two_hundred_gradients_of_no_formula_has_a_name():
    theta, tasks = setting()
    rng = np.random.default_rng(100)
    for _ in range(200):
        found = identified({k: rng.standard_normal(v.shape) for k, v in theta.items()}, theta, tasks)
        assert found.name == "", str(found)


def test_a_nearly_right_gradient_is_not_accepted():
    theta, tasks = setting(dtype="float32")
    output = meta_gradient(theta, tasks)
    found = identified({k: v * np.float32(1.0001) if k == "in" else v for k, v in output.items()}, theta, tasks)
    assert found.exit_code == 4, str(found)
    assert "lower precision" in found.summary
    assert 1e-6 < found.ranking[0]["distance"] < 1e-3


def test_formulas_that_are_one_on_the_data_are_listed_and_those_that_rounding_leaves_are_undecided():
    theta, tasks = setting(support=(4, 4), query=(5, 5))
    found = identified(meta_gradient(theta, tasks), theta, tasks)
    assert found.exit_code == 0
    assert "weighted-by-query-size" in found.alike
    small = {"theta": as32(theta), "tasks": tasks, "lr": 1e-7, "steps": 1}
    tiny = refgrad.identify(meta_gradient_with(1e-7, theta, tasks), "maml_gradient", loss=loss, **small)
    assert (tiny.grade, tiny.exit_code) == ("inconclusive", 4), str(tiny)
    assert "fomaml" in tiny.name
    assert "larger lr" in tiny.advice


def as32(tree):
    return {k: v.astype(np.float32) for k, v in tree.items()}


def meta_gradient_with(lr, theta, tasks):
    def objective(theta):
        total = 0
        for support, query in tasks:
            slope = refgrad.grad(loss)(theta, support)
            total = total + loss({k: theta[k] - lr * slope[k] for k in theta}, query)
        return total / len(tasks)

    return as32(refgrad.grad(objective)(theta))


def test_an_output_may_be_a_list_in_order_a_flat_vector_or_lie_in_sorted_dicts():
    theta, tasks = setting()
    output = meta_gradient(theta, tasks, first_order=True)
    flat = np.concatenate([output["in"].ravel(), output["out"]])
    for form in (list(output.values()), tuple(output.values()), flat, dict(reversed(output.items()))):
        assert identified(form, theta, tasks).name == "fomaml"


@pytest.mark.parametrize("outer_lr", [0.01, 1e-4])
def test_parameters_before_and_after_a_step_stand_for_the_gradient(outer_lr):
    theta, tasks = setting(dtype="float32")
    output = meta_gradient(theta, tasks, first_order=True)
    after = {k: theta[k] - np.float32(outer_lr) * output[k] for k in theta}
    found = refgrad.identify(
        before=theta,
        after=after,
        outer_lr=outer_lr,
        contract="maml_gradient",
        loss=loss,
        tasks=tasks,
        lr=LR,
        steps=STEPS,
    )
    assert found.name == "fomaml", str(found)
    with pytest.raises(UsageError, match="all of before, after and outer_lr"):
        refgrad.identify(before=theta, contract="maml_gradient", loss=loss, tasks=tasks, lr=LR, steps=STEPS)


def test_what_is_no_plain_step_is_said():
    theta, tasks = setting()
    given = {"contract": "maml_gradient", "loss": loss, "tasks": tasks, "lr": LR, "steps": STEPS, "outer_lr": 0.01}
    with pytest.raises(UsageError, match="before and after are equal: keep a copy"):
        refgrad.identify(before=theta, after=theta, **given)


def first_step_of_adam(theta, gradient, lr=1e-3):
    return {k: (theta[k] - lr * gradient[k] / (np.abs(gradient[k]) + 1e-8)).astype(theta[k].dtype) for k in theta}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("name", "mistakes"),
    [("maml_gradient", {}), ("fomaml", {"first_order": True}), ("support-loss-in-outer", {"on_support": True})],
)
def test_the_first_step_of_adam_tells_the_signs_of_the_gradient(name, mistakes, dtype):
    theta, tasks = setting(dtype=dtype, hidden=60)
    gradient = meta_gradient(theta, tasks, **mistakes)
    given = {"contract": "maml_gradient", "loss": loss, "tasks": tasks, "lr": LR, "steps": STEPS, "outer_lr": 1e-3}
    found = refgrad.identify(before=theta, after=first_step_of_adam(theta, gradient), **given)
    first, *others = found.name.split(" or ")
    assert first == name, str(found)
    assert len(others) <= 1  # a formula with a little of something else may have every sign
    assert found.exit_code == (4 if others else int(name != "maml_gradient"))
    assert "positive factor" in str(found)
    if name == "maml_gradient":
        assert "sum-over-tasks" in found.alike


def test_a_later_step_of_adam_is_refused_and_a_step_of_something_else_is_asked_about():
    theta, tasks = setting(hidden=60)
    first, second = meta_gradient(theta, tasks), meta_gradient({k: 0.98 * v for k, v in theta.items()}, tasks)
    moments = [
        {k: (0.09 * first[k] + 0.1 * second[k]) / 0.19 for k in theta},
        {k: (0.000999 * first[k] ** 2 + 0.001 * second[k] ** 2) / 0.001999 for k in theta},
    ]
    after = {k: theta[k] - 1e-3 * moments[0][k] / (np.sqrt(moments[1][k]) + 1e-8) for k in theta}
    given = {"contract": "maml_gradient", "loss": loss, "tasks": tasks, "lr": LR, "steps": STEPS, "outer_lr": 1e-3}
    with pytest.raises(UsageError, match="later step of Adam"):
        refgrad.identify(before=theta, after=after, **given)
    after = {k: theta[k] - 1e-3 * (first[k] + 0.9 * second[k] + 0.1 * theta[k]) for k in theta}
    found = refgrad.identify(before=theta, after=after, **given)
    assert found.grade == "wrong"
    assert "without momentum or decay" in found.advice
    after = {k: theta[k] - 2e-3 * first[k] for k in theta}
    found = refgrad.identify(before=theta, after=after, **given)
    assert found.name == "2 times maml_gradient"
    assert "With 0.002 it is maml_gradient" in found.advice


def test_signs_of_no_formula_have_no_name_and_few_of_them_leave_several_open():
    theta, tasks = setting(hidden=60)
    rng = np.random.default_rng(0)
    given = {"contract": "maml_gradient", "loss": loss, "tasks": tasks, "lr": LR, "steps": STEPS, "outer_lr": 1e-3}
    after = first_step_of_adam(theta, {k: rng.standard_normal(v.shape) for k, v in theta.items()})
    found = refgrad.identify(before=theta, after=after, **given)
    assert (found.grade, found.exit_code, found.name) == ("wrong", 1, ""), str(found)
    theta, tasks = setting(hidden=2)
    after = first_step_of_adam(theta, meta_gradient(theta, tasks))
    found = refgrad.identify(before=theta, after=after, **given | {"tasks": tasks})
    assert (found.grade, found.exit_code) == ("inconclusive", 4), str(found)
    assert found.name.startswith("maml_gradient or ")


@pytest.mark.parametrize(
    ("name", "mistakes"),
    [("1-step", {"fewer": 2}), ("6-steps", {"fewer": -3}), ("fomaml-with-1-step", {"fewer": 2, "first_order": True})],
)
def test_another_number_of_steps_than_was_said_is_named(name, mistakes):
    theta, tasks = setting()
    found = identified(meta_gradient(theta, tasks, **mistakes), theta, tasks)
    assert found.name == name, str(found)


def test_a_gradient_that_was_not_zeroed_is_found_with_the_one_before():
    theta, tasks = setting()
    rng = np.random.default_rng(1)
    before = {k: rng.standard_normal(v.shape) for k, v in theta.items()}
    output = {k: before[k] + v for k, v in meta_gradient(theta, tasks).items()}
    found = identified(output, theta, tasks, previous=before)
    assert (found.grade, found.name) == ("variant:not-zeroed", "maml_gradient, not zeroed"), str(found)
    assert "zero_grad" in found.advice
    assert identified(meta_gradient(theta, tasks), theta, tasks, previous=before).name == "maml_gradient"


def test_a_convention_is_said_and_may_be_declared():
    theta, tasks = setting()
    output = meta_gradient(theta, tasks, total=True)
    assert 'params={"reduction": "sum"}' in identified(output, theta, tasks).advice
    assert identified(output, theta, tasks, params={"reduction": "sum"}).exit_code == 0
    with pytest.raises(UsageError, match="no convention half; it has reduction"):
        identified(output, theta, tasks, params={"half": "in"})


def test_numbers_in_lower_precision_than_their_dtype_are_named_so():
    theta, tasks = setting(dtype="float32")
    rough = {k: v * np.float32(1 + 2.0**-12) for k, v in theta.items()}  # as if every product were rounded
    found = identified(meta_gradient(rough, tasks), theta, tasks)
    assert found.name == "maml_gradient", str(found)
    assert "lower precision" in found.summary


def test_a_loss_that_draws_random_numbers_is_said_and_nothing_is_named():
    theta, tasks = setting()
    noisy = lambda theta, batch: loss(theta, batch) * np.random.rand()
    found = identified(meta_gradient(theta, tasks), theta, tasks, loss=noisy)
    assert (found.grade, found.name) == ("inconclusive", "")
    assert "is random" in found.summary


def test_where_every_formula_is_zero_nothing_is_named():
    theta, tasks = setting()
    zero = {k: 0 * v for k, v in theta.items()}
    found = identified(zero, theta, tasks, loss=lambda theta, batch: 0 * loss(theta, batch))
    assert (found.grade, found.exit_code) == ("inconclusive", 4), str(found)


def test_a_formula_that_rounding_moves_too_far_is_not_named():
    theta, tasks = setting(dtype="float32")
    steep = lambda theta, batch: np.exp(40 * loss(theta, batch))
    assert SENSITIVE < 0.1
    found = identified(meta_gradient(theta, tasks), theta, tasks, loss=steep)
    assert found.exit_code != 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lr": "fast"}, "expected lr to be a number; got str"),
        ({"steps": 2.5}, "number of inner steps"),
        (
            {"tasks": [(np.ones((3, 2)), np.ones(3))]},
            r"raised ValueError: too many values to unpack .*test_identify.py:19",
        ),
        ({"tasks": []}, r"list of pairs \(support, query\)"),
        ({"tasks": [(1, 2, 3)]}, r"One task is a list of one pair"),
        ({"theta": {}}, "expected theta to be an array"),
        ({"theta": "weights"}, "got str"),
        ({"loss": 3.0}, "expected loss to be a function, got float"),
        ({"loss": lambda theta, batch: theta["out"]}, "expected loss to return one number"),
        ({"criterion": 1}, "with criterion, which it does not take"),
    ],
)
def test_what_does_not_fit_is_said_with_what_was_expected(changes, words):
    theta, tasks = setting()
    with pytest.raises(UsageError, match=words):
        identified(meta_gradient(theta, tasks), **({"theta": theta, "tasks": tasks} | changes))


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (None, "expected output"),
        ((x for x in (np.ones(3),)), "list, tuple or dict of arrays; got generator"),
        ({"in": None, "out": None}, "every part of the output is None"),
        ({"in": np.full((2, 5), np.nan), "out": np.ones(5)}, "holds NaN"),
        ([np.ones((5, 2)), np.ones(5)], r"at in to have shape \(2, 5\); got \(5, 2\)"),
        ([np.ones(5)], "expected the output to hold 2 arrays"),
        (np.ones(7), "expected the output to hold 2 arrays"),
        ({"in": np.ones((2, 5), int), "out": np.ones(5)}, "expected the output to hold floats, got int64"),
    ],
)
def test_an_output_that_cannot_be_one_is_said(output, words):
    theta, tasks = setting()
    with pytest.raises(UsageError, match=words):
        identified(output, theta, tasks)


def test_contracts_that_identify_does_not_know_and_missing_arguments_are_said():
    with pytest.raises(UsageError, match="identify knows empirical_fisher_diagonal, "):
        refgrad.identify(np.ones(3), "unrolled_hypergradient")
    with pytest.raises(UsageError, match="identify knows empirical_fisher_diagonal, "):
        refgrad.identify(np.ones(3), "operator_derivative")
    with pytest.raises(UsageError, match="got None, and grads, which is no argument"):
        refgrad.identify(grads=np.ones(3), contract="maml_gradient", theta=np.ones(3))
    with pytest.raises(UsageError, match="expected a contract or the name of one, such as 'maml_gradient'; got None"):
        refgrad.identify(np.ones(3), None)
    with pytest.raises(UsageError, match="it was asked without loss, tasks, lr, steps"):
        refgrad.identify(np.ones(3), "maml_gradient", theta=np.ones(3))


def test_a_parameter_that_nothing_reached_counts_as_zero_and_is_noted():
    theta, tasks = setting()
    flat = lambda theta, batch: loss({"in": theta["in"], "out": np.ones(5)}, batch)
    output = refgrad.grad(lambda theta: flat(theta, tasks[0][1]))(theta)
    found = identified({**output, "out": None}, theta, tasks[:1], loss=flat, lr=0.0)
    assert any(note.startswith("no gradient reached out: taken for zero. If they are frozen") for note in found.notes)
    assert "maml_gradient" in found.name, str(found)


def test_what_is_the_contract_by_definition_is_no_other_formula():
    theta, tasks = setting()
    assert "last-three-steps-only" not in identified(meta_gradient(theta, tasks), theta, tasks).alike  # of three
    assert identified(meta_gradient(theta, tasks), theta, tasks).advice == ""


def test_the_direction_of_reptile_is_told_as_that():
    theta, tasks = setting()
    ends = [adapted(theta, support, STEPS) for support, _ in tasks]
    found = identified({k: theta[k] - sum(w[k] for w in ends) / len(ends) for k in theta}, theta, tasks)
    assert found.name == "lr times reptile-direction"
    assert "judged by reptile_update" in found.advice
    assert ": reptile's direction" in found.summary


def test_reptile_is_told_from_parameters_and_direction():
    theta, tasks = setting()
    series = [[support, query] for support, query in tasks]
    ends = []
    for batches in series:
        w = theta
        for batch in batches:
            w = adapted(w, batch, 1)
        ends.append(w)
    mean = {k: sum(w[k] for w in ends) / len(ends) for k in theta}
    update = {k: theta[k] + 0.1 * (mean[k] - theta[k]) for k in theta}
    given = {"loss": loss, "theta": theta, "tasks": series, "lr": LR, "epsilon": 0.1}
    assert refgrad.identify(update, "reptile_update", **given).exit_code == 0
    direction = {k: theta[k] - mean[k] for k in theta}
    assert "output" in refgrad.identify(direction, "reptile_update", **given).advice


def test_the_answer_is_text_json_and_an_assertion(tmp_path):
    theta, tasks = setting()
    found = identified(meta_gradient(theta, tasks, first_order=True), theta, tasks)
    found.to_json(tmp_path / "answer.json")
    data = json.loads((tmp_path / "answer.json").read_text())
    assert (data["name"], data["exit_code"]) == ("fomaml", 1)
    assert "variant:fomaml   (exit 1)" in str(found)
    assert max(map(len, str(found).splitlines())) <= 110
    with pytest.raises(AssertionError, match="variant:fomaml"):
        found.raise_for_failure()
    identified(meta_gradient(theta, tasks), theta, tasks).raise_for_failure()


def test_progress_is_told_in_formulas():
    theta, tasks = setting()
    seen = []
    identified(meta_gradient(theta, tasks), theta, tasks, progress=lambda done, planned: seen.append((done, planned)))
    assert seen == [(k, len(seen)) for k in range(len(seen))]


def test_what_takes_long_says_how_far_it_is(monkeypatch, capsys):
    theta, tasks = setting()
    output = meta_gradient(theta, tasks, first_order=True)
    assert identified(output, theta, tasks).name == "fomaml"
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.modules["refgrad.identification.identify"], "_PATIENCE", 0.0)
    assert identified(output, theta, tasks).name == "fomaml"
    assert "refgrad: 1 of 48 formulas, about " in capsys.readouterr().err


def test_formulas_that_are_one_here_come_with_what_would_tell_them_apart():
    theta, tasks = setting(support=(4, 4, 4), query=(5, 5, 5))
    found = identified(meta_gradient(theta, tasks), theta, tasks)
    assert found.grade == "accurate"
    assert "weighted-by-support-size" in found.alike
    assert "sets of unequal sizes" in found.advice
    theta, tasks = setting()
    found = identified(meta_gradient(theta, tasks), theta, tasks)
    assert "weighted-by-support-size" not in found.alike


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("fomaml", 'ask for it: contract="fomaml_gradient"'),
        ("support-loss-in-outer", "on the query set"),
        ("one-step-fewer", "Count the inner steps"),
        ("2 times fomaml", "zero_grad()"),
    ],
)
def test_what_to_do_is_said_with_the_name(name, advice):
    theta, tasks = setting()
    found = identified(meta_gradient(theta, tasks, **MISTAKES[name]), theta, tasks)
    assert (found.name, advice in found.advice) == (name, True), str(found)


def test_what_is_missing_and_what_is_too_much_are_both_said():
    theta, tasks = setting()
    with pytest.raises(UsageError, match="asked without lr and with inner_lr, which it does not take"):
        refgrad.identify(theta, "maml_gradient", loss=loss, theta=theta, tasks=tasks, inner_lr=LR, steps=STEPS)


def test_a_multiple_of_a_formula_is_compared_with_those_products_alone_that_may_be_one():
    theta, tasks = setting()
    everything = contracts.get("maml_gradient")
    counted = {}
    for first_order, total in ((False, False), (True, False), (True, True)):
        output = meta_gradient(theta, tasks, first_order=first_order, total=total, factor=1.7)
        found = identified(output, theta, tasks)
        assert found.name.startswith(("1.7 times", "5.1 times")), str(found)
        counted[first_order, total] = found.compared - len(everything.variants) - 1
    assert all(0 < count < 60 < len(everything.products()) for count in counted.values()), counted
    output = meta_gradient(theta, tasks, fewer=1, total=True)  # a multiple of a single choice, and a product
    found = identified(output, theta, tasks)
    assert set(found.name.split("-with-")) == {"one-step-fewer", "sum-over-tasks"}, str(found)


def test_what_was_kept_for_the_formulas_is_given_back(monkeypatch):
    module, kept = importlib.import_module("refgrad.identification.identify"), []
    record = module.record
    monkeypatch.setattr(module, "record", lambda *given: kept.append(record(*given)) or kept[-1])
    theta, tasks = setting()
    identified(meta_gradient(theta, tasks), theta, tasks)
    (loss,) = kept[0].derivatives
    assert (loss._graphs.used, loss._vectors.used, loss._data) == (0, 0, {})
