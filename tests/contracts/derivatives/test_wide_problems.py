"""The wide problems of gradient and hvp: what every run contains, whatever the seed; and two layers by hand."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad import contracts, exact
from refgrad.conformance.judging.referee import Referee
from refgrad.contracts.contract import Problem
from refgrad.contracts.derivatives.function_variants import DIFFERENCES
from refgrad.contracts.derivatives.functions import Form, TwoLayers
from refgrad.contracts.tools import EXACT_TABLE

a = exact.asarray
GRADIENT, HVP = contracts.get("gradient"), contracts.get("hvp")


@pytest.mark.parametrize("contract", [GRADIENT, HVP], ids=lambda c: c.name)
def test_every_function_every_scale_and_every_layout_is_in_two_problems_of_every_run(contract):
    for seed in range(20):
        problems = contract.wide.inputs(seed)
        for function in contract.wide.ranges["function"]:
            assert sum(i["function"] == function for i in problems) >= 2
        for layout in contract.wide.ranges["memory"]:
            assert sum(i["memory"] == layout for i in problems) >= 2
        sizes = [len(i["x"]) for i in problems]
        assert sizes.count(2) >= 2
        assert sizes.count(40) >= 2
        largest = [max(map(abs, i["x"])) for i in problems]
        assert sum(x == 0 for x in largest) >= 2
        assert sum(x > 2.0**45 for x in largest) >= 2
        assert sum(0 < x < 2.0**-45 for x in largest) >= 2


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("contract", [GRADIENT, HVP], ids=lambda c: c.name)
def test_the_largest_problem_of_every_run_tells_whether_a_matrix_is_taken_for_symmetric(contract, seed):
    problem = Problem("wide", contract.wide.inputs(seed)[1])
    unsymmetrised = next(v for v in contract.variants if v.name == "unsymmetrised")
    assert Referee(contract, seed=seed).differs(problem, unsymmetrised)


def test_two_layers_of_one_unit_have_the_derivatives_of_their_product():
    """``(2 W w - 3)^2 / 2`` at W = 1 and w = 2: residual 1, J = (4, 2), and the residual bends by 2 W w."""
    f = TwoLayers(EXACT_TABLE, "linear", a([[2, 0]]), a([3]), a([0, 1]))
    x = a([1, 2])
    assert f(x) == exact.asarray("1/2")
    assert np.all(f.grad(x) == a([4, 2]))
    assert np.all(f.hvp(x, a([1, 0])) == a([16, 8 + 2]))
    assert np.all(f.hvp(x, a([0, 1])) == a([8 + 2, 4]))
    assert np.all(f.gauss_newton(x, a([1, 0])) == a([16, 8]))


def test_differences_of_gradients_are_near_the_product_and_lose_what_a_gradient_does():
    """The form ``x^2 / 2 + 4 x^3 / 3`` has the Hessian ``1 + 8 x``, and central differences ``1 + 8 x`` as well."""
    f = Form(EXACT_TABLE, a([[1]]), a([0]), a([2]))
    x, v = a([1]), a([1])
    central, forward = (
        next(d for d in DIFFERENCES if d.name == f"{side}-difference-of-gradients-along-v")
        for side in ("central", "forward")
    )
    assert central.answer(f, x, v).value == f.hvp(x, v)
    assert forward.answer(f, x, v).value == f.hvp(x, v) + 4 * exact.asarray("1e-8")
    assert central.answer(f, x, v).magnitude[0] > 10**6
    assert forward.answer(f, x, v).magnitude[0] > 10**8
