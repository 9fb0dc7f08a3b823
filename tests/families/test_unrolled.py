"""Hypergradients through steps: four orders of one sum, and what they are where the steps end."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from refgrad import exact, grad, jacrev, stop_gradient
from refgrad.contracts.implicit.auxiliary import AuxiliaryTasks
from refgrad.contracts.implicit.bilevel import probe
from refgrad.errors import HiddenState, InvalidInput, NotConverged, ShapeError
from refgrad.implicit import custom_root, fixed_point, hypergradient, unrolled
from refgrad.linalg import Neumann

R = exact.asarray
PLAIN = ("reverse", "checkpoint", "forward")
ALL = (*PLAIN, "reversible")
LR = R("1/32")


def problem(seed, n=3, m=2):
    """Losses of order four in w and phi together, of unequal numbers of both, and a start."""
    rng = np.random.default_rng(seed)
    A, C, t = R(rng.integers(-2, 3, (n, n))), R(rng.integers(-2, 3, (n, m))), R(rng.integers(-2, 3, n)) / 3
    inner = lambda w, phi: np.sum((A @ w - C @ phi) ** 2) / 2 + phi[0] * np.sum(w * w * w) / 5
    outer = lambda w, phi: np.sum((w - t) ** 2) * phi[-1] / 2 + np.sum(phi * phi * phi)
    return inner, outer, R(rng.integers(-1, 2, n)), R(rng.integers(1, 3, m)) / 2


def differentiated(inner, outer, w0, phi, steps, momentum=None, first=0):
    """By the engine, through the steps as a program; those before `first` are held fixed."""

    def end(phi):
        w, v = w0, 0 * w0
        for t in range(steps):
            slope = grad(inner)(w, phi)
            v = -slope if momentum is None else momentum * v - (1 - momentum) * slope
            w = w + LR * v
            if t + 1 == first:
                w, v = stop_gradient(w), stop_gradient(v)
        return outer(w, phi)

    return grad(end)(phi)


@pytest.mark.proves("unrolled-hypergradient")
@pytest.mark.parametrize("steps", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("mode", PLAIN)
@pytest.mark.parametrize(("seed", "n", "m"), [(0, 3, 2), (1, 2, 4), (2, 1, 1)])
def test_every_mode_is_the_derivative_of_the_program(mode, steps, seed, n, m):
    inner, outer, w0, phi = problem(seed, n, m)
    found = unrolled(inner, outer, w0, phi, LR, steps, mode=mode)
    assert (found.value == differentiated(inner, outer, w0, phi, steps)).all()
    assert (found.direct == grad(outer, 1)(found.w, phi)).all()
    assert found.steps == steps


@pytest.mark.proves("unrolled-hypergradient")
@pytest.mark.parametrize("mode", ALL)
@pytest.mark.parametrize("momentum", ["1/2", "9/10", 1])
def test_momentum_is_differentiated_and_undone_exactly(mode, momentum):
    inner, outer, w0, phi = problem(3)
    gamma = R(momentum)
    found = unrolled(inner, outer, w0, phi, LR, 3, mode=mode, momentum=gamma)
    assert (found.value == differentiated(inner, outer, w0, phi, 3, gamma)).all()
    assert found.start_error == 0


@pytest.mark.parametrize(("steps", "least"), [(0, 0), (1, 1), (2, 2), (5, 3), (9, 5), (10, 5), (17, 7)])
def test_the_iterates_that_are_kept_are_counted(steps, least):
    P, w, phi = probe()
    kept = {m: unrolled(P.inner, P.outer, w, phi, R("1/16"), steps, mode=m).vectors for m in PLAIN}
    assert kept["reverse"] == steps
    assert kept["forward"] == 3
    assert kept["checkpoint"] == least <= 2 * np.ceil(np.sqrt(steps))
    options = {"mode": "reversible", "momentum": R("1/2")}
    assert unrolled(P.inner, P.outer, w, phi, R("1/16"), steps, **options).vectors == min(steps, 1)


def test_checkpoints_and_a_run_backwards_keep_the_memory_they_promise():
    n, steps = 100_000, 64
    w0, phi = np.ones(n), np.array([0.5])
    inner = lambda w, phi: phi[0] * np.sum(w * w) / 2
    outer = lambda w, phi: np.sum(w) / n
    peak = {}
    for mode in ("reverse", "checkpoint", "reversible"):
        tracemalloc.start()
        found = unrolled(inner, outer, w0, phi, 0.5, steps, mode=mode, momentum=0.999)
        peak[mode] = tracemalloc.get_traced_memory()[1] / (16 * n)  # the state is w and v
        tracemalloc.stop()
        assert found.value[0] < 0
    assert peak["reverse"] > 64
    assert peak["checkpoint"] < 2 * 8 + 12
    assert peak["reversible"] < 16


@pytest.mark.parametrize("terms", [1, 2, 5])
@pytest.mark.parametrize("mode", PLAIN)
def test_steps_from_the_solution_are_as_many_terms_of_the_neumann_series(mode, terms):
    P, w, phi = probe()
    lr = R("1/16")
    by_series = hypergradient(P.inner, P.outer, w, phi, solver=Neumann(terms=terms, lr=lr))
    assert (unrolled(P.inner, P.outer, w, phi, lr, terms, mode=mode).value == by_series.value).all()
    fewer = unrolled(P.inner, P.outer, w, phi, lr, terms - 1, mode=mode).value
    assert (fewer != by_series.value).any()


@pytest.mark.parametrize("terms", [1, 3])
def test_the_last_steps_at_the_solution_are_as_many_terms_and_the_others_are_held_fixed(terms):
    P, w, phi = probe()
    lr = R("1/16")
    by_series = hypergradient(P.inner, P.outer, w, phi, solver=Neumann(terms=terms, lr=lr)).value
    assert (unrolled(P.inner, P.outer, w, phi, lr, 7, last=terms).value == by_series).all()
    inner, outer, w0, phi = problem(4)
    for mode in PLAIN:
        found = unrolled(inner, outer, w0, phi, LR, 4, last=terms, mode=mode)
        assert (found.value == differentiated(inner, outer, w0, phi, 4, first=4 - terms)).all()
        assert found.steps == terms


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_of_quadratic_losses_steps_from_any_start_are_the_series_at_their_end(steps):
    P, w, phi = probe()
    lr = R("1/16")
    found = unrolled(P.inner, P.outer, 0 * w + 5, phi, lr, steps)
    D = P.derivatives(found.w, phi)
    v, total = D.g, 0 * D.g
    for _ in range(steps):
        total, v = total + lr * v, v - lr * (D.H @ v)
    assert (found.value == D.d - D.B.T @ total).all()


def test_the_step_size_moves_where_few_steps_end_and_nothing_at_the_solution():
    P, w, phi = probe()
    lr = R("1/16")
    descent = lambda w, lr, t: w - lr[0] * grad(P.inner)(w, phi)
    loss = lambda w, lr: P.outer(w, phi)
    for steps in (0, 1, 3):
        found = unrolled(None, loss, 0 * w, np.stack([lr]), None, steps, step=descent, mode="forward")
        end = lambda rate, steps=steps: P.outer(path(P, 0 * w, phi, rate, steps), phi)
        assert found.value[0] == grad(end)(lr)
        assert (found.value[0] != 0) == (steps > 0)
    assert unrolled(None, loss, w, np.stack([lr]), None, 5, step=descent).value[0] == 0


def path(P, w, phi, lr, steps):
    for _ in range(steps):
        w = w - lr * grad(P.inner)(w, phi)
    return w


@pytest.mark.parametrize("mode", PLAIN)
def test_any_step_on_any_containers_can_be_unrolled(mode):
    inner, outer, w0, phi = problem(5)
    gamma = R("1/2")

    def step(state, p, t):
        v = gamma * state["v"] - (1 - gamma) * grad(inner)(state["w"], p["phi"])
        return {"w": state["w"] + LR * v, "v": v}

    loss = lambda state, p: outer(state["w"], p["phi"])
    start = {"w": w0, "v": 0 * w0}
    found = unrolled(None, loss, start, {"phi": phi}, None, 3, step=step, mode=mode)
    assert (found.value["phi"] == differentiated(inner, outer, w0, phi, 3, gamma)).all()
    assert set(found.w) == {"w", "v"}


def test_a_run_backwards_that_loses_its_start_is_an_error():
    w0, phi = np.array([1.0, 2.0]), np.array([0.5])
    inner = lambda w, phi: np.sum((w - phi[0]) ** 2 * np.array([1.0, 3.0])) / 2
    outer = lambda w, phi: np.sum(w * w)
    options = {"mode": "reversible", "lr": 0.1}
    good = unrolled(inner, outer, w0, phi, steps=20, momentum=0.9, **options)
    truth = unrolled(inner, outer, w0, phi, 0.1, 20, momentum=0.9)
    assert 0 < good.start_error < 1e-12
    assert np.allclose(good.value, truth.value, rtol=1e-10)
    with pytest.raises(NotConverged, match=r"loses log2\(1 / 0.5\) bits"):
        unrolled(inner, outer, w0, phi, steps=60, momentum=0.5, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "backward"}, "expected mode to be one of reverse, checkpoint"),
        ({"steps": -1}, "whole numbers of at least 0, got -1"),
        ({"steps": 2.0}, "whole numbers of at least 0, got 2.0"),
        ({"last": -1}, "whole numbers of at least 0"),
        ({"lr": None}, "expected inner and lr, or a step"),
        ({"step": lambda w, phi, t: w}, "expected inner and lr, or a step"),
        ({"mode": "reversible"}, "expected a momentum above 0"),
        ({"mode": "reversible", "momentum": 0.0}, "expected a momentum above 0"),
    ],
)
def test_options_that_make_no_sense_are_told(options, message):
    given = {"inner": lambda w, phi: np.sum(w * phi), "lr": 0.1, "steps": 2} | options
    with pytest.raises(InvalidInput, match=message):
        unrolled(outer=lambda w, phi: np.sum(w), w0=np.ones(1), phi=np.ones(1), **given)


def test_steps_that_leave_the_floats_are_told_by_their_number():
    with np.errstate(all="ignore"), pytest.raises(NotConverged, match="after 5 of 9 steps w is not finite"):
        unrolled(lambda w, phi: np.sum(w**4) * phi[0], lambda w, phi: np.sum(w), np.array([10.0]), np.ones(1), 1.0, 9)


# fixed points


@pytest.mark.parametrize("update", ["descent", "preconditioned", "momentum"])
def test_the_fixed_point_of_any_descent_has_the_hypergradient(update):
    P, _, phi = probe()
    H = P.derivatives(*probe()[1:]).H
    solve = lambda phi: P.solution(phi)
    precondition = R([[2, 1, 0], [0, 1, 0], [1, 0, 3]]) / 7  # not symmetric
    slope = grad(P.inner)
    if update == "momentum":
        step = lambda s, phi: {
            "w": s["w"] + s["v"] / 3 - slope(s["w"], phi) / 5,
            "v": s["v"] / 3 - slope(s["w"], phi) / 5,
        }
        root = fixed_point(step, lambda phi: {"w": solve(phi), "v": 0 * phi})
        end = lambda phi: root(phi)["w"]
    else:
        M = precondition if update == "preconditioned" else R(np.eye(3, dtype=int)) / 9
        end = fixed_point(lambda w, phi: w - M @ slope(w, phi), solve)
    truth = hypergradient(P.inner, P.outer, *probe()[1:])
    assert (grad(lambda phi: P.outer(end(phi), phi))(phi) == truth.value).all()
    assert (jacrev(end)(phi) == truth.jacobian).all()
    assert (H == H.T).all()


# second derivatives


def manufactured(seed, n=2, m=3):
    """An inner problem of order four whose solution is a polynomial map psi, and an outer loss."""
    rng = np.random.default_rng(seed)
    A, b = R(rng.integers(-2, 3, (n, m))), R(rng.integers(-2, 3, n))
    psi = lambda phi: A @ (phi * phi) + b
    loss = lambda w: np.sum(w**4) / 4 + np.sum(w) ** 2 / 2 + np.sum(w * w)
    inner = lambda w, phi: loss(w) - grad(loss)(psi(phi)) @ w
    outer = lambda w, phi: np.sum(w**3) / 3 + phi[0] * np.sum(w) + np.sum(phi**3)
    return inner, outer, psi, R(rng.integers(-2, 3, m)) / 2


@pytest.mark.proves("hypergradient-second")
@pytest.mark.parametrize(("seed", "n", "m"), [(0, 2, 3), (1, 3, 1), (2, 1, 2), (3, 3, 3)])
def test_the_second_derivative_of_a_manufactured_problem_is_that_of_its_map(seed, n, m):
    from refgrad import hessian

    inner, outer, psi, phi = manufactured(seed, n, m)
    found = hypergradient(inner, outer, psi(phi), phi)
    through = lambda phi: outer(psi(phi), phi)
    assert (found.value == grad(through)(phi)).all()
    assert (found.jacobian == jacrev(psi)(phi)).all()
    assert (found.hessian == hessian(through)(phi)).all()
    assert (found.hvp(phi + 1) == found.hessian @ (phi + 1)).all()
    with pytest.raises(ShapeError, match=f"with the {m} elements of phi, got {m + 1}"):
        found.hvp(np.concatenate([phi, phi[:1]]))
    root = custom_root(grad(inner), psi)
    assert (found.hessian == hessian(lambda phi: outer(root(phi), phi))(phi)).all()


@pytest.mark.proves("hypergradient-second")
def test_the_probe_has_its_second_derivative():
    P, w, phi = probe()
    found = hypergradient(P.inner, P.outer, w, phi)
    assert (40 * found.hessian == R([[1179, 95, -416], [95, 11, -32], [-416, -32, 728]])).all()
    assert (found.hessian == found.hessian.T).all()


@pytest.mark.proves("hypergradient-second")
def test_the_third_derivative_of_the_inner_loss_is_in_it():
    # a Poisson intercept a exp(w) - (b + phi) w with the outer loss exp(2 w): F = ((b + phi) / a)^2, F'' = 2 / a^2
    a, b, phi = 4.0, 1.0, np.array([1.0])
    inner = lambda w, phi: np.sum(a * np.exp(w) - (b + phi) * w)
    found = hypergradient(inner, lambda w, phi: np.sum(np.exp(2 * w)), np.log((b + phi) / a), phi)
    assert found.hessian[0, 0] == pytest.approx(0.125, rel=1e-14)  # 0.25 where it is left out, as in torchopt 0.7.3


def test_an_executor_may_spread_the_columns():
    from concurrent.futures import ThreadPoolExecutor

    rng = np.random.default_rng(0)
    X, scale = rng.normal(size=(30, 6)), np.linspace(1, 2, 6)
    inner = lambda w, phi: np.sum(np.logaddexp(0, X @ w)) / 30 + np.sum(np.exp(phi) * scale * w * w) / 2
    w = np.zeros(6)
    for _ in range(20):
        H = X.T @ (X * (np.exp(X @ w) / (1 + np.exp(X @ w)) ** 2)[:, None]) / 30 + np.diag(scale)
        w = w - np.linalg.solve(H, grad(inner)(w, np.zeros(6)))
    outer = lambda w, phi: np.sum(w)
    alone = hypergradient(inner, outer, w, np.zeros(6), solver="cg").jacobian
    with ThreadPoolExecutor(4) as pool:
        spread = hypergradient(inner, outer, w, np.zeros(6), solver="cg", map=pool.map).jacobian
    assert alone.tolist() == spread.tolist()
    assert np.allclose(alone, -np.linalg.solve(H, np.diag(scale * w)), rtol=1e-8)

    def broken(f, directions):
        raise RuntimeError("no worker is left")

    with pytest.raises(RuntimeError, match="no worker is left"):
        _ = hypergradient(inner, outer, w, np.zeros(6), map=broken).jacobian


def test_a_singular_problem_has_no_jacobian_of_its_solution():
    from refgrad.errors import SingularMatrix

    inner = lambda w, phi: (w[0] + w[1] - phi[0]) ** 2 / 2
    outer = lambda w, phi: (w[0] + w[1]) ** 2 / 2
    found = hypergradient(inner, outer, R([1, 1]), R([2]))
    with pytest.raises(SingularMatrix, match="depends on which is taken"):
        _ = found.hessian


def test_tasks_with_weights_have_their_second_derivatives_too():
    A = R([[[2, 1], [1, 3]], [[1, 0], [0, 2]], [[3, 1], [1, 1]]])
    P = AuxiliaryTasks(A[0], R([1, 2]), A[1:], R([[1, 1], [0, 2]]), R([[1, 0], [0, 1]]), R([1, 0]))
    phi = R([1, 2])
    found = hypergradient(P.inner, P.outer, P.solution(phi), phi)
    solution = lambda phi: np.linalg.solve(P.hessian(phi), P.b0 + phi @ P.b)
    assert (found.hessian == jacrev(grad(lambda phi: P.outer(solution(phi), phi)))(phi)).all()


@pytest.mark.parametrize("mode", ["checkpoint", "reversible"])
def test_a_step_that_is_another_when_it_is_taken_again_is_an_error(mode):
    calls = []

    def inner(w, phi):
        calls.append(0)
        return phi[0] * np.sum(w * w) * (1 + len(calls) / 100) / 2

    error = HiddenState if mode == "checkpoint" else NotConverged
    with pytest.raises(error):
        unrolled(inner, lambda w, phi: np.sum(w), np.ones(2), np.ones(1), 0.1, 9, mode=mode, momentum=0.9)
