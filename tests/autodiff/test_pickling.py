"""Transformed functions go to other processes, are copied, and are methods, as plain functions are."""

from __future__ import annotations

import copy
import importlib
import inspect
import multiprocessing
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from helpers.bits import same_bits

from refgrad import grad, per_example_grad, stage, tree, value_and_grad, vmap

MODULE = '''
from functools import partial

import numpy as np
from refgrad import (
    checkpoint, custom_rule, grad, hessian, hvp, jacfwd, jacrev, per_example_grad, stage, stop_gradient,
    value_and_grad, vmap,
)
from refgrad.implicit import custom_root

a = np.array([[2.0, 1.0], [1.0, 3.0]])
x, v = np.array([0.5, -1.0]), np.array([1.0, 2.0])
p = {"w": x, "b": 0.25}
X = np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 0.25]])


def loss(x, scale=1.0):
    """Half the energy."""
    return scale * np.sum(np.tanh(a @ x) ** 2) / 2


def with_rest(x):
    return loss(x), {"norm": np.sum(x * x)}


def of_example(p, x):
    return np.tanh(p["w"] @ x + p["b"])


def residual(y, x):
    return y + np.sin(y) - x


def solved(x):
    y = np.zeros_like(x)
    for _ in range(60):
        y = y - (y + np.sin(y) - x) / (1 + np.cos(y))
    return y


def square_jvp(y, xs, ts):
    return 2 * xs[0] * ts[0]


def square_vjp(y, xs, u):
    return (2 * xs[0] * u,)


def plain_square(x):
    return x * x


square = custom_rule(jvp=square_jvp, vjp=square_vjp)(plain_square)


@custom_rule(jvp=lambda y, xs, ts: 2 * xs[0] * ts[0], vjp=lambda y, xs, u: (2 * xs[0] * u,))
def decorated_square(x):
    return x * x


@checkpoint
def block(x):
    return np.tanh(a @ x)


@stage
def staged_loss(x):
    return loss(x) * 3


@grad
def slope(x):
    return loss(x)


def through(x):
    return np.sum(block(x) * decorated_square(square(x)))


FUNCTIONS = {
    "grad": (grad(loss), (x,)),
    "grad, options": (grad(with_rest, argnums=0, has_aux=True), (x,)),
    "value_and_grad": (value_and_grad(loss), (x,)),
    "hessian": (hessian(loss), (x,)),
    "jacfwd": (jacfwd(block), (x,)),
    "jacrev": (jacrev(block), (x,)),
    "vmap": (vmap(grad(loss)), (X[:, :2],)),
    "vmap, axes": (vmap(of_example, in_axes=({"w": None, "b": None}, 0)), (p, X[:, :2])),
    "per_example_grad": (per_example_grad(of_example), (p, X[:, :2])),
    "nested": (jacfwd(jacrev(grad(loss))), (x,)),
    "hvp, partial": (partial(hvp, loss, x), (v,)),
    "grad of a partial": (grad(partial(loss, scale=3.0)), (x,)),
    "checkpoint": (checkpoint(loss), (x,)),
    "checkpoint inside": (grad(through), (x,)),
    "custom rule": (square, (x,)),
    "decorated": (jacrev(decorated_square), (x,)),
    "grad, decorated": (slope, (x,)),
    "custom root": (custom_root(residual, solved), (x,)),
    "derivative of a root": (jacrev(custom_root(residual, solved, linear_solver="cg")), (x,)),
    "stop_gradient": (stop_gradient, (x,)),
    "stage": (stage(grad(loss)), (x,)),
    "stage, options": (stage(loss, reassociate=True, max_operations=50), (x,)),
    "stage, recorded": (stage(hessian(loss), x), (x,)),
    "stage, decorated": (staged_loss, (x,)),
    "grad of stage": (grad(stage(loss)), (x,)),
}
'''
NAMES = [line.split('"')[1] for line in MODULE.split("FUNCTIONS = {")[1].splitlines() if line.startswith('    "')]


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pickling")
    (folder / "mine_to_pickle.py").write_text(MODULE)
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module("mine_to_pickle")
    finally:
        sys.path.remove(str(folder))
        del sys.modules["mine_to_pickle"]


@pytest.fixture(scope="module")
def elsewhere(mine):
    """What each function computes in a fresh interpreter, from its pickle alone."""
    program = (
        "import pickle, sys\n"
        "sys.path[:] = pickle.load(sys.stdin.buffer)\n"
        "found = {name: f(*args) for name, (f, args) in pickle.load(sys.stdin.buffer).items()}\n"
        "pickle.dump(found, sys.stdout.buffer)\n"
    )
    given = pickle.dumps(sys.path) + pickle.dumps(mine.FUNCTIONS)
    run = subprocess.run([sys.executable, "-c", program], input=given, capture_output=True, check=False)
    assert run.returncode == 0, run.stderr.decode()
    return pickle.loads(run.stdout)


@pytest.mark.parametrize("name", NAMES)
def test_a_pickle_computes_the_same_bits_in_another_process(name, mine, elsewhere):
    f, args = mine.FUNCTIONS[name]
    assert same_bits(elsewhere[name], f(*args))


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", NAMES)
def test_copies_and_pickles_are_the_function_again(name, protocol, mine):
    f, args = mine.FUNCTIONS[name]
    expected = f(*args)
    for again in (pickle.loads(pickle.dumps(f, protocol)), copy.copy(f), copy.deepcopy(f)):
        assert type(again) is type(f)
        assert getattr(again, "__name__", None) == getattr(f, "__name__", None)
        assert same_bits(again(*args), expected)
        assert same_bits(pickle.loads(pickle.dumps(again, protocol))(*args), expected)


def test_what_undoes_a_vector_goes_along(mine):
    vector, unravel = tree.ravel(mine.p)
    for again in (pickle.loads(pickle.dumps(unravel)), copy.deepcopy(unravel)):
        assert same_bits(again(vector), unravel(vector))


def test_executors_take_transformed_functions(mine):
    points = [mine.x, mine.v, mine.x * 2]
    for f in (grad(mine.loss), stage(value_and_grad(mine.loss))):
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
            found = list(pool.map(f, points))
        for point, result in zip(points, found, strict=True):
            assert same_bits(result, f(point))


def test_what_a_decorator_made_is_found_by_its_name(mine):
    for f in (mine.decorated_square, mine.block, mine.slope, mine.staged_loss):
        assert pickle.loads(pickle.dumps(f)) is f
        assert copy.deepcopy(f) is f
    assert pickle.loads(pickle.dumps(mine.square)) is not mine.square


def test_a_function_that_cannot_be_found_is_pickles_error():
    functions = {grad(lambda x: x * x): 3.0, stage(lambda x: x * x): 3.0, vmap(grad(lambda x: x)): np.ones(2)}
    for f, x in functions.items():
        with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
            pickle.dumps(f)
        assert same_bits(copy.deepcopy(f)(x), f(x))


def test_a_transformed_function_is_a_method_inside_a_class(mine):
    class Model:
        scale = 3.0

        def energy(self, x):
            return self.scale * np.sum(x * x)

        slope = grad(energy, argnums=1)
        slopes = vmap(slope, in_axes=(None, 0))
        again = staticmethod(grad(mine.loss))

    x = np.array([1.0, 2.0])
    assert Model().slope(x).tolist() == [6, 12]
    assert Model.slope(Model(), x).tolist() == [6, 12]
    assert list(inspect.signature(Model().slope).parameters) == ["x"]
    assert same_bits(Model.again(mine.x), grad(mine.loss)(mine.x))
    bound = Model().slope
    assert bound.__self__.scale == 3.0


def test_it_has_the_name_the_signature_and_the_documentation_of_its_function(mine):
    for transformation in (grad, value_and_grad, vmap, per_example_grad, stage):
        f = transformation(mine.loss)
        assert inspect.signature(f) == inspect.signature(mine.loss)
        assert inspect.getdoc(f) == "Half the energy."
        assert (f.__name__, f.__qualname__, f.__module__) == ("loss", "loss", "mine_to_pickle")
        assert inspect.unwrap(f) is mine.loss
        assert hash(f) is not None
        assert f != transformation(mine.loss)
    assert repr(grad(mine.loss)) == "<gradient of loss>"
    assert repr(vmap(grad(mine.loss))) == "<batch of loss>"


def test_a_copy_of_a_staged_function_records_for_itself(mine):
    staged = stage(mine.loss, mine.x)
    again = copy.deepcopy(staged)
    assert (len(staged.programs), len(again.programs)) == (1, 0)
    again(mine.x)
    again(mine.X[0])
    assert (len(staged.programs), len(again.programs)) == (1, 1)
    assert same_bits(again(mine.x), staged(mine.x))
