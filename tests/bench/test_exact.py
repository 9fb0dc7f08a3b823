"""What exact arithmetic costs: the families and the quantities on rationals of either type, matrices, certified balls.

Run with ``nox -s bench``. Nothing here can fail for being slow.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from bench.measure import microseconds, table
from helpers.fraction_arrays import FRACTIONS, converted

import refgrad.numpy as rnp
from refgrad import backend, exact
from refgrad.contracts.implicit.bilevel import QuadraticBilevel
from refgrad.contracts.meta import maml as meta_quantities
from refgrad.contracts.multitask.min_norm import min_norm as min_norm_quantity
from refgrad.contracts.tools.losses import EXACT_TABLE, Quartic
from refgrad.implicit import hypergradient
from refgrad.meta import maml_gradient
from refgrad.multitask import min_norm

pytestmark = pytest.mark.bench

rng = np.random.default_rng(0)


def integers(bound, *shape):
    return exact.asarray(rng.integers(-bound, bound + 1, shape).astype(object))


def bilevel(n):
    """A problem whose Hessian is full, with integers of one digit, and a point where it is solved."""
    A = integers(2, n, n)
    square = lambda B: B + B.mT
    parts = [
        A.mT @ A + np.eye(n, like=A), integers(3, n, n), integers(3, n), square(integers(2, n, n)),
        integers(3, n), integers(2, n, n), square(integers(2, n, n)), integers(3, n),
    ]  # fmt: skip
    phi = integers(2, n)
    return parts, QuadraticBilevel(*parts).solution(phi), phi


def both(function, *arguments):
    """`function` on python-flint's rationals and on the standard library's."""
    theirs = converted(list(arguments), lambda x: FRACTIONS.asarray(exact.to_fractions(x)))
    return lambda: function(*arguments), lambda: function(*theirs)


def test_one_algorithm_of_each_family_and_its_quantity_on_rationals():
    parts, w, phi = bilevel(8)

    def by_family(parts, w, phi):
        problem = QuadraticBilevel(*parts)
        return hypergradient(problem.inner, problem.outer, w, phi).value

    def by_quantity(parts, phi):
        return QuadraticBilevel(*parts).hypergradient(phi).value

    batch = lambda: (integers(2, 4, 6), integers(2, 4))
    tasks, theta, lr = [(batch(), batch())], integers(1, 6), exact.asarray("1/64")
    maml = lambda theta, tasks, lr: maml_gradient(Quartic(rnp), theta, tasks, lr, 3)
    maml_by_hand = lambda theta, tasks, lr: meta_quantities.maml_gradient(Quartic(EXACT_TABLE), theta, tasks, lr, 3)
    J = integers(3, 6, 8)
    A, b = integers(9, 16, 16), integers(9, 16, 1)
    solve = lambda A, b: backend.of(A).solve(A, b)
    product = lambda A: A @ A
    runs = {
        "hypergradient, 8 x 8 (asked: 5 ms)": both(by_family, parts, w, phi),
        "  by the quantity": both(by_quantity, parts, phi),
        "MAML, 3 steps, 6 parameters (asked: 20 ms)": both(maml, theta, tasks, lr),
        "  by its quantity": both(maml_by_hand, theta, tasks, lr),
        "min-norm, 6 tasks x 8 (asked: 20 ms)": both(min_norm, J),
        "  by the quantity, checked by multiplying back": both(min_norm_quantity, J),
        "solve, 16 x 16 (asked: 1 ms)": both(solve, A, b),
        "product, 16 x 16": both(product, A / 7),
    }
    print("\nrationals                                          python-flint      fractions")
    for name, (flint, fractions) in runs.items():
        times = microseconds({"flint": flint, "fractions": fractions}, rounds=3, inner=1)
        print(f"  {name:<46}{times['flint']:>12.0f} us{times['fractions']:>12.0f} us")


def test_what_a_certificate_costs():
    eighths = lambda *shape: rng.integers(-8, 9, shape) / 8
    theta = (eighths(4, 6), eighths(6), eighths(6, 3), eighths(3))
    task = ((eighths(8, 4), eighths(8, 3)), (eighths(8, 4), eighths(8, 3)))

    def loss(parameters, batch):
        (W, b, V, c), (X, Y) = parameters, batch
        r = rnp.tanh(X @ W + b) @ V + c - Y
        return rnp.sum(r * r) / (2 * Y.shape[0])

    def method(rate):
        return lambda theta, task: maml_gradient(loss, theta, [task], rate, 5)

    times = microseconds(
        {
            "float64": lambda: method(0.125)(theta, task),
            "certified to 73 bits": lambda: exact.evaluate(method(Fraction(1, 8)), theta, task),
        },
        rounds=5,
        inner=2,
    )
    table("MAML, 5 steps through a tanh network 4-6-3", times, {"certified to 73 bits": "float64"})
