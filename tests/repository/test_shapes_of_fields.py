"""The shapes that docstrings state of a class's fields, and of what its methods return, are those of a computed one."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest
from helpers.docstrings import entries, parsed, public, shape_at, shapes, symbols

from refgrad import exact, linalg, multitask
from refgrad import numpy as rnp
from refgrad.backend import shape_of
from refgrad.contracts.tools.losses import EXACT_TABLE, Quartic
from refgrad.implicit import alignment, hypergradient
from refgrad.implicit.combiners import Linear
from refgrad.theory import continual, meta
from refgrad.theory import multitask as encoders


def numbers(*shape):
    """Exact numbers that are all different, none of them 0."""
    return exact.asarray(np.arange(1, 1 + np.prod(shape, dtype=int)).reshape(shape) ** 2) / 7


def floats(*shape):
    return numbers(*shape).astype(float)


def definite(n):
    return numbers(n, n) @ numbers(n, n).mT + exact.asarray(np.eye(n, dtype=int))


def regression(loss, labels=(0, 1, 1, 0), table=numbers, **more):
    """A loss of four examples with three inputs each, and the arguments of its methods."""
    size = 3 * more.get("C", 1)
    X, theta, y = table(4, 3), table(size) / 9000, np.array(labels)
    given = {"X": X, "y": y, "theta": theta, "v": theta, "batch": (X, y), "eta": X @ theta if size == 3 else None}
    return loss, {"N": 4, "d": 3, **more}, given


def balls(*shape):
    return exact.balls(numbers(*shape))


def distribution(value, k):
    return value, {"k": k, "C": k + isinstance(value, continual.CategoricalByProbabilities)}, {"x": 1}


def encoder(network, theta, K, p, q, **more):
    return network, {"K": K, "p": p, "q": q, **more}, {"theta": theta, "v": theta}


def implicit():
    A = numbers(2, 3)
    inner, outer = (lambda w, phi: (w @ w) / 2 - (phi @ A) @ w), (lambda w, phi: (w @ w) / 2 + phi @ phi)
    return hypergradient(inner, outer, numbers(2) @ A, numbers(2))


def aligned():
    A = numbers(3, 2)
    losses = lambda w, batch: A @ w + w @ w
    return alignment(lambda w, batch: w @ w / 2, losses, numbers(2), numbers(3), None, None)


LINEAR = encoders.LinearEncoder(numbers(4, 3), numbers(2, 4), exact.asarray(np.ones((2, 4), int)))
SHARED = encoders.at(LINEAR, numbers(3))
RELU, RELU_THETA = encoders.relu_network()
TALL, WIDE = floats(5, 3), floats(3, 5)
SERIES = (Quartic(EXACT_TABLE), numbers(3), [(numbers(4, 3), numbers(4) * k) for k in (1, 2)], 2)
THIRDS = ["1/3", "1/2", "1/6"]

EXAMPLES = {
    "refgrad.implicit.Alignment": [(aligned(), {"K": 3}, {})],
    "refgrad.implicit.Hypergradient": [(implicit(), {"n": 3, "m": 2}, {})],
    "refgrad.implicit.combiners.Linear": [(Linear(3), {"K": 3}, {"phi": floats(3), "losses": floats(2, 3)})],
    "refgrad.linalg.CG": [(linalg.CG(preconditioner=numbers(3)), {"n": 3}, {})],
    "refgrad.linalg.System": [(linalg.System(lambda v: 2 * v, numbers(3)), {"n": 3}, {})],
    "refgrad.linalg.Solution": [(linalg.solve(definite(3), numbers(3)), {"n": 3}, {})],
    "refgrad.multitask.Aggregate": [(multitask.min_norm(numbers(2, 3)), {"K": 2, "n": 3}, {})],
    "refgrad.multitask.MinNorm": [(multitask.min_norm(numbers(2, 3)), {"K": 2, "n": 3}, {})],
    "refgrad.numpy.linalg.EighResult": [(rnp.linalg.eigh(floats(4, 2, 3, 3)), {"...": (4, 2), "n": 3}, {})],
    "refgrad.numpy.linalg.LstsqResult": [
        (rnp.linalg.lstsq(TALL, floats(5, 2)), {"m": 5, "n": 3, "k": 2}, {}),
        (rnp.linalg.lstsq(TALL, floats(5)), {"m": 5, "n": 3, "k": 1}, {}),
        (rnp.linalg.lstsq(WIDE, floats(3, 2)), {"m": 3, "n": 5, "k": 2}, {}),
    ],
    "refgrad.numpy.linalg.QRResult": [
        (rnp.linalg.qr(floats(4, 5, 3)), {"...": (4,), "m": 5, "n": 3}, {}),
        (rnp.linalg.qr(WIDE), {"...": (), "m": 3, "n": 5}, {}),
    ],
    "refgrad.numpy.linalg.SlogdetResult": [(rnp.linalg.slogdet(floats(4, 2, 3, 3)), {"...": (4, 2)}, {})],
    "refgrad.theory.continual.CategoricalByLogits": [distribution(continual.CategoricalByLogits(THIRDS), 3)],
    "refgrad.theory.continual.CategoricalByProbabilities": [
        distribution(continual.CategoricalByProbabilities(THIRDS), 2)
    ],
    "refgrad.theory.continual.Distribution": [
        distribution(continual.CategoricalByLogits(THIRDS), 3),
        distribution(continual.CategoricalByProbabilities(THIRDS), 2),
        distribution(continual.GaussianByDeviation(1, 2), 2),
        distribution(continual.GaussianByLogDeviation(1, 2), 2),
        distribution(continual.GaussianByVariance(1, 2), 2),
        distribution(continual.BernoulliByLogit("1/3"), 1),
        distribution(continual.BernoulliByProbability("1/3"), 1),
        distribution(continual.ExponentialByRate(2), 1),
        distribution(continual.PoissonByLogRate(2), 1),
        distribution(continual.PoissonByRate(2), 1),
    ],
    "refgrad.theory.continual.LinearGaussian": [regression(continual.LinearGaussian(EXACT_TABLE, 2))],
    "refgrad.theory.continual.Logistic": [regression(continual.Logistic(EXACT_TABLE), table=balls)],
    "refgrad.theory.continual.Poisson": [regression(continual.Poisson(EXACT_TABLE), table=balls)],
    "refgrad.theory.continual.QuadraticTask": [
        (continual.QuadraticTask(definite(3), numbers(3)), {"P": 3}, {"theta": numbers(3), "v": numbers(3)})
    ],
    "refgrad.theory.continual.SoftmaxRegression": [
        regression(continual.SoftmaxRegression(EXACT_TABLE, 2), table=balls, C=2)
    ],
    "refgrad.theory.continual.SquaredOdds": [regression(continual.SquaredOdds(EXACT_TABLE), table=balls)],
    "refgrad.theory.meta.Expansion": [
        (expansion(*SERIES), {"d": 3}, {})
        for expansion in (meta.maml_expansion, meta.fomaml_expansion, meta.reptile_expansion)
    ],
    "refgrad.theory.multitask.EncoderNetwork": [
        encoder(LINEAR, numbers(3), K=2, p=3, q=4),
        encoder(RELU, RELU_THETA, K=2, p=10, q=2),
    ],
    "refgrad.theory.multitask.LinearEncoder": [encoder(LINEAR, numbers(3), K=2, p=3, q=4, N=4)],
    "refgrad.theory.multitask.ReluEncoder": [encoder(RELU, RELU_THETA, K=2, p=10, q=2)],
    "refgrad.theory.multitask.SharedEncoder": [(SHARED, {"K": 2, "q": 4, "p": 3}, {"direction": numbers(3)})],
    "refgrad.theory.multitask.Update": [(SHARED.exact(), {"K": 2, "p": 3}, {})],
    "refgrad.theory.multitask.Violation": [
        (encoders.violation(definite(3) + exact.asarray([[9, 0, 0], [0, 0, 0], [0, 0, 0]])), {"n": 3}, {})
    ],
}
"""Computed results, with the sizes of the letters in their docstrings and the arguments of their methods, by name."""


def stated_of(value):
    """What a class states: for each field, property or method the shapes, one of which it has or returns."""
    found = {e.name: shapes(e.type) for e in entries(value, "Attributes")}
    for name, member in inspect.getmembers(value):
        if not name.startswith("_") and member.__doc__ and (inspect.isfunction(member) or isinstance(member, property)):
            summary = re.search(r", (shape \(.*)", " ".join(parsed(member)["Summary"]))
            found |= {name: shapes(summary[1])[:1]} if summary else {}
    return {name: lengths for name, lengths in found.items() if lengths}


STATED = {name: stated_of(c) for name, c in public().items() if inspect.isclass(c) and stated_of(c)}


def faults_of(value, stated, sizes, given):
    """What is wrong with the shapes of one computed result."""
    faults = []
    for name, lengths in stated.items():
        member = getattr(value, name)
        came = member(*(given[p] for p in inspect.signature(member).parameters)) if callable(member) else member
        allowed = [shape_at(one, sizes) for one in lengths if len(lengths) == 1 or sizes.keys() >= set(symbols(one))]
        if shape_of(came) not in allowed:
            faults.append(f"{name} has shape {shape_of(came)}, stated is {lengths}: {allowed}")
    return faults


@pytest.mark.parametrize("name", STATED)
def test_fields_and_what_methods_return_have_the_shapes_that_are_stated(name):
    assert name in EXAMPLES, (
        f"{name} states shapes of {', '.join(STATED[name])}. Add to EXAMPLES in {__name__}, for {name!r}, a computed "
        "one, the sizes of its letters, and the arguments of its methods by name."
    )
    for value, sizes, given in EXAMPLES[name]:
        assert faults_of(value, STATED[name], sizes, given) == []


@pytest.mark.parametrize(
    ("name", "field", "lengths"),
    [
        ("refgrad.multitask.MinNorm", "weights", ["n"]),
        ("refgrad.multitask.MinNorm", "gap", ["K"]),
        ("refgrad.numpy.linalg.QRResult", "R", ["...", "n", "n"]),
        ("refgrad.theory.continual.QuadraticTask", "hvp", ["P", "P"]),
        ("refgrad.theory.multitask.SharedEncoder", "kernel", ["p", "p"]),
    ],
)
def test_a_shape_that_is_not_so_is_found(name, field, lengths):
    planted = STATED[name] | {field: [lengths]}
    assert any(len(faults_of(value, planted, *more)) == 1 for value, *more in EXAMPLES[name])
