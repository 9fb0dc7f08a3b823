"""Problems of the contracts: stationary exactly, every end of every range, and formulas on floats."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from helpers.drawing import Doubles, Rationals, draws

from refgrad import contracts, exact
from refgrad.contracts.wide import COUNT

NAMES = ("hypergradient", "neumann_hypergradient", "unrolled_hypergradient")
KINDS = ("crisp", "rough", "ill_conditioned", "degenerate")
every = pytest.mark.parametrize("name", NAMES)


def words(wide, inputs):
    """For each property with ends, what a problem has."""
    found = wide.measure(inputs)
    return {name: found[name] for name in wide.ranges if name in found}


@every
@pytest.mark.parametrize("seed", range(20))
def test_every_end_of_every_range_is_in_two_problems_of_every_run(name, seed):
    wide = contracts.get(name).wide
    counts = Counter(item for inputs in wide.inputs(seed) for item in words(wide, inputs).items())
    for label, values in wide.ranges.items():
        ends = [values[0], values[-1]] if isinstance(values, range) else values
        assert all(counts[label, end] >= 2 for end in ends), (label, counts)


@every
def test_the_largest_problem_has_forty_weights_and_hyperparameters_and_a_saddle_of_the_largest_condition(name):
    wide = contracts.get(name).wide
    smallest, largest, *rest = wide.inputs(0)
    assert len(rest) == COUNT - 2
    found = wide.measure(largest)
    assert found["weights"] == found["hyperparameters"] == 40
    assert found["condition"] == 2**14
    assert (found["hessian"], found["loss"], found["direct"]) == ("indefinite", "two layers", "present")
    assert wide.measure(smallest)["weights"] == wide.measure(smallest)["hyperparameters"] == 1


@pytest.mark.parametrize("rounding", [float, lambda x: float(np.float32(x))], ids=["float64", "float32"])
def test_the_inner_loss_is_stationary_exactly_at_the_w_of_every_problem_in_either_precision(rounding):
    contract = contracts.get("hypergradient")
    posed = [p.inputs for kind in KINDS for p in draws(contract.problems[kind](), 10)]
    for inputs in [*posed, contract.wide.inputs(0)[4]]:
        rounded = {name: np.vectorize(rounding)(values).tolist() for name, values in inputs.items()}
        inner, _, w, phi = contract.arguments(rounded, Rationals)
        assert np.all(inner.grad(w, phi) == 0)
        assert np.any(inner.grad(w + 1, phi) != 0)
        assert np.all(inner.A == inner.A.T)


@every
@pytest.mark.parametrize("kind", [*KINDS, "wide"])
def test_the_formula_on_floats_agrees_with_the_exact_one_to_the_size_of_its_terms(name, kind):
    contract = contracts.get(name)
    if kind == "wide":
        posed = contract.wide.inputs(1)[2:6]
    else:
        posed = [p.inputs for p in draws(contract.problems[kind](), 8)]
    for inputs in posed:
        truth = exact.evaluate(contract.quantity, *contract.arguments(inputs, Rationals))
        found = contract.quantity.plain(*contract.arguments(inputs, Doubles))
        inner, w, phi = (contract.arguments(inputs, Doubles)[i] for i in (0, 2, 3))
        condition = np.linalg.cond(inner.hessian(w, phi))
        error = abs(exact.asarray(found) - exact.asarray(truth.value.value.astype(float))).astype(float)
        assert np.all(error <= 2.0**-46 * condition * truth.value.magnitude.astype(float).max())


def test_rough_numbers_fill_the_mantissas_of_float64():
    for p in draws(contracts.get("unrolled_hypergradient").problems["rough"](), 10):
        for name in ("w", "w0", "phi", "t", "q"):
            assert any(float(np.float32(x)) != x for x in p.inputs[name])
