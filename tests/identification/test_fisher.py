"""Fisher diagonals of a NumPy network: by their labels, batches and scales, and what chance had a part in."""

import re
from functools import cache

import numpy as np
import pytest

import refgrad
from refgrad.errors import UsageError
from refgrad.identification.fisher import sample
from refgrad.identification.layout import Layout

N, C = 60, 4


def logits(theta, X):
    return np.tanh(X @ theta["in"]) @ theta["out"] + theta["bias"]


@cache
def setting():
    rng = np.random.default_rng(0)
    theta = {"in": rng.standard_normal((3, 6)), "out": rng.standard_normal((6, C)), "bias": rng.standard_normal(C)}
    X = rng.standard_normal((N, 3))
    z = logits(theta, X)
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    y = np.array([rng.choice(C, p=row) for row in p])
    scores = []
    for n in range(N):
        log_p = lambda theta, n=n: (lambda z: z - refgrad.numpy.logsumexp(z))(logits(theta, X[n : n + 1])[0])
        jacobian = refgrad.jacrev(log_p)(theta)
        scores.append(np.concatenate([jacobian[k].reshape(C, -1) for k in theta], axis=1))
    return theta, X, y, p, np.array(scores)


def at(labels):
    return setting()[4][np.arange(N), labels]


def batches(labels, size, order=slice(None)):
    found = at(labels)[order]
    return np.mean([found[i : i + size].mean(0) ** 2 for i in range(0, N, size)], axis=0)


def diagonals():
    _, _, y, p, s = setting()
    likely = p.argmax(1)
    return {
        "fisher_diagonal": (p[:, :, None] * s**2).sum(1).mean(0),
        "empirical": (at(y) ** 2).mean(0),
        "argmax-label": (at(likely) ** 2).mean(0),
        "sum-over-examples": (p[:, :, None] * s**2).sum((0, 1)),
        "batch-mean-squared": at(y).mean(0) ** 2,
        "batch-mean-squared-by-eight": batches(y, 8),
        "argmax-label-with-n-over-n-minus-1": (at(likely) ** 2).sum(0) / (N - 1),
        "argmax-label-with-batch-mean-squared-by-eight": batches(likely, 8),
        "uniform-labels": (s**2).mean((0, 1)),
    }


def identified(output, **options):
    theta, X, y, *_ = setting()
    return refgrad.identify(output, "fisher_diagonal", logits=logits, theta=theta, X=X, y=y, **options)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", diagonals())
def test_a_diagonal_has_the_name_of_its_formula(name, dtype):
    found = identified(diagonals()[name].astype(dtype))
    assert found.name == name, str(found)
    assert found.exit_code == int(name != "fisher_diagonal")


@pytest.mark.parametrize("size", [4, 7, 25, 40])
@pytest.mark.parametrize("over", ["", "-over-n"])
def test_batches_of_any_size_in_the_order_of_the_data_have_an_exact_name(size, over):
    output = batches(setting()[2], size) * (1 if not over else -(-N // size) / N)
    assert identified(output.astype(np.float32)).name == f"batch-mean-squared-by-{size}{over}"


@pytest.mark.parametrize("seed", range(5))
def test_batches_in_another_order_are_told_with_about_their_size_and_undecided(seed):
    order = np.random.default_rng(seed).permutation(N)
    found = identified(batches(setting()[2], 6, order))
    assert (found.grade, found.exit_code) == ("inconclusive", 4), str(found)
    assert "batch-mean-squared-by-about-" in found.name
    assert 4 <= int(re.search(r"batch-mean-squared\S*-by-about-(\d+)", found.name)[1]) <= 9


@pytest.mark.parametrize("seed", range(4))
def test_no_size_is_told_of_few_batches_in_another_order(seed):
    found = identified(batches(setting()[2], 20, np.random.default_rng(seed).permutation(N)))
    assert found.exit_code in (1, 4), str(found)
    assert all(int(size) <= N / 6 for size in re.findall(r"about-(\d+)", found.name)), str(found)
    assert found.exit_code == 4 or "in another order only if they are many" in found.advice


SCALES = {
    "batch-mean-squared-by-about-{}": lambda means, B: (means**2).mean(0),
    "batch-mean-squared-by-about-{}-summed": lambda means, B: (means**2).sum(0),
    "batch-sum-squared-by-about-{}": lambda means, B: B**2 * (means**2).mean(0),
    "batch-sum-squared-by-about-{}-over-n": lambda means, B: B**2 * (means**2).sum(0) / N,
    "batch-sum-squared-by-about-{}-summed": lambda means, B: B**2 * (means**2).sum(0),
}


@pytest.mark.parametrize("name", SCALES)
@pytest.mark.parametrize("drawn", [False, True])
def test_the_scale_of_batches_in_another_order_is_told_also_at_labels_that_were_drawn(name, drawn):
    rng, (_, _, y, p, *_), B = np.random.default_rng(3), setting(), 5
    scores = at([rng.choice(C, p=row) for row in p] if drawn else y)[rng.permutation(N)]
    means = np.array([scores[k : k + B].mean(0) for k in range(0, N, B)])
    found = identified(SCALES[name](means, B))
    assert found.exit_code == 4
    wanted = ("sampled-label-with-" if drawn else "") + name.format("#")
    names = [re.sub(r"about-\d+", "about-#", one) for one in found.name.split(" or ")]
    assert wanted in names, str(found)
    assert 3 <= int(re.search(r"about-(\d+)", found.name.split(" or ")[names.index(wanted)])[1]) <= 9


def test_what_has_not_the_spread_of_batches_is_not_said_to_be_of_batches():
    found = at(setting()[2])
    smooth = found.mean(0) ** 2 + found.var(0) * (1 - 5 / (N - 1)) / 6
    found = identified(smooth * np.resize([1.01, 0.99], len(smooth)))
    assert not found.name.startswith("batch-mean-squared-by-about"), str(found)


def test_a_long_sum_in_single_precision_is_allowed_its_rounding():
    rng = np.random.default_rng(0)
    theta, X, y = rng.standard_normal((3, C)), rng.standard_normal((4000, 3)), rng.integers(0, C, 4000)
    z = X @ theta
    p = np.exp(z - refgrad.numpy.logsumexp(z, 1)[:, None])
    scores = X[:, :, None] * (np.eye(C)[y] - p)[:, None, :]
    output = np.zeros((3, C), np.float32)
    for score in scores.astype(np.float32):
        output += score**2
    given = {"logits": lambda theta, X: X @ theta, "theta": theta, "X": X, "y": y}
    assert refgrad.identify(output / np.float32(4000), "empirical_fisher_diagonal", **given).exit_code == 0


@pytest.mark.parametrize("seed", range(5))
def test_labels_drawn_from_the_model_are_told_and_undecided(seed):
    rng = np.random.default_rng(seed)
    p = setting()[3]
    found = identified((at([rng.choice(C, p=row) for row in p]) ** 2).mean(0))
    assert found.exit_code == 4, str(found)
    assert "sampled-label" in found.name


@pytest.mark.parametrize("seed", range(5))
def test_a_diagonal_of_no_formula_has_no_name(seed):
    rng = np.random.default_rng(seed)
    found = identified(rng.random(46) * rng.choice([1e-6, 1.0, 1e6]))
    assert (found.grade, found.name) == ("wrong", ""), str(found)


def test_only_some_weights_are_compared_at_first_and_a_wrong_one_among_the_others_is_found(monkeypatch):
    monkeypatch.setattr("refgrad.identification.fisher._NUMBERS", 0)
    output = diagonals()["empirical"]
    found = identified(output)
    assert found.name == "empirical", str(found)
    outside = np.setdiff1d(np.arange(18, 42), sample(Layout.of(setting()[0], "theta"), 16))
    hidden = output.copy()
    hidden[outside] *= 2
    found = identified(hidden)
    assert found.grade == "wrong"
    assert "is empirical on most weights, but not in out" in found.summary


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"y": np.zeros(3, int)}, "expected y to be 60 labels"),
        ({"y": np.full(N, 9)}, "expected labels from 0 to 3; got 9 to 9"),
        ({"logits": lambda theta, X: np.tanh(X @ theta["in"]).sum()}, r"expected logits\(theta, X\) of shape"),
        ({"X": 3}, "X an array of N examples"),
        ({"y": None}, "y their labels"),
        ({"logits": lambda theta: theta}, "logits, called with the parameters and X, raised TypeError"),
    ],
)
def test_what_does_not_fit_is_said(changes, words):
    theta, X, y, *_ = setting()
    with pytest.raises(UsageError, match=words):
        refgrad.identify(
            np.ones(46), "fisher_diagonal", **({"logits": logits, "theta": theta, "X": X, "y": y} | changes)
        )


def test_the_fisher_at_the_labels_of_the_data_is_sent_to_its_contract_and_batches_to_examples():
    assert 'contract="empirical_fisher_diagonal"' in identified(diagonals()["empirical"]).advice
    assert "the gradient of each example" in identified(diagonals()["batch-mean-squared"]).advice


def test_a_product_that_is_a_multiple_of_another_formula_keeps_its_name():
    output = diagonals()["fisher_diagonal"]
    assert identified(output / N).name == "over-n-squared"
    assert identified(output / C).name == "divided-by-classes"
    assert identified(1.7 * output).name == "1.7 times fisher_diagonal"
