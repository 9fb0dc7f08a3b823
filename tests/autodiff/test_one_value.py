"""An expression has one value: plain, traced by any transformation, and in refgrad.numpy."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import refgrad.numpy as rnp
from refgrad import exact, grad, jvp, source, stage, value_and_grad, value_of, vmap

la = rnp.linalg
A = np.array([[8.0, 1.0, -1.0], [3.0, 5.0, 2.0], [0.5, -4.0, 30.0]])  # not symmetric; either triangle is definite
B = np.array([[1.0, -2.0], [0.5, 3.0], [2.0, 1.0]])
ARGUMENTS = {
    "cross": (A, B[:, 0]),
    "matmul": (A, B),
    "matrix_power": (A, -3),
    "multi_dot": ([A, A, B],),
    "outer": (B[:, 0], B[:, 1]),
    "solve": (A, B),
    "lstsq": (np.vstack([A, B.T @ A]), np.ones(5)),
    "pinv": (np.vstack([A, B.T @ A]),),
    "tensordot": (A, B),
    "vecdot": (A, B[:, 0]),
}
OPTIONS = {
    "cholesky": [{}, {"upper": True}],
    "eigh": [{}, {"UPLO": "U"}],
    "eigvalsh": [{}, {"UPLO": "U"}],
    "norm": [{"ord": o} for o in (None, "fro", "nuc", 1, 2, np.inf, -np.inf)],
    "matrix_norm": [{"ord": o} for o in ("fro", "nuc", 1, 2, np.inf, -np.inf)],
    "tensordot": [{"axes": 1}],
    "svd": [{"compute_uv": False}, {"compute_uv": False, "hermitian": True}],
}
CALLS = [
    (name, options)
    for name in la.__all__
    if callable(getattr(np.linalg, name, None)) and not inspect.isclass(getattr(np.linalg, name))
    for options in OPTIONS.get(name, [{}])
]
# the value by another method than NumPy's, or by its own on the transpose: a few roundings
ROUNDED = {"eigh", "svdvals", "svd", "pinv", "lstsq"}


def leaves(y):
    return [np.asarray(value_of(part)) for part in (y if isinstance(y, tuple) else (y,))]


def recorded(f):
    """f, what it returned when it was traced, and a number that depends on it."""
    seen = []

    def number(a):
        y = f(a)
        seen.append(leaves(y))
        parts = [part for part in (y if isinstance(y, tuple) else (y,)) if np.size(part)]
        return sum(map(rnp.sum, parts), 0.0 * rnp.sum(a))

    return number, seen


@pytest.mark.parametrize(("name", "options"), CALLS, ids=[f"{n}-{o}" for n, o in CALLS])
def test_a_function_of_a_matrix_that_is_not_symmetric_has_numpys_value_plain_and_traced(name, options):
    theirs = getattr(np.linalg, name)
    first, *others = ARGUMENTS.get(name, (A,))
    rounded = name in ROUNDED or options.get("ord") in ("nuc", 2) or options.get("upper")
    expected = leaves(theirs(first, *others, **options))
    pack = (lambda a: [a, *first[1:]]) if name == "multi_dot" else (lambda a: a)
    x = first[0] if name == "multi_dot" else first
    f = lambda a: theirs(pack(a), *others, **options)
    number, seen = recorded(f)
    value_and_grad(number)(x)
    jvp(number, (x,), (x,))
    seen.append(leaves(getattr(la, name)(first, *others, **options)))
    assert len(seen) == 3
    for found in seen:
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            assert a.shape == b.shape
            assert np.array_equal(a, b) or (rounded and np.abs(a - b).max() <= 256 * 2.0**-52 * np.abs(b).max())


def test_the_scan_covers_every_function_that_numpy_has_by_the_name_of_ours():
    assert {"cholesky", "eigh", "eigvalsh", "solve", "svdvals", "qr", "norm", "det"} <= {name for name, _ in CALLS}


def test_the_reported_matrix_has_one_value_and_symmetric_gradients():
    # the trace of the cube of [[2, c], [c, 5]] is 2^3 + 5^3 + 3 c^2 7
    a = np.array([[2.0, 1.0], [3.0, 5.0]])
    for uplo, truth, off in (("L", 322.0, 3.0), ("U", 154.0, 1.0)):
        f = lambda a, uplo=uplo: np.sum(np.linalg.eigvalsh(a, UPLO=uplo) ** 3)
        assert abs(f(a) - truth) <= 64 * 2.0**-52 * truth
        value, gradient = value_and_grad(f)(a)
        assert value == f(a) == rnp.sum(la.eigvalsh(a, UPLO=uplo) ** 3)
        s = np.array([[2.0, off], [off, 5.0]])
        assert np.abs(gradient - 3 * s @ s).max() <= 64 * 2.0**-52 * truth
        assert np.abs(gradient - gradient.T).max() <= 2.0**-52 * truth
        assert vmap(f)(a[None])[0] == f(a)
        assert stage(f, a)(a) == f(a)
        assert "np.linalg.eigvalsh" in source(f, a)


def test_exact_matrices_are_read_as_floating_ones_are():
    a = exact.asarray([[29, 0], [12, 36]])
    assert (la.eigvalsh(a) == [20, 45]).all()
    assert (la.eigvalsh(a.T, UPLO="U") == [20, 45]).all()
    for f in (la.eigvalsh, lambda a: la.eigh(a).eigenvalues):
        assert (value_and_grad(lambda a, f=f: rnp.sum(f(a) ** 2))(a)[1] == 2 * np.array([[29, 12], [12, 36]])).all()
    assert (la.cholesky(exact.asarray([[9, 5], [12, 116]])) == [[3, 0], [4, 10]]).all()
    assert (la.cholesky(exact.asarray([[9, 12], [5, 116]]), upper=True) == [[3, 4], [0, 10]]).all()


@pytest.mark.parametrize("f", [np.linalg.eigvalsh, np.linalg.cholesky, lambda a: np.linalg.eigh(a)[1]])
def test_what_is_not_read_may_be_nan(f):
    clean = np.array([[4.0, 2.0], [2.0, 10.0]])
    spoiled = np.array([[4.0, np.nan], [2.0, 10.0]])
    g = grad(lambda a: rnp.sum(f(a) ** 3))
    assert (g(spoiled) == g(clean)).all()
