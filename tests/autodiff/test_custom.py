"""Functions with rules of their own: in every composition what the engine finds by itself, and no wrong rule passes."""

from __future__ import annotations

import re
from fractions import Fraction

import array_api_strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import refgrad.numpy as rnp
from refgrad import (
    checkpoint,
    custom_rule,
    debug,
    exact,
    grad,
    hessian,
    hvp,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    per_example_grad,
    stage,
    vjp,
    vmap,
)
from refgrad.autodiff.agreement import integers_like
from refgrad.errors import EscapedTracer, NoDerivative, ShapeError, WrongDerivative

some = settings(max_examples=10, deadline=None, derandomize=True, database=None)
numbers = st.lists(st.integers(-3, 3), min_size=3, max_size=3)


def same(a, b):
    return np.shape(a) == np.shape(b) and bool(np.all(a == b))


def plain(p, x, *, power=3):
    s = rnp.sum(p["w"] * x)
    return {"y": p["w"] * x**power / (1 + p["b"] * p["b"]), "s": (s, 5)}


def tangent(y, xs, ts, *, power=3):
    (p, x), (dp, dx) = xs, ts
    slope = p["w"] * power * x ** (power - 1) / (1 + p["b"] * p["b"])
    along = slope * dx + dp["w"] * x**power / (1 + p["b"] * p["b"])
    return {
        "y": along - 2 * p["b"] * dp["b"] * y["y"] / (1 + p["b"] * p["b"]),
        "s": (rnp.sum(dp["w"] * x + p["w"] * dx), None),
    }


def cotangent(y, xs, u, *, power=3):
    (p, x), g, h = xs, u["y"], u["s"][0]
    scale = 1 + p["b"] * p["b"]
    return (
        {"w": g * x**power / scale + h * x, "b": -2 * p["b"] * rnp.sum(g * y["y"]) / scale},
        g * p["w"] * power * x ** (power - 1) / scale + h * p["w"],
    )


ruled = custom_rule(jvp=tangent, vjp=cotangent)(plain)


def total(f):
    def loss(p, x):
        first = f(p, x)
        second = f(p, first["y"] / 2, power=2)
        return rnp.sum(second["y"]) * first["s"][0] + second["s"][0] * second["s"][1]

    return loss


@some
@given(numbers, numbers, numbers)
def test_a_function_with_rules_has_the_derivatives_of_its_formula_in_every_composition(w, b, x):
    p = {"w": exact.asarray(w), "b": exact.asarray(b[0])}
    x, v = exact.asarray(x), exact.asarray([1, -2, 1])
    P = {"w": np.stack([p["w"], x, p["w"] + x]), "b": exact.asarray(b)}
    X = np.stack([x, v, x - v])
    for derivative in (
        lambda f: f(p, x),
        lambda f: grad(f)(p, x)["b"],
        lambda f: grad(f)(p, x)["w"],
        lambda f: grad(f, 1)(p, x),
        lambda f: jvp(lambda x: f(p, x), (x,), (v,))[1],
        lambda f: hvp(lambda x: f(p, x), x, v),
        lambda f: hessian(f, 1)(p, x),
        lambda f: jacfwd(grad(f, 1), 1)(p, x),
        lambda f: jvp(lambda x: jvp(lambda x: f(p, x), (x,), (v,))[1], (x,), (v,))[1],
        lambda f: grad(lambda x: jvp(lambda x: f(p, x), (x,), (v,))[1])(x),
        lambda f: grad(lambda x: hvp(lambda x: f(p, x), x, v) @ v)(x),
        lambda f: linearize(grad(f, 1), p, x)[1](p, v),
        lambda f: vmap(f)(P, X),
        lambda f: vmap(grad(f, 1))(P, X),
        lambda f: vmap(grad(f, 1), ({"w": None, "b": 0}, None))({"w": p["w"], "b": P["b"]}, x),
        lambda f: grad(lambda p: rnp.sum(vmap(f, (None, 0))(p, X)))(p)["w"],
        lambda f: grad(lambda p: rnp.sum(vmap(f, (None, 0))(p, X)))(p)["b"],
        lambda f: jvp(lambda x: vmap(f, (0, None))(P, x), (x,), (v,))[1],
        lambda f: hvp(lambda x: rnp.sum(vmap(f, (0, None))(P, x)), x, v),
        lambda f: vmap(lambda q, y: hvp(lambda x: f(q, x), y, v))(P, X),
        lambda f: grad(lambda x: rnp.sum(vmap(lambda q: grad(f, 1)(q, x))(P)))(x),
        lambda f: vmap(lambda q: vmap(lambda y: grad(f, 1)(q, y))(X))(P),
        lambda f: grad(checkpoint(f), 1)(p, x),
        lambda f: hvp(lambda x: checkpoint(f)(p, x), x, v),
    ):
        assert same(derivative(total(ruled)), derivative(total(plain)))


def test_results_keep_their_containers_and_what_is_no_real_number():
    p, x = {"w": np.array([1.0, 2.0]), "b": np.array(1.0)}, np.array([3.0, 4.0])
    assert ruled(p, x)["s"] == (11.0, 5)
    (y, _), pull = (vjp(lambda x: (ruled(p, x)["y"], 0.0), x)[i] for i in (0, 1))
    assert y.tolist() == [13.5, 64.0]
    assert pull((np.ones(2), 0.0))[0].tolist() == [13.5, 48.0]
    assert grad(lambda x: ruled(p, x)["s"][0] * ruled(p, x)["s"][1])(x).tolist() == [5.0, 10.0]
    kinds = []
    grad(lambda x: kinds.append(type(ruled(p, x)["s"][1])) or rnp.sum(x))(x)
    assert kinds == [int]


@custom_rule(
    jvp=lambda y, xs, ts: rnp.take(ts[0], xs[1]) * xs[2],
    vjp=lambda y, xs, u: (rnp.scatter_add(u * xs[2], xs[1], 0, len(xs[0])), None, rnp.zeros_like(xs[2]), None),
    check=False,
)
def picked(x, labels, scale, name):
    assert name == "a name"
    return rnp.take(x, labels) * scale


def test_labels_and_names_are_arguments_without_a_derivative():
    x, i = np.array([1.0, 2.0, 3.0]), np.array([1, 1, 0])
    f = lambda x: rnp.sum(picked(x, i, 2.0, "a name") ** 2)
    assert grad(f)(x).tolist() == [8.0, 32.0, 0.0]
    assert hvp(f, x, np.ones(3)).tolist() == [8.0, 16.0, 0.0]
    rows = np.array([[0, 0], [1, 2]])
    found = vmap(grad(lambda x, i: rnp.sum(picked(x, i, 2.0, "a name"))), (None, 0))(x, rows)
    assert found.tolist() == [[4.0, 0.0, 0.0], [0.0, 2.0, 2.0]]
    g = grad(lambda x: rnp.sum(vmap(lambda i: picked(x, i, 2.0, "a name"))(rows)))(x)
    assert g.tolist() == [4.0, 2.0, 2.0]


def newton(a):
    """The cube root by as many steps as it takes: branches, and plain floats alone."""
    x = 1.0
    for _ in range(100):
        step = (x * x * x - float(a)) / (3 * x * x)
        x -= step
        if abs(step) < 1e-15 * abs(x):
            break
    return np.float64(x)


ROOT = {"jvp": lambda y, xs, ts: ts[0] / (3 * y * y), "vjp": lambda y, xs, u: (u / (3 * y * y),)}


def test_a_function_that_branches_on_plain_numbers_is_differentiable_and_runs_for_each_example():
    root = custom_rule(**ROOT, by_example=True)(newton)
    a = np.array([1.0, 8.0, 27.0])
    assert np.abs(vmap(root)(a) - [1, 2, 3]).max() <= 1e-15
    slopes = np.array([1 / 3, 1 / 12, 1 / 27])
    assert np.abs(vmap(grad(root))(a) - slopes).max() <= 1e-15
    assert np.abs(grad(lambda a: rnp.sum(vmap(root)(a)))(a) - slopes).max() <= 1e-15
    assert np.abs(vmap(lambda x: hvp(root, x, 1.0))(a) + np.array([2 / 9, 2 / 288, 2 / 2187])).max() <= 1e-15
    with pytest.raises(NoDerivative, match=r"float\(\)"):
        vmap(custom_rule(**ROOT)(newton))(a)
    with pytest.raises(ShapeError, match="at least one"):
        vmap(root)(np.ones(0))


def rules_with(**changes):
    """A linear map of a matrix and a vector, with its rules or changed ones."""
    rules = {
        "jvp": lambda y, xs, ts: ts[0] @ xs[1] + xs[0] @ ts[1],
        "vjp": lambda y, xs, u: (rnp.outer(u, xs[1]), xs[0].T @ u),
    }
    return custom_rule(**(rules | changes))(lambda a, x: a @ x)


KINDS = {
    "rational": exact.asarray,
    "ball": exact.balls,
    "float64": lambda x: np.array(x, float),
    "float32": lambda x: np.array(x, np.float32),
}
WRONG = {
    "sign": ({"vjp": lambda y, xs, u: (-rnp.outer(u, xs[1]), xs[0].T @ u)}, r"\[0\]"),
    "not transposed": ({"vjp": lambda y, xs, u: (rnp.outer(u, xs[1]), xs[0] @ u)}, r"\[1\]"),
    "factor": ({"jvp": lambda y, xs, ts: ts[0] @ xs[1] + 2 * xs[0] @ ts[1]}, r"\[1\]"),
    "one term": ({"jvp": lambda y, xs, ts: xs[0] @ ts[1]}, r"\[0\]"),
    "not linear": ({"jvp": lambda y, xs, ts: ts[0] @ xs[1] + xs[0] @ ts[1] + (ts[0] @ ts[1])}, "not linear"),
    "small": ({"jvp": lambda y, xs, ts: (ts[0] @ xs[1] + xs[0] @ ts[1]) * 1001 / 1000}, r"\[0\]"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wrong", WRONG)
def test_rules_that_are_not_transposes_are_refused_with_both_numbers_and_the_argument(wrong, kind):
    changes, place = WRONG[wrong]
    a, x = KINDS[kind]([[1, 2], [5, 3]]), KINDS[kind]([3, 4])
    f = rules_with(**changes)
    assert f(a, x).shape == (2,)
    for derivative in (
        lambda f: grad(lambda x: rnp.sum(f(a, x)))(x),
        lambda f: jvp(f, (a, x), (a, x)),
        lambda f: vmap(grad(lambda x: rnp.sum(f(a, x))))(np.stack([x, x])),
        lambda f: grad(lambda a: rnp.sum(vmap(f, (None, 0))(a, np.stack([x, x]))))(a),
    ):
        with pytest.raises(WrongDerivative, match=r"<u, J t> = .* but <J\^T u, t> = .*check=False") as caught:
            derivative(f)
        assert re.search(place, str(caught.value))
        derivative(rules_with())
        derivative(rules_with(**changes, check=False))


@pytest.mark.parametrize("scale", [2.0**-200, 2.0**200])
def test_the_check_is_relative_to_the_numbers(scale):
    a, x = KINDS["float64"]([[1, 2], [5, 3]]) * scale, KINDS["float64"]([3, 4]) * scale
    for wrong, (changes, _) in WRONG.items():
        if wrong != "not linear":  # the square of a direction does not shrink with the arguments
            with pytest.raises(WrongDerivative):
                jvp(rules_with(**changes), (a, x), (a, x))
    jvp(rules_with(), (a, x), (a, x))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_rule_may_be_wrong_by_thirty_roundings_of_its_terms_and_no_more(dtype):
    def identity(roundings):
        factor = 1 + roundings * np.finfo(dtype).eps
        return custom_rule(jvp=lambda y, xs, ts: ts[0], vjp=lambda y, xs, u: (u * factor,))(lambda x: x * 1)

    x = np.array([2.0, 3.0], dtype)
    for roundings in (-28, 28):
        both_modes(identity(roundings), x)
    for roundings in (-33, 33):
        with pytest.raises(WrongDerivative):
            both_modes(identity(roundings), x)


@pytest.mark.parametrize("kind", [exact.asarray, exact.balls])
def test_on_exact_numbers_no_error_is_too_small(kind):
    a, x = kind([[1, 2], [5, 3]]), kind([3, 4])
    changes = {"jvp": lambda y, xs, ts: (ts[0] @ xs[1] + xs[0] @ ts[1]) * (2**100 + 1) / 2**100}
    with exact.precision(200), pytest.raises(WrongDerivative):
        jvp(rules_with(**changes), (a, x), (a, x))


def test_exact_numbers_beyond_all_floats_are_checked_too():
    huge = exact.asarray(Fraction(10**400))
    right = custom_rule(jvp=lambda y, xs, ts: 2 * xs[0] * ts[0], vjp=lambda y, xs, u: (2 * xs[0] * u,))
    assert exact.to_fractions(grad(right(lambda x: x * x))(huge)) == 2 * 10**400
    wrong = custom_rule(jvp=lambda y, xs, ts: 2 * xs[0] * ts[0], vjp=lambda y, xs, u: (xs[0] * u,))
    with pytest.raises(WrongDerivative, match="argument"):
        grad(wrong(lambda x: x * x))(huge)


def test_every_argument_whose_rule_is_wrong_is_named_whatever_the_others_are():
    rules = {"jvp": lambda y, xs, ts: (ts[0] + ts[1]) / np.float32(np.pi)}
    f = custom_rule(**rules, vjp=lambda y, xs, u: (u * np.float32(0.3183), u * np.float32(0.3183)))(
        lambda a, b: (a + b) / np.float32(np.pi)
    )
    with pytest.raises(WrongDerivative) as caught:
        grad(f)(np.float32(1), np.float32(2))
    assert re.findall(r"argument (\S*):", str(caught.value)) == ["[0]", "[1]"]


def test_only_the_argument_whose_rule_is_wrong_is_named():
    rules = {"jvp": lambda y, xs, ts: ts[1] + ts[2], "vjp": lambda y, xs, u: (None, u, 2 * u)}
    f = custom_rule(**rules)(lambda n, a, b: a + b)
    with pytest.raises(WrongDerivative, match="not transposes") as caught:
        grad(f, 2)(3, 1.0, 2.0)
    assert re.findall(r"argument (\S*):", str(caught.value)) == ["[2]"]


def test_the_message_gives_the_two_products_of_the_vectors_that_the_rules_got():
    got = {}

    def push(y, xs, ts):
        got["t"] = ts[0]
        return ts[0]

    def pull(y, xs, u):
        got["u"] = u
        return (2 * u,)

    with pytest.raises(WrongDerivative) as caught:
        grad(custom_rule(jvp=push, vjp=pull)(lambda x: x * 1))(3.0)
    product = float(got["t"] * got["u"])
    assert f"<u, J t> = {product} but <J^T u, t> = {2 * product}." in str(caught.value)


@pytest.mark.parametrize("shift", range(4))
def test_the_vectors_of_the_check_are_odd_integers_without_a_short_period(shift):
    x = integers_like(np.zeros(1000), shift)
    assert (x % 2 == 1).all()
    assert (x.min(), x.max()) == (-13, 11)
    assert len(set(x)) == 13
    assert all((x[period:] != x[:-period]).any() for period in range(1, 100))
    assert not (x == integers_like(x, shift + 1)).all()
    assert integers_like(x.reshape(10, 100).astype(np.float32), shift).dtype == np.float32
    for convert in (exact.asarray, exact.balls, array_api_strict.asarray):
        found = integers_like(convert(x[:30]), shift)
        assert type(found) is type(convert(x))
        assert all(bool(found[i] == int(x[i])) for i in range(30))


def test_rules_are_checked_once_for_each_shape_and_dtype_and_after_nan_again():
    calls = []

    def pull(y, xs, u, **options):
        calls.append(u)
        return (2 * xs[0] * u,)

    f = custom_rule(jvp=lambda y, xs, ts, **options: 2 * xs[0] * ts[0], vjp=pull)(lambda x, **options: x * x)
    counts = []
    for x in (np.ones(2), np.ones(2), np.ones(3), np.ones(2, np.float32), np.full(4, np.nan), np.ones(4), np.ones(4)):
        calls.clear()
        grad(lambda x: rnp.sum(f(x) * x))(x)
        counts.append(len(calls))
    assert counts == [2, 1, 2, 2, 2, 2, 1]
    calls.clear()
    with debug():
        grad(lambda x: rnp.sum(f(x) * x))(np.ones(2))
    assert len(calls) == 2
    calls.clear()
    grad(lambda x: rnp.sum(f(x, mode="a") + f(x, mode="b")))(np.ones(2))
    assert len(calls) == 4


def test_rules_that_are_infinite_somewhere_are_checked_elsewhere_and_warn_as_they_do():
    rules = {"jvp": lambda y, xs, ts: ts[0] / (2 * y), "vjp": lambda y, xs, u: (-u / (2 * y),)}
    f = custom_rule(**rules)(np.sqrt)
    with np.errstate(divide="ignore"):
        assert grad(lambda x: rnp.sum(f(x)))(np.array([0.0, 1.0])).tolist() == [-np.inf, -0.5]
    with pytest.raises(RuntimeWarning, match="divide by zero"):
        grad(lambda x: rnp.sum(f(x)))(np.array([0.0, 1.0]))
    with pytest.raises(WrongDerivative):
        grad(lambda x: rnp.sum(f(x)))(np.array([4.0, 1.0]))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("size", [3, 300])
def test_right_rules_pass_on_ill_conditioned_arguments_in_any_dtype(dtype, size):
    rng = np.random.default_rng(size)
    q = np.linalg.qr(rng.normal(size=(size, size)))[0]
    a = ((q * np.logspace(0, -4, size)) @ q.T).astype(dtype)
    b = rng.normal(size=size).astype(dtype)
    solve = custom_rule(
        jvp=lambda x, xs, ts: rnp.linalg.solve(xs[0], ts[1] - ts[0] @ x),
        vjp=lambda x, xs, u: (-rnp.outer(rnp.linalg.solve(xs[0].T, u), x), rnp.linalg.solve(xs[0].T, u)),
    )(np.linalg.solve)
    assert grad(lambda a: rnp.sum(solve(a, b)))(a).dtype == dtype
    softmax = custom_rule(
        jvp=lambda y, xs, ts: y * (ts[0] - rnp.sum(y * ts[0])), vjp=lambda y, xs, u: (y * (u - rnp.sum(y * u)),)
    )(rnp.softmax)
    assert grad(lambda b: softmax(10 * b)[0])(b).dtype == dtype


def test_rules_that_add_many_terms_in_different_orders_pass():
    one_by_one = lambda x: rnp.cumsum(x)[-1]
    share = custom_rule(
        jvp=lambda y, xs, ts: (ts[0][0] - y * one_by_one(ts[0])) / one_by_one(xs[0]),
        vjp=lambda y, xs, u: (
            rnp.concatenate([(u / rnp.sum(xs[0])).reshape(1), 0 * xs[0][1:]]) - u * y / rnp.sum(xs[0]),
        ),
    )(lambda x: x[0] / rnp.sum(x))
    x = np.random.default_rng(0).uniform(size=100_000).astype(np.float32)
    assert grad(share)(x).dtype == np.float32


def test_rules_run_on_an_array_api_library():
    x = array_api_strict.asarray([1.0, 8.0])
    root = custom_rule(**ROOT)(lambda x: x ** (1 / 3))
    assert np.abs(np.asarray(grad(lambda x: rnp.sum(root(x)))(x)) - [1 / 3, 1 / 12]).max() <= 1e-15
    with pytest.raises(WrongDerivative):
        grad(lambda x: rnp.sum(custom_rule(jvp=ROOT["jvp"], vjp=lambda y, xs, u: (u / y,))(lambda x: x)(x)))(2 * x)


def both_modes(f, x):
    return grad(lambda x: rnp.sum(f(x)))(x), jvp(f, (x,), (x,))


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"vjp": lambda y, xs, u: None}, ShapeError, "vjp rule.*one entry for each argument.*got None"),
        ({"vjp": lambda y, xs, u: u}, ShapeError, r"vjp rule.*structure \(\*\); got \*"),
        ({"vjp": lambda y, xs, u: (None,)}, ShapeError, "zeros_like"),
        ({"vjp": lambda y, xs, u: (u, u)}, ShapeError, r"got \(\*, \*\)"),
        ({"jvp": lambda y, xs, ts: ts}, ShapeError, "jvp rule.*one tangent for each result"),
        ({"jvp": lambda y, xs, ts: None}, ShapeError, "jvp rule.*got None"),
        ({"jvp": lambda y, xs, ts: ts[0][:1]}, ShapeError, r"shape \(2,\).*got \(1,\)"),
        ({"vjp": lambda y, xs, u: (rnp.sum(u),)}, ShapeError, r"vjp rule.*shape \(2,\)"),
        ({"jvp": lambda y, xs, ts: np.array([1, 2])}, NoDerivative, "dtype float64.*got int64"),
        ({"vjp": lambda y, xs, u: (u.astype("float32"),)}, NoDerivative, "dtype float64.*got float32"),
        ({"vjp": lambda y, xs, u: (u * 1j,)}, NoDerivative, "got complex128"),
    ],
)
def test_what_a_rule_returns_is_checked(changes, error, words):
    rules = {"jvp": lambda y, xs, ts: ts[0], "vjp": lambda y, xs, u: (u,)}
    x = np.ones(2)
    for check in (True, False):
        f = custom_rule(**(rules | changes), check=check)(lambda x: x * 1)
        with pytest.raises(error, match=words):
            both_modes(f, x)


def test_a_traced_value_from_outside_is_refused_in_the_function_and_in_its_rules():
    x = np.array([2.0, 3.0])
    one = {"jvp": lambda y, xs, ts: ts[0], "vjp": lambda y, xs, u: (u,)}
    inside = lambda w: custom_rule(**one)(lambda b: b * w)
    in_jvp = lambda w: custom_rule(**(one | {"jvp": lambda y, xs, ts: ts[0] * w}), check=False)(lambda b: b)
    in_vjp = lambda w: custom_rule(**(one | {"vjp": lambda y, xs, u: (u * w,)}), check=False)(lambda b: b)
    for use in (
        lambda: grad(lambda w: rnp.sum(inside(w)(2.0 * x)))(2.0),
        lambda: grad(lambda w: inside(w)(w))(2.0),
        lambda: jvp(lambda w: inside(w)(w), (2.0,), (1.0,)),
        lambda: vmap(lambda w: inside(w)(w))(x),
        lambda: grad(lambda a: grad(lambda w: inside(w)(a))(2.0))(3.0),
        lambda: grad(lambda a: grad(lambda w: inside(a)(w))(2.0))(3.0),
        lambda: jvp(lambda w: in_jvp(w)(w), (2.0,), (1.0,)),
        lambda: grad(lambda w: jvp(in_jvp(w), (2.0,), (1.0,))[1])(3.0),
        lambda: grad(lambda w: grad(in_vjp(w))(2.0))(3.0),
    ):
        with pytest.raises(NoDerivative, match=r"not among its arguments.*positional argument"):
            use()
    with pytest.raises(NoDerivative, match="keyword argument"):
        grad(lambda x: ruled({"w": 1.0, "b": 1.0}, 2.0, power=x)["y"])(2.0)
    kept = []
    grad(lambda x: kept.append(x) or rnp.sum(x))(x)
    with pytest.raises(EscapedTracer):
        custom_rule(**one)(lambda y: y)(kept[0])


def test_the_name_and_docstring_of_the_function_stay_and_results_share_no_memory():
    @custom_rule(jvp=lambda y, xs, ts: ts[0], vjp=lambda y, xs, u: (u,))
    def identity(x):
        """Itself."""
        return x

    assert (identity.__name__, identity.__doc__) == ("identity", "Itself.")
    x, u = np.ones(2), np.ones(2)
    (g,) = vjp(identity, x)[1](u)
    _, t = jvp(identity, (x,), (u,))
    g += 1
    t += 1
    assert u.tolist() == [1.0, 1.0]
    assert per_example_grad(lambda w, x: rnp.sum(identity(w) * x))(x, np.stack([x, x])).shape == (2, 2)
    assert jacrev(identity)(x).tolist() == np.eye(2).tolist()


def test_a_program_of_a_derivative_consists_of_the_rules():
    doubled = {"jvp": lambda y, xs, ts: 7 * ts[0], "vjp": lambda y, xs, u: (7 * u,)}
    f = lambda x: rnp.sum(custom_rule(**doubled)(lambda x: 2 * x)(x) * x)
    x = np.array([1.0, 2.0])
    assert stage(f, x)(x) == f(x) == 10.0
    assert stage(grad(f), x)(2 * x).tolist() == grad(f)(2 * x).tolist() == [18.0, 36.0]
    product = lambda x, v: hvp(f, x, v)
    assert stage(product, x, x)(x, x).tolist() == product(x, x).tolist() == [14.0, 28.0]
    rows = lambda X: vmap(grad(f))(X)
    X = np.stack([x, x])
    assert stage(rows, X)(X).tolist() == rows(X).tolist()
