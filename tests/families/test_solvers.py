"""Every solver's answer is its formula with ==; what none can vouch for is an error; approximations say so."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from helpers.large import DiagonalPlusLowRank

import refgrad.numpy as rnp
from refgrad import exact, grad
from refgrad.contracts.implicit.bilevel import QuadraticBilevel, probe
from refgrad.errors import (
    InnerNotConverged,
    InvalidInput,
    NeumannDiverges,
    NoNearbySolution,
    NotAMinimiser,
    NotConverged,
    SelectionDependent,
)
from refgrad.implicit import Flags, hypergradient
from refgrad.linalg import (
    CG,
    GMRES,
    MINRES,
    Damped,
    Dense,
    Identity,
    Neumann,
    Nystrom,
    System,
    conjugate_gradient,
    implicit_solve,
)

LR, DAMPING = exact.asarray("1/16"), exact.asarray("1/8")
OF_THE_PROBE = {
    "dense": (Dense(), ["-4/5", "-4/5", "-6/5"]),
    "cg": (CG(), ["-4/5", "-4/5", "-6/5"]),
    "identity": (Identity(), [0, 6, -8]),
    "one step of gradient descent": (Neumann(terms=1, lr=LR), ["45/16", "-3/2", "37/16"]),
    "four terms": (Neumann(terms=4, lr=LR), ["69271/32768", "-34361/32768", "983/1024"]),
    "three terms": (Neumann(terms=3, lr=LR), ["4801/2048", "-1151/1024", "2727/2048"]),
    "damped": (Damped(Dense(), damping=DAMPING), ["-739/1751", "-1454/1751", "-1763/1751"]),
    "damped cg": (Damped(CG(), damping=DAMPING), ["-739/1751", "-1454/1751", "-1763/1751"]),
    "of full rank": (Nystrom(3, damping=DAMPING), ["-739/1751", "-1454/1751", "-1763/1751"]),
}


@pytest.mark.proves("hypergradient")
@pytest.mark.parametrize("name", OF_THE_PROBE)
def test_the_probe_problem_has_the_value_of_each_solver(name):
    solver, value = OF_THE_PROBE[name]
    problem, w, phi = probe()
    found = hypergradient(problem.inner, problem.outer, w, phi, solver=solver)
    assert (found.value == exact.asarray(value)).all()
    approximate = value[0] != "-4/5"
    assert (Flags.APPROXIMATE in found.flags) == approximate
    assert (found.residual > 0) == approximate


@pytest.mark.parametrize(("rank", "value"), [(1, [-33.2, 13.4, -76.3]), (2, [-5.80, -1.68, 2.75])])
def test_a_matrix_of_low_rank_inverts_what_it_does_not_see_as_the_damping(rank, value):
    problem, w, phi = probe()
    solver = Nystrom(rank, damping=DAMPING, rows=range(rank))
    found = hypergradient(problem.inner, problem.outer, w, phi, solver=solver)
    assert np.abs(found.value.astype(float) - value).max() < 0.05


def drawn(seed, n, definite=True):
    """An integer matrix, symmetric, and a right-hand side."""
    rng = np.random.default_rng(seed)
    A = rng.integers(-3, 4, (n, n))
    A = A.T @ A + np.eye(n, dtype=int) if definite else A + A.T
    return exact.asarray(A.astype(object)), exact.asarray(rng.integers(-3, 4, n).astype(object))


def diagonal(A):
    return rnp.stack([A[k, k] for k in range(len(A))])


@pytest.mark.proves("neumann-residual")
@pytest.mark.parametrize("terms", [1, 2, 5])
@pytest.mark.parametrize("seed", range(4))
def test_what_a_series_leaves_is_the_power_that_comes_next(seed, terms):
    A, b = drawn(seed, 4)
    lr = 1 / rnp.sum(diagonal(A))  # below 1 / h for every eigenvalue h
    M = exact.asarray(np.eye(4, dtype=int).astype(object)) - lr * A
    rest, total = b, 0 * b
    for _ in range(terms):
        rest, total = M @ rest, total + lr * rest
    found = Neumann(terms=terms, lr=lr).prepare(System(lambda v: A @ v, b))(b)
    assert (found.value == total).all()
    assert (b - A @ found.value == rest).all()
    assert found.residual == pytest.approx(float(rnp.sum(rest * rest)) ** 0.5 / float(rnp.sum(b * b)) ** 0.5)
    assert (found.steps, found.stopped) == (terms, "approximation")


@pytest.mark.proves("nystrom-solve")
@pytest.mark.parametrize("rows", [(0,), (2, 0), (0, 1, 2, 3)])
@pytest.mark.parametrize("seed", range(4))
def test_woodbury_gives_the_inverse_of_the_matrix_of_low_rank(seed, rows):
    A, b = drawn(seed, 4)
    C = rnp.stack([A[k] for k in rows])
    low = C.T @ np.linalg.solve(rnp.stack([C[:, k] for k in rows], -1), C)
    found = Nystrom(len(rows), damping=DAMPING, rows=rows).prepare(System(lambda v: A @ v, b))(b)
    assert (low @ found.value + DAMPING * found.value == b).all()
    if len(rows) == 4:
        assert (found.value == Damped(Dense(), damping=DAMPING).prepare(System(lambda v: A @ v, b))(b).value).all()


def test_a_series_that_diverges_is_refused_by_one_ratio_which_bounds_the_radius():
    problem, w, phi = probe()
    with pytest.raises(NeumannDiverges, match=r"below 2 / h converges .lr is 1"):
        hypergradient(problem.inner, problem.outer, w, phi, solver=Neumann(terms=4, lr=1))
    A = np.diag([1.0, 2.0, 10.0])
    system = System(lambda v: A @ v, np.ones(3))
    with pytest.raises(NeumannDiverges) as error:
        Neumann(terms=200, lr=0.202).prepare(system)(np.array([1.0, 1.0, 1e-6]))
    assert 1 < error.value.bound <= 1.02 + 1e-9
    saddle = System(lambda v: v * np.array([1.0, -0.5]), np.ones(2))
    with pytest.raises(NeumannDiverges, match="MINRES"):
        Neumann(terms=100, lr=0.1).prepare(saddle)(np.ones(2))


@pytest.mark.parametrize("seed", range(20))
def test_a_series_that_converges_is_never_refused(seed):
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    h = np.geomspace(1, 10.0 ** rng.uniform(0, 6), 6)
    h[0] *= seed % 2  # a flat direction neither grows nor falls
    A, b = Q @ np.diag(h) @ Q.T, rng.standard_normal(6)
    for lr in (1.999 / h.max(), 1 / h.max(), 0.01 / h.max(), None):
        found = Neumann(terms=300, lr=lr).prepare(System(lambda v: A @ v, b))(b)
        assert found.residual <= 1 + 1e-12


def test_without_symmetry_terms_may_grow_before_they_fall():
    A = np.array([[1.0, 10.0], [0.0, 1.0]])
    found = Neumann(terms=100, lr=0.5).prepare(System(lambda v: A @ v, np.ones(2), symmetric=False))(np.ones(2))
    assert np.abs(found.value - [-9, 1]).max() < 1e-9


def test_a_step_that_is_not_given_comes_from_the_largest_eigenvalue():
    A = np.diag([1.0, 3.0, 100.0])
    found = Neumann(terms=2000).prepare(System(lambda v: A @ v, np.ones(3)))(np.ones(3))
    assert np.abs(found.value - [1, 1 / 3, 0.01]).max() < 1e-8
    with pytest.raises(InvalidInput, match="expected lr"):
        Neumann(terms=3).prepare(System(lambda v: A @ v, np.ones(3), symmetric=False))(np.ones(3))
    with pytest.raises(InvalidInput, match="rationals do not"):
        Neumann(terms=3).prepare(System(lambda v: v, exact.asarray([1])))(exact.asarray([1]))


@pytest.mark.parametrize("solver", [Neumann(terms=0, lr=1), Nystrom(0, damping=1), Nystrom(3, damping=1),
                                    Nystrom(2, damping=0), Nystrom(2, damping=1, rows=(0, 0)),
                                    CG(preconditioner="jacobi")])  # fmt: skip
def test_settings_that_make_no_sense_are_told(solver):
    with pytest.raises(InvalidInput, match="expected"):
        solver.prepare(System(lambda v: 2 * v, np.ones(2)))(np.ones(2))


def test_minres_serves_a_saddle_and_gmres_what_is_not_symmetric():
    inner = lambda w, phi: (w[0] ** 2 - w[1] ** 2) / 2 - w @ phi
    outer = lambda w, phi: w @ w / 2
    w, phi = np.array([3.0, 3.0]), np.array([3.0, -3.0])
    for solver in (MINRES(), GMRES(), "minres", "gmres"):
        found = hypergradient(inner, outer, w, phi, solver=solver, definite=False)
        assert np.abs(found.value - [3, -3]).max() < 1e-9
        assert found.residual <= 1e-10
    M = np.array([[1.0, 2.0], [0.0, 1.0]])  # P12: by M^-T, and not by M^-1
    root = lambda phi: implicit_solve(lambda v: M @ v, phi, solver=GMRES())
    assert np.abs(grad(lambda phi: root(phi) @ np.array([-1.0, 1.0]))(np.ones(2)) - [-1, 3]).max() < 1e-9


def test_a_krylov_solver_says_what_it_cannot_do():
    system = System(lambda v: v * np.array([1.0, 1e9]), np.ones(2))
    with pytest.raises(NotConverged, match=r"MINRES: .* was asked for; raise max_steps"):
        MINRES(max_steps=1).prepare(system)(np.ones(2))
    with pytest.raises(InvalidInput, match="expected floats of NumPy or CuPy, got rational"):
        MINRES().prepare(System(lambda v: v, exact.asarray([1])))
    assert MINRES().prepare(system)(np.zeros(2)).stopped == "zero right-hand side"


def test_a_preconditioner_saves_steps_and_the_residual_stays_that_of_the_matrix():
    rng = np.random.default_rng(0)
    d = np.geomspace(1, 1e6, 200)
    A = np.diag(d) + 0.1 * (lambda q: q @ q.T)(rng.standard_normal((200, 3)))
    b = rng.standard_normal(200)
    system = System(lambda v: A @ v, b)
    plain = CG(rtol=1e-8, max_steps=10_000).prepare(system)(b)
    for preconditioner in (1 / d, lambda r: r / d, "diagonal"):
        found = CG(preconditioner, rtol=1e-8).prepare(system)(b)
        assert 20 * found.steps < plain.steps
        assert np.linalg.norm(A @ found.value - b) <= 1e-8 * np.linalg.norm(b)
        assert found.residual == pytest.approx(np.linalg.norm(A @ found.value - b) / np.linalg.norm(b), rel=1e-3)
    with pytest.raises(np.linalg.LinAlgError, match="preconditioner"):
        CG(lambda r: -r).prepare(system)(b)


@pytest.mark.parametrize("seed", range(4))
def test_preconditioned_steps_end_at_the_exact_solution(seed):
    A, b = drawn(seed, 5)
    P = 1 / diagonal(A)
    found = conjugate_gradient(lambda v: A @ v, b, preconditioner=lambda r: P * r)
    assert (A @ found.value == b).all()
    assert found.steps <= 5


def test_above_two_thousand_parameters_products_alone_are_taken():
    n, rank = 20_000, 3
    rng = np.random.default_rng(0)
    d, V = np.geomspace(1, 1e4, n), rng.standard_normal((n, rank))
    inner = lambda w, phi: (d * w) @ w / 2 + rnp.sum((V.T @ w) ** 2) / 2 - phi[0] * rnp.sum(w) - phi[1] * (w @ d)
    c = rng.standard_normal(n)
    inverse = lambda b: b / d - (V.T / d).T @ np.linalg.solve(np.eye(rank) + V.T @ (V.T / d).T, V.T @ (b / d))
    phi = np.array([1.0, -2.0])
    w = inverse(phi[0] + phi[1] * d)
    found = hypergradient(inner, lambda w, phi: w @ c, w, phi)
    right = np.array([inverse(np.ones(n)) @ c, inverse(d) @ c])
    assert np.abs(found.value - right).max() <= 1e-7 * np.abs(right).max()
    plain = hypergradient(inner, lambda w, phi: w @ c, w, phi, solver="cg")
    assert 0 < 2 * found.steps < plain.steps


@pytest.mark.proves("hypergradient-error")
@pytest.mark.parametrize("seed", range(6))
def test_the_error_of_a_point_that_is_off_is_all_there_is_of_quadratic_losses(seed):
    problem, w, phi = probe()
    off = exact.asarray(np.random.default_rng(seed).integers(-3, 4, 3).astype(object)) / 7
    right = hypergradient(problem.inner, problem.outer, w, phi)
    found = hypergradient(problem.inner, problem.outer, w + off, phi, inner_rtol=10)
    assert (found.value - found.error_bar == right.value).all()
    assert (right.error_bar == 0).all()
    rough = hypergradient(problem.inner, problem.outer, w + off, phi, inner_rtol=10, solver="cg")
    assert (rough.error_bar == found.error_bar).all()


def test_the_error_bar_is_of_first_order_where_the_losses_are_not_quadratic():
    inner = lambda w, phi: rnp.exp(w[0]) - phi[0] * w[0]  # w* = log phi, and F = w*^3: 3 log^2(phi) / phi
    outer = lambda w, phi: w[0] ** 3
    phi, errors = np.array([2.0]), []
    truth = 3 * np.log(2) ** 2 / 2
    for off in (1e-2, 1e-3):
        found = hypergradient(inner, outer, np.log(phi) + off, phi, inner_rtol=1.0)
        errors.append(abs(found.value - found.error_bar - truth).max())
        assert abs(found.value - truth).max() > 50 * errors[-1]
    assert 50 < errors[0] / errors[1] < 200  # of second order is what remains


CONSISTENT = (lambda w, phi: rnp.sum(w - phi / 2) ** 2 / 2, lambda w, phi: rnp.sum(w) ** 2 / 2)  # P11: F = phi^2 / 2


@pytest.mark.parametrize("convert", [exact.asarray, lambda x: np.array(x, float)], ids=["rational", "float"])
@pytest.mark.parametrize("definite", [True, False])
def test_a_singular_hessian_has_a_value_where_it_depends_on_no_choice(convert, definite):
    inner = lambda w, phi: (w[0] + w[1] - phi[0]) ** 2 / 2
    outer = lambda w, phi: (w[0] + w[1]) ** 2 / 2
    w, phi = convert([1, 2]), convert([3])
    found = hypergradient(inner, outer, w, phi, definite=definite)
    assert found.flags == Flags.PSEUDO_INVERSE
    assert np.abs(exact.to_fractions(found.value) - 3).max() <= 1e-13
    if isinstance(w, np.ndarray):
        assert found.inertia == (1, 0, 1)
        assert np.abs(found.adjoint - [1.5, 1.5]).max() < 1e-13  # of all, the shortest
    with pytest.raises(SelectionDependent, match="which of the inner problem's solutions"):
        hypergradient(inner, lambda w, phi: w[0], w, phi, definite=definite)
    pulled = lambda w, phi: (w[0] + w[1] - phi[0]) ** 2 / 2 - (phi[0] - 3) * w[0]
    with pytest.raises(NoNearbySolution, match="no solution is near"):
        hypergradient(pulled, outer, w, phi, definite=definite)


@pytest.mark.parametrize("seed", range(6))
def test_a_consistent_problem_of_any_rank_has_the_value_of_its_image(seed):
    rng = np.random.default_rng(seed)
    n, rank = 5, 1 + seed % 4
    A = exact.asarray(rng.integers(-3, 4, (rank, n)).astype(object))
    # inner = |A w - phi|^2 / 2 where rank is full by rows: A w* = phi, and the outer loss is of A w alone
    if np.linalg.matrix_rank(A.astype(float)) < rank:
        pytest.skip("rows that depend on one another")
    inner = lambda w, phi: rnp.sum((A @ w - phi) ** 2) / 2
    outer = lambda w, phi: rnp.sum((A @ w) ** 3) / 3
    phi = exact.asarray(rng.integers(1, 4, rank).astype(object))
    w = A.T @ np.linalg.solve(A @ A.T, phi)
    found = hypergradient(inner, outer, w, phi)
    assert (found.value == phi * phi).all()
    assert found.flags == Flags.PSEUDO_INVERSE


def test_a_saddle_and_a_maximum_are_told_with_their_eigenvalues():
    inner = lambda w, phi: (w[0] ** 2 - w[1] ** 2 + w[2] ** 2) / 2 - w @ phi
    outer = lambda w, phi: w @ w / 2
    w, phi = np.array([3.0, 3.0, 1.0]), np.array([3.0, -3.0, 1.0])
    for solver in (None, "dense"):
        with pytest.raises(NotAMinimiser, match="2 positive, 1 negative, 0 zero") as error:
            hypergradient(inner, outer, w, phi, solver=solver)
        assert error.value.inertia == (2, 1, 0)
    with pytest.raises(NotAMinimiser, match="curvature"):
        hypergradient(inner, outer, w, phi, solver="cg")
    assert hypergradient(inner, outer, w, phi, definite=False).inertia == (2, 1, 0)


def test_a_saddle_with_a_flat_direction_is_no_minimiser_either():
    inner = lambda w, phi: (w[0] ** 2 - w[1] ** 2) / 2 - w[0] * phi[0] - w[1] * phi[1]
    outer = lambda w, phi: w[0] + w[1]
    w, phi = np.array([3.0, 3.0, 1.0]), np.array([3.0, -3.0])
    with pytest.raises(NotAMinimiser) as error:
        hypergradient(inner, outer, w, phi)
    assert error.value.inertia == (1, 1, 1)
    found = hypergradient(inner, outer, w, phi, definite=False)
    assert np.abs(found.value - [1, -1]).max() < 1e-13
    assert found.flags == Flags.PSEUDO_INVERSE


def test_an_inner_loss_without_phi_and_swapped_arguments_are_told():
    inner, outer = lambda w, phi: w @ w / 2, lambda w, phi: phi @ phi
    with pytest.raises(InvalidInput, match=r"does not depend on phi.*differentiate through the steps"):
        hypergradient(inner, outer, np.zeros(2), np.ones(2))
    ridge = lambda w, phi: rnp.sum((w - 1) ** 2) / 2 + phi[0] * (w @ w) / 2  # by phi it is zero at w = 0 alone
    at = np.array([1 / 3])
    assert hypergradient(ridge, outer, at, np.array([2.0])).flags == Flags.NONE
    coupled = lambda w, phi: rnp.sum((w - 2 * phi) ** 2)
    with pytest.raises(InnerNotConverged, match=r"how far|Newton step") as error:
        hypergradient(coupled, outer, np.array([3.0]), np.array([1.0]))
    assert error.value.distance == pytest.approx(1.0)
    swapped = lambda phi, w: (w[0] - phi[0]) ** 2 / 2 + phi[0] ** 4  # a problem by its second argument
    with pytest.raises(InnerNotConverged, match="are w and phi swapped"):
        hypergradient(swapped, outer, np.array([2.0]), np.array([2.0]))


def test_solvers_serve_implicit_solve_and_their_transposes_too():
    A = np.array([[4.0, 1.0], [0.0, 3.0]])
    for solver in (Dense(), GMRES(), Neumann(terms=200, lr=0.25), "gmres"):
        f = lambda s, solver=solver: implicit_solve(lambda v, s: s * (A @ v), np.array([1.0, 2.0]), s, solver=solver)
        truth = np.linalg.solve(A, [1.0, 2.0])
        assert np.abs(f(1.0) - truth).max() < 1e-9
        assert grad(lambda s, f=f: f(s)[0])(1.0) == pytest.approx(-truth[0])
    with pytest.raises(InvalidInput, match="expected solver"):
        implicit_solve(lambda v: v, np.ones(2), solver="lu")


def test_a_tolerance_holds_for_every_solver():
    problem, w, phi = probe()
    plain = QuadraticBilevel(**{k: getattr(problem, k).astype(float) for k in "HCcQtRPq"})
    with pytest.raises(NotConverged, match="was asked for"):
        hypergradient(plain.inner, plain.outer, w.astype(float), phi.astype(float), solver=Identity(), rtol=1e-3)


def test_a_hundred_thousand_weights_take_a_few_vectors_of_memory_and_have_woodburys_answer():
    n = 100_000
    problem = DiagonalPlusLowRank(n)
    solver = CG(preconditioner=1 / problem.d)
    run = lambda: hypergradient(problem.inner, problem.outer, problem.w, problem.phi, solver=solver)
    run()
    tracemalloc.start()
    found = run()
    peak = tracemalloc.get_traced_memory()[1] / (8 * n)
    tracemalloc.stop()
    assert np.allclose(found.value, problem.value, rtol=1e-12)
    assert found.residual <= 1e-10
    assert found.steps <= 8  # the Hessian is diagonal but for five outer products
    assert peak < 30  # vectors of length n; a matrix would take n of them
