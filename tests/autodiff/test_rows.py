"""Rows of Jacobians and examples of a batch are independent: NaN in one is not NaN in another."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.sampling import MATRICES
from helpers.strict import array_api_strict

import refgrad.numpy as rnp
from refgrad import debug, exact, grad, hessian, jacfwd, jacrev, jvp, per_example_grad, stage, vmap
from refgrad.autodiff import rows
from refgrad.autodiff.core import PRIMITIVES
from refgrad.errors import NotConverged, NotFinite, NotPositiveDefinite

pytestmark = [
    pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning"),
]
nan, inf = np.nan, np.inf

# elementwise functions, a point at which the first result or its slope is infinite or NaN, and the other slopes
SINGULAR = {
    "log": (np.log, [-1.0, 2.0, 4.0], [0.5, 0.25]),
    "log at 0": (np.log, [0.0, 2.0, 4.0], [0.5, 0.25]),
    "sqrt at 0": (np.sqrt, [0.0, 1.0, 4.0], [0.5, 0.25]),
    "x log cos x": (lambda x: x * np.log(np.cos(x)), [8.0, 0.0, 0.0], [0.0, 0.0]),
    "x log x": (lambda x: x * np.log(x), [-1.0, 1.0, 1.0], [1.0, 1.0]),
    "1 / x": (lambda x: 1 / x, [0.0, 1.0, 2.0], [-1.0, -0.25]),
    "arcsin": (np.arcsin, [1.0, 0.0, 0.0], [1.0, 1.0]),
    "a power": (lambda x: x**1.5 * x**-0.5, [-1.0, 1.0, 4.0], [1.0, 1.0]),
    "NaN handed in": (lambda x: x * x, [nan, 1.0, 3.0], [2.0, 6.0]),
    "infinity": (lambda x: np.sin(x) * x, [inf, 0.0, 0.0], [0.0, 0.0]),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", SINGULAR)
def test_off_the_diagonal_of_an_elementwise_function_is_0(name, dtype):
    f, point, slopes = SINGULAR[name]
    x = np.array(point, dtype)
    for order in ([0, 1, 2], [1, 2, 0], [2, 0, 1]):
        J = jacrev(f)(x[order])
        assert J.dtype == dtype
        back = J[np.ix_(np.argsort(order), np.argsort(order))]
        assert back[1:].tolist() == [[0.0, slopes[0], 0.0], [0.0, 0.0, slopes[1]]]
        if not np.isnan(f(x)[0]):
            assert back[0, 1:].tolist() == [0.0, 0.0]
        assert np.array_equal(back[0, 0], grad(f)(x[0]), equal_nan=True)


def test_a_row_of_a_matrix_that_is_nan_leaves_the_others_to_the_chain_rule():
    a = np.array([[1.0, 2.0], [nan, 3.0], [4.0, 5.0]])
    J = jacrev(lambda x: (a @ x) ** 2)(np.array([1.0, -1.0]))
    assert J[[0, 2]].tolist() == [[-2.0, -4.0], [-8.0, -10.0]]
    weights = np.array([1.0, 2.0])
    X = np.array([[1.0, 1.0], [nan, 0.0], [3.0, -1.0]])
    for J in (jacrev(lambda w: X @ w)(weights), jacrev(lambda w: np.stack([x @ w for x in X]))(weights)):
        assert J[[0, 2]].tolist() == X[[0, 2]].tolist()
        assert np.isnan(J[1]).any()


def test_the_hessian_of_a_sum_is_diagonal_where_one_term_has_none():
    H = hessian(lambda x: np.sum(x * np.log(x)))(np.array([0.0, 1.0, 2.0]))  # 1 / x
    assert H[0, 1:].tolist() == [0, 0]
    assert H[1:].tolist() == [[0, 1, 0], [0, 0, 0.5]]
    H = hessian(lambda x: np.sum(x**1.5))(np.array([4.0, -1.0, 1.0]))
    assert H[[0, 2]].tolist() == [[0.375, 0, 0], [0, 0, 0.75]]


def test_containers_of_arguments_and_results_keep_their_shapes_and_dtypes():
    def f(p):
        return {"y": p["a"] * np.log(p["b"]), "n": np.sum(p["a"])}

    p = {"a": np.array([1.0, 2.0], np.float32), "b": np.array([[-1.0], [1.0]])}
    J = jacrev(f)(p)
    assert J["y"]["a"].shape == (2, 2, 2)
    assert J["y"]["a"].dtype == np.float32
    assert J["y"]["b"].shape == (2, 2, 2, 1)
    assert J["y"]["b"].dtype == np.float64
    assert J["y"]["a"][1].tolist() == [[0, 0], [0, 0]]
    assert J["y"]["b"][1, :, :, 0].tolist() == [[0, 1], [0, 2]]
    assert J["n"]["a"].tolist() == [1, 1]
    assert J["n"]["b"].tolist() == [[0], [0]]


def test_arrays_of_the_standard_are_mended_too():
    J = jacrev(lambda x: {"y": x * rnp.log(x), "sum": rnp.sum(x)})(array_api_strict.asarray([-1.0, 1.0]))
    assert np.array_equal(np.asarray(J["y"]), [[nan, 0], [0, 1]], equal_nan=True)
    assert np.asarray(J["sum"]).tolist() == [1, 1]
    H = hessian(lambda x: rnp.sum(rnp.log(x)))(array_api_strict.asarray([0.0, 1.0]))
    assert np.asarray(H).tolist() == [[-inf, 0], [0, -1]]


def test_each_example_of_a_batch_of_jacobians_is_that_of_the_loop():
    f = lambda x: x * np.log(np.cos(x))
    X = np.array([[6.0, 7.0, 8.0], [0.0, 0.0, 0.0], [8.0, 6.0, 7.0]])
    for transformation in (jacrev, lambda f: hessian(lambda x: np.sum(f(x)))):
        found, loop = vmap(transformation(f))(X), np.stack([transformation(f)(x) for x in X])
        assert np.array_equal(found, loop, equal_nan=True)
    assert np.isfinite(vmap(jacrev(f))(X)[0, :2]).all()


def test_the_function_is_not_run_again_and_without_nan_nothing_is(monkeypatch):
    runs, pushes = [], []
    push = rows.Run.push
    monkeypatch.setattr(rows.Run, "push", lambda self, ts: pushes.append(1) or push(self, ts))

    def f(x):
        runs.append(1)
        return x * np.log(x)

    with monkeypatch.context() as patch:
        patch.setattr(rows, "_independent", None)
        jacrev(f)(np.array([1.0, 2.0]))
    assert (len(runs), len(pushes)) == (1, 0)
    jacrev(f)(np.array([-1.0, 2.0]))
    assert (len(runs), len(pushes)) == (2, 1)
    assert np.isnan(jacrev(f)(np.array([-1.0, nan]))).all()  # nor where every output is NaN
    assert (len(runs), len(pushes)) == (3, 1)


def test_the_work_is_bounded_and_what_has_no_other_row_agrees_with_grad(monkeypatch):
    root = lambda x: np.where(x > 0, np.sqrt(x), 0.0)
    assert np.isnan(grad(root)(0.0))
    assert np.isnan(jacrev(root)(0.0))
    assert jacrev(root)(np.array([0.0, 0.25])).tolist() == [[0, 0], [0, 1]]  # what is not chosen has derivative 0
    monkeypatch.setattr(rows, "MOST_PASSES", 2)
    a = np.array([[1.0, 2.0, 3.0, 4.0, 5.0], [nan] * 5])
    four, five = (jacrev(lambda x, n=n: np.sum(a[:, :n] * x, axis=1))(np.ones(n)) for n in (4, 5))
    assert four[0].tolist() == [1, 2, 3, 4]  # as many columns as two passes of two rows take
    assert np.isnan(five).all()
    monkeypatch.setattr(rows, "MOST_PASSES", 1)
    assert np.isnan(jacrev(lambda x: np.sum(a[:, :3] * x, axis=1))(np.ones(3))).all()
    monkeypatch.setattr(rows, "MOST_PASSES", 3)
    assert jacrev(lambda x: np.sum(a * x, axis=1))(np.ones(5))[0].tolist() == [1, 2, 3, 4, 5]


def test_where_a_value_decides_nothing_the_entries_are_those_of_reverse_mode():
    f, x = np.sqrt, np.array([0.0, 1.0])
    assert np.isnan(stage(jacrev(f))(x)[1, 0])
    assert np.isnan(jacfwd(f)(x)[0, 1])  # forward mode: along the row of an output
    with debug(), pytest.raises(NotFinite):
        jacrev(f)(x)
    with debug(nonfinite=False):
        assert jacrev(f)(x).tolist() == [[inf, 0], [0, 0.5]]
    assert (jacrev(lambda x: x * x)(exact.asarray([1, 2])) == exact.asarray([[2, 0], [0, 4]])).all()


def test_an_example_that_is_nan_leaves_the_gradients_of_the_others_alone():
    def loss(p, x, y):
        W, b, V = p
        h = np.maximum(np.tanh(x @ W + b), 0.1)
        z = rnp.nn.layer_norm(h, axis=-1) @ V
        return rnp.logsumexp(z) - z[y] + np.sqrt(np.sum(x * x)) * np.log(np.sum(np.exp(x)))

    rng = np.random.default_rng(0)
    p = (rng.normal(size=(3, 4)), rng.normal(size=4), rng.normal(size=(4, 2)))
    X, y = rng.normal(size=(4, 3)), np.array([0, 1, 1, 0])
    clean = per_example_grad(loss)(p, X, y)
    for poison in (nan, inf, 0.0):
        X[1] = poison
        found = per_example_grad(loss)(p, X, y)
        for a, b in zip(found, clean, strict=True):
            assert np.array_equal(a[[0, 2, 3]], b[[0, 2, 3]])


FLOATS = [
    pytest.param(p, c, id=f"{p.name}-{i}")
    for p in PRIMITIVES.values()
    for i, c in enumerate(p.cases)
    if any(d.kind not in ("index", "mask") and 0 not in d.shape for d in c.args)
]


@pytest.mark.parametrize("poison", [nan, inf])
@pytest.mark.parametrize(("primitive", "case"), FLOATS)
def test_an_example_that_is_nan_is_alone_in_a_batch_of_every_primitive(primitive, case, poison):
    rng = np.random.default_rng(0)

    def draw(domain):
        if domain.kind in ("index", "mask"):
            return rng.integers(0, domain.high if domain.kind == "index" else 2, (3, *domain.shape))
        x = rng.uniform(0.25, 0.75, (3, *domain.shape))
        x = x + 3 * np.eye(*domain.shape[-2:]) if domain.kind in MATRICES else x
        x[1] = np.where(rng.random(domain.shape) < 0.5, poison, x[1])
        return x

    args = [draw(d).astype(bool) if d.kind == "mask" else draw(d) for d in case.args]
    real = tuple(i for i, a in enumerate(args) if a.dtype.kind == "f")

    def total(*xs):
        return rnp.sum(primitive(*xs, **case.params) * 1.5)

    def slope(*xs):
        moved = lambda *ys: grad(total, real)(*(ys[real.index(i)] if i in real else x for i, x in enumerate(xs)))
        at = tuple(xs[i] for i in real)
        return (*grad(total, real)(*xs), *jvp(moved, at, at)[1])

    def value(*xs):
        return (primitive(*xs, **case.params),)

    derivable = primitive.vjp is not None
    for f in (value, slope) if derivable else (value,):
        try:
            found = vmap(f)(*args)
        except (NotConverged, NotPositiveDefinite):
            return  # a decomposition refuses the whole batch
        for i in (0, 2):
            for a, b in zip(found, f(*(x[i] for x in args)), strict=True):
                assert np.allclose(a[i], b, rtol=1e-12, atol=1e-12, equal_nan=True)  # outside of a domain: NaN
