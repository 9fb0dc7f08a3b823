"""The engine and the families on a GPU give what they give on NumPy, to rounding, and stay there."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.sampling import MATRICES

import refgrad.numpy as rnp
from refgrad import custom_rule, grad, hessian, hvp, jacfwd, tree
from refgrad.autodiff.core import PRIMITIVES
from refgrad.continual import fisher_diagonal
from refgrad.errors import InvalidInput, SingularMatrix, WrongDerivative
from refgrad.implicit import custom_root, hypergradient
from refgrad.meta import maml_gradient
from refgrad.multitask import min_norm

pytestmark = pytest.mark.gpu


def floats(case, seed):
    """NumPy arguments from the domains of a primitive's case."""
    rng = np.random.default_rng(seed)
    arrays = []
    for domain in case.args:
        if domain.kind == "index":
            arrays.append(rng.integers(0, domain.high, domain.shape))
        elif domain.kind == "mask":
            arrays.append(rng.random(domain.shape) < 0.5)
        elif domain.kind in MATRICES:
            arrays.append(rng.normal(size=domain.shape) + 4 * np.eye(*domain.shape[-2:]))
        else:
            values = rng.normal(size=domain.shape)
            least = {"positive": 0.5, "nonzero": 0.5, "beyond": 1.5}.get(domain.kind)
            arrays.append(values if least is None else np.abs(values) + least)
    return [np.asarray(a) for a in arrays]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("primitive", "case"),
    [
        pytest.param(p, c, id=f"{p.name}-{i}")
        for p in PRIMITIVES.values()
        if p.vjp is not None and p.name != "astype"
        for i, c in enumerate(p.cases)
    ],
)
def test_every_rule_runs_on_the_device_in_its_dtype_and_agrees_with_numpy(cupy, primitive, case, dtype):
    results = []
    for module in (np, cupy):
        arrays = [module.asarray(a.astype(dtype) if a.dtype.kind == "f" else a) for a in floats(case, 0)]
        places = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]

        def f(*xs, arrays=arrays, places=places):
            args = list(arrays)
            for i, x in zip(places, xs, strict=True):
                args[i] = x
            y = primitive(*args, **case.params)
            return rnp.sum(y * y)

        xs = tuple(arrays[i] for i in places)
        gradients = grad(f, tuple(range(len(xs))))(*xs)
        products = hvp(lambda t, f=f: f(*t), xs, xs)
        if module is cupy:
            assert all(isinstance(g, cupy.ndarray) for g in [*gradients, *products])
        assert {str(g.dtype) for g in [*gradients, *products]} == {dtype}
        results.append([g if module is np else cupy.asnumpy(g) for g in [*gradients, *products]])
    roundoff = np.finfo(dtype).eps
    for ours, theirs in zip(*results, strict=True):
        assert np.abs(ours - theirs).max(initial=0.0) <= 256 * roundoff * (1 + np.abs(ours).max(initial=0.0))


def test_the_families_run_on_the_device_and_agree_with_numpy(cupy):
    rng = np.random.default_rng(0)
    X, y, theta, J = rng.normal(size=(5, 3)), rng.normal(size=5), rng.normal(size=3), rng.normal(size=(4, 6))
    A = rng.normal(size=(3, 3))
    A = A @ A.T + np.eye(3)

    def everything(m):
        a, b, t, g, h = (m.asarray(x) for x in (X, y, theta, J, A))
        loss = lambda t, batch: rnp.mean((batch[0] @ t - batch[1]) ** 4)
        logits = lambda t, x: rnp.reshape(x @ t, (-1, 1)) * m.asarray([[1.0, -1.0, 0.5]])
        inner = lambda w, phi: w @ h @ w / 2 - phi @ w
        outer = lambda w, phi: rnp.sum(w**4) + phi @ w
        w = m.linalg.solve(h, t)
        return [
            maml_gradient(loss, t, [((a, b), (a[::-1], b))], 0.01, 3),
            fisher_diagonal(logits, t, a),
            min_norm(g).direction,
            hypergradient(inner, outer, w, t).value,
            hypergradient(inner, outer, w, t, solver="cg").value,
        ]

    on_device = everything(cupy)
    assert all(isinstance(x, cupy.ndarray) for x in on_device)
    for ours, theirs in zip(everything(np), on_device, strict=True):
        assert np.abs(ours - cupy.asnumpy(theirs)).max() <= 1e-11 * (1 + np.abs(ours).max())


def test_what_cupy_lets_pass_in_silence_raises(cupy):
    with pytest.raises(SingularMatrix):
        rnp.linalg.solve(cupy.zeros((2, 2)), cupy.ones(2))
    with pytest.raises(InvalidInput, match="indices from -3 to 2"):
        grad(lambda x: rnp.sum(rnp.take(x, cupy.asarray([3]), axis=0)))(cupy.ones(3))


def test_containers_of_device_arrays_are_one_vector(cupy):
    x = {"a": cupy.ones((2, 2)), "b": cupy.zeros(3)}
    vector, unravel = tree.ravel(x)
    assert isinstance(vector, cupy.ndarray)
    assert unravel(vector)["a"].shape == (2, 2)
    assert float(tree.dot(x, x)) == 4.0


def test_jacobians_roots_and_functions_with_rules_run_on_the_device_and_agree_with_numpy(cupy):
    cube = custom_rule(jvp=lambda y, xs, ts: 3 * xs[0] ** 2 * ts[0], vjp=lambda y, xs, u: (3 * xs[0] ** 2 * u,))(
        lambda x: x**3
    )
    root = custom_root(lambda x, a: x * x - a, lambda a: a**0.5)
    f = lambda x: rnp.sum(cube(x) * root(x)) + rnp.sum(rnp.tanh(x)[::-1] * x)
    x = np.array([1.0, 2.0, 3.0])
    for derivative in (grad(f), hessian(f), jacfwd(grad(f)), lambda x: hvp(f, x, x)):
        found = derivative(cupy.asarray(x))
        assert type(found) is cupy.ndarray
        assert np.abs(found.get() - derivative(x)).max() <= 1e-12
    wrong = custom_rule(jvp=lambda y, xs, ts: ts[0], vjp=lambda y, xs, u: (2 * u,))(lambda x: x * 1)
    with pytest.raises(WrongDerivative):
        grad(lambda x: rnp.sum(wrong(x)))(cupy.asarray(x))
