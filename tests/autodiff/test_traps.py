"""What goes wrong in engines of this kind, one test each; each was seen to fail on an engine broken on purpose."""

from __future__ import annotations

import gc
import math
import threading

import numpy as np
import pytest

import refgrad
import refgrad.numpy as rnp
from refgrad import exact, grad, hvp, jvp, value_and_grad, vjp
from refgrad.errors import EscapedTracer, NoDerivative, ShapeError, TracedAssignment


def by_forward(f):
    return lambda x: jvp(f, (x,), (rnp.ones_like(x),))[1]


MODES = {"forward": by_forward, "reverse": grad}


@pytest.mark.trap(1)
@pytest.mark.parametrize("outer", MODES)
@pytest.mark.parametrize("inner", MODES)
def test_perturbations_of_nested_derivatives_are_not_confused(outer, inner):
    # D(x -> x D(y -> x y)) = D(x -> x^2) = 2 x; an engine that confuses the two levels says x
    x = exact.asarray(4)
    assert MODES[outer](lambda x: x * MODES[inner](lambda y: x * y)(exact.asarray(2)))(x) == 8
    # the inner function closes over the outer variable in a product with its own: D(x -> x D(y -> x + y)) = 1
    assert MODES[outer](lambda x: x * MODES[inner](lambda y: x + y)(exact.asarray(1)))(x) == 1
    # three deep: D(x -> D(y -> D(z -> x y z))(1) y... ) with every level inside the next
    f = MODES[outer](lambda x: MODES[inner](lambda y: MODES[outer](lambda z: x * x * y * z * y)(exact.asarray(7)))(x))
    assert f(x) == 6 * 4**2  # D_x (2 x^3)


@pytest.mark.trap(3)
@pytest.mark.parametrize("transformation", [grad, by_forward])
def test_a_value_that_escaped_its_transformation_is_refused_and_the_message_names_it(transformation):
    kept = []

    def loss(x):
        kept.append(x)
        return x * x

    transformation(loss)(3.0)
    for use in (lambda: kept[0] * 2.0, lambda: np.sin(kept[0]), lambda: grad(lambda y: y * kept[0])(2.0)):
        with pytest.raises(EscapedTracer, match=r"loss.*has_aux=True"):
            use()


@pytest.mark.trap(3)
def test_a_cache_keyed_by_position_cannot_leak_a_level_into_the_next_call():
    cache = {}

    def f(x):
        return x * cache.setdefault("scale", x * 2.0)

    assert grad(f)(3.0) == 12.0
    with pytest.raises(EscapedTracer):
        grad(f)(3.0)


@pytest.mark.trap(2)
def test_a_thread_that_ends_between_two_levels_of_another_does_not_lower_them():
    # with levels by nesting depth, b's inner level would now equal its outer one: 1 instead of 8
    a_open, b_open, a_closed = (threading.Event() for _ in range(3))
    results = {}

    def in_a(x):
        a_open.set()
        assert b_open.wait(20)
        return x * 3.0

    def in_b(x):
        b_open.set()
        assert a_closed.wait(20)
        return x * grad(lambda y: x * y)(2.0)

    def run_a():
        results["a"] = grad(in_a)(4.0)
        a_closed.set()

    def run_b():
        assert a_open.wait(20)
        results["b"] = grad(in_b)(4.0)

    threads = [threading.Thread(target=run) for run in (run_a, run_b)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {"a": 3.0, "b": 8.0}


@pytest.mark.trap(3)
def test_an_exception_inside_a_trace_leaves_nothing_behind():
    kept = []

    def broken(x):
        kept.append(x)
        raise RuntimeError("on purpose")

    for _ in range(5):
        for transformation in (grad, by_forward):
            with pytest.raises(RuntimeError, match="on purpose"):
                transformation(broken)(1.0)
    assert grad(lambda x: x * grad(lambda y: x * y)(2.0))(4.0) == 8.0
    with pytest.raises(EscapedTracer):
        kept[0] + 1.0
    with pytest.raises(EscapedTracer):
        kept[1] + 1.0


@pytest.mark.trap(13)
def test_a_chain_of_a_hundred_thousand_operations_needs_no_recursion():
    def f(x):
        for _ in range(50_000):
            x = x + 1.0 - x / 100_000.0
        return x

    # each round multiplies the derivative by 1 - 1e-5; to first order in the unit roundoff 50000 roundings are 6e-12
    expected = (1 - 1e-5) ** 50_000
    assert abs(grad(f)(0.0) - expected) <= 50_000 * 2.0**-52
    assert abs(by_forward(f)(np.array(0.0)) - expected) <= 50_000 * 2.0**-52


@pytest.mark.trap(5)
def test_fan_out_through_views_does_not_share_an_accumulation_buffer():
    def f(x):
        a, b = x * 2.0, x.reshape(2, 3) * 3.0
        c = a * 5.0  # a is used once more, after b has got its share of the sum below
        s = a.reshape(2, 3) + b  # both get the same cotangent, a through a view of it
        return rnp.sum(s * s) / 2 + rnp.sum(x.reshape(2, 3).T[0]) + rnp.sum(c * x) + rnp.sum(x[::-1] * x)

    x = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    # s = 5 x; c x = 10 x^2; the first row of the transpose is places 0 and 3; small integers, so exact
    expected = 25 * x + 1.0 * np.array([1, 0, 0, 1, 0, 0]) + 20 * x + 2 * x[::-1]
    assert grad(f)(x).tolist() == expected.tolist()


@pytest.mark.trap(10)
def test_float32_stays_float32_through_a_whole_model():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, 3)).astype("f4"), rng.normal(size=4).astype("f4")
    theta = {"w": rng.normal(size=(3, 5)).astype("f4"), "b": np.zeros(5, "f4"), "v": rng.normal(size=5).astype("f4")}

    def loss(theta):
        h = np.tanh(x @ theta["w"] + theta["b"])
        residual = h @ theta["v"] - y
        return rnp.mean(residual**2) + 0.5 * rnp.logsumexp(h) + rnp.max(h) + rnp.var(h) + rnp.sum(rnp.relu(h)) / 3

    value, g = value_and_grad(loss)(theta)
    hv = hvp(loss, theta, theta)
    assert value.dtype == np.float32
    assert {k: a.dtype for k, a in g.items()} == dict.fromkeys(theta, np.float32)
    assert {k: a.dtype for k, a in hv.items()} == dict.fromkeys(theta, np.float32)


@pytest.mark.trap(10)
def test_gradients_of_mixed_dtypes_come_back_in_the_dtype_of_each_input():
    a, b = grad(lambda a, b: rnp.sum(a * b), (0, 1))(np.ones(3, "f4"), np.ones(3, "f8"))
    assert (a.dtype, b.dtype) == (np.float32, np.float64)


@pytest.mark.trap(4)
def test_no_gradient_shares_memory_with_another_or_with_an_input():
    x, u = np.arange(3.0), np.ones(3)
    a, b = grad(lambda a, b: rnp.sum(a + b), (0, 1))(x, x)
    assert not np.shares_memory(a, b)
    a *= 5.0
    assert b.tolist() == [1.0, 1.0, 1.0]
    (c,) = vjp(lambda a: a, x)[1](u)
    assert not np.shares_memory(c, u)
    (d,) = vjp(lambda a: a.reshape(3, 1), x)[1](u.reshape(3, 1))
    assert not np.shares_memory(d, u)
    (e,) = vjp(lambda a: rnp.reshape(a, (1,)), np.float64(2.0))[1](u[:1])
    assert not np.shares_memory(e, u)
    _, t = jvp(lambda a: a, (x,), (u,))
    assert not np.shares_memory(t, u)
    g = grad(lambda a: rnp.sum(rnp.broadcast_to(a, (2, 3))))(x)
    g += 1.0  # and it can be written to


@pytest.mark.trap(14)
def test_repeated_gradients_leave_no_reference_cycles():
    f = grad(lambda x: rnp.sum(np.tanh(x @ x)))
    x = np.eye(3)
    f(x)
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for _ in range(20):
            f(x)
        assert len(gc.get_objects()) - before <= 2
        assert gc.collect() == 0
    finally:
        gc.enable()


@pytest.mark.trap(16)
def test_gradients_are_the_same_bits_in_every_run():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(20, 20))
    f = grad(lambda x: rnp.sum(np.tanh(x @ x.T) * x + x / (2 + x * x)))
    first = f(x).tobytes()
    assert all(f(x).tobytes() == first for _ in range(5))


@pytest.mark.trap(15)
def test_unused_repeated_and_constant_arguments_get_the_derivative_they_have():
    x = np.array([1.0, 2.0])
    assert grad(lambda x: 3.0)(x).tolist() == [0.0, 0.0]
    a, b = grad(lambda a, b: rnp.sum(a), (0, 1))(x, x)
    assert (a.tolist(), b.tolist()) == ([1.0, 1.0], [0.0, 0.0])
    assert grad(lambda x: x)(2.0) == 1.0
    assert grad(lambda t: t["a"] * 2.0)({"a": 1.0, "unused": None}) == {"a": 2.0, "unused": None}
    value, out = jvp(lambda x: {"y": x * 2.0, "c": 1.0}, (x,), (x,))
    assert out["c"] == 0.0
    assert value["c"] == 1.0


@pytest.mark.trap(6)
@pytest.mark.parametrize(
    ("shapes", "f"),
    [
        (((3,), (2, 3)), lambda a, b: a * b),
        (((1,), (1,)), lambda a, b: a * b),
        (((), (2, 1)), lambda a, b: a / b),
        (((1, 3), (2, 1)), lambda a, b: rnp.where(a > b, a, b)),
        (((0,), (1,)), lambda a, b: a + b),
        (((2, 2), (5, 2, 3)), rnp.linalg.solve),
        (((4, 2, 3), (3,)), lambda a, b: a @ b),
        (((3,), (4, 3, 2)), lambda a, b: a @ b),
        (((2, 3), (2, 1)), lambda a, b: rnp.clip(a, b, b + 1.0)),
    ],
)
def test_gradients_have_the_shapes_of_their_inputs_under_broadcasting(shapes, f):
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=s) + 3.0 for s in shapes)
    ga, gb = grad(lambda a, b: rnp.sum(f(a, b)), (0, 1))(a, b)
    assert (ga.shape, gb.shape) == shapes
    ha, hb = hvp(lambda t: rnp.sum(f(*t) * f(*t)), (a, b), (a, b))
    assert (ha.shape, hb.shape) == shapes


@pytest.mark.trap(7)
def test_axes_may_be_negative_tuples_or_empty():
    x = exact.asarray(np.arange(24).reshape(2, 3, 4).astype(object))
    for axis in (None, 0, -1, (0, -1), (), (2, 0, 1)):
        for keepdims in (False, True):
            y = refgrad.numpy.sum(x, axis=axis, keepdims=keepdims)
            plain = np.sum(x.astype(float), axis=axis, keepdims=keepdims)
            assert y.shape == plain.shape
            g = grad(lambda x, a=axis, k=keepdims: rnp.sum(rnp.sum(x, axis=a, keepdims=k) ** 2))(x)
            full = np.broadcast_to(np.sum(x.astype(float), axis=axis, keepdims=True), x.shape)
            assert (g == exact.asarray(2 * full)).all()
    with pytest.raises(ShapeError, match="expected axes from -3 to 2"):
        grad(lambda x: rnp.sum(rnp.sum(x, axis=3)))(x)


@pytest.mark.trap(9)
@pytest.mark.parametrize(
    "key",
    [
        0,
        -1,
        slice(None, None, -2),
        (slice(1, 3), 0),
        (Ellipsis, None, 1),
        (None, slice(0, 0)),
        np.array([0, 0, 2]),
        np.array([-1, 0]),
        (np.array([0, 1]), slice(None)),
        (slice(None), np.array([[0, 1], [1, 1]])),
        (np.array([0, 2]), np.array([1, 1])),
        np.array([True, False, True]),
        [2, 2],
    ],
    ids=str,
)
def test_every_index_that_numpy_takes_gathers_and_its_transpose_accumulates(key):
    x = exact.asarray([[1, 2], [3, 4], [5, 6]])
    plain = np.arange(1.0, 7.0).reshape(3, 2)
    y, back = vjp(lambda x: x[key], x)
    assert (y.astype(float) == plain[key]).all()
    expected = np.zeros((3, 2))
    np.add.at(expected, key, plain[key])
    (g,) = back(y)
    assert (g.astype(float) == expected).all()


@pytest.mark.trap(9)
@pytest.mark.parametrize("key", [3, (0, 2), np.array([3]), np.array([-4]), (0, 0, 0)], ids=str)
def test_an_index_out_of_bounds_raises(key):
    with pytest.raises(IndexError):
        grad(lambda x: rnp.sum(x[key]))(np.ones((3, 2)))


@pytest.mark.trap(12)
def test_a_direction_is_shared_by_equal_maxima_like_a_gradient():
    assert jvp(lambda x: rnp.max(x), (np.array([1.0, 3.0, 3.0]),), (np.array([7.0, 1.0, 2.0]),))[1] == 1.5


@pytest.mark.trap(12)
def test_a_nan_in_the_branch_not_taken_does_not_reach_a_gradient_that_where_cut_off():
    g = grad(lambda x: rnp.sum(rnp.where(x > 0.0, x, np.array([np.nan, np.inf]))))(np.array([1.0, -1.0]))
    assert g.tolist() == [1.0, 0.0]


def test_the_second_derivative_of_tanh_survives_near_zero():
    assert grad(grad(lambda x: np.tanh(x)))(1e-300) == -2e-300


def test_errors_say_what_to_write_instead():
    x = np.array([1.0, 2.0])
    with pytest.raises(NoDerivative, match=r"one number.*shape \(2,\).*jacrev"):
        grad(lambda x: x)(x)
    with pytest.raises(NoDerivative, match=r"got 3. Write 3.0 for 3"):
        grad(lambda x: x * x)(3)
    with pytest.raises(NoDerivative, match=r"\['w'\]: .*dtype int64"):
        grad(lambda t: rnp.sum(t["w"]))({"w": np.arange(3)})
    with pytest.raises(NoDerivative, match="has_aux=True"):
        grad(lambda x: (x * x, 1))(2.0)
    with pytest.raises(NoDerivative, match=r"numpy.fft.fft has no derivative rule"):
        grad(lambda x: np.fft.fft(x))(x)
    with pytest.raises(NoDerivative, match=r"numpy.heaviside has no derivative rule"):
        grad(lambda x: np.sum(np.heaviside(x, 1.0)))(x)
    with pytest.raises(NoDerivative, match=r"complex128"):
        grad(lambda x: rnp.sum(x))(x + 1j)
    with pytest.raises(TracedAssignment, match=r"refgrad.numpy.where"):
        grad(lambda x: x.__setitem__(0, 1.0))(x)
    with pytest.raises(NoDerivative, match=r"refgrad.numpy.stack"):
        grad(lambda x: np.sum(np.array([x[0], x[1]])))(x)

    def in_place(x):
        y = np.zeros(2)
        y += x
        return np.sum(y)

    with pytest.raises(NoDerivative, match=r"x = x \+ y"):
        grad(in_place)(x)
    with pytest.raises(NoDerivative, match=r"math module"):
        grad(lambda x: math.exp(x))(1.0)
    with pytest.raises(ShapeError, match=r"\(3,\)"):
        jvp(lambda x: x, (x,), (np.ones(3),))
    with pytest.raises(ShapeError, match=r"inner lengths"):
        grad(lambda x: rnp.sum(x @ np.ones((3, 2))))(x)


def test_a_branch_on_a_traced_value_takes_the_branch_of_its_value():
    def f(x):
        return x * x if x > 0.0 else -x

    assert grad(f)(3.0) == 6.0
    assert grad(f)(-3.0) == -1.0
    assert grad(lambda x: f(x) * grad(f)(x))(3.0) == 2.0 * 3.0**2 * 3
