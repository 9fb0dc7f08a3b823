"""A batch is the loop over its examples, for every primitive and in every composition with the derivatives."""

from __future__ import annotations

import dataclasses
import itertools
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
from helpers.bits import same_bits
from helpers.sampling import IRRATIONAL, MATRICES, arguments
from hypothesis import given, settings
from hypothesis import strategies as st

import refgrad.numpy as rnp
from refgrad import exact, grad, hessian, hvp, jacfwd, jacrev, jvp, per_example_grad, stage, vjp, vmap
from refgrad.autodiff.core import PRIMITIVES
from refgrad.errors import BatchedValue, EscapedTracer, InvalidInput, NoDerivative, ShapeError

CASES = [pytest.param(p, c, id=f"{p.name}-{i}") for p in PRIMITIVES.values() for i, c in enumerate(p.cases)]
few = settings(max_examples=3, deadline=None, derandomize=True, database=None)
some = settings(max_examples=15, deadline=None, derandomize=True, database=None)


def stack(arrays):
    return np.stack(arrays)


def same(a, b):
    """Equal in shape and in every number; for balls, not apart."""
    if isinstance(a, exact.ElementArray) and a.dtype == "ball":
        (low, high), (below, above) = exact.bounds(a), exact.bounds(b)
        return a.shape == b.shape and bool(np.all((low <= above) & (below <= high)))
    return np.shape(a) == np.shape(b) and bool(np.all(a == b))


@pytest.mark.trap(19)
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(("primitive", "case"), CASES)
@few
@given(data=st.data())
def test_a_primitive_on_a_batch_is_the_loop_over_its_examples(primitive, case, count, data):
    if primitive.name == "astype":
        return  # on floats only, below
    examples = [data.draw(arguments(case)) for _ in range(count)]
    if primitive.name in IRRATIONAL:
        convert = lambda a: exact.balls(a) if isinstance(a, exact.ExactArray) else a
        examples = [[convert(a) for a in example] for example in examples]
    f = lambda *args: primitive(*args, **case.params)
    for mapped in itertools.product([True, False], repeat=len(case.args)):
        if not any(mapped):
            continue
        columns = zip(*examples, strict=True)
        given_ = [stack(column) if m else column[0] for m, column in zip(mapped, columns, strict=True)]
        found = vmap(f, in_axes=tuple(0 if m else None for m in mapped))(*given_)
        loop = [f(*(e[i] if m else examples[0][i] for i, m in enumerate(mapped))) for e in examples]
        assert same(found, stack(loop)), mapped


@pytest.mark.parametrize("name", sorted(PRIMITIVES))
def test_a_batch_of_floats_has_the_dtype_of_the_loop(name):
    primitive = PRIMITIVES[name]
    rng = np.random.default_rng(0)
    for case in primitive.cases:

        def value(domain):
            if domain.kind == "index":
                return rng.integers(0, domain.high, (2, *domain.shape))
            if domain.kind == "mask":
                return rng.integers(0, 2, (2, *domain.shape)).astype(bool)
            x = rng.uniform(0.5, 1.5, (2, *domain.shape)).astype(np.float32)
            x = {"inside": x / 2, "beyond": 1 + x}.get(domain.kind, x)
            return x + 3 * np.eye(*domain.shape[-2:], dtype=np.float32) if domain.kind in MATRICES else x

        args = [value(domain) for domain in case.args]
        f = lambda *args: primitive(*args, **case.params)
        found = vmap(f)(*args)
        loop = np.stack([np.asarray(f(*(a[i] for a in args))) for i in range(2)])
        assert found.dtype == loop.dtype
        assert found.shape == loop.shape
        assert np.abs(found.astype(float) - loop.astype(float)).max(initial=0) <= 1e-5


# a function of a matrix w and a vector x through most kinds of primitive, rational in both


# the denominators of the numbers below are products of small primes, so that no two that are compared are equal
OFFSETS = exact.asarray([Fraction(k, 1000003) for k in range(1, 7)])


def f(w, x):
    y = w @ x + rnp.sum(w, axis=0)[: len(x)]
    z = rnp.concatenate([y * y, y[::-1], x / (1 + y * y)]) + OFFSETS
    h = rnp.where(z > 0, z, -z / 2) + rnp.maximum(rnp.reshape(z, (3, -1)), x).ravel()
    solved = rnp.linalg.solve(rnp.outer(y, y) + 2 * np.eye(len(y), dtype=int).astype(object), x)
    return rnp.sum(h[np.array([0, 2, 2, 1])] ** 3) + rnp.sum(solved) * rnp.max(z)


matrices = st.lists(st.integers(-3, 3), min_size=4, max_size=4)
vectors = st.lists(st.integers(-3, 3), min_size=2, max_size=2)
batches = st.lists(st.tuples(matrices, vectors), min_size=1, max_size=3)


def arrays(batch):
    W = exact.asarray(np.array([w for w, _ in batch], object).reshape(-1, 2, 2)) / 2
    X = exact.asarray(np.array([x for _, x in batch], object).reshape(-1, 2)) / 3
    return W, X


@pytest.mark.trap(19)
@some
@given(batches)
def test_batches_and_derivatives_compose_in_every_order(batch):
    W, X = arrays(batch)
    w, v = W[0], exact.asarray([1, -2])
    both, shared = (0, 0), (None, 0)
    loop = range(len(X))
    assert same(vmap(f)(W, X), stack([f(W[i], X[i]) for i in loop]))
    assert same(vmap(f, shared)(w, X), stack([f(w, X[i]) for i in loop]))
    for g in (grad(f, 0), grad(f, 1), lambda w, x: hvp(lambda y: f(w, y), x, v), hessian(f, 1), jacfwd(grad(f, 0), 1)):
        assert same(vmap(g, both)(W, X), stack([g(W[i], X[i]) for i in loop]))
        assert same(vmap(g, shared)(w, X), stack([g(w, X[i]) for i in loop]))
    total = lambda w: rnp.sum(vmap(f, shared)(w, X))
    by_loop = lambda w: sum(f(w, X[i]) for i in loop)
    assert same(grad(total)(w), grad(by_loop)(w))
    assert same(hvp(total, w, w + 1), hvp(by_loop, w, w + 1))
    assert same(jvp(lambda X: vmap(f, shared)(w, X), (X,), (X + 1,))[1], stack([
        jvp(lambda y: f(w, y), (X[i],), (X[i] + 1,))[1] for i in loop
    ]))  # fmt: skip
    pulled = vjp(lambda X: vmap(f, shared)(w, X), X)[1](X[:, 0])[0]
    assert same(pulled, stack([X[i, 0] * grad(f, 1)(w, X[i]) for i in loop]))
    assert same(jacrev(lambda w: vmap(f, shared)(w, X))(w), stack([grad(f)(w, X[i]) for i in loop]))
    # every matrix with every vector, the outer batch over either
    table = stack([stack([grad(f)(W[i], X[j]) for j in loop]) for i in loop])
    assert same(vmap(lambda w: vmap(lambda x: grad(f)(w, x))(X))(W), table)
    assert same(vmap(vmap(grad(f), shared), (0, None))(W, X), table)
    assert same(vmap(vmap(grad(f), (0, None)), shared, 1)(W, X), table)
    nested = grad(lambda w: rnp.sum(vmap(lambda x: rnp.sum(grad(f, 1)(w, x)))(X)))(w)
    assert same(nested, grad(lambda w: sum(rnp.sum(grad(f, 1)(w, X[i])) for i in loop))(w))
    assert same(per_example_grad(f)(w, X), stack([grad(f)(w, X[i]) for i in loop]))


def test_axes_may_lie_anywhere_and_containers_have_their_own():
    X = np.arange(24.0).reshape(2, 3, 4)
    for axis in (-3, -2, -1, 0, 1, 2):
        found = vmap(lambda x: x * 2 + x.shape[0], in_axes=axis, out_axes=axis)(X)
        assert same(found, X * 2 + np.delete(X.shape, axis)[0])
    tree = {"w": X, "b": (np.ones(4), [np.arange(3.0)])}
    g = lambda p, s: {"y": p["w"].sum() + s * p["b"][0], "z": p["b"][1][0]}
    found = vmap(g, in_axes=({"w": 1, "b": (None, [0])}, None), out_axes={"y": 1, "z": 0})(tree, 2.0)
    assert same(found["y"], (X.sum((0, 2))[:, None] + 2 * np.ones(4)).T)
    assert same(found["z"], np.arange(3.0))
    assert same(vmap(lambda x, scale: x * scale, in_axes=(0, None))(X, 3.0), X * 3)
    assert vmap(lambda x: (1.0, x))(X)[0].tolist() == [1.0, 1.0]
    assert same(vmap(lambda x, *, k: x**k)(X, k=2), X**2)


LAYERS = {
    "grad": lambda f, v: grad(f),
    "jvp": lambda f, v: lambda x: jvp(f, (x,), (v,)),
    "hvp": lambda f, v: lambda x: hvp(f, x, v),
    "hessian": lambda f, v: hessian(f),
    "jacrev": lambda f, v: jacrev(lambda x: x * f(x)),
    "jacfwd": lambda f, v: jacfwd(lambda x: x * f(x)),
    "vjp": lambda f, v: lambda x: vjp(lambda x: x * f(x), x)[1](v)[0],
    "third": lambda f, v: grad(lambda x: hvp(f, x, v) @ v),
    "jacfwd of grad": lambda f, v: jacfwd(grad(f)),
}


@pytest.mark.trap(19)
@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("layer", LAYERS)
def test_a_batch_of_any_size_over_any_derivative_is_the_loop_over_it(layer, count):
    X = exact.asarray(np.arange(9, dtype=object).reshape(3, 3)[:count]) / 2
    v = exact.asarray([1, -2, 3])
    f = lambda x: rnp.sum(x**3) * x[0] / (1 + x[1] ** 2) + rnp.max(x) * x[2]
    g = LAYERS[layer](f, v)
    found = vmap(g)(X)
    one = g(v)
    if layer == "jvp":
        assert all(part.shape == (count,) for part in found)
        found, one, g = found[1], one[1], lambda x: LAYERS[layer](f, v)(x)[1]
    assert found.shape == (count, *one.shape)
    assert type(found) is type(one)
    if count:
        assert same(found, stack([g(x) for x in X]))
    floats = vmap(LAYERS[layer](f, v.astype(float)))(X.astype(float))
    assert (floats[1] if layer == "jvp" else floats).dtype == np.float64


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_derivative_of_a_batch_of_any_size_is_that_of_the_loop(count):
    X = exact.asarray(np.arange(9, dtype=object).reshape(3, 3)[:count]) / 2
    w, v = exact.asarray([1, -2, 1]), exact.asarray([3, 1, 2])
    one = lambda w, x: rnp.sum((w * x) ** 3) / (1 + w[0] ** 2)
    batch = lambda w: vmap(one, (None, 0))(w, X) + w[1]
    loop = lambda w: rnp.stack([one(w, x) + w[1] for x in X]) if count else w[:0]
    for derivative in (
        lambda f: jvp(f, (w,), (v,))[1],
        lambda f: jacrev(f)(w),
        lambda f: jacfwd(f)(w),
        lambda f: jacfwd(jacrev(f))(w),
        lambda f: hessian(lambda w: rnp.sum(f(w)))(w),
        lambda f: hvp(lambda w: rnp.sum(f(w) ** 2), w, v),
    ):
        assert same(derivative(batch), derivative(loop))


@dataclasses.dataclass
class Layer:
    w: object
    b: object


class Pair(NamedTuple):
    first: object
    second: object


def test_axes_reach_into_every_kind_of_container():
    X = np.arange(6.0).reshape(2, 3)
    f = lambda layer, scale: Pair(layer.w * scale, (layer.b, [layer.w[0]]))
    found = vmap(f, in_axes=[np.int64(-1), None], out_axes=Pair(0, (1, [0])))(Layer(X, np.ones((4, 3))), 2.0)
    assert type(found) is Pair
    assert same(found.first, 2 * X.T)
    assert same(found.second[0], np.ones((4, 3)))
    assert same(found.second[1][0], X[0])
    taken = vmap(lambda p: p.first * p.second, in_axes=(Pair(1, None),))(Pair(X, np.array([1.0, -1.0])))
    assert same(taken, X.T * [1, -1])
    by_key = vmap(lambda d: d["a"] + d["b"], in_axes=({"b": None, "a": 0},))({"a": X, "b": 1.0})
    assert same(by_key, X + 1)
    by_field = vmap(lambda layer: layer.w * layer.b, in_axes=(Layer(1, None),))(Layer(X, np.array([1.0, -1.0])))
    assert same(by_field, taken)
    for axes in ({"w": 0}, (0, 0), Pair(0, 0)):
        with pytest.raises(ShapeError, match="containers like Layer"):
            vmap(lambda layer: layer.w, in_axes=(axes,))(Layer(X, X))


def test_results_that_examples_share_are_returned_once_where_out_axes_says_none():
    X = np.ones((3, 2))
    y, shared, name = vmap(lambda x: (x, np.arange(2.0), "name"), out_axes=(0, None, None))(X)
    assert (y.shape, shared.tolist(), name) == ((3, 2), [0.0, 1.0], "name")
    both = vmap(lambda x: {"s": 2.0, "x": x}, out_axes={"s": None, "x": -1})(X)
    assert (both["s"], both["x"].shape) == (2.0, (2, 3))
    w = np.ones(2)
    _, same_w = vmap(lambda w, x: (w @ x, w), in_axes=(None, 0), out_axes=(0, None))(w, X)
    assert not np.shares_memory(same_w, w)
    assert grad(lambda w: rnp.sum(vmap(lambda x: (x, w), out_axes=(0, None))(X)[1]))(w).tolist() == [1.0, 1.0]


def test_integers_booleans_and_none_are_results_and_keyword_arguments_are_shared():
    X = np.array([[1.0, 5.0, 2.0], [7.0, 3.0, 4.0]])
    best, large, nothing, count = vmap(lambda x, *, limit: (rnp.argmax(x), x > limit, None, 3))(X, limit=2.5)
    assert (best.tolist(), best.dtype.kind, nothing) == ([1, 0], "i", None)
    assert (large.tolist(), large.dtype) == ([[False, True, False], [True, True, True]], bool)
    assert (count.tolist(), count.dtype.kind) == ([3, 3], "i")
    assert vmap(lambda x: grad(lambda y, *, k: rnp.sum(y**k))(x, k=2))(X).tolist() == (2 * X).tolist()


def test_an_empty_batch_has_empty_results():
    found = vmap(grad(lambda x: rnp.sum(rnp.tanh(x) ** 2)))(np.zeros((0, 3)))
    assert found.shape == (0, 3)
    assert found.dtype == np.float64
    picked = vmap(lambda x, i: (x[i], rnp.max(x), rnp.linalg.solve(rnp.outer(x, x), x), rnp.cumprod(x)))
    shapes = [a.shape for a in picked(np.zeros((0, 3)), np.zeros((0, 2), int))]
    assert shapes == [(0, 2), (0,), (0, 3), (0, 3)]


def test_results_share_no_memory_with_arguments_or_one_another():
    X = np.ones((3, 2))
    a, b, c = vmap(lambda x: (x, x, x[:1]))(X)
    a += 1
    b += 2
    assert X.tolist() == np.ones((3, 2)).tolist()
    assert (b - a == 1).all()
    c[:] = 7
    assert (a == 2).all()
    d = vmap(lambda x: 5.0 * x[0], out_axes=0)(X)
    d[0] = 1.0
    assert d.flags.writeable


def test_indices_of_their_own_pick_for_each_example():
    X, i = np.arange(12.0).reshape(3, 4), np.array([0, -1, 2])
    assert same(vmap(lambda x, j: x[j])(X, i), X[np.arange(3), i])
    rows = np.array([[0, 1], [3, -4], [1, 1]])
    assert same(vmap(lambda x, j: x[j])(X, rows), np.take_along_axis(X, rows % 4, 1))
    assert same(vmap(lambda j: X[0][j] if False else rnp.take(X, j, axis=1))(rows), np.stack([X[:, r] for r in rows]))
    assert same(vmap(grad(lambda x, j: x[j] ** 2))(X, i)[1], [0, 0, 0, 14])
    assert same(vmap(lambda x, j: rnp.take(x, j))(X, rows), np.take_along_axis(X, rows % 4, 1))
    labels = np.array([1, 0, 3])
    loss = lambda z, y: rnp.logsumexp(z) - z[y]
    hand = np.exp(X - X.max(1, keepdims=True))
    hand = hand / hand.sum(1, keepdims=True) - np.eye(4)[labels]
    assert np.abs(vmap(grad(loss))(X, labels) - hand).max() <= 1e-15
    best = vmap(lambda x: rnp.argmax(x * np.array([1, -1, 1, -1])))(X)
    assert same(best, [2, 2, 2])
    with pytest.raises(IndexError, match="from -4 to 3"):
        vmap(lambda x, j: x[j])(X, np.array([0, 4, 1]))


@pytest.mark.parametrize("indices", [[1, -1], [[3, -1, 0], [0, 1, 1]]], ids=["one", "several"])
def test_an_example_may_pick_along_an_axis_behind_others(indices):
    X, V = np.arange(24.0).reshape(2, 3, 4), np.arange(2.0, 26.0).reshape(2, 3, 4)
    found, tangents = jvp(lambda X: vmap(lambda x, i: x[:, i] ** 2)(X, np.array(indices)), (X,), (V,))
    assert same(found, np.stack([x[:, i] ** 2 for x, i in zip(X, indices, strict=True)]))
    assert same(tangents, np.stack([2 * x[:, i] * v[:, i] for x, v, i in zip(X, V, indices, strict=True)]))
    with pytest.raises(IndexError, match="from -4 to 3"):
        vmap(lambda x, i: x[:, i])(X, np.array([0, 4]))


def test_an_index_out_of_range_never_reads_another_example():
    X = np.arange(6.0).reshape(2, 3)
    for rows in ([5, 1], [1, -4]):
        with pytest.raises(IndexError, match="from -3 to 2"):
            vmap(lambda x, i: rnp.take(x, i))(X, np.array(rows))
    with pytest.raises(IndexError, match="from -3 to 2"):
        vmap(lambda g, i: rnp.scatter_add(g, i, 0, 3))(np.ones((2, 1)), np.array([[5], [0]]))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "uint64", "int32"])
def test_indices_of_any_integer_dtype_reach_every_element(dtype):
    x = np.ones((2, 300))
    assert grad(lambda v: rnp.sum(v[np.array([1, 2], dtype)]))(x[0]).sum() == 2
    assert vmap(lambda v, i: v[i])(x, np.array([1, 2], dtype)).tolist() == [1, 1]
    assert vmap(lambda v, i: rnp.take(v, i))(x, np.array([[1], [2]], dtype)).tolist() == [[1], [1]]
    if dtype.startswith("int"):
        assert grad(lambda v: rnp.sum(v[np.array([-1, 0], dtype)]))(x[0])[299] == 1


def test_exact_results_share_no_memory_either():
    e, u = exact.asarray([1, 2]), exact.asarray([1, 1])
    results = (
        vmap(lambda t: t)(e),
        jvp(lambda z: z, (e,), (u,))[1],
        vjp(lambda z: z, e)[1](u)[0],
        grad(lambda t: t.sum())(e),
    )
    for r in results:
        r[0] = 9
    assert (e == exact.asarray([1, 2])).all()
    assert (u == 1).all()


@pytest.mark.trap(19)
def test_what_has_no_influence_has_zeros_of_one_example_as_its_gradient():
    X = np.ones((3, 2))
    found = vmap(grad(lambda x, y: rnp.sum(y) + 0 * x[0], (0, 1)))(X, X[:, :1])
    assert same(found[0], 0 * X)
    unused = vmap(grad(lambda p: rnp.sum(p["a"])))({"a": X, "b": X[:, 0]})
    assert same(unused["a"], X)
    assert same(unused["b"], np.zeros(3))
    assert same(vmap(lambda x: rnp.sum(jvp(lambda y: rnp.ones_like(y), (x,), (x,))[1]))(X), np.zeros(3))


@pytest.mark.trap(19)
def test_a_condition_of_its_own_chooses_and_a_branch_raises():
    X = np.array([[1.0, -2.0], [-3.0, 4.0]])
    assert same(vmap(lambda x: rnp.where(x[0] > 0, x, 10 * x))(X), [[1, -2], [-30, 40]])
    assert same(vmap(lambda x: rnp.where(x[0], x, 0))(X), X)
    for use in (
        lambda x: x if x[0] > 0 else -x,
        lambda x: x[int(x[0])],
        lambda x: x[x > 0],
        lambda x: float(x[0]),
        lambda x: [x[0]] if x[0] in (1.0, 2.0) else x,
        lambda x: x[: x[0]],
    ):
        with pytest.raises((BatchedValue, NoDerivative, TypeError)) as caught:
            vmap(use)(X)
        assert "inside vmap" in str(caught.value) or "traced value" in str(caught.value)
    with pytest.raises(BatchedValue, match=r"inside vmap\(.*stands for one example of many.*where"):
        vmap(lambda x: x if x[0] > 0 else -x)(X)


def test_a_value_that_left_its_vmap_is_refused():
    kept = []
    vmap(lambda x: kept.append(x) or x)(np.ones((2, 2)))
    with pytest.raises(EscapedTracer, match="vmap"):
        kept[0] + 1
    with pytest.raises(EscapedTracer):
        vmap(lambda x: kept[0])(np.ones((2, 2)))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: vmap(lambda x: x)(1.0), "along axis 0, got a float"),
        (lambda: vmap(lambda x: x)(np.float64(1.0)), r"shape \(\)"),
        (lambda: vmap(lambda x: x, in_axes=2)(np.ones((2, 2))), "along axis 2"),
        (
            lambda: vmap(lambda x, y: x)(np.ones(2), np.ones(3)),
            r"one number of examples, got shapes \[\(2,\), \(3,\)\]",
        ),
        (lambda: vmap(lambda x: x, in_axes=None)(np.ones(2)), "one number of examples"),
        (lambda: vmap(lambda x: x, in_axes=(0, 0))(np.ones(2)), "for 1 arguments"),
        (lambda: vmap(lambda x: x, in_axes=({"a": 0},))({"b": np.ones(2)}), "containers like"),
        (lambda: vmap(lambda x: x, out_axes=3)(np.ones((2, 2))), "along axis 3"),
        (lambda: vmap(lambda x: x, out_axes=None)(np.ones((2, 2))), "all examples share"),
        (lambda: vmap(lambda x: (x, 1.0), out_axes=(None, None))(np.ones(2)), "all examples share"),
        (lambda: vmap(lambda x: x, in_axes=True)(np.ones(2)), "ints, None, or containers"),
    ],
)
def test_axes_that_do_not_fit_are_named(call, words):
    with pytest.raises(ShapeError, match=words):
        call()


def test_gradients_of_examples_are_those_of_the_loop_through_a_network():
    rng = np.random.default_rng(0)
    p = {"W": rng.normal(size=(8, 16)), "b": rng.normal(size=16), "V": rng.normal(size=(16, 3))}
    X, y = rng.normal(size=(20, 8)), rng.integers(0, 3, 20)
    loss = lambda p, x, y: (
        rnp.logsumexp(np.tanh(x @ p["W"] + p["b"]) @ p["V"]) - (np.tanh(x @ p["W"] + p["b"]) @ p["V"])[y]
    )
    found = per_example_grad(loss)(p, X, y)
    for name, g in found.items():
        assert g.shape == (20, *p[name].shape)
        for n in range(20):
            one = grad(loss)(p, X[n], y[n])[name]
            assert np.abs(g[n] - one).max() <= 1e-14


def test_gradients_of_examples_by_several_arguments_share_keyword_arguments():
    X = np.array([[1.0, 2.0], [4.0, -1.0]])
    loss = lambda x, w, b, *, penalty: (w @ x + b) ** 2 + penalty * (w @ w)
    w, b, penalty = np.array([2.0, -1.0]), 0.5, np.array(0.25)
    found = per_example_grad(loss, argnums=(1, -1))(X, w, b, penalty=penalty)
    each = [grad(loss, (1, 2))(x, w, b, penalty=penalty) for x in X]
    assert same(found[0], np.stack([g[0] for g in each]))
    assert same(found[1], np.stack([g[1] for g in each]))
    with pytest.raises(InvalidInput, match="argnums 3 asks for argument 3"):
        per_example_grad(loss, argnums=3)(X, w, b, penalty=penalty)


def test_gradients_of_examples_are_those_of_the_argument_that_argnums_names():
    rows = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]])
    w, b = np.array([1.0, -1.0]), np.array([2.0, 3.0, 5.0])
    loss = lambda x, w, b: (x @ w) * b
    assert per_example_grad(loss, 1)(rows, w, b).tolist() == (b[:, None] * rows).tolist()
    assert per_example_grad(loss, -2)(rows, w, b).tolist() == (b[:, None] * rows).tolist()
    assert per_example_grad(lambda x, b, w: loss(x, w, b), -1)(rows, b, w).tolist() == (b[:, None] * rows).tolist()


I4 = np.eye(4)
SQUARES = {
    "the identity": I4,
    "a permutation": I4[[1, 0, 2, 3]],
    "the identity but for its last row": np.vstack([I4[:3], 2 * I4[3:]]),
    "the identity and one number more": I4 + np.eye(4, k=1) * [0, 0, 0, 3],
    "the identity, and the matrix in float32": I4,
    "rational": exact.asarray(np.eye(4, dtype=int).astype(object)),
}


@pytest.mark.parametrize("name", SQUARES)
def test_vectors_times_one_matrix_are_the_loop_also_where_they_are_unit_vectors(name):
    vectors, a = SQUARES[name], np.arange(12.0).reshape(4, 3) - 5
    a = exact.asarray(a) if name == "rational" else a.astype("f4" if "float32" in name else "f8")
    for f in (lambda v: v @ a, lambda v: a.T @ v, lambda v: v[None] @ a, lambda v: a.T @ v[:, None]):
        found, expected = vmap(f)(vectors), [f(v) for v in vectors]
        assert found.dtype == expected[0].dtype
        assert all((one == other).all() for one, other in zip(found, expected, strict=True))
        assert not np.shares_memory(getattr(found, "data", found), getattr(a, "data", a))
    rows = jacrev(lambda w: a.T @ w)(vectors[0])
    assert (rows == a.T).all()


@pytest.mark.parametrize("transposed", [False, True])
def test_the_unit_vectors_times_a_matrix_have_the_bits_and_the_layout_of_a_product(transposed):
    a = np.array([[-0.0, 1.0, -2.0], [3.0, -0.0, 0.0], [-1.0, 5.0, 0.5], [0.0, -0.0, 7.0]])
    f = lambda a: vmap(lambda v: v @ (a.T if transposed else a))(np.eye(3 if transposed else 4))
    found = f(a)
    assert same_bits(found, np.eye(3) @ a.T if transposed else np.eye(4) @ a)
    assert same_bits(found, stage(f)(a))
    assert found.flags.c_contiguous
    with np.errstate(invalid="ignore"):
        assert np.isnan(f(a * [np.inf, 1.0, 1.0])).sum() > np.isnan(a * [np.inf, 1.0, 1.0]).sum()
