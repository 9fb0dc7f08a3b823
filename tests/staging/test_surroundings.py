"""A program notices that what its function reads from around it has changed, and says what it cannot notice."""

from __future__ import annotations

import copy
from functools import partial, wraps

import numpy as np
import pytest
from helpers.bits import same_bits

from refgrad import checkpoint, grad, hvp, source, stage, vmap
from refgrad.errors import ChangedValue
from refgrad.staging import surroundings

x = np.array([1.0, 2.0])

TEXT = """
from functools import partial, wraps
import numpy as np
from refgrad import grad, vmap

a = 2.0
T = 5

def direct(x):
    return np.sum(x * x) * a

def inside(x):
    scaled = lambda v: v * a
    return np.sum(scaled(x) * x)

def calls(x):
    return direct(x)

def further(x):
    return calls(x)

def decorated(x):
    return x
def twice(f):
    @wraps(f)
    def wrapper(x):
        return 2 * f(x)
    return wrapper
decorated = twice(direct)

def gradient_inside(x):
    return np.sum(slope(x) * x)
slope = grad(direct)

class Model:
    def energy(self, x):
        return np.sum(x * x) * a
energy = Model().energy
some = partial(lambda k, x: k * np.sum(x) * a, 3.0)
"""

READERS = ["direct", "inside", "calls", "further", "decorated", "gradient_inside", "energy", "some"]


def module():
    names = {"__name__": "written_for_the_test"}
    exec(TEXT, names)
    return names


@pytest.mark.parametrize("transformation", [lambda f: f, grad, lambda f: vmap(lambda x: x * f(x), in_axes=0)])
@pytest.mark.parametrize("name", READERS)
def test_a_global_that_was_bound_anew_is_an_error_that_names_it(name, transformation):
    names = module()
    staged = stage(transformation(names[name]))
    first = staged(x)
    names["a"] = 3.0
    with pytest.raises(ChangedValue, match=r"the variable 'a'.* was 2\.0 when .* is 3\.0 now.*argument"):
        staged(x)
    names["a"] = 2.0
    assert same_bits(staged(x), first)
    del names["a"]
    with pytest.raises(ChangedValue, match="is None now"):
        staged(x)


def test_the_report_of_a_closure_that_changed_is_an_error():
    a = 1.0
    staged = stage(grad(lambda x: x * x * a))
    assert staged(1.0) == 2
    a = 10.0
    with pytest.raises(ChangedValue, match=r"'a'.* was 1\.0 .* is 10\.0 now"):
        staged(1.0)
    assert stage(grad(lambda x: x * x * a))(1.0) == 20


ALONE = {"a function", "an object", "nothing", "a flag", "a dict of any keys"}  # equal to themselves only
VALUES = {
    "a number": (1.0, 2.0),
    "an int": (1, 2),
    "the type of a number": (1, 1.0),
    "the sign of zero": (0.0, -0.0),
    "a flag": (True, False),
    "a word": ("sum", "mean"),
    "nothing": (None, 1.0),
    "an array": (np.array([1.0, 2.0]), np.array([1.0, 3.0])),
    "its dtype": (np.array([1.0, 2.0]), np.array([1, 2])),
    "a NumPy number": (np.float64(1.0), np.float64(2.0)),
    "a tuple": ((1.0, 2.0), (1.0, 3.0)),
    "parameters": ({"w": np.ones(2)}, {"w": np.zeros(2)}),
    "a list of layers": ([np.ones(2)], [np.ones(2), np.ones(2)]),
    "a function": (np.dot, lambda x, y: x @ y),
    "an object": (object(), object()),
    "a dict of any keys": ({1: 2.0, (1,): 3.0, (1, "a"): 4.0, ("a",): 1.0}, {1: 2.0}),
}


@pytest.mark.parametrize("name", VALUES)
def test_every_kind_of_other_value_is_seen(name):
    before, after = VALUES[name]
    value = before

    def f(x):
        return x if value is None else x * 2

    staged = stage(f, x)
    staged(x)
    value = after
    with pytest.raises(ChangedValue, match="'value'"):
        staged(x)
    value = before
    assert same_bits(staged(x), x if value is None else x * 2)


@pytest.mark.parametrize("name", [n for n in VALUES if n not in ALONE])
def test_an_equal_value_is_as_good_and_the_program_runs_on(name):
    value = VALUES[name][0]
    runs = []

    def f(x):
        runs.append(value)
        return x * 2

    staged = stage(f)
    for _ in range(3):
        value = copy.deepcopy(value) if not isinstance(value, (int, float, str)) else type(value)(str(value))
        assert same_bits(staged(x), x * 2)
    assert len(runs) == 1
    assert staged.outside[next(iter(staged.programs))][-1].recorded is value


def test_every_program_has_the_surroundings_of_its_own_recording():
    a = 1.0
    staged = stage(lambda x, shift=0.0: x * a + shift)
    staged(1.0)
    a = 2.0
    assert same_bits(staged(x), x * 2)  # other shapes are recorded now
    assert same_bits(staged(x, shift=1.0), x * 2 + 1)
    with pytest.raises(ChangedValue):
        staged(1.0)
    a = 1.0
    assert staged(1.0) == 1
    for call in (lambda: staged(x), lambda: staged(x, shift=1.0)):
        with pytest.raises(ChangedValue):
            call()


def test_what_the_function_itself_counts_is_no_alarm():
    calls = 0
    names = {"np": np, "count": 0}
    exec("def g(x):\n    global count\n    count += 1\n    return x * 2\n", names)

    def f(x):
        nonlocal calls
        calls += 1
        return x * 2

    for function in (f, names["g"]):
        staged = stage(function)
        for argument in (1.0, x, np.ones((2, 2)), 1.0, x):
            assert same_bits(staged(argument), argument * 2)
    assert (calls, names["count"]) == (3, 3)


def test_the_name_of_an_attribute_is_no_variable():
    names = module()
    exec("def f(x):\n    return x.T * 2 + np.sum(x)\n", names)
    staged = stage(names["f"], x)
    names["T"] = 6
    names["sum"] = 7
    assert same_bits(staged(x), names["f"](x))


def test_a_redefined_function_is_seen_where_it_is_called_by_name():
    names = module()
    staged = stage(names["calls"], x)
    exec("def direct(x):\n    return np.sum(x)\n", names)
    with pytest.raises(ChangedValue, match="'direct'"):
        staged(x)


def test_the_point_of_a_staged_product_that_moved_is_seen():
    f = lambda x: np.sum(np.tanh(x) ** 2)
    point = x
    times = stage(lambda v: hvp(f, point, v))
    assert same_bits(times(x), hvp(f, point, x))
    point = point + 1
    with pytest.raises(ChangedValue, match=r"'point'.*an array of shape"):
        times(x)


def test_what_lies_behind_a_name_is_not_seen_as_the_documentation_says():
    class Model:
        scale = 2.0

    model, array, items = Model(), np.array([2.0, 3.0]), [2.0]
    exec("b = 2.0\ndef f(x):\n    return x * b\n", elsewhere := {})
    exec("def g(x):\n    return f(x)\n", names := {"f": elsewhere["f"]})
    functions = {
        "attribute": (lambda x: x * model.scale, lambda: setattr(model, "scale", 3.0)),
        "array": (lambda x: x * array, lambda: array.fill(3.0)),
        "element": (lambda x: x * items[0], lambda: items.append(3.0)),
        "other module": (names["g"], lambda: elsewhere.update(b=3.0)),
    }
    for f, change in functions.values():
        staged = stage(f)
        first = staged(x)
        change()
        assert same_bits(staged(x), first)
    text = " ".join((stage.__doc__ + surroundings.__doc__).split())
    for word in ("attributes", "in place", "functions of other modules"):
        assert text.count(word) >= 2


def test_the_source_knows_no_surroundings():
    a = 2.0
    text = source(lambda x: x * a, x)
    assert "around" not in text
    assert "recorded." not in text


def test_partial_methods_and_checkpoints_are_looked_into():
    a = 2.0

    def f(k, x):
        return k * np.sum(x) * a

    def shown(g):
        @wraps(g)
        def wrapper(*args):
            return g(*args)

        return wrapper

    for g in (
        partial(f, 3.0),
        checkpoint(partial(f, 3.0)),
        shown(partial(f, 3.0)),
        grad(shown(checkpoint(partial(f, 3.0)))),
    ):
        assert "a" in {v.name for v in surroundings.surroundings(g)}, g
    assert a == 2.0


def test_exactly_the_names_that_may_be_bound_anew_are_watched():
    names = {"__name__": "written_for_the_test"}
    exec(
        "import numpy as np\nfrom math import pi, exp\nfrom numpy import dot, float32, tanh\n"
        "from refgrad import grad, vmap\nfrom refgrad.numpy import relu\nactivation = tanh\na = 1.0\nunused = 2.0\n"
        "def left(x):\n    return x * a\n"
        "def right(x):\n    return left(x) * pi * last(x)\n"
        "def last(x):\n    return activation(x) * exp(1.0)\n"
        "def f(x):\n"
        "    shaped = [float32(1.0), len(x.shape), relu(x), tanh(x), dot(x, x), vmap(grad(np.sin))(x)]\n"
        "    return right(left(x)) + left(x) + right(x) + shaped[2]\n",
        names,
    )
    watched = sorted(v.name for v in surroundings.surroundings(names["f"]))
    assert watched == ["a", "activation", "last", "left", "pi", "right"]


def test_a_variable_that_is_not_bound_yet_is_passed_over():
    def make():
        def f(x):
            return (x if x.ndim else later) * z

        z = 2.0
        staged = stage(f)
        found = [v.name for v in surroundings.surroundings(f)]
        first = staged(x)
        later = 1.0
        assert same_bits(staged(x), first)
        z = later
        with pytest.raises(ChangedValue, match="'z'"):
            staged(x)
        return found

    assert make() == ["z"]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("a" * 58, "b" * 59, rf"was '{'a' * 58}' when .* is another str now"),
        (np.ones((2, 3)), np.dot, r"was an array of shape \(2, 3\) when .* is dot now"),
        (list(range(99)), None, r"was another list when .* is None now"),
    ],
)
def test_values_are_described_in_a_few_words(before, after, words):
    value = before
    staged = stage(lambda x: x if value is None else x * 2, x)
    value = after
    with pytest.raises(ChangedValue, match=words):
        staged(x)
