"""Hypergradients equal the hand-derived ones, with ==; what is no solution is an error and not a number."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import refgrad.numpy as rnp
from refgrad import exact
from refgrad.contracts.implicit.bilevel import QuadraticBilevel, probe
from refgrad.errors import IndefiniteHessian, InvalidInput, NotConverged, SingularMatrix
from refgrad.implicit import hypergradient
from refgrad.linalg import conjugate_gradient, norm

BOTH = pytest.mark.parametrize("solver", ["dense", "cg"])


@pytest.mark.proves("hypergradient")
@BOTH
def test_the_probe_problem_has_its_hypergradient(solver):
    problem, w, phi = probe()
    result = hypergradient(problem.inner, problem.outer, w, phi, solver=solver)
    assert (result.value == problem.hypergradient(phi).value).all()
    assert (result.value == exact.asarray(["-4/5", "-4/5", "-6/5"])).all()
    assert (result.direct == exact.asarray([3, -2, 3])).all()
    assert (result.adjoint == exact.asarray([0, "-8/5", "1/5"])).all()
    assert result.residual == result.inner_gradient == 0.0
    assert result.stopped == "exact"
    assert result.steps == (0 if solver == "dense" else 3)


@pytest.mark.proves("hypergradient")
@BOTH
@pytest.mark.parametrize("seed", range(8))
def test_random_rational_problems_agree_with_the_quantity(solver, seed):
    rng = np.random.default_rng(seed)
    n, m = 4, 2
    integers = lambda *shape: exact.asarray(rng.integers(-3, 4, shape).astype(object))
    A = integers(n, n)
    H = A.mT @ A + exact.asarray(np.eye(n, dtype=int).astype(object))
    P, Q = integers(m, m), integers(n, n)
    problem = QuadraticBilevel(
        H, integers(n, m), integers(n), Q + Q.mT, integers(n), integers(n, m), P + P.mT, integers(m)
    )
    phi = integers(m)
    w = problem.solution(phi)
    result = hypergradient(problem.inner, problem.outer, w, phi, solver=solver)
    assert (result.value == problem.hypergradient(phi).value).all()


@BOTH
def test_a_ridge_parameter_in_one_dimension_has_the_closed_form(solver):
    # inner = (3 w - 5)^2 / 6 + lam w^2 / 2 with w* = 5 / (3 + lam); (w* - 2) (-5 / (3 + lam)^2) = 1/5 at lam = 2
    inner = lambda w, lam: rnp.sum((3 * w - 5) ** 2) / 6 + lam[0] * rnp.sum(w * w) / 2
    outer = lambda w, lam: rnp.sum((w - 2) ** 2) / 2
    result = hypergradient(inner, outer, exact.asarray([1]), exact.asarray([2]), solver=solver)
    assert (result.value == exact.asarray(["1/5"])).all()


@BOTH
def test_floats_and_containers_agree_with_rationals_within_rounding(solver):
    problem, w, phi = probe()
    plain = QuadraticBilevel(**{k: getattr(problem, k).astype(float) for k in "HCcQtRPq"})
    inner = lambda w, p: plain.inner(rnp.concatenate([w["a"], w["b"]]), p["phi"])
    outer = lambda w, p: plain.outer(rnp.concatenate([w["a"], w["b"]]), p["phi"])
    at = {"a": w.astype(float)[:1], "b": w.astype(float)[1:]}
    result = hypergradient(inner, outer, at, {"phi": phi.astype(float)}, solver=solver)
    assert np.abs(result.value["phi"] - [-0.8, -0.8, -1.2]).max() <= 1e-13
    assert result.residual <= 1e-14


def test_a_saddle_needs_to_be_asked_for_and_then_has_its_value():
    inner = lambda w, phi: (w[0] ** 2 - w[1] ** 2) / 2 - w @ phi
    outer = lambda w, phi: w @ w / 2
    phi = exact.asarray([3, -3])
    w = exact.asarray([3, 3])
    for solver in ("dense", "cg"):
        with pytest.raises(IndefiniteHessian):
            hypergradient(inner, outer, w, phi, solver=solver)
    found = hypergradient(inner, outer, w, phi, definite=False)
    assert (found.value == exact.asarray([3, -3])).all()
    with pytest.raises(InvalidInput, match="dense"):
        hypergradient(inner, outer, w, phi, definite=False, solver="cg")


@pytest.mark.parametrize("convert", [exact.asarray, lambda x: np.array(x, float)], ids=["rational", "float"])
def test_a_singular_hessian_is_an_error(convert):
    inner = lambda w, phi: rnp.sum(w - phi) ** 2 / 2
    outer = lambda w, phi: w[0]
    with pytest.raises((SingularMatrix, IndefiniteHessian)):
        hypergradient(inner, outer, convert([1, 1]), convert([1, 1]))
    with pytest.raises((SingularMatrix, IndefiniteHessian)):
        hypergradient(inner, outer, convert([1, 1]), convert([1, 1]), definite=False)


@pytest.mark.parametrize("definite", [True, False])
@pytest.mark.parametrize("seed", range(20))
def test_a_hessian_that_is_singular_up_to_rounding_is_an_error(seed, definite):
    # consistent, so elimination leaves no residual, and what it returns is arbitrary
    rng = np.random.default_rng(seed)
    A, b, c, p = rng.normal(size=(2, 3)), rng.normal(size=2), rng.normal(size=3), rng.normal(size=2)
    inner = lambda w, q: rnp.sum((A @ w - q[:2]) ** 2) / 2 + q[2] * (w @ c)
    outer = lambda w, q: (A @ w) @ b
    with pytest.raises((SingularMatrix, IndefiniteHessian)):
        hypergradient(inner, outer, np.linalg.pinv(A) @ p, np.append(p, 0.0), definite=definite)


def test_parameters_of_very_different_size_are_no_reason_to_refuse():
    scale = np.array([1e-10, 1.0, 1e10])
    inner = lambda w, phi: rnp.sum(scale * w * w) / 2 - phi @ w
    phi = scale.copy()
    result = hypergradient(inner, lambda w, phi: rnp.sum(w), np.ones(3), phi)
    assert np.abs(result.value * scale - 1).max() <= 1e-12


@BOTH
@pytest.mark.parametrize("size", [1e-170, 1e170])
def test_an_outer_loss_of_any_scale_has_its_hypergradient(solver, size):
    inner = lambda w, phi: rnp.sum((w - phi) ** 2) / 2
    w = np.array([1.0, 2.0])
    result = hypergradient(inner, lambda w, phi: size * rnp.sum(w * w) / 2, w, w, solver=solver)
    assert np.abs(result.value / size - w).max() <= 1e-14


def test_a_tolerance_asked_for_is_kept_or_an_error_and_float32_needs_none():
    a = np.array([[1 / (i + j + 1) for j in range(4)] for i in range(4)], np.float32)  # Hilbert's matrix
    inner = lambda w, phi: w @ (a @ w) / 2 - w @ phi
    outer = lambda w, phi: w[0] - w[1] + w[2]
    w = np.array([1.0, -2.0, 1.0, 3.0], np.float32)
    result = hypergradient(inner, outer, w, a @ w)
    assert 0 < result.residual < 1e-2
    assert result.value.dtype == np.float32
    with pytest.raises(NotConverged, match=r"1e-10 was asked for.*float64"):
        hypergradient(inner, outer, w, a @ w, rtol=1e-10)


def test_options_and_points_are_checked():
    inner = lambda w, phi: rnp.sum((w - phi) ** 2) / 2
    with pytest.raises(InvalidInput, match="'dense' or 'cg', got 'newton'"):
        hypergradient(inner, inner, np.ones(1), np.ones(1), solver="newton")
    with pytest.raises(InvalidInput, match="solver='dense' at a saddle"):
        hypergradient(inner, inner, np.ones(1), np.ones(1), solver="cg", definite=False)
    with pytest.raises(InvalidInput, match="finite"):
        hypergradient(inner, inner, np.array([np.nan]), np.ones(1))


@BOTH
def test_an_inner_problem_that_is_not_solved_is_an_error_with_its_distance(solver):
    problem, w, phi = probe()
    with pytest.raises(NotConverged, match=r"Newton step would move w by 1.73"):
        hypergradient(problem.inner, problem.outer, w + 1, phi, solver=solver)
    rough = hypergradient(problem.inner, problem.outer, w + 1, phi, solver=solver, inner_rtol=2.0)
    assert abs(rough.inner_distance - 3**0.5) < 1e-12


def test_conjugate_gradients_report_what_they_did():
    a = np.diag([1.0, 3.0, 7.0])
    solution = conjugate_gradient(lambda v: a @ v, np.ones(3))
    assert (solution.steps, solution.stopped) == (3, "tolerance")
    assert np.abs(solution.value - [1.0, 1 / 3, 1 / 7]).max() <= 1e-15
    assert norm(exact.asarray(["1/3", 0])) == 1 / 3
    assert norm(exact.asarray([3 * 10**200, 4 * 10**200])) == 5e200
    assert norm(exact.asarray([Fraction(1, 10**400)])) > 0.0
    assert conjugate_gradient(lambda v: a @ v, np.zeros(3)).stopped == "zero right-hand side"
    with pytest.raises(NotConverged, match="after 1 steps"):
        conjugate_gradient(lambda v: a @ v, np.ones(3), max_steps=1)
    with pytest.raises(InvalidInput, match="max_steps"):
        conjugate_gradient(lambda v: a @ v, np.ones(3), max_steps=0)
    with pytest.raises(InvalidInput, match="solver"):
        hypergradient(lambda w, p: w @ w, lambda w, p: w @ w, np.ones(1), np.ones(1), solver="lu")
