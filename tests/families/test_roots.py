"""Roots and solutions as functions: the derivatives of what they are equal to, in every mode; no root is an error."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.compositions import along_forward, compositions

import refgrad.numpy as rnp
from refgrad import exact, grad, hessian, hvp, jvp, linearize, vjp, vmap
from refgrad.contracts.implicit.bilevel import probe
from refgrad.contracts.implicit.manufactured import Manufactured, QuadraticMap
from refgrad.contracts.implicit.ridge import Ridge
from refgrad.contracts.tools import Quartic
from refgrad.errors import IndefiniteHessian, InvalidInput, NoDerivative, NotConverged, ShapeError, SingularMatrix
from refgrad.implicit import custom_root, hypergradient
from refgrad.linalg import implicit_solve


def same_in_all_modes(f, g, x, v):
    assert f(x) == g(x)
    for (modes, left), (_, right) in zip(compositions(f, (x,), (v,)), compositions(g, (x,), (v,)), strict=True):
        assert left == right, modes


def integers(seed, *shape):
    return exact.asarray(np.random.default_rng(seed).integers(-3, 4, shape).astype(object))


def diagonal(n):
    return exact.asarray(np.eye(n, dtype=int).astype(object))


def unpacked(theta):
    return theta[:9].reshape(3, 3) + 9 * diagonal(3), theta[9:]


@pytest.mark.proves("implicit-solve")
def test_a_solution_by_operator_is_the_solution_by_matrix_in_all_compositions_of_modes():
    theta, v, w = integers(0, 12), integers(1, 12), integers(2, 3)
    by_matrix = lambda t: w @ rnp.linalg.solve(*unpacked(t))
    by_operator = lambda t: w @ implicit_solve(lambda x, a: a @ x, unpacked(t)[1], unpacked(t)[0])
    same_in_all_modes(by_operator, by_matrix, theta, v)


@pytest.mark.proves("implicit-solve")
@pytest.mark.parametrize("solver", ["dense", "cg"])
def test_containers_and_conjugate_gradients_have_the_same_derivatives(solver):
    M = integers(3, 3, 3)
    S = M.T @ M + diagonal(3)

    def operator(v, lam):
        image = S @ rnp.concatenate([v["a"], v["b"]]) + lam * rnp.concatenate([v["a"], v["b"]])
        return {"a": image[:1], "b": image[1:]}

    def by_operator(lam):
        x = implicit_solve(operator, {"a": lam * exact.asarray([1]), "b": exact.asarray([2, 3])}, lam, solver=solver)
        return x["a"][0] * x["b"][1] + x["b"][0]

    def by_matrix(lam):
        x = rnp.linalg.solve(S + lam * diagonal(3), rnp.concatenate([lam * exact.asarray([1]), exact.asarray([2, 3])]))
        return x[0] * x[2] + x[1]

    same_in_all_modes(by_operator, by_matrix, exact.asarray(2), exact.asarray(1))


@pytest.mark.proves("implicit-solve")
def test_a_solution_is_batched_and_linearised():
    A = np.stack([integers(i, 3, 3) + 9 * diagonal(3) for i in range(3)])
    b = integers(7, 3)
    f = lambda a, b: rnp.sum(implicit_solve(lambda x, a: a @ x, b, a) ** 2)
    g = lambda a, b: rnp.sum(rnp.linalg.solve(a, b) ** 2)
    for derivative in (
        lambda f: vmap(f, (0, None))(A, b),
        lambda f: vmap(grad(f, 1), (0, None))(A, b),
        lambda f: grad(lambda b: rnp.sum(vmap(f, (0, None))(A, b)))(b),
        lambda f: vmap(lambda a: hvp(lambda b: f(a, b), b, b))(A),
        lambda f: linearize(grad(f), A[0], b)[1](A[1], b),
        lambda f: hessian(f, 1)(A[0], b),
    ):
        assert (derivative(f) == derivative(g)).all()


@pytest.mark.proves("custom-root")
def test_a_manufactured_root_has_the_derivatives_of_the_formula_it_was_made_from():
    # F(x, t) = G(x) - G(psi(t)) has the root psi(t), whatever G is; its derivative is not symmetric
    B = integers(4, 3, 3) + 9 * diagonal(3)
    psi = lambda t: {"x": t[:2] ** 2 * t[2] + t[1], "y": t[0] * t[1] * t[2]}

    def G(x):
        z = B @ rnp.concatenate([x["x"], x["y"].reshape(1)])
        image = z + z**3 / 7 + z * z[::-1]
        return {"x": image[1:], "y": image[0]}

    def equation(x, t):
        left, right = G(x), G(psi(t))
        return {name: left[name] - right[name] for name in left}

    root = custom_root(equation, psi)
    loss = lambda x: x["x"] @ x["x"] * x["y"] + x["x"][0]
    t, v = exact.asarray([1, "1/2", -2]), exact.asarray([1, -2, 3])
    same_in_all_modes(lambda t: loss(root(t)), lambda t: loss(psi(t)), t, v)
    T = np.stack([t, t + 1])
    for derivative in (
        lambda f: vmap(grad(f))(T),
        lambda f: grad(lambda t: rnp.sum(vmap(lambda s: f(t * s))(exact.asarray([1, 2]))))(t),
        lambda f: hessian(f)(t),
    ):
        assert (derivative(lambda t: loss(root(t))) == derivative(lambda t: loss(psi(t)))).all()


@pytest.mark.proves("custom-root")
def test_a_hypergradient_is_the_gradient_through_the_root_of_the_slope():
    problem, w, phi = probe()
    root = custom_root(lambda w, p: grad(problem.inner)(w, p), lambda p: problem.solution(p))
    found = grad(lambda p: problem.outer(root(p), p))(phi)
    assert (found == problem.hypergradient(phi).value).all()
    assert (found == hypergradient(problem.inner, problem.outer, w, phi).value).all()
    by_cg = custom_root(lambda w, p: grad(problem.inner)(w, p), lambda p: problem.solution(p), linear_solver="cg")
    assert (grad(lambda p: problem.outer(by_cg(p), p))(phi) == found).all()


def quantity_problems():
    a = lambda seed, *shape: integers(seed, *shape)
    X, Q, P = a(20, 4, 2), a(21, 2, 2), a(22, 3, 3)
    ridge = Ridge(X, a(23, 4), a(24, 3, 2), a(25, 3), exact.asarray([[1, 0], [1, 1]]))
    psi = QuadraticMap(a(26, 2), a(27, 2, 3), a(28, 2, 3, 3))
    outer = {"Q": Q + Q.T, "t": a(29, 2), "R": a(30, 2, 3), "P": P + P.T, "q": a(31, 3)}
    made = Manufactured(Quartic(rnp), (a(32, 2, 2), a(33, 2)), psi, exact.asarray("1/2"), **outer)
    return {"ridge": (ridge, exact.asarray([1, 2])), "manufactured": (made, exact.asarray([1, "1/2", -1]))}


@pytest.mark.proves("custom-root")
@pytest.mark.parametrize("name", ["ridge", "manufactured"])
def test_gradients_through_roots_are_the_hypergradients_of_the_contracts(name):
    problem, phi = quantity_problems()[name]
    root = custom_root(lambda w, p: grad(problem.inner)(w, p), problem.solution)
    found = grad(lambda p: problem.outer(root(p), p))(phi)
    assert (found == problem.hypergradient(phi).value).all()
    at = problem.solution(phi)
    assert (found == hypergradient(problem.inner, problem.outer, at, phi, definite=False).value).all()


@pytest.mark.proves("custom-root")
def test_the_second_hypergradient_of_a_problem_that_is_not_quadratic_is_right():
    # inner = a e^w - (b + p) w has e^{w*} = (b + p) / a; outer e^{2w} is (b + p)^2 / a^2, its second derivative 2 / a^2
    a, b = 4.0, 1.5
    root = custom_root(lambda w, p: a * rnp.exp(w) - (b + p), lambda p: np.log((b + p) / a))
    outer = lambda p: rnp.exp(2 * root(p))
    p = np.array(1.0)
    assert abs(outer(p) - 0.390625) <= 2.0**-50
    assert abs(grad(outer)(p) - 0.3125) <= 2.0**-50
    for second in (
        grad(grad(outer))(p),
        hvp(outer, p, 1.0),
        along_forward(along_forward(outer, (np.array(1.0),)), (1.0,))(p),
    ):
        assert abs(second - 0.125) <= 2.0**-49


def test_a_solver_of_any_kind_may_be_given():
    A, b = np.array([[4.0, 1.0], [2.0, 3.0]]), np.array([1.0, 2.0])
    calls = []

    def jacobi(operator, b):
        calls.append(1)
        x = 0 * b
        for _ in range(200):
            x = x + (b - operator(x)) / 5
        return x

    f = lambda a, b: implicit_solve(lambda x, a: a @ x, b, a, solver=jacobi)
    x, pullback = vjp(f, A, b)
    assert np.abs(x - np.linalg.solve(A, b)).max() <= 1e-14
    abar, bbar = pullback(np.array([1.0, 0.0]))
    expected = np.linalg.solve(A.T, [1.0, 0.0])
    assert np.abs(bbar - expected).max() <= 1e-14
    assert np.abs(abar + np.outer(expected, x)).max() <= 1e-14
    assert len(calls) == 2


def test_what_is_no_root_or_no_solution_is_an_error():
    square = lambda x, a: x * x - a
    for wrong, words in (
        (lambda a: a * 0.51, r"no root: .*a Newton step would move x by"),
        (lambda a: a * np.nan, "infinite or NaN"),
    ):
        with pytest.raises(NotConverged, match=words):
            custom_root(square, wrong)(np.array(4.0))
        with pytest.raises(NotConverged, match=words):
            grad(custom_root(square, wrong))(np.array(4.0))
    assert custom_root(square, lambda a: a * 0.51, root_rtol=0.1)(np.array(4.0)) == 2.04
    assert abs(grad(custom_root(square, lambda a: a * 0.5001))(4.0) - 0.25) <= 1e-4
    with pytest.raises(NotConverged, match="no root"):
        custom_root(square, lambda a: exact.asarray("21/10"))(exact.asarray(4))
    with pytest.raises(SingularMatrix):
        custom_root(square, lambda a: a)(np.array(0.0))
    with pytest.raises(ShapeError, match="like x"):
        custom_root(lambda x, a: (x, a), lambda a: a)(np.array(0.0))
    A = np.array([[1.0, 2.0], [2.0, 4.0]])
    apply = lambda x, a: a @ x
    with pytest.raises(SingularMatrix, match=r"implicit_solve\(.*: the operator is singular"):
        implicit_solve(apply, np.array([1.0, 2.0]), A)
    with pytest.raises(IndefiniteHessian):
        implicit_solve(apply, np.array([1.0, -1.0]), -A, solver="cg")
    with pytest.raises(NotConverged, match=r"the solver left .* 1e-10 was asked for"):
        implicit_solve(apply, np.array([1.0, 2.0]), A, solver=lambda operator, b: b)
    with pytest.raises(NotConverged, match="asked for"):
        implicit_solve(apply, np.array([1.0, 2.0]), A, solver=lambda operator, b: b * np.nan)
    with pytest.raises(NotConverged, match="1e-30 was asked for"):
        implicit_solve(apply, np.array([1.0, 3.0]), A + 0.1 * np.eye(2), rtol=1e-30)
    with pytest.raises(ShapeError, match="like v"):
        implicit_solve(lambda x: (x, x), np.ones(2))
    with pytest.raises(ShapeError, match="as many equations"):
        implicit_solve(lambda x: x[:1], np.ones(2))
    with pytest.raises(InvalidInput, match="an object of refgrad"):
        implicit_solve(lambda x: x, np.ones(2), solver="lu")


def test_a_traced_value_from_outside_is_refused():
    b = np.ones(2)
    for use in (
        lambda: grad(lambda s: rnp.sum(implicit_solve(lambda v: s * v, b)))(2.0),
        lambda: grad(lambda s: rnp.sum(implicit_solve(lambda v: s * v, s * b)))(2.0),
        lambda: jvp(lambda s: implicit_solve(lambda v: s * v, s * b, solver="cg"), (2.0,), (1.0,)),
        lambda: grad(lambda s: rnp.sum(implicit_solve(lambda v: s * v, b, solver=lambda a, b: b / np.array(a(b)))))(
            2.0
        ),
        lambda: grad(lambda s: custom_root(lambda x, t: s * x - t, lambda t: t / 2.0)(s * 1.0))(2.0),
        lambda: grad(lambda s: custom_root(lambda x, t: x - t, lambda t: t + 0 * s)(s * 1.0))(2.0),
    ):
        with pytest.raises(NoDerivative, match="not among its arguments"):
            use()


def test_float32_stays_float32():
    b = np.ones(2, np.float32)
    f = lambda b: rnp.sum(implicit_solve(lambda v, b: v * (1 + b * b), b, b) ** 2)
    assert f(b).dtype == grad(f)(b).dtype == hvp(f, b, b).dtype == np.float32
    g = lambda b: rnp.sum(custom_root(lambda x, b: x * x - b, np.sqrt)(b))
    assert g(b).dtype == grad(g)(b).dtype == hvp(g, b, b).dtype == np.float32


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_the_size_of_rows_and_columns_is_no_reason_to_refuse_an_operator(scale):
    A = np.array([[1.0, 2.0], [0.0, 1.0]]) * np.array([[1.0], [scale]]) * np.array([scale, 1.0])
    x = implicit_solve(lambda v, a: a @ v, A @ np.array([1.0 / scale, 1.0]), A)
    assert np.abs(x * np.array([scale, 1.0]) - 1).max() <= 1e-14


@pytest.mark.parametrize("operator", [lambda v: v * v, lambda v: 2 * v + 1, lambda v: abs(v) + v[::-1]])
def test_an_operator_that_is_not_linear_is_refused(operator):
    for b in (np.array([1.0, -2.0]), exact.asarray([1, -2])):
        with pytest.raises(InvalidInput, match="linear in its first argument"):
            implicit_solve(operator, b)


def test_rounding_of_an_ill_conditioned_operator_is_no_departure_from_linearity():
    hilbert = 1 / (np.arange(10)[:, None] + np.arange(1.0, 11.0))
    assert np.isfinite(implicit_solve(lambda v: hilbert @ v, np.ones(10))).all()
