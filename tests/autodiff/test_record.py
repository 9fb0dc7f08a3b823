"""A recorded run: its equations in order, with constants as they were, and no value of another transformation."""

from __future__ import annotations

import numpy as np
import pytest

import refgrad.numpy as rnp
from refgrad import exact, jvp, vmap
from refgrad.autodiff.record import Constant, RecordTrace, RecordTracer, Variable
from refgrad.errors import NoDerivative, StagedValue

X = np.array([[1.0, 2.0], [3.0, 4.0]])


def recorded(f, *values):
    """The equations of f at the values, its result, and the outputs in the order in which they were observed."""
    seen = []
    trace = RecordTrace("record", f, lambda owner, output: seen.append(output))
    out = f(*(RecordTracer(trace, value, Variable(value)) for value in values))
    return trace.equations, out, seen


def test_a_variable_has_the_type_the_shape_and_the_size_of_its_value():
    for value, kind, shape, nbytes in (
        (X, np.ndarray, (2, 2), 32),
        (np.float32(1), np.float32, (), 4),
        (np.zeros((3, 0)), np.ndarray, (3, 0), 0),
        (2.0, float, (), 0),
    ):
        variable = Variable(value)
        assert (variable.type, variable.shape, variable.nbytes) == (kind, shape, nbytes)
        assert variable.dtype == getattr(value, "dtype", None)


def test_a_constant_is_what_it_was_and_nobody_can_change_it():
    x = np.asfortranarray(X)
    constant = Constant(x)
    x[0, 0] = 9.0
    assert constant.origin is x
    assert constant.value.tolist() == X.tolist()
    assert constant.value.flags.f_contiguous
    with pytest.raises(ValueError, match="read-only"):
        constant.value[0, 0] = 9.0
    assert (Constant(3).origin, Constant(3).value) == (None, 3)
    assert Constant(y := exact.asarray([1, 2])).value is y


def test_the_equations_are_the_operations_on_the_inputs_in_their_order():
    equations, out, seen = recorded(lambda x, y: rnp.sum(x * (rnp.exp(X) - 1) + y), X, 2.0)
    assert [e.primitive.name for e in equations] == ["mul", "add", "sum"]
    assert [e.output for e in equations] == seen
    assert out.variable is seen[-1]
    assert out.value == np.sum(X * (np.exp(X) - 1) + 2.0)
    product, added, _ = equations
    assert [len(e.variables) for e in equations] == [1, 2, 1]
    assert product.inputs[1].value.tolist() == (np.exp(X) - 1).tolist()
    assert added.variables[0] is product.output
    assert repr(added) == "add((2, 2), ())"
    assert repr(recorded(lambda y: y * 3, 2.0)[0][0]) == "mul((), 3)"


def test_the_operations_of_a_derivative_are_recorded_like_others():
    equations, out, _ = recorded(lambda x: jvp(lambda y: y * y, (x,), (np.ones(2),))[1], np.array([1.0, 2.0]))
    assert out.value.tolist() == [2.0, 4.0]
    assert {e.primitive.name for e in equations} == {"mul", "add"}


def test_a_value_of_another_transformation_is_refused_with_both_names():
    def program(y):
        return recorded(lambda z: z * y, X)[1]

    for transformation, run in (("jvp", lambda: jvp(program, (2.0,), (1.0,))), ("vmap", lambda: vmap(program)(X))):
        words = rf"record\(.*lambda>\): the function uses a value of shape .* that {transformation} traces outside"
        with pytest.raises(NoDerivative, match=words):
            run()


def test_what_decides_a_step_of_python_is_refused():
    for decide in (bool, lambda x: [0][x], range):
        with pytest.raises((StagedValue, NoDerivative), match="of shape"):
            recorded(lambda x, decide=decide: decide(x), 2.0)
    with pytest.raises(StagedValue, match=r"inside record\(.*lambda>\) a value of shape \(2, 2\) decides"):
        recorded(lambda x: 1 if x > 0 else 2, X)


@pytest.mark.parametrize(
    "x", [X.T, X[::-1], X[:, 1:], X[1], np.broadcast_to(X[0], (3, 2)), np.zeros((0, 2)), X[1, 1:].reshape(())], ids=repr
)
def test_a_constant_lies_in_memory_as_the_array_did(x):
    value = Constant(x).value
    assert value.tolist() == x.tolist()
    assert value.dtype == x.dtype
    assert value.strides == x.strides
    assert not np.shares_memory(value, x)
    assert not value.flags.writeable
