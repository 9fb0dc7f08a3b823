"""Gradients and Hessian-vector products of linear algebra in floats are as accurate as the problem allows.

The truth is the same rules in rationals or certified balls, which other tests compare with Taylor series; what is asked
here is that rounding does not grow in them. The measure is the response of the true derivative to a relative change of
the inputs by one rounding, and the limit is the project's own, 30 of those, times the order of the matrices: a
factorisation is backward stable to that many roundings, and no better [higham2002]_, section 19.3.

.. [higham2002] N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition (2002).
"""

from __future__ import annotations

import numpy as np
import pytest

import refgrad.numpy as rnp
from refgrad import exact, grad, hvp

la = rnp.linalg
WEIGHTS = np.random.default_rng(5).integers(-30, 31, size=(3, 3))
LIMIT = 30 * 3


def weighted(x):
    return rnp.sum(WEIGHTS[: np.shape(x)[0]] * x)


# squares, since the signs of Q, R and eigenvectors are the library's
GENERAL = {
    "log |det|": lambda a: la.slogdet(a).logabsdet,
    "det": la.det,
    "inverse": lambda a: weighted(la.inv(a)),
    "triangular solution": lambda a: weighted(la.solve_triangular(a, WEIGHTS, lower=True) ** 2),
    "Q": lambda a: weighted(la.qr(a).Q ** 2),
    "R": lambda a: weighted(la.qr(a).R ** 2),
    "norms": lambda a: la.norm(a) * la.norm(a[0]),
    "singular values": lambda a: 2 * la.svdvals(a)[0] - la.svdvals(a)[2],
}
SYMMETRIC = {
    "Cholesky factor": lambda a: weighted(la.cholesky(a)),
    "eigenvalues": lambda a: rnp.sum(la.eigvalsh(a) * WEIGHTS[0]),
    "eigenvectors": lambda a: weighted(la.eigh(a).eigenvectors ** 2),
}
SPECTRA = {"well": [1.0, 2.0, 3.0], "ill": [1.0, 1e-4, 1e-8], "close": [1.0, 1.0 + 1e-6, 2.0]}


def orthogonal(rng):
    return np.linalg.qr(rng.normal(size=(3, 3)))[0]


def matrices(name, spectrum, seed):
    rng = np.random.default_rng(seed)
    left, right = orthogonal(rng), orthogonal(rng)
    a = (left * SPECTRA[spectrum]) @ (left.T if name in SYMMETRIC else right)
    return (a + a.T) / 2 if name in SYMMETRIC else a, rng.normal(size=(3, 3))


def like(t, a):
    """The floats t as the kind of numbers that a has."""
    return {"rational": exact.asarray, "ball": exact.balls}.get(str(a.dtype), np.asarray)(t)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize("name", GENERAL | SYMMETRIC)
def test_first_and_second_derivatives_are_accurate_to_what_a_stable_method_leaves(name, spectrum, seed):
    f = (GENERAL | SYMMETRIC)[name]
    a, t = matrices(name, spectrum, seed)
    for derivative in (grad(f), lambda a, t=t: hvp(f, a, like(t, a))):
        error = exact.error(derivative(a), exact.evaluate(derivative, a))
        assert error <= LIMIT * exact.attainable(derivative, a)
