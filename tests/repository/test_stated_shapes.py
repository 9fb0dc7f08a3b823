"""The shapes that docstrings state are executed: what comes has them, and what does not fit together is an error.

A docstring writes ``name : array, shape (p, q)``; every letter gets a size of its own, arrays are drawn, the function
is called, and what comes back is compared with the shape that is stated for it.
"""

from __future__ import annotations

import inspect
import itertools
import re
from collections import Counter
from functools import partial

import numpy as np
import pytest
from helpers.docstrings import entry_of, parameters, parsed, public, results, shape_at, shapes, symbols

from refgrad import exact
from refgrad.backend import shape_of
from refgrad.contracts.implicit import QuadraticBilevel
from refgrad.contracts.tools.losses import EXACT_TABLE, Quartic
from refgrad.errors import ShapeError
from refgrad.theory.continual import QuadraticTask
from refgrad.theory.meta import WEIGHTS

FUNCTIONS = {name: f for name, f in public().items() if not inspect.isclass(f)}


class Draw:
    """Arrays of given shapes: exact ones in the theory, floats elsewhere; no zeros, and no two rows alike."""

    def __init__(self, name):
        self.rng, self.exact = (
            np.random.default_rng(7),
            not name.startswith(("refgrad.numpy", "refgrad.implicit.combiners")),
        )

    def integers(self, *shape):
        return self.rng.integers(0, 2, shape)

    def booleans(self, *shape):
        return self.integers(*shape) == 1

    def numbers(self, *shape):
        values = self.rng.integers(1, 50, shape) * self.rng.choice([-1, 1], shape)
        return exact.asarray(values) / 7 if self.exact else values / 7

    def definite(self, n):
        square = self.numbers(n, n)
        return square @ square.mT

    def number(self):
        return exact.asarray("3/7") if self.exact else 3 / 7


def task(s, draw):
    return QuadraticTask(draw.definite(s["P"]), draw.numbers(s["P"]))


def form(s, draw):
    return draw.definite(s["d"]), draw.numbers(s["d"])


def examples(s, draw):
    return draw.numbers(4, s["d"]), draw.numbers(4)


def of_steps(s, draw):
    return [([form(s, draw), form(s, draw)], form(s, draw)) for _ in range(3)]


def bilevel(s, draw):
    n, m = s["n"], s["m"]
    shapes_of = {"C": (n, m), "c": (n,), "Q": (n, n), "t": (n,), "R": (n, m), "P": (m, m), "q": (m,)}
    return QuadraticBilevel(draw.definite(n), **{name: draw.numbers(*shape) for name, shape in shapes_of.items()})


TASKS = {"tasks": lambda s, draw: [task(s, draw) for _ in range(3)]}
FORMS = {"tasks": lambda s, draw: [form(s, draw) for _ in range(3)]}
RATES = {"rates": lambda s, draw: [draw.number()] * 2}
SERIES = {
    "loss": lambda s, draw: Quartic(EXACT_TABLE),
    "batches": lambda s, draw: [examples(s, draw) for _ in range(3)],
}
NEW = {"task": task}
LINEAR = {
    "logits": lambda s, draw: lambda theta, X: (X @ theta).reshape((-1, 1)),
    "X": lambda s, draw: draw.numbers(s["N"], s["p"]),
    "likelihood": lambda s, draw: "gaussian",
}
BETWEEN = {"smallest": lambda s, draw: 1, "largest": lambda s, draw: 3}
OF_RATIONAL_NORM = BETWEEN | {
    "x": lambda s, draw: exact.asarray([3, 4] + [0] * (s["n"] - 2)),
    "y": lambda s, draw: exact.asarray([4, 3] + [0] * (s["n"] - 2)),
}
METRIC = {"D": lambda s, draw: draw.definite(s["n"])}
DEFINITE = {"a": lambda s, draw: draw.definite(s["n"])}
CONVOLUTION = {name: lambda s, draw, name=name: ARGUMENTS[name] for name in ("stride", "padding", "dilation", "groups")}

MAKERS = {
    "refgrad.continual.fisher_diagonal": LINEAR,
    "refgrad.continual.empirical_fisher_diagonal": LINEAR | {"y": lambda s, draw: draw.numbers(s["N"], 1)},
    "refgrad.continual.ewc_penalty": {n: lambda s, draw: draw.numbers(3) for n in ("theta", "theta_star", "fisher")},
    "refgrad.implicit.combiners.sub_class_labels": {"y": lambda s, draw: draw.integers(s["N"])},
    "refgrad.implicit.steps_to_zero": {
        "phi": lambda s, draw: np.arange(1.0, s["K"] + 1),
        "lr": lambda s, draw: 0.5,
        "lowest": lambda s, draw: np.arange(1.0, s["K"] + 1),
    },
    "refgrad.linalg.conjugate_gradient": {"operator": lambda s, draw: lambda v: 2 * v},
    "refgrad.linalg.require_positive_definite": DEFINITE,
    "refgrad.numpy.nn.batch_norm": {"statistics": lambda s, draw: (draw.numbers(s["C"]), draw.numbers(s["C"]) ** 2)},
    "refgrad.numpy.nn.conv1d": CONVOLUTION,
    "refgrad.numpy.nn.conv2d": CONVOLUTION,
    "refgrad.plot.errors": {"ratios": lambda s, draw: {"f": draw.floats(s["n"])}},
    "refgrad.plot.hull": {"J": lambda s, draw: draw.floats(2, s["n"])},
    "refgrad.plot.path": {"loss": lambda s, draw: lambda theta: theta @ theta},
    "refgrad.theory.continual.decayed_joint": TASKS,
    "refgrad.theory.continual.diagonal_error": NEW,
    "refgrad.theory.continual.ewc_optimum": NEW,
    "refgrad.theory.continual.ewc_optimum_by_lam": NEW,
    "refgrad.theory.continual.minimiser": {"*tasks": TASKS["tasks"]},
    "refgrad.theory.continual.moving_anchor": NEW,
    "refgrad.theory.continual.per_task_bias": TASKS,
    "refgrad.theory.implicit.descent_on_a_quadratic": {"problem": bilevel},
    "refgrad.theory.implicit.finite_difference_error": {
        "derivatives": lambda s, draw: [draw.numbers(s["m"]) for _ in range(3)]
    },
    "refgrad.theory.implicit.weight_norm_gradient": {"v": lambda s, draw: exact.balls(draw.numbers(s["m"]))},
    "refgrad.theory.meta.adaptation": {"task": form},
    "refgrad.theory.meta.affine_gradient": RATES | {"tasks": of_steps},
    "refgrad.theory.meta.affine_minimiser": RATES | {"tasks": of_steps},
    "refgrad.theory.meta.average_gradient": SERIES,
    "refgrad.theory.meta.average_gradient_inner": SERIES,
    "refgrad.theory.meta.expected_direction": FORMS | {"weight": lambda s, draw: WEIGHTS["joint"]},
    "refgrad.theory.meta.fomaml_second_coefficient": SERIES,
    "refgrad.theory.meta.maml_objective": FORMS,
    "refgrad.theory.meta.maml_rate_gradient": FORMS,
    "refgrad.theory.meta.maml_second_coefficient": SERIES,
    "refgrad.theory.meta.outer_fixed_point": FORMS | {"weight": lambda s, draw: WEIGHTS["joint"]},
    "refgrad.theory.multitask.is_sign_safe": BETWEEN,
    "refgrad.theory.multitask.min_norm_in_metric": METRIC,
    "refgrad.theory.multitask.preconditioned_min_norm": METRIC,
    "refgrad.theory.multitask.smallest_product": OF_RATIONAL_NORM,
    "refgrad.theory.multitask.tight_matrix": OF_RATIONAL_NORM,
    "refgrad.theory.multitask.violation": {"M": lambda s, draw: draw.definite(s["n"])},
}
"""What cannot be drawn by its docstring alone, by function and parameter: callables, containers, preconditions."""


def stated_of(function):
    """For each parameter that is an array, the shapes that are stated of it, one or several."""
    found = {p: entry_of(function, p) for p in parameters(function)}
    return {p: shapes(e.type) for p, e in found.items() if shapes(e.type) and "pair" not in e.type}


def call_of(name, function, makers):
    """The makers of the arguments, by parameter, and the lengths that are stated of each, one of several."""
    makers, stated = dict(makers), stated_of(function)
    given = inspect.signature(getattr(function, "ours", function)).parameters
    for parameter in parameters(function):
        entry, plain = entry_of(function, parameter), parameter.lstrip("*")
        if parameter in makers:
            continue
        if parameter in stated:
            makers[parameter] = next((kind for kind in ("integers", "booleans") if kind in entry.type), "numbers")
        elif given[plain].default is inspect.Parameter.empty and not parameter.startswith("*"):
            if re.match(r"(number|scalar)", entry.type):
                makers[parameter] = lambda s, draw: draw.number()
            elif entry.type in ("int", "str"):
                makers[parameter] = lambda s, draw, value={"int": 2, "str": "a matrix"}[entry.type]: value
            else:
                pytest.fail(
                    f"{name} states a shape, and {parameter} : {entry.type} cannot be drawn by its docstring. Write "
                    f"'{parameter} : array, shape (p, q)' there, or add to MAKERS in {__name__}, for {name!r}, "
                    f"'{parameter}': lambda s, draw: ..., of the sizes s of the letters."
                )
    return makers, stated


def made(makers, stated, sizes, draw):
    """The arguments: positional ones that have stars, and the others by name."""
    positional, named = [], {}
    for parameter, maker in makers.items():
        if callable(maker):
            value = maker(sizes, draw)
        else:
            value = getattr(draw, maker)(*shape_at(stated[parameter], sizes | ARGUMENTS))
        if parameter.startswith("*"):
            positional.extend(value)
        else:
            named[parameter] = value
    return positional, named


def sizes_of(lengths):
    """A size for each letter, all different and none of them 1; ``...`` are two axes."""
    letters = [letter for letter in dict.fromkeys(symbols(lengths)) if letter not in ARGUMENTS]
    free = iter(size for size in (3, 5, 4, 7, 9, 11, 13) if size not in FIXED.values())
    return {x: (2, 8) if x == "..." else FIXED[x] if x in FIXED else next(free) for x in letters}


FIXED = {"N": 17, "C": 6, "O": 10, "L": 29, "H": 23, "W": 27}
"""Letters with a size that must be even, or larger than another."""

ARGUMENTS = {"stride": 2, "padding": 3, "dilation": 2, "groups": 2, "size": 2}
"""Numbers among the arguments that lengths are computed from."""


def cases(name, function, makers):
    """For each choice among alternatives: makers, stated lengths, and sizes."""
    makers, stated = call_of(name, function, makers)
    back = [length for _, found, text in results(function) for lengths in found for length in lengths]
    for chosen in itertools.product(*stated.values()):
        one = dict(zip(stated, chosen, strict=True))
        yield makers, one, sizes_of([length for lengths in one.values() for length in lengths] + back)


def call(function, makers, stated, sizes, draw):
    positional, named = made(makers, stated, sizes, draw)
    return function(*positional, **named), named


@pytest.mark.parametrize("name", [name for name, f in FUNCTIONS.items() if results(f)])
def test_what_comes_back_has_the_shape_that_is_stated(name):
    function = FUNCTIONS[name]
    for makers, stated, sizes in cases(name, function, MAKERS.get(name, {})):
        came, named = call(function, makers, stated, sizes, Draw(name))
        assert faults_of_result(function, came, sizes, named) == []


def faults_of_result(function, came, sizes, named):
    """What is wrong with the shapes that came, letter by letter."""
    back, faults = results(function), []
    for (label, lengths, text), array in zip(back, [came] if len(back) == 1 else came, strict=True):
        numbers = sizes | ARGUMENTS
        for letter, formula in re.findall(r"``(\w+) = ([^`]*)``", text):
            numbers[letter] = eval(formula, {"min": min}, numbers)
        allowed = [shape_at(one, numbers) for one in lengths]
        if shape_of(array) not in allowed:
            faults.append(f"{label or 'the result'} has shape {shape_of(array)}, stated is {lengths}: {allowed}")
    return faults


def misfits(function):
    """Each parameter with each letter that must have one size: it stands in another parameter too, or twice there."""
    letters = {p: symbols(found[0]) for p, found in stated_of(function).items()}
    once = {p: [x for x in dict.fromkeys(found) if x not in ARGUMENTS] for p, found in letters.items()}
    elsewhere = Counter(itertools.chain.from_iterable(once.values()))
    return [(p, x) for p in once for x in once[p] if elsewhere[x] > 1 or (x != "..." and letters[p].count(x) > 1)]


def misfit(maker, lengths, letter, sizes, draw):
    """An argument that has another size in the last place of a letter."""
    wrong = sizes | {letter: (2, 9) if letter == "..." else sizes[letter] + 2}
    if callable(maker) and symbols(lengths).count(letter) == 1:
        return maker(wrong, draw)
    place = max(i for i, length in enumerate(lengths) if letter in symbols([length]))
    shape = (*shape_at(lengths[:place], sizes | ARGUMENTS), *shape_at(lengths[place : place + 1], wrong | ARGUMENTS))
    kind = "numbers" if callable(maker) else maker
    return getattr(draw, kind)(*shape, *shape_at(lengths[place + 1 :], sizes | ARGUMENTS))


@pytest.mark.parametrize("name", [name for name, f in FUNCTIONS.items() if misfits(f)])
def test_arrays_that_do_not_fit_together_are_an_error(name):
    check_misfits(name, FUNCTIONS[name])


def check_misfits(name, function):
    """Ours where the docstring says so; elsewhere a ValueError, which may be the array library's."""
    raises = ShapeError if any("ShapeError" in e.type for e in parsed(function)["Raises"]) else ValueError
    for makers, stated, sizes in cases(name, function, MAKERS.get(name, {})):
        call(function, makers, stated, sizes, Draw(name))
        for parameter, letter in misfits(function):
            if letter in symbols(stated[parameter]):
                planted = partial(misfit, makers[parameter], stated[parameter], letter)
                with pytest.raises(raises):
                    call(function, makers | {parameter: planted}, stated, sizes, Draw(name))


def product(a, b):
    """The product, shape (m, k).

    Parameters
    ----------
    a : array, shape (m, n)
    b : array, shape (n, k)
    """
    return a @ b


def described(text):
    planted = type(product)(product.__code__, globals())
    planted.__doc__ = text
    return planted


def faults_of(function):
    ((makers, stated, sizes),) = cases("planted", function, {})
    came, named = call(function, makers, stated, sizes, Draw("planted"))
    return faults_of_result(function, came, sizes, named)


def test_a_function_with_the_shapes_that_it_states_has_no_fault():
    assert faults_of(product) == []
    assert misfits(product) == [("a", "n"), ("b", "n")]


@pytest.mark.parametrize("planted", ["(k, m)", "(m,)", "()", "(m, k, k)", "(m, k + 1)"])
def test_a_shape_that_is_not_so_is_found(planted):
    assert len(faults_of(described(product.__doc__.replace("(m, k)", planted)))) == 1


def test_a_parameter_whose_shape_is_not_so_is_found():
    with pytest.raises(ValueError, match="mismatch"):
        faults_of(described(product.__doc__.replace("(n, k)", "(k, n)")))


def test_a_parameter_that_cannot_be_drawn_fails_with_what_to_write():
    with pytest.raises(pytest.fail.Exception, match="add to MAKERS"):
        faults_of(described(product.__doc__.replace("b : array, shape (n, k)", "b : matrix")))


def test_a_function_that_does_not_mind_the_sizes_is_found():
    lenient = described(product.__doc__)
    lenient.__code__ = (lambda a, b: a[:, :1] * b[:1]).__code__
    assert faults_of(lenient) == []
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        check_misfits("planted", lenient)
