"""Errors speak of what the user wrote: the transformation, the function, the library; a wrong argument is one."""

from __future__ import annotations

import math
import types

import numpy as np
import pytest
import scipy.linalg
from scipy import special, stats

import refgrad.numpy as rnp
from refgrad import (
    check_derivatives,
    checkpoint,
    exact,
    grad,
    grad_and_hvp,
    hessian,
    hvp,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    per_example_grad,
    stage,
    value_and_grad,
    vjp,
    vmap,
)
from refgrad.errors import InvalidInput, NoDerivative, TracedAssignment

X = np.array([1.0, 2.0, 3.0])


def loss(x):
    return np.sum(x**2)


def fill(x):
    y = np.zeros(3)
    y[0] = x[0]
    return np.sum(y)


TRANSFORMATIONS = {
    "grad": lambda f, x: grad(f)(x),
    "value_and_grad": lambda f, x: value_and_grad(f)(x),
    "vjp": lambda f, x: vjp(f, x),
    "jvp": lambda f, x: jvp(f, (x,), (x,)),
    "hvp": lambda f, x: hvp(f, x, x),
    "grad_and_hvp": lambda f, x: grad_and_hvp(f, x, x),
    "hessian": lambda f, x: hessian(f)(x),
    "jacfwd": lambda f, x: jacfwd(f)(x),
    "jacrev": lambda f, x: jacrev(f)(x),
    "linearize": lambda f, x: linearize(f, x),
    "per_example_grad": lambda f, x: per_example_grad(f)(x, np.ones((2, 3))),
}
SPOKEN_OF_AS = {"value_and_grad": "grad"}


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_an_integer_argument_is_refused_by_the_transformation_and_the_function_that_the_user_wrote(name):
    function = (lambda x, _: loss(x)) if name == "per_example_grad" else loss
    function.__qualname__ = "loss"
    with pytest.raises(NoDerivative, match=rf"^{SPOKEN_OF_AS.get(name, name)}\(loss\): argument.*Write 3\.0 for 3"):
        TRANSFORMATIONS[name](function, np.array([1, 2, 3]))


@pytest.mark.parametrize("name", ["grad", "hvp", "grad_and_hvp", "hessian"])
def test_a_result_that_is_no_number_is_refused_by_the_same_names(name):
    def vector(x):
        return x**2

    with pytest.raises(NoDerivative, match=rf"^{name}\(.*vector\): expected a result of shape \(\)"):
        TRANSFORMATIONS[name](vector, X)


@pytest.mark.parametrize("name", [*TRANSFORMATIONS, "vmap", "stage", "checkpoint"])
def test_an_assignment_into_a_plain_array_is_named_though_numpy_speaks_of_a_sequence(name):
    others = {
        "vmap": lambda f, x: vmap(f)(np.stack([x, x])),
        "stage": lambda f, x: stage(f)(x),
        "checkpoint": lambda f, x: grad(checkpoint(f))(x),
    }
    function = (lambda x, _: fill(x)) if name == "per_example_grad" else fill
    with pytest.raises(TracedAssignment, match=r"to an element of a plain array.*refgrad\.numpy\.stack") as found:
        {**TRANSFORMATIONS, **others}[name](function, X)
    assert "sequence" in str(found.value.__cause__)


def test_an_error_of_the_functions_own_is_left_alone():
    def wrong(x):
        raise error

    for error in (ValueError("mine"), TypeError("a list of mine"), AttributeError("mine")):
        with pytest.raises(type(error)) as found:
            grad(wrong)(X)
        assert found.value is error
    with pytest.raises(TypeError, match="unsupported operand") as found:
        grad(lambda p: np.sum(p**2))({"w": X})
    assert type(found.value) is TypeError


@pytest.mark.parametrize(
    "f",
    [
        lambda x: sum(x**2),
        lambda x: np.sum(x * 2.5),
        lambda x: x.sum(),
        lambda x: np.dot(x, np.ones(2)),
        lambda x: np.sum(x),
        lambda x: -x,
    ],
)
@pytest.mark.parametrize("kind", [list, tuple])
def test_a_list_of_numbers_that_is_taken_for_an_array_is_told_to_be_one(f, kind):
    x = kind([1.0, 2.0])
    for call in (lambda: grad(f)(x), lambda: jvp(f, (x,), (x,)), lambda: vjp(f, x), lambda: hessian(f)(x)):
        with pytest.raises(InvalidInput, match=rf"is a {kind.__name__} of numbers.*numpy\.array\(x\)"):
            call()
    assert grad(lambda x: x[0] * x[1])(x) == kind([2.0, 1.0])


def test_two_numbers_are_no_tuple_of_numbers():
    f = lambda a, b: np.sum(np.array([a, b]))
    for call in (
        lambda: grad(f, (0, 1))(1.0, 2.0),
        lambda: vjp(f, 1.0, 2.0),
        lambda: jvp(f, (1.0, 2.0), (1.0, 0.0)),
        lambda: grad(lambda a, _: special.softmax(np.array(a)), 0)(1.0, [2.0, 3.0]),
    ):
        with pytest.raises(NoDerivative, match=r"would (drop|lose)"):
            call()


@pytest.mark.parametrize("value", [types.SimpleNamespace(w=np.ones(99)), object(), {1.0, 2.0}])
def test_an_object_that_holds_parameters_is_told_to_become_a_container_and_not_a_float(value):
    with pytest.raises(NoDerivative, match="a dict or a dataclass of arrays") as found:
        grad(lambda p: 1.0)(value)
    assert "3.0" not in str(found.value)
    assert len(str(found.value)) < 400


@pytest.mark.parametrize(
    "call",
    [
        lambda: grad(loss, has_aux=True)(X),
        lambda: grad(loss, "x")(X),
        lambda: grad(loss, 3)(X),
        lambda: hessian(loss, (0, 1))(X),
        lambda: check_derivatives(loss, X, directions=0),
    ],
)
def test_a_wrong_argument_is_an_invalid_input_and_a_value_error(call):
    with pytest.raises(InvalidInput, match=r"expect|asks for"):
        call()


@pytest.mark.parametrize(
    ("name", "call"),
    [
        (r"scipy\.special\.beta has", lambda x: special.beta(x, 2.0)),
        (r"scipy\.special\.jv has", lambda x: special.jv(1, x)),
        (r"numpy\.heaviside has", lambda x: np.heaviside(x, 1.0)),
        (r"scipy\.special\.logsumexp makes.*refgrad\.numpy\.logsumexp", special.logsumexp),
        (r"scipy\.special\.softmax makes.*refgrad\.numpy\.softmax", special.softmax),
        (r"scipy\.special\.log_softmax makes.*refgrad\.numpy\.nn\.log_softmax", special.log_softmax),
        (r"scipy\.linalg\.expm makes.*eigh", lambda x: scipy.linalg.expm(np.outer(x, x))),
        (r"scipy\.stats.*makes", stats.norm.pdf),
        (r"numpy\.median has.*numpy\.sort", np.median),
        (r"numpy\.quantile has.*numpy\.sort", lambda x: np.quantile(x, 0.3)),
        (r"numpy\.percentile has.*numpy\.sort", lambda x: np.percentile(x, 30)),
        (r"numpy\.interp has.*searchsorted", lambda x: np.interp(x, X, X)),
        (r"numpy\.fft\.rfft has.*matrix", lambda x: np.fft.rfft(x).real),
        (r"numpy\.linalg\.svd.*compute_uv=False", lambda x: np.linalg.svd(np.outer(x, x))[0]),
        (r"numpy\.linalg\.eig has.*eigh", lambda x: np.linalg.eig(np.outer(x, x))[0]),
        (r"mul: expected real numbers.*two real arrays", lambda x: x * 1j),
    ],
)
def test_what_has_no_rule_is_refused_by_its_librarys_name_and_says_what_to_write(name, call):
    for transformed in (grad(lambda x: rnp.sum(call(x))), lambda x: jvp(call, (x,), (x,))):
        with pytest.raises(NoDerivative, match=name):
            transformed(X)


def test_the_hints_are_right():
    x = np.array([5.0, 1.0, 4.0, 2.0])
    middle = lambda x: np.mean(np.sort(x)[1:3])
    assert middle(x) == np.median(x)
    assert grad(middle)(x).tolist() == [0.0, 0.0, 0.5, 0.5]
    matrix = np.fft.fft(np.eye(4))
    spectrum = lambda x: np.sum((matrix.real @ x) ** 2 + (matrix.imag @ x) ** 2)
    assert abs(spectrum(x) - np.sum(np.abs(np.fft.fft(x)) ** 2)) <= 2.0**-40
    assert np.abs(grad(spectrum)(x) - 8 * x).max() <= 2.0**-45  # Parseval: 4 |x|^2
    knots, values = np.array([0.0, 1.0, 3.0]), np.array([2.0, 5.0, 1.0])

    def line(x, values):
        k = np.searchsorted(knots, x) - 1
        t = (x - knots[k]) / (knots[k + 1] - knots[k])
        return np.take(values, k) * (1 - t) + np.take(values, k + 1) * t

    assert line(1.5, values) == np.interp(1.5, knots, values)
    gx, gv = grad(line, (0, 1))(1.5, values)
    assert (gx, gv.tolist()) == (-2.0, [0.0, 0.75, 0.25])
    assert abs(rnp.softmax(X)[0] - special.softmax(X)[0]) <= 2.0**-53


def test_a_standard_deviation_of_one_number_is_the_constant_zero():
    assert grad(np.std)(np.array([7.0])).tolist() == [0.0]
    assert hvp(np.std, np.array([7.0]), np.ones(1)).tolist() == [0.0]
    assert grad(lambda x: x.std())(np.array(3.0)) == 0.0
    assert rnp.std(exact.asarray([5])) == 0
    with np.errstate(all="ignore"):
        assert math.isnan(rnp.std(np.ones(1), ddof=1))


def test_the_rank_of_a_traced_matrix_is_that_of_its_value():
    assert grad(lambda x: np.linalg.matrix_rank(np.outer(x, x), hermitian=True) * x[0])(X).tolist() == [1.0, 0.0, 0.0]
