"""Random draws in a function that is batched, run again or frozen are errors, wherever the generator lies."""

from __future__ import annotations

import functools
import random
import subprocess
import sys
import threading

import numpy as np
import pytest

import refgrad.numpy as rnp
from refgrad import checkpoint, debug, grad, hessian, jacfwd, jacrev, per_example_grad, stage, vmap
from refgrad.errors import HiddenState

W, ROWS = np.ones(32), np.ones((3, 32))
RNG = np.random.default_rng(0)
LEGACY = np.random.RandomState(0)
PYTHONS = random.Random(0)
BITS = np.random.PCG64(3)


def keep_half(numbers):
    return np.asarray(numbers) < 0.5


def of_a_global_generator(x):
    return x * keep_half(RNG.random(32))


class Dropout:
    def __init__(self):
        self.rng = np.random.default_rng(1)

    def __call__(self, x):
        return x * keep_half(self.rng.random(32))

    def method(self, x):
        return x * keep_half(self.rng.random(32))


def in_a_closure():
    rng = np.random.Generator(np.random.MT19937(0))
    return lambda x: x * keep_half(rng.random(32))


def inside_a_function_it_calls(x):
    return rnp.exp(of_a_global_generator(x))


LAYERS = {
    "NumPy's global generator": lambda x: x * keep_half(np.random.random(32)),
    "one normal number": lambda x: x * (np.random.randn(2)[0] + np.random.randn()),
    "a seed set anew": lambda x: x * (np.random.seed(random.randrange(100)) or 1.0),
    "Python's global generator": lambda x: x * random.random(),
    "a global": of_a_global_generator,
    "a legacy global": lambda x: x * keep_half(LEGACY.random_sample(32)),
    "a global of Python": lambda x: x * PYTHONS.gauss(0.0, 1.0),
    "a closure": in_a_closure(),
    "an object that is called": Dropout(),
    "a method": Dropout().method,
    "a partial": functools.partial(lambda rng, x: x * keep_half(rng.random(32)), np.random.default_rng(2)),
    "a function that is called": inside_a_function_it_calls,
    "a bit generator": lambda x: x * keep_half(np.random.Generator(BITS).random(32)),
    "a default": lambda x, rng=RNG: x * keep_half(rng.random(32)),
    "a function within": lambda x: (lambda y: y * keep_half(RNG.random(32)))(x),
}
RUNS = {
    "vmap": lambda layer: vmap(layer)(ROWS),
    "per_example_grad": lambda layer: per_example_grad(lambda w, x: rnp.sum(w * layer(x)))(W, ROWS),
    "checkpoint": lambda layer: grad(lambda w: rnp.sum(checkpoint(layer)(w) ** 2))(W),
    "stage": lambda layer: stage(layer)(W),
}


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("layer", LAYERS)
def test_a_draw_is_an_error_that_names_the_generator_and_the_way_out(layer, run):
    with pytest.raises(HiddenState, match=rf"{run}\(.*draws random numbers from .*Draw them"):
        RUNS[run](LAYERS[layer])


def test_the_very_first_draw_of_a_process_is_seen():
    program = """
import numpy as np
from refgrad import vmap
from refgrad.errors import HiddenState
try:
    vmap(lambda x: x * np.random.random(2))(np.ones((3, 2)))
except HiddenState:
    print("seen")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "seen\n"


@pytest.mark.parametrize("run", RUNS)
def test_generators_that_do_not_move_are_no_error(run):
    def layer(x):
        return x * keep_half(np.random.default_rng(0).random(32)) * (RNG is not None) * (random.__name__ == "random")

    RUNS[run](layer)
    np.random.random(3)
    RUNS[run](layer)


def test_a_generator_among_the_arguments_is_seen():
    with pytest.raises(HiddenState, match="argument 1"):
        vmap(lambda x, rng=None: x * keep_half(rng.random(32)))(ROWS, rng=np.random.default_rng(0))


def test_the_way_out_works():
    masks = keep_half(np.random.default_rng(0).random((3, 32)))
    found = per_example_grad(lambda w, x, mask: rnp.sum(w * x * mask))(W, ROWS, masks)
    assert (found == masks).all()


def test_derivatives_that_call_a_function_once_may_draw():
    np.random.seed(0)
    masks = [np.random.random(4) < 0.5 for _ in range(4)]
    np.random.seed(0)
    draw = lambda: np.random.random(4) < 0.5
    x = np.arange(1.0, 5.0)
    assert (grad(lambda x: np.sum(x * draw()))(x) == masks[0]).all()
    assert (jacfwd(lambda x: x * draw())(x) == np.diag(masks[1])).all()
    assert (jacrev(lambda x: x * draw())(x) == np.diag(masks[2])).all()
    assert (hessian(lambda x: np.sum(x * x * draw()))(x) == 2 * np.diag(masks[3])).all()


def test_a_checkpoint_that_is_not_differentiated_runs_once_and_may_draw():
    np.random.seed(0)
    first = np.random.random(3)
    np.random.seed(0)
    assert (checkpoint(lambda x: x * np.random.random(3))(np.ones(3)) == first).all()


def test_a_checkpoint_whose_captured_array_changed_or_that_counts_is_found_at_its_second_run():
    a = np.array([2.0, 3.0])
    layer = checkpoint(lambda x: x * a * a)

    def f(x):
        y = layer(x)
        a[0] += 1.0
        return rnp.sum(y)

    with pytest.raises(HiddenState, match="run again"):
        grad(f)(np.ones(2))
    calls = []

    @checkpoint
    def counts(x):
        calls.append(1)
        return x * len(calls)

    with pytest.raises(HiddenState, match="counter"):
        grad(lambda x: rnp.sum(counts(x)))(np.ones(2))


@pytest.mark.parametrize("run", RUNS)
def test_a_counter_is_seen_inside_debug_and_not_outside(run):
    calls = []

    def layer(x):
        calls.append(1)
        return x * len(calls)

    with debug(), pytest.raises(HiddenState, match=r"counter|arguments"):
        RUNS[run](layer)
    if run != "checkpoint":  # which compares by itself
        RUNS[run](layer)


@pytest.mark.parametrize("run", RUNS)
def test_a_pure_function_passes_inside_debug(run):
    with debug():
        RUNS[run](lambda x: rnp.where(x > 0, x * np.nan, x) if run == "stage" else x * 2)


def test_a_draw_of_another_thread_is_taken_for_one_of_the_function():
    # states are global: this is the price of seeing them, and it is documented
    def layer(x):
        thread = threading.Thread(target=lambda: np.random.random())
        thread.start()
        thread.join()
        return x

    with pytest.raises(HiddenState):
        vmap(layer)(ROWS)
