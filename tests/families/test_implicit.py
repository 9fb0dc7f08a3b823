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
from refgrad.linalg import conjugate_gradient, factorise, norm, require_invertible, require_positive_definite

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
    with pytest.raises(InvalidInput, match=r"'dense' or 'cg', .* an object of refgrad.linalg .*; got 'newton'"):
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


def test_the_usual_problem_takes_one_factorisation_and_no_spectrum(monkeypatch):
    def refuse(*args, **options):
        raise AssertionError("not needed")

    for name in ("inv", "solve", "svd", "eigvals", "eigvalsh", "eigh"):
        monkeypatch.setattr(np.linalg, name, refuse)
    rng = np.random.default_rng(0)
    X, c = rng.normal(size=(40, 6)), rng.normal(size=6)
    for sign, definite in ((1.0, True), (1.0, False), (-1.0, False)):
        A = X.T @ X * sign
        w = np.ones(6)
        inner = lambda w, phi: w @ (A @ w) / 2 - w @ (A @ phi)
        result = hypergradient(inner, lambda w, phi: w @ c, w, w, definite=definite)
        assert np.abs(result.value - c).max() <= 1e-13
        assert 0 < result.residual <= 1e-14


def verdict(f):
    try:
        f()
    except (SingularMatrix, IndefiniteHessian) as error:
        return type(error)
    return None


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", ["definite", "symmetric", "any", "definite and badly scaled", "badly scaled"])
@pytest.mark.parametrize("seed", range(3))
def test_a_factorisation_refuses_just_what_the_checks_refuse(dtype, kind, seed):
    rng = np.random.default_rng(seed)
    n, eps, verdicts = 6, np.finfo(dtype).eps, set()
    for power in np.linspace(0, 1.4, 15):  # condition numbers up to beyond 1 / eps
        left, right = (np.linalg.qr(rng.normal(size=(n, n)))[0] for _ in range(2))
        spectrum = np.geomspace(1, eps**power, n)
        if kind == "symmetric":
            spectrum[1] *= -1
        a = left @ np.diag(spectrum) @ (right if "any" in kind or kind == "badly scaled" else left.T)
        if "badly" in kind:
            scale = 2.0 ** rng.integers(-40, 40, n) if dtype is np.float64 else 2.0 ** rng.integers(-9, 9, n)
            a = scale[:, None] * a * scale
        a = a.astype(dtype)
        for definite in (False, True) if kind not in ("any", "badly scaled") else (False,):

            def checks(a=a, definite=definite):
                require_invertible(a, "a")
                if definite:
                    require_positive_definite(a, "a")

            found = verdict(lambda a=a, definite=definite: factorise(a, "a", definite=definite))
            assert found is verdict(checks)
            verdicts.add(found)
            if found is None:
                b = rng.normal(size=n).astype(dtype)
                solution = factorise(a, "a", definite=definite)(b)
                truth = a.astype(np.longdouble) @ solution.value - b
                scale_of_truth = np.abs(a.astype(np.longdouble)) @ np.abs(solution.value) + np.abs(b)
                assert np.all(np.abs(truth) <= 8 * n * eps * scale_of_truth.max())
                assert solution.value.dtype == dtype
    assert {None, SingularMatrix} <= verdicts


@pytest.mark.parametrize("definite", [True, False])
def test_what_is_no_matrix_of_numbers_is_refused_as_singular(definite):
    for a in ([[np.nan, 0.0], [0.0, 1.0]], [[np.inf, 0.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 1.0]]):
        with np.errstate(all="ignore"), pytest.raises(SingularMatrix):
            factorise(np.array(a), "a", definite=definite)


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
