"""Kinds of values that get lost on the way: elements of exact arrays, None, integers, complex numbers, small errors."""

from __future__ import annotations

import functools
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import refgrad.numpy as rnp
from refgrad import custom_rule, exact, grad, hessian, hvp, jvp, linearize, stage, value_and_grad, vjp, vmap
from refgrad.errors import NoDerivative, SingularMatrix, WrongDerivative

X = np.array([1.5, 2.5])


@pytest.mark.trap(11)
@pytest.mark.parametrize("third", [1, np.int64(1), np.array(1)], ids=repr)
def test_integers_beside_rationals_stay_exact_in_every_mode(third):
    # 1 / 3 as floats would be caught by ==: 6 / 18 is exactly 1/3 only if nothing was rounded
    f = lambda x: third / x[0] + (third + x[1]) / 3 + rnp.where(x[1] > 0, third, 0) * x[0] / 7
    x, v = exact.asarray([3, 6]), exact.asarray([1, 1])
    assert (grad(f)(x) == exact.asarray(["2/63", "1/3"])).all()  # -1/9 + 1/7
    assert jvp(f, (x,), (v,))[1] == Fraction(23, 63)
    assert (hvp(f, x, v) == exact.asarray(["2/27", 0])).all()
    assert (vmap(grad(f))(np.stack([x, x]))[1] == grad(f)(x)).all()
    assert type(f(x)) is type(x[0])


@pytest.mark.trap(11)
def test_a_single_number_keeps_its_kind_with_and_without_a_shape():
    f = lambda x: x * x * x / 2
    for x, kind in (
        (2.0, (float, np.floating)),
        (np.float64(2.0), np.float64),
        (np.float32(2.0), np.float32),
        (np.array(2.0), (np.ndarray, np.float64)),
        (np.array(2.0, np.float32), (np.ndarray, np.float32)),
        (exact.asarray(2), exact.ExactArray),
        (exact.asarray([2])[0], exact.ExactArray),
    ):
        value, g = value_and_grad(f)(x)
        for found in (value, g, grad(grad(f))(x), jvp(f, (x,), (1.0 if isinstance(x, (float, np.generic)) else x,))[1]):
            assert isinstance(found, kind), (x, type(found))
            assert np.shape(found) == ()
            assert getattr(found, "dtype", np.float64) == getattr(x, "dtype", np.float64)
        assert (g, grad(grad(f))(x)) == (6, 6)
    one = np.array([2.0])
    assert grad(lambda x: f(x)[0])(one).shape == hessian(lambda x: f(x)[0])(one)[0].shape == (1,)


@pytest.mark.trap(15)
def test_none_and_constants_in_containers_stay_where_they_are():
    p = {"w": X, "nothing": None, "list": [None, (X * 2, None)]}
    f = lambda p: {"y": p["w"] * p["list"][1][0], "none": None, "constant": 2.0, "given": p["w"]}
    y, pull = vjp(f, p)
    assert (y["none"], y["constant"]) == (None, 2.0)
    (g,) = pull({"y": np.ones(2), "none": None, "constant": 1.0, "given": np.zeros(2)})
    assert (g["nothing"], g["list"][0], g["list"][1][1]) == (None, None, None)
    assert g["w"].tolist() == (2 * X).tolist()
    t = jvp(f, (p,), (p,))[1]
    assert (t["none"], t["constant"], t["y"].tolist()) == (None, 0.0, (4 * X * X).tolist())
    assert linearize(f, p)[1](p)["constant"] == 0.0
    h = hvp(lambda p: rnp.sum(f(p)["y"] ** 2), p, p)
    assert h["list"][0] is None
    found = vmap(f)({"w": np.stack([X, X]), "nothing": None, "list": [None, (np.stack([X, X]), None)]})
    assert (found["none"], found["constant"].tolist()) == (None, [2.0, 2.0])


@pytest.mark.trap(15)
@pytest.mark.parametrize("leaf", [3, np.arange(2), True, "name", np.array([True, False])], ids=repr)
def test_what_is_no_real_number_is_refused_as_a_parameter_and_taken_as_another_argument(leaf):
    with pytest.raises(NoDerivative, match=r"\['n'\]: expected real"):
        grad(lambda p: rnp.sum(p["w"]))({"w": X, "n": leaf})
    assert grad(lambda p, q: rnp.sum(p["w"]))({"w": X}, {"n": leaf})["w"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("leaf", "hint"),
    [
        (3, "Write 3.0 for 3"),
        (np.arange(2), "x.astype"),
        (Fraction(1, 3), "exact.asarray"),
        (Decimal("0.5"), "exact.asarray"),
        (np.array([Fraction(1, 3)], object), "exact.asarray"),
        (np.ma.masked_array([1.0, 2.0], [True, False]), "numpy.asarray"),
        (np.array([1.0]).view(np.recarray), "numpy.asarray"),
    ],
    ids=repr,
)
def test_what_is_refused_as_a_parameter_is_told_how_to_become_one(leaf, hint):
    with pytest.raises(NoDerivative, match=rf"expected real .*{hint}"):
        grad(lambda x: 1.0)(leaf)


def test_an_integer_is_a_tangent_of_an_exact_number_and_a_float_is_none():
    x = exact.asarray("1/3")
    assert jvp(lambda x: x * x, (x,), (3,))[1] == 2
    with pytest.raises(NoDerivative, match="expected rational numbers like the value"):
        jvp(lambda x: x * x, (x,), (0.5,))


@pytest.mark.trap(15)
def test_an_argument_given_twice_gets_a_derivative_for_each_place():
    a, b = grad(lambda a, b: rnp.sum(a * a * b), (0, 1))(X, X)
    assert (a.tolist(), b.tolist()) == ((2 * X * X).tolist(), (X * X).tolist())
    y, pull = vjp(lambda x: (x, [x, x * 2.0]), X)
    assert pull((X, [X, X]))[0].tolist() == (4 * X).tolist()
    assert y[1][0].tolist() == X.tolist()


@pytest.mark.trap(21)
@pytest.mark.parametrize("convert", [exact.asarray, lambda a: np.array(a, float)], ids=["rational", "float"])
def test_a_singular_system_is_an_error_in_every_mode_and_in_a_stack(convert):
    a, b = convert([[1, 2], [2, 4]]), convert([1, 1])
    good = convert([[2, 1], [1, 1]])
    f = lambda a: rnp.sum(rnp.linalg.solve(a, b))
    for use in (
        lambda: f(a),
        lambda: grad(f)(a),
        lambda: jvp(f, (a,), (a,)),
        lambda: hvp(f, a, a),
        lambda: vmap(f)(np.stack([good, a])),
        lambda: vmap(grad(f))(np.stack([a, good])),
        lambda: rnp.linalg.solve(np.stack([good, a]), rnp.stack([b, b])[:, :, None]),
    ):
        with pytest.raises(SingularMatrix):
            use()


@pytest.mark.trap(22)
def test_complex_numbers_are_refused_wherever_they_come_in():
    z = X * (1 + 1j)
    total = lambda x: rnp.sum(x * x)
    for use in (
        lambda: grad(total)(z),
        lambda: grad(total)(1 + 1j),
        lambda: jvp(total, (z,), (z,)),
        lambda: jvp(total, (X,), (z,)),
        lambda: vjp(lambda x: x, X)[1](z),
        lambda: linearize(total, z),
        lambda: linearize(total, X)[1](z),
        lambda: hessian(total)(z),
        lambda: grad(lambda x: rnp.sum(x * z))(X),
        lambda: hvp(lambda x: abs(rnp.sum(x * z)), X, X),
        lambda: vmap(grad(lambda x: x * 1j))(X),
        lambda: vmap(lambda x: jvp(lambda y: y * 1j, (x,), (x,)))(X),
        lambda: stage(grad(lambda x: rnp.sum(x * z)), X),
        lambda: grad(lambda x: z[0])(X),
    ):
        with pytest.raises(NoDerivative, match="complex"):
            use()


@pytest.mark.trap(23)
def test_an_error_of_a_millionth_passes_for_right_by_finite_differences_and_not_here():
    wrong = lambda x: 3 * x * x * (1 + Fraction(1, 10**6))
    rules = {"jvp": lambda y, xs, ts: ts[0] * 3 * xs[0] ** 2, "vjp": lambda y, xs, u: (u * wrong(xs[0]),)}
    cube = custom_rule(**rules)(lambda x: x**3)
    x = 1.0
    # the gradient from second differences, as float64 gives it at the best step for second order
    step = 2.0**-13
    second = ((x + step) ** 3 - 2 * x**3 + (x - step) ** 3) / step**2
    unproved = custom_rule(**rules, check=False)(lambda x: x**3)
    found = float(grad(lambda x: functools.reduce(lambda y, _: y, range(2), unproved(x)))(exact.asarray(1)))
    assert found != 3.0
    assert abs(second - 6) < 1e-5  # no better, and that at a point where all numbers are short
    with pytest.raises(WrongDerivative, match=r"argument \[0\]"):
        grad(cube)(exact.asarray(1))
