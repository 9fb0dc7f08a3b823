"""Ways to lose a derivative without a word: each raises or gives the right number."""

from __future__ import annotations

import copy
import pickle

import array_api_strict
import numpy as np
import pytest

import refgrad
import refgrad.numpy as rnp
from refgrad import exact, grad, hessian, hvp, jacfwd, jacrev, jvp, value_and_grad, value_of, vjp, vmap
from refgrad.errors import EscapedTracer, InvalidInput, NoDerivative, ShapeError
from refgrad.numpy.dispatch import apply_ufunc

X = np.array([1.5, 2.5])


def test_a_cast_to_integers_is_refused():
    for cast in (int, bool, "int64"):
        with pytest.raises(NoDerivative, match="value_of"):
            grad(lambda x, c=cast: rnp.sum(x.astype(c) * x))(X)
    assert grad(lambda x: rnp.sum(value_of(x).astype(int) * x))(X).tolist() == [1.0, 2.0]


@pytest.mark.trap(22)
@pytest.mark.parametrize("transformation", [grad, lambda f: lambda x: jvp(f, (x,), (x,))])
def test_a_complex_constant_is_refused(transformation):
    with pytest.raises(NoDerivative, match="complex"):
        transformation(lambda x: rnp.sum(abs(x * (1 + 1j))))(X)


@pytest.mark.parametrize("c", [1j, np.complex128(1j), np.array(1j), np.array([1j, 2j])])
@pytest.mark.parametrize("transformation", [grad, lambda f: lambda x: jvp(f, (x,), (x,)), lambda f: vmap(f)])
def test_a_complex_result_is_refused_at_once_also_where_its_real_part_is_taken(transformation, c):
    # whose derivative would be real: only the operation itself can tell
    for f in (lambda x: rnp.sum(rnp.real(x * c * c)), lambda x: rnp.sum(rnp.real(c + x))):
        with pytest.raises(NoDerivative, match=r"(mul|add): expected real numbers, got a complex result"):
            transformation(f)(np.ones((2, 2)))


@pytest.mark.trap(22)
def test_a_complex_or_exact_tangent_of_a_float_is_refused():
    with pytest.raises(NoDerivative, match="complex"):
        jvp(lambda x: x, (X,), (X * 1j,))
    with pytest.raises(NoDerivative, match="numpy numbers"):
        jvp(lambda x: x, (X,), (exact.asarray([1, 2]),))
    with pytest.raises(NoDerivative, match="rational numbers"):
        jvp(lambda x: x, (exact.asarray([1, 2]),), (X,))


def test_python_numbers_serve_as_tangents_and_cotangents():
    assert jvp(lambda x: x, (np.float32(3.0),), (1.0,))[1] == 1.0
    assert vjp(lambda x: x, np.float32(3.0))[1](1.0)[0].dtype == np.float32


def test_copies_keep_their_derivative_and_pickles_are_refused():
    for duplicate in (copy.copy, copy.deepcopy, lambda x: x.copy()):
        assert grad(lambda x, d=duplicate: rnp.sum(d(x) ** 2))(X).tolist() == [3.0, 5.0]
    with pytest.raises(NoDerivative, match="pickling"):
        grad(lambda x: rnp.sum(pickle.loads(pickle.dumps(x))))(X)


@pytest.mark.trap(3)
def test_a_tracer_of_an_earlier_call_is_refused_as_a_result_too():
    cache = {}

    def f(x):
        return cache.setdefault("y", rnp.sum(x * x))

    for transformation in (grad, value_and_grad, lambda g: lambda x: jvp(g, (x,), (x,)), lambda g: lambda x: vjp(g, x)):
        cache.clear()
        transformation(f)(X)
        with pytest.raises(EscapedTracer):
            transformation(f)(X)


@pytest.mark.trap(15)
@pytest.mark.parametrize("result", ["hi", object(), {1}, 3, True, None, [1.0], np.arange(2)[0]])
def test_a_result_that_is_no_real_number_is_refused(result):
    with pytest.raises(NoDerivative):
        grad(lambda x: result)(X)


@pytest.mark.parametrize("result", [X, (1.0, 2, 3), 1.0])
def test_has_aux_wants_a_pair(result):
    for call in (
        lambda f: grad(f, has_aux=True)(X),
        lambda f: jvp(f, (X,), (X,), has_aux=True),
        lambda f: vjp(f, X, has_aux=True),
    ):
        with pytest.raises(InvalidInput, match="pair"):
            call(lambda x: result)


def test_argnums_name_one_argument_where_one_is_meant_and_none_twice():
    f = lambda a, b: rnp.sum(a * b)
    for transformation in (jacfwd, jacrev, hessian):
        with pytest.raises(InvalidInput, match="one argument"):
            transformation(f, (0, 1))(X, X)
    with pytest.raises(InvalidInput, match="different arguments"):
        grad(f, (0, 0))(X, X)
    assert grad(f, np.int64(1))(X, X).tolist() == X.tolist()


@pytest.mark.trap(8)
def test_functions_of_numpys_names_mean_what_numpy_means():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3)), rng.normal(size=(4, 3))
    assert np.allclose(jvp(lambda a: np.inner(a, b), (a,), (a,))[0], np.inner(a, b))
    for bad in (
        lambda a: np.trace(a[0]),
        lambda a: np.vdot(a, np.ones(1)),
        lambda a: np.inner(a[0], np.ones(1)),
        lambda a: rnp.expand_dims(a, 5),
        lambda a: np.transpose(a, (3, 2)),
        lambda a: np.transpose(a, (0, 0)),
        lambda a: rnp.moveaxis(a, 5, 0),
        lambda a: rnp.swapaxes(a, 0, 2),
        lambda a: np.pad(a, (1, 2, 3)),
    ):
        with pytest.raises(ShapeError):
            grad(lambda a, f=bad: rnp.sum(f(a)))(a)
    assert grad(lambda a: a.trace())(np.eye(2)).tolist() == np.eye(2).tolist()
    assert vjp(lambda a: a[True], a)[0].shape == (1, 2, 3)
    assert jvp(lambda a: np.clip(a, a_min=0.0, a_max=1.0), (a,), (a,))[0].tolist() == np.clip(a, 0, 1).tolist()
    assert grad(lambda a: np.reshape(a, shape=(6,))[0] * np.size(a) * np.ndim(a) * np.shape(a)[1])(a)[0, 0] == 36.0


@pytest.mark.parametrize("limits", [(np.nan, 1), (0, np.array([np.nan, 1.0])), (np.float32("nan"), np.nan)], ids=repr)
def test_a_clip_between_limits_of_which_one_is_nan_is_nan_as_in_numpy(limits):
    y, dy = jvp(lambda x: np.clip(x, *limits), (X,), (X,))
    assert np.array_equal(y, np.clip(X, *limits), equal_nan=True)
    assert dy.tolist() == [0.0, 0.0]  # limited, by NaN or by 1


def test_nan_passes_through_a_clip_and_the_norm_has_a_gradient_at_zero():
    assert np.isnan(rnp.clip(np.nan, 0.0, 1.0))
    assert grad(lambda x: rnp.linalg.norm(x))(np.zeros(2)).tolist() == [0.0, 0.0]
    assert np.isnan(rnp.linalg.norm(np.array([np.nan, 1.0])))
    assert np.abs(grad(lambda x: np.linalg.norm(x))(np.array([3.0, 4.0])) - [0.6, 0.8]).max() <= 2.0**-52


def test_negative_indices_keep_their_derivative_on_an_array_api_library():
    x, i = array_api_strict.asarray([1.0, 2.0, 3.0]), array_api_strict.asarray([-1, 0])
    g = grad(lambda x: rnp.sum(rnp.take(x, i, axis=0) ** 2))(x)
    assert np.asarray(g).tolist() == [2.0, 0.0, 6.0]
    g = grad(lambda x: rnp.sum(rnp.take_along_axis(x, i, axis=0) ** 2))(x)
    assert np.asarray(g).tolist() == [2.0, 0.0, 6.0]


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_subclasses_of_arrays_that_mean_something_else_are_refused():
    for x in (np.matrix([[1.0]]), np.ma.array([1.0], mask=[False])):
        with pytest.raises(NoDerivative, match=r"numpy.asarray\(x\)"):
            grad(lambda x: rnp.sum(x))(x)


def test_a_foreign_ufunc_with_a_name_of_ours_is_not_ours():
    relu = np.frompyfunc(lambda x: -x, 1, 1)
    with pytest.raises(NoDerivative, match="no derivative rule"):
        grad(lambda x: rnp.sum(relu(x)))(X)
    compiled = type("Compiled", (), {"__name__": "relu"})()  # as compilers of ufuncs name theirs
    with pytest.raises(NoDerivative, match=r"^relu has no derivative rule"):
        grad(lambda x: rnp.sum(apply_ufunc(compiled, "__call__", (x,), {})))(X)


def test_shape_functions_work_on_python_floats():
    assert grad(lambda x: np.transpose(x))(3.0) == 1.0
    assert grad(lambda x: x.T * x.reshape(()))(3.0) == 6.0


@pytest.mark.parametrize("name", ["grad", "hessian", "jacfwd", "jacrev", "jvp", "linearize", "stage", "vjp", "vmap"])
def test_an_unknown_attribute_is_named_with_what_to_write(name):
    transform = getattr(refgrad, name)
    run = {
        "jvp": lambda f: transform(f, (X,), (X,)),
        "linearize": lambda f: transform(f, X),
        "vjp": lambda f: transform(f, X),
    }.get(name, lambda f: transform(f)(X))
    message = rf"^{name}\(.*<lambda>\): .*no attribute 'tolist'.*refgrad.numpy.*value_of\(x\).tolist"
    with pytest.raises(AttributeError, match=message):
        run(lambda x: x.tolist())
    run(lambda x: rnp.sum(x * x) if not hasattr(x, "tolist") else None)
    with pytest.raises(AttributeError, match=r"^'dict' object has no attribute 'tolist'$"):
        run(lambda x: {}.tolist())


def test_a_traced_value_in_a_function_for_plain_arrays_is_named():
    from refgrad.multitask import min_norm

    with pytest.raises(NoDerivative, match="value_of"):
        grad(lambda J: rnp.sum(min_norm(J).direction))(np.eye(2))


def test_the_maximum_of_certified_enclosures_has_a_gradient():
    f = lambda x: rnp.max(rnp.exp(x))
    found = exact.evaluate(grad(f), np.array([0.5, 1.5]))
    assert found.high[0] == 0
    assert abs(float(found.low[1]) - np.exp(1.5)) <= 1e-15 * np.exp(1.5)
    assert hvp(f, np.array([0.5, 1.5]), np.ones(2))[0] == 0.0


@pytest.mark.trap(12)
def test_where_the_largest_is_nan_the_derivative_is_nan_and_nowhere_else():
    x = np.array([[1.0, np.nan, 3.0], [2.0, 2.0, 1.0]])
    g = grad(lambda x: np.sum(np.max(x, axis=1)))(x)
    assert np.isnan(g[0]).all()
    assert g[1].tolist() == [0.5, 0.5, 0.0]
    t = jvp(lambda x: np.max(x, axis=1), (x,), (np.ones((2, 3)),))[1]
    assert np.isnan(t[0])
    assert t[1] == 1.0


def test_a_maximum_that_was_not_chosen_has_derivative_zero_even_where_it_is_nan():
    x = np.array([1.0, np.nan])
    assert grad(lambda v: rnp.where(rnp.isnan(rnp.max(v)), 0.0, rnp.max(v)))(x).tolist() == [0.0, 0.0]


@pytest.mark.trap(12)
def test_logsumexp_and_softplus_at_infinities_and_nan():
    assert np.isnan(grad(rnp.logsumexp)(np.array([1.0, np.nan, 3.0]))).all()
    with np.errstate(invalid="ignore"):
        g = grad(rnp.logsumexp)(np.array([np.inf, 1.0]))
    assert np.isnan(g[0])
    assert g[1] == 0
    assert rnp.softplus(np.array([np.inf, -np.inf])).tolist() == [np.inf, 0.0]


@pytest.mark.trap(9)
def test_axes_of_scattering_count_from_the_end_too():
    x, i = np.array([1.0, 2.0, 3.0]), np.array([0, 0, 1])
    assert rnp.scatter_add(x, i, -1, 4).tolist() == [3, 3, 0, 0]
    assert grad(lambda x: rnp.sum(rnp.scatter_add(x, i, -1, 4) ** 2))(x).tolist() == [6, 6, 6]
    assert rnp.put_along_axis_add(np.ones((2, 3)), np.zeros((2, 3), int), -1, 4).shape == (2, 4)
    with pytest.raises(ShapeError, match="from -1 to 0"):
        rnp.scatter_add(x, i, 1, 4)


@pytest.mark.parametrize(("primals", "tangents"), [((X, X), (X,)), ((X,), (X, X)), ((), (X,)), (([X],), ((X,),))])
def test_points_and_directions_of_different_structures_are_refused(primals, tangents):
    with pytest.raises(ShapeError, match=r"^jvp: expected tangents of the structure of the primals, .*; got "):
        jvp(lambda *xs: rnp.sum(xs[0]), primals, tangents)
