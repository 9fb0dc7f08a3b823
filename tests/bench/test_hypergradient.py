"""What a hypergradient costs beside NumPy and LAPACK by hand, and beside other engines; and at a million weights."""

from __future__ import annotations

import numpy as np
import pytest
from bench.measure import microseconds, peak, summarise, table
from helpers.large import DiagonalPlusLowRank

import refgrad.numpy as rnp
from refgrad.implicit import hypergradient
from refgrad.linalg import CG, Dense

pytestmark = pytest.mark.bench

N, D, GROUPS = 2000, 500, 10
GROUP = np.repeat(np.arange(GROUPS), D // GROUPS)


class Regression:
    """Logistic regression with the logarithms of ten strengths of L2 penalties as hyperparameters, solved."""

    def __init__(self, narrow, phi):
        rng = np.random.default_rng(0)
        width = np.linspace(2, narrow, D)
        self.X, self.Z = rng.normal(size=(N, D)) * width, rng.normal(size=(N, D)) * width
        truth = rng.normal(size=D) / D**0.5
        self.y, self.z = (np.where(rng.random(N) < 1 / (1 + np.exp(-A @ truth)), 1.0, -1.0) for A in (self.X, self.Z))
        self.phi, self.w = phi, np.zeros(D)
        for _ in range(60):
            self.w = self.w - np.linalg.solve(self.hessian(), self.slope(self.w))

    def inner(self, w, phi):
        return rnp.mean(rnp.logaddexp(0, -self.y * (self.X @ w))) + np.sum(np.exp(phi)[GROUP] * w * w) / 2

    def outer(self, w, phi):
        return rnp.mean(rnp.logaddexp(0, -self.z * (self.Z @ w)))

    def slope(self, w):
        return self.X.T @ (-self.y / (1 + np.exp(self.y * (self.X @ w)))) / N + np.exp(self.phi)[GROUP] * w

    def curvature(self):
        p = 1 / (1 + np.exp(-self.y * (self.X @ self.w)))
        return p * (1 - p) / N, np.exp(self.phi)[GROUP]

    def hessian(self):
        s, penalty = self.curvature()
        H = (self.X.T * s) @ self.X
        H[np.diag_indices(D)] += penalty
        return H

    def outer_slope(self):
        return self.Z.T @ (-self.z / (1 + np.exp(self.z * (self.Z @ self.w)))) / N

    def indirect(self, u):
        return -np.add.reduceat(np.exp(self.phi)[GROUP] * self.w * u, np.arange(0, D, D // GROUPS))

    def by_cholesky(self):
        from scipy.linalg import cho_factor, cho_solve

        return self.indirect(cho_solve(cho_factor(self.hessian()), self.outer_slope()))

    def by_pcg(self):
        """Jacobi's preconditioner, to a relative residual of 1e-8."""
        s, penalty = self.curvature()
        product = lambda v: self.X.T @ (s * (self.X @ v)) + penalty * v
        inverse = 1 / (s @ (self.X * self.X) + penalty)
        b = self.outer_slope()
        x, r = np.zeros(D), b
        z = inverse * r
        p, rz, goal = z, r @ z, 1e-16 * (b @ b)
        while r @ r > goal:
            Ap = product(p)
            alpha = rz / (p @ Ap)
            x, r = x + alpha * p, r - alpha * Ap
            z = inverse * r
            p, rz = z + (r @ z) / rz * p, r @ z
        return self.indirect(x)


PROBLEMS = {
    "kappa 22": Regression(0.1, np.linspace(-6, -3, GROUPS)),
    "kappa 1e4": Regression(0.02, np.linspace(-14, -10, GROUPS)),
}


@pytest.mark.parametrize("name", list(PROBLEMS))
def test_dense_and_preconditioned_beside_numpy_by_hand(name):
    P = PROBLEMS[name]
    s, penalty = P.curvature()
    diagonal = 1 / (s @ (P.X * P.X) + penalty)
    dense = lambda: hypergradient(P.inner, P.outer, P.w, P.phi, solver=Dense())
    pcg = lambda: hypergradient(P.inner, P.outer, P.w, P.phi, solver=CG(preconditioner=diagonal, rtol=1e-8))
    estimated = lambda: hypergradient(P.inner, P.outer, P.w, P.phi, solver=CG(preconditioner="diagonal", rtol=1e-8))
    truth = P.by_cholesky()
    for f, limit in ((dense, 1e-9), (pcg, 1e-5), (estimated, 1e-5)):
        assert np.abs(f().value - truth).max() <= limit * np.abs(truth).max()
    runs = {"Cholesky by hand": P.by_cholesky, "dense": dense, "dense, and all ten columns": lambda: dense().jacobian,
            "PCG by hand": P.by_pcg, "PCG": pcg, "PCG, diagonal estimated": estimated}  # fmt: skip
    times = microseconds(runs, rounds=15, inner=1)
    beside = {"dense": "Cholesky by hand", "dense, and all ten columns": "dense", "PCG": "PCG by hand"}
    beside["PCG, diagonal estimated"] = "PCG by hand"
    table(f"hypergradient, logistic regression {N} x {D}, {name}: {pcg().steps} steps", times, beside)
    for run, wanted in (("dense", "<= 1.2"), ("dense, and all ten columns", "<= 1.3"), ("PCG", "<= 1.3")):
        summarise(f"{run}, {name}", times[run] / times[beside[run]], f"x {beside[run]}", wanted)


def test_preconditioned_steps_cost_in_proportion_to_the_weights_up_to_a_million():
    sizes, seconds = [10**4, 10**5, 10**6], []
    for n in sizes:
        P = DiagonalPlusLowRank(n)
        run = lambda P=P: hypergradient(P.inner, P.outer, P.w, P.phi, solver=CG(preconditioner=1 / P.d))
        found = run()
        assert np.abs(found.value - P.value).max() <= 1e-12 * np.abs(P.value).max()
        times = microseconds({"run": run}, rounds=5, inner=10**6 // n // 10 or 1)
        seconds.append(times["run"] / 1e6)
        vectors = peak(run) / (8 * n)
        print(f"  n = {n:>9,}: {seconds[-1]:.4f} s, {found.steps} steps, {vectors:.0f} vectors of memory")
    exponent = np.polyfit(np.log(sizes[1:]), np.log(seconds[1:]), 1)[0]
    summarise("exponent of n from 10^5 to 10^6", exponent, "", "<= 1.2")
    summarise("memory at 10^6", vectors, "vectors", "<= 30")


@pytest.mark.interop
@pytest.mark.filterwarnings("ignore::FutureWarning")  # torchopt 0.7.3 calls functorch by its old names
def test_beside_other_engines_at_a_condition_number_of_ten_thousand():
    """The same system, to a relative residual of 1e-8; the inner problem is solved beforehand for all."""
    jax = pytest.importorskip("jax")
    jaxopt = pytest.importorskip("jaxopt")
    torch = pytest.importorskip("torch")
    torchopt = pytest.importorskip("torchopt")
    import functools

    jax.config.update("jax_enable_x64", True)
    torch.set_num_threads(1)
    P = PROBLEMS["kappa 1e4"]
    truth = P.by_cholesky()
    s, penalty = P.curvature()
    ours = CG(preconditioner=1 / (s @ (P.X * P.X) + penalty), rtol=1e-8)
    jnp = jax.numpy
    data = {name: jnp.asarray(getattr(P, name)) for name in ("X", "y", "Z", "z")}

    def inner(w, phi):
        loss = jnp.mean(jnp.logaddexp(0, -data["y"] * (data["X"] @ w)))
        return loss + jnp.sum(jnp.exp(phi)[GROUP] * w * w) / 2

    def outer(w):
        return jnp.mean(jnp.logaddexp(0, -data["z"] * (data["Z"] @ w)))

    solved = jnp.asarray(P.w)
    solve = functools.partial(jaxopt.linear_solve.solve_cg, tol=1e-8, maxiter=10 * D)
    root = jaxopt.implicit_diff.custom_root(jax.grad(inner), solve=solve)(lambda start, phi: solved)
    by_jaxopt = jax.jit(jax.grad(lambda phi: outer(root(None, phi))))

    tensors = {name: torch.tensor(getattr(P, name)) for name in ("X", "y", "Z", "z")}
    group = torch.tensor(GROUP)

    def inner_torch(w, phi):
        loss = torch.nn.functional.softplus(-tensors["y"] * (tensors["X"] @ w)).mean()
        return loss + (torch.exp(phi)[group] * w * w).sum() / 2

    linear = torchopt.linear_solve.solve_cg(rtol=1e-8, maxiter=10 * D)

    @torchopt.diff.implicit.custom_root(torch.func.grad(inner_torch, argnums=0), argnums=1, solve=linear)
    def solution(w, phi):
        return w

    def by_torchopt():
        phi = torch.tensor(P.phi, requires_grad=True)
        w = solution(torch.tensor(P.w), phi)
        loss = torch.nn.functional.softplus(-tensors["z"] * (tensors["Z"] @ w)).mean()
        return torch.autograd.grad(loss, phi)[0].numpy()

    phi = jnp.asarray(P.phi)
    runs = {
        "PCG": lambda: hypergradient(P.inner, P.outer, P.w, P.phi, solver=ours).value,
        "jaxopt solve_cg, compiled": lambda: np.asarray(by_jaxopt(phi)),
        "torchopt solve_cg": by_torchopt,
    }
    for name, run in runs.items():
        error = np.abs(run() - truth).max() / np.abs(truth).max()
        print(f"  {name}: relative error {error:.1e}")
        assert error <= 1e-5
    times = microseconds(runs, rounds=3, inner=1)
    table("hypergradient, 2000 x 500, condition number 1e4, to 1e-8", times, dict.fromkeys(list(runs)[1:], "PCG"))
    for name, wanted in (("jaxopt solve_cg, compiled", ">= 3"), ("torchopt solve_cg", ">= 30")):
        summarise(name, times[name] / times["PCG"], "x PCG", wanted)
