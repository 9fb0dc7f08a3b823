"""What a hypergradient costs beside NumPy and LAPACK by hand, and beside other engines; and at a million weights."""

from __future__ import annotations

import numpy as np
import pytest
from bench.measure import microseconds, summarise, table

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
