"""The problems on derivatives reach the inputs at which rules go wrong, and are what they promise to be."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.drawing import draws
from helpers.problems import determinant, floats, positive_definite

from refgrad.contracts.derivatives.problems import FUNCTIONS, smooth_functions
from refgrad.contracts.operators import OPERATORS
from refgrad.contracts.operators.problems import operator_inputs

KINDS = ("crisp", "rough", "ill_conditioned", "degenerate")


def drawn(name, kind="crisp", count=80):
    return draws(operator_inputs(name, 2, kind), count)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OPERATORS)
def test_every_float_is_exact_in_float32_unless_it_is_rough_and_every_direction_has_the_shape_of_its_input(name, kind):
    operator = OPERATORS[name]
    alone = len(operator.inputs) == 1
    for inputs in drawn(name, kind, 10):
        assert kind == "rough" or all(float(np.float32(x)) == x for x in floats(inputs))
        for part in operator.inputs:
            for letter in "uv":
                assert np.shape(inputs[letter if alone else f"{letter}_{part}"]) == np.shape(inputs[part])
        assert all(isinstance(e, int) for k in operator.fixed for e in inputs[k])


def test_a_problem_of_the_first_order_has_one_direction():
    (inputs,) = draws(operator_inputs("solve", 1), 1)
    assert set(inputs) == {"a", "b", "u_a", "u_b"}


def test_determinants_are_asked_for_at_every_rank():
    matrices = [inputs["x"] for inputs in drawn("det", count=200)]
    ranks = {(len(x), int(np.linalg.matrix_rank(x))) for x in matrices}
    assert {(1, 0), (1, 1), (2, 0), (2, 1), (2, 2), (3, 1), (3, 2), (3, 3)} <= ranks
    degenerate = [inputs["x"] for inputs in drawn("det", "degenerate", 40)]
    assert any(np.array_equal(x, np.eye(3)) for x in degenerate)  # all singular values equal
    assert any(np.array_equal(x, np.zeros((3, 3))) for x in degenerate)


@pytest.mark.parametrize("name", ["prod", "cumprod"])
def test_products_have_no_zero_one_or_two(name):
    counts = {sum(x == 0 for x in inputs["x"]) for inputs in drawn(name)}
    assert {0, 1, 2} <= counts
    assert all(0.0 not in inputs["x"] for inputs in drawn(name, "ill_conditioned"))


def test_triangular_systems_come_with_a_stack_of_factors_of_the_shape_of_their_right_hand_side():
    shapes = {(np.shape(i["b"]), np.shape(i["l"])) for i in drawn("cholesky_solve")}
    assert ((2, 2), (2, 2, 2)) in shapes
    assert any(len(l) == 2 for _, l in shapes)


def test_prefixes_of_logits_are_far_below_the_maximum():
    gaps = [max(i["x"]) - i["x"][0] for i in drawn("logcumsumexp", "ill_conditioned")]
    assert max(gaps) > 90  # beyond what float32 holds of an exponential


def test_arguments_of_tanh_are_tiny_and_exponents_negative():
    assert any(0 < max(map(abs, i["x"])) < 2.0**-90 for i in drawn("tanh", "degenerate"))
    assert any(e < 0 for i in drawn("ldexp") for e in i["e"])


@pytest.mark.parametrize("kind", KINDS)
def test_matrices_have_the_structure_that_their_operator_asks_for(kind):
    for inputs in drawn("inv", kind, 30):
        assert determinant(inputs["x"]) != 0
    for name in ("cholesky", "logdet"):
        for inputs in drawn(name, kind, 10):
            assert positive_definite(inputs["x"])
            assert all(np.array_equal(inputs[k], np.transpose(inputs[k])) for k in "uv")
    for inputs in drawn("cholesky_inverse", kind, 20):
        assert all(np.array_equal(inputs[k], np.tril(inputs[k])) for k in "xuv")
        assert np.all(np.diag(inputs["x"]) > 0)
    for inputs in drawn("cholesky_solve", kind, 20):
        assert all(np.array_equal(inputs[k], np.tril(inputs[k])) for k in ("l", "u_l", "v_l"))
    for name in ("log", "sqrt"):
        assert all(min(inputs["x"]) > 0 for inputs in drawn(name, kind, 20))
    assert all(any(inputs["x"]) for inputs in drawn("norm", kind, 20))


@pytest.mark.parametrize("kind", KINDS)
def test_functions_are_of_every_family_and_exact_in_float32_unless_rough(kind):
    found = draws(smooth_functions(kind), 200)
    assert {inputs["function"] for inputs in found} == set(FUNCTIONS)
    assert kind == "rough" or all(float(np.float32(x)) == x for inputs in found for x in floats(inputs))
    assert any(len(inputs["x"]) == 3 for inputs in found)
    if kind == "degenerate":
        assert any(not any(inputs["x"]) for inputs in found)
        assert any(not any(inputs["v"]) for inputs in found)
