"""The transformations as one calls them: arguments, containers, auxiliary results, whole Jacobians and Hessians."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import is_dataclass

import numpy as np
import pytest

import refgrad.numpy as rnp
from refgrad import (
    autodiff,
    exact,
    grad,
    grad_and_hvp,
    hessian,
    hvp,
    jacfwd,
    jacrev,
    jvp,
    stage,
    value_and_grad,
    vjp,
    vmap,
)
from refgrad.autodiff.rules import elementwise
from refgrad.errors import ChangedValue, InvalidInput, NoDerivative, ShapeError


def cubic(t):
    return rnp.sum(t["a"] ** 3) * t["b"] + t["b"] ** 2 * t["a"][0]


POINT = {"a": exact.asarray([1, 2]), "b": exact.asarray(3)}


def test_the_hessian_of_a_container_is_a_container_of_containers_and_symmetric():
    h = hessian(cubic)(POINT)
    assert (h["a"]["a"] == exact.asarray([[18, 0], [0, 36]])).all()
    assert (h["a"]["b"] == exact.asarray([3 + 6, 12])).all()
    assert (h["b"]["a"] == h["a"]["b"]).all()
    assert h["b"]["b"] == 2


def test_products_with_the_hessian_agree_with_the_hessian_and_come_with_the_gradient():
    v = {"a": exact.asarray([1, -1]), "b": exact.asarray(2)}
    h = hessian(cubic)(POINT)
    g, product = grad_and_hvp(cubic, POINT, v)
    assert (product["a"] == h["a"]["a"] @ v["a"] + h["a"]["b"] * v["b"]).all()
    assert product["b"] == h["b"]["a"] @ v["a"] + h["b"]["b"] * v["b"]
    assert (hvp(cubic, POINT, v)["a"] == product["a"]).all()
    assert (g["a"] == grad(cubic)(POINT)["a"]).all()


@pytest.mark.parametrize("jacobian", [jacfwd, jacrev])
def test_jacobians_have_the_shape_of_the_result_and_then_of_the_argument(jacobian):
    def f(scale, x):
        return {"y": scale * rnp.stack([x, x * x], axis=1), "z": rnp.sum(x)}

    x = exact.asarray([2, 3, 5])
    j = jacobian(f, argnums=1)(7, x)
    assert j["y"].shape == (3, 2, 3)
    assert j["z"].shape == (3,)
    for i in range(3):
        for k in range(3):
            assert j["y"][i, 0, k] == (7 if i == k else 0)
            assert j["y"][i, 1, k] == (14 * x[i] if i == k else 0)
    assert (j["z"] == 1).all()


def test_jacobians_by_both_modes_are_equal_on_containers_and_of_empty_results_empty():
    def f(t):
        return rnp.concatenate([t["a"] * t["b"], t["a"][::-1] ** 2])

    forward, reverse = jacfwd(f)(POINT), jacrev(f)(POINT)
    assert all((forward[k] == reverse[k]).all() for k in ("a", "b"))
    assert jacrev(lambda x: x[:0])(np.ones(3)).shape == (0, 3)
    assert jacfwd(lambda x: rnp.concatenate([x, np.ones(2)]))(np.ones(0)).shape == (2, 0)
    assert jacrev(lambda x: {})(np.ones(3)) == {}
    with pytest.raises(ShapeError, match="at least one array"):
        jacfwd(lambda x: x)({})


def test_argnums_choose_and_keyword_arguments_pass():
    def f(a, b, *, c=1.0):
        return a * b**2 * c

    assert grad(f, 1)(2.0, 3.0, c=5.0) == 60.0
    assert grad(f, (0, 1))(2.0, 3.0) == (9.0, 12.0)
    assert grad(f, -1)(2.0, 3.0) == 12.0
    assert grad(f, (1,))(2.0, 3.0) == (12.0,)
    for bad in (2, (0, 5), -3):
        with pytest.raises(InvalidInput, match="2 positional arguments"):
            grad(f, bad)(2.0, 3.0)
    for bad in ("a", True, (0, False), 1.0):
        with pytest.raises(InvalidInput, match="argnums"):
            grad(f, bad)(2.0, 3.0)


def test_auxiliary_results_come_back_as_plain_values():
    def f(x):
        return x * x, {"seen": x + 1.0, "name": "f"}

    (value, aux), g = value_and_grad(f, has_aux=True)(3.0)
    assert (value, g, aux) == (9.0, 6.0, {"seen": 4.0, "name": "f"})
    assert grad(f, has_aux=True)(3.0) == (6.0, aux)
    assert jvp(f, (3.0,), (1.0,), has_aux=True) == (9.0, 6.0, aux)
    value, back, aux = vjp(f, 3.0, has_aux=True)
    assert (value, back(1.0), aux["seen"]) == (9.0, (6.0,), 4.0)
    # under a second level the auxiliary value still belongs to the outer one
    assert grad(lambda x: grad(f, has_aux=True)(x)[1]["seen"] * x)(3.0) == 7.0


def test_a_pullback_may_be_used_again_and_checks_its_cotangent():
    x = exact.asarray([1, 2])
    y, back = vjp(lambda x: (x * x, x[0]), x)
    assert (back((exact.asarray([1, 0]), exact.asarray(0)))[0] == exact.asarray([2, 0])).all()
    assert (back((exact.asarray([0, 1]), exact.asarray(5)))[0] == exact.asarray([5, 4])).all()
    with pytest.raises(ShapeError, match="structure"):
        back(y[0])
    with pytest.raises(ShapeError, match=r"\[1\]: expected shape \(\)"):
        back((y[0], y[0]))


def test_jvp_says_what_it_wants():
    with pytest.raises(ShapeError, match=r"write jvp\(f, \(x,\), \(v,\)\)"):
        jvp(lambda x: x, 1.0, 1.0)
    with pytest.raises(ShapeError, match="structure of the primals"):
        jvp(lambda x: x, (1.0,), ([1.0],))


def test_plain_numpy_code_is_differentiable_unchanged():
    def numpy_code(x, a):
        z = np.concatenate([np.tanh(x @ a), np.exp(-np.abs(x))])
        z = np.where(z > 0.1, z, np.square(z)) + np.mean(x) - np.maximum(z, 0.2)
        z = np.reshape(np.stack([z, np.sqrt(z * z + 1.0)]), (2, -1)).T
        z = z / np.sum(z, axis=0, keepdims=True) + np.linalg.solve(a @ a.T + np.eye(2), x)[0]
        return np.max(z) + np.log(np.add(2.0, np.dot(z[:, 0], z[:, 1]))) + np.sum(np.sin(z) * np.cos(z)) ** 2

    rng = np.random.default_rng(0)
    x, a, v = rng.normal(size=2), rng.normal(size=(2, 2)), rng.normal(size=2)
    value, g = value_and_grad(numpy_code)(x, a)
    assert value == numpy_code(x, a)
    # forward and reverse mode use different rules; they agree to a few roundings of some sixty operations
    assert abs(g @ v - jvp(lambda x: numpy_code(x, a), (x,), (v,))[1]) <= 64 * 2.0**-52 * (1 + np.abs(g) @ np.abs(v))
    again = grad(lambda x: rnp.sum(grad(numpy_code)(x, a) * v))(x)
    product = hvp(lambda x: numpy_code(x, a), x, v)
    assert np.abs(again - product).max() <= 256 * 2.0**-52 * (1 + np.abs(product).max())


def test_what_the_engine_keeps_and_returns_cannot_be_assigned_to():
    modules = [importlib.import_module(m.name) for m in pkgutil.walk_packages(autodiff.__path__, "refgrad.autodiff.")]
    classes = {c for m in modules for c in vars(m).values() if isinstance(c, type) and is_dataclass(c)}
    assert len(classes) >= 5
    assert [c.__name__ for c in classes if not c.__dataclass_params__.frozen] == []


def test_argnums_may_count_from_the_end_as_far_as_the_first_argument():
    f = lambda a, b: a * a * b
    assert grad(f, -2)(3.0, 5.0) == 30
    assert grad(f, -1)(3.0, 5.0) == 9
    assert grad(f, (-2, 1))(3.0, 5.0) == (30, 9)
    for place in (-3, 2):
        with pytest.raises(InvalidInput, match=f"asks for argument {place}"):
            grad(f, place)(3.0, 5.0)


def test_the_second_of_two_tangents_is_looked_at_as_well():
    x = np.ones(2)
    with pytest.raises(ShapeError, match=r"\(3,\)"):
        jvp(lambda a, b: a * b, (x, x), (x, np.ones(3)))
    with pytest.raises(NoDerivative, match="numpy numbers like the value"):
        jvp(lambda a, b: a * b, (x, x), (x, exact.asarray([1, 2])))


def test_plain_integers_before_exact_numbers_become_exact():
    found = rnp.maximum(np.array([1, 5]), exact.asarray(["1/2", 7]))
    assert type(found) is exact.ExactArray
    assert (found == exact.asarray([1, 7])).all()
    assert (rnp.where(np.array([True, False]), np.array([1, 5]), exact.asarray(["1/2", 7])) == found).all()


def test_every_value_is_gone_through_once_after_all_that_use_it(monkeypatch):
    calls, rule = [], elementwise.sin.vjp
    monkeypatch.setattr(elementwise.sin, "vjp", lambda *args: calls.append(args) or rule(*args))

    def f(x):
        for _ in range(12):
            x = np.sin(x) + np.cos(x)
        return x

    grad(f)(0.5)
    assert len(calls) == 12


@pytest.mark.parametrize("n", [255, 256, 257, 600])
def test_a_jacobian_of_many_rows_is_that_of_each(n):
    rng = np.random.default_rng(n)
    a, b, x = rng.normal(size=(n, 3)), rng.normal(size=(n, 2)), {"u": rng.normal(size=3), "v": rng.normal(size=2)}
    found = jacrev(lambda x: (np.tanh(a @ x["u"]), (a @ x["u"]) * (b @ x["v"])))(x)
    slopes = 1 / np.cosh(a @ x["u"]) ** 2
    assert np.allclose(found[0]["u"], slopes[:, None] * a, rtol=1e-13, atol=0)
    assert not found[0]["v"].any()
    assert np.allclose(found[1]["u"], (b @ x["v"])[:, None] * a, rtol=1e-13, atol=0)
    assert np.allclose(found[1]["v"], (a @ x["u"])[:, None] * b, rtol=1e-13, atol=0)


def test_a_hessian_of_many_rows_is_the_closed_form_and_watches_what_it_keeps():
    n = 600
    X = np.random.default_rng(0).normal(size=(400, n))
    f = lambda w: np.sum((X @ w) ** 4) / 4
    w = np.ones(n) / n
    H = (X.T * (3 * (X @ w) ** 2)) @ X
    assert np.allclose(hessian(f)(w), H, rtol=1e-12, atol=1e-12 * abs(H).max())

    def changed(w):
        y = X.T @ w
        X[3, 4] += 1
        return y

    with pytest.raises(ChangedValue, match=r"shape \(600, 400\)"):
        jacrev(changed)(w[:400])


def test_hessians_of_many_rows_are_differentiated_batched_and_staged_like_any_other_value():
    w = np.linspace(-1, 1, 300)
    f = lambda c: rnp.sum(hessian(lambda w: c**2 * rnp.sum(w**4))(w))
    total = 12 * (w**2).sum()
    assert f(3.0) == pytest.approx(9 * total, rel=1e-13)
    assert grad(f)(3.0) == pytest.approx(6 * total, rel=1e-13)
    assert jvp(f, (3.0,), (1.0,))[1] == pytest.approx(6 * total, rel=1e-13)
    assert vmap(f)(np.array([1.0, 2.0])) == pytest.approx([total, 4 * total], rel=1e-13)
    assert stage(f, 2.0)(3.0) == pytest.approx(9 * total, rel=1e-13)
