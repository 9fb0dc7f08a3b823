"""What a long program costs: a hundred thousand operations on one number, next to HIPS autograd where it is there."""

from __future__ import annotations

import gc
import time

import pytest
from bench.measure import summarise

from refgrad import grad

pytestmark = pytest.mark.bench


def chain(x):
    for _ in range(100_000):
        x = x * 1.0
    return x


def seconds(functions, rounds=3):
    """The best CPU time of each, in turns, with nothing left over from the one before."""
    best = dict.fromkeys(functions, float("inf"))
    for _ in range(rounds):
        for name, f in functions.items():
            gc.collect()
            start = time.process_time()
            assert f(2.0) == 1.0
            best[name] = min(best[name], time.process_time() - start)
    return best


def test_a_chain_of_a_hundred_thousand_operations():
    gradients = {"refgrad": grad(chain)}
    try:
        from autograd import grad as theirs
    except ImportError:
        pass
    else:
        gradients["HIPS autograd"] = theirs(chain)
    times = seconds(gradients)
    print("\ngradient of a chain of 100000 products: " + ", ".join(f"{n} {t:.2f} s" for n, t in times.items()))
    if "HIPS autograd" in times:
        ratio = times["refgrad"] / times["HIPS autograd"]
        summarise("chain of 100000 operations", ratio, "x HIPS autograd", "<= 1.5")
