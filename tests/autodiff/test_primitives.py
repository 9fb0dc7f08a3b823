"""Every primitive's rules against the Taylor coefficients of its own implementation, in every composition of modes.

The oracle (helpers.jets) runs the implementation on truncated series and knows no rule. Rational primitives are
compared with ==; the others in balls, which must overlap and be narrow.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers.compositions import compositions
from helpers.jets import coefficient, line
from helpers.sampling import IRRATIONAL, arguments, directions
from helpers.strict import array_api_strict
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from refgrad import exact, grad, jvp, vjp
from refgrad.autodiff.core import PRIMITIVES, Binary, Primitive, Trace, Unary
from refgrad.autodiff.forward import ForwardTrace
from refgrad.autodiff.reverse import ReverseTrace
from refgrad.backend import numpy_text as plain
from refgrad.backend import of
from refgrad.numpy import sum as total

SMOOTH = [p for p in PRIMITIVES.values() if p.vjp is not None and p.name != "astype"]
CASES = [pytest.param(p, c, id=f"{p.name}-{i}") for p in SMOOTH for i, c in enumerate(p.cases)]
ALL_CASES = [pytest.param(p, c, id=f"{p.name}-{i}") for p in PRIMITIVES.values() for i, c in enumerate(p.cases)]
few = settings(max_examples=4, deadline=None, derandomize=True, database=None)


def setting(primitive, case, data, balls):
    """A scalar function of the differentiable arguments, their values and a direction, and the weights used."""
    arrays = data.draw(arguments(case))
    vs = directions(arrays, 1)
    if balls:
        arrays = [exact.balls(a) if v is not None else a for a, v in zip(arrays, vs, strict=True)]
        vs = [None if v is None else exact.balls(v) for v in vs]
    places = [i for i, v in enumerate(vs) if v is not None]

    def filled(xs):
        args = list(arrays)
        for i, x in zip(places, xs, strict=True):
            args[i] = x
        return args

    y = primitive(*arrays, **case.params)
    weights = exact.asarray(np.random.default_rng(2).integers(1, 6, size=y.shape).astype(object))

    def f(*xs):
        return total(weights * primitive(*filled(xs), **case.params))

    return f, tuple(arrays[i] for i in places), tuple(vs[i] for i in places), weights, filled


@pytest.mark.trap(20)
@pytest.mark.parametrize(("primitive", "case"), CASES)
@few
@given(data=st.data())
def test_all_compositions_of_modes_give_the_taylor_coefficients_to_third_order(primitive, case, data):
    balls = primitive.name in IRRATIONAL
    with exact.precision(200):
        f, xs, vs, weights, filled = setting(primitive, case, data, balls)
        series = primitive(*filled([line(x, v) for x, v in zip(xs, vs, strict=True)]), **case.params)
        for order in (1, 2, 3):
            terms = coefficient(series, order)
            truth = math.factorial(order) * sum(
                (w * t for w, t in zip(weights.data.ravel(), np.ravel(terms), strict=True)), 0
            )
            for modes, found in compositions(f, xs, vs, (order,)):
                if balls:
                    element = found.data.item()
                    assert exact.balls(truth).data.item().overlaps(element), (modes, truth, found)
                    assert element.rad() < 1e-40, modes
                else:
                    assert found == truth, (modes, truth, found)


@pytest.mark.trap(20)
@pytest.mark.parametrize(("primitive", "case"), CASES)
@few
@given(data=st.data())
def test_the_vjp_is_the_transpose_of_the_jvp(primitive, case, data):
    balls = primitive.name in IRRATIONAL
    _, xs, vs, weights, filled = setting(primitive, case, data, balls)

    def f(*xs):
        return primitive(*filled(xs), **case.params)

    u = exact.balls(weights) if balls else weights
    _, jv = jvp(f, xs, vs)
    back = vjp(f, *xs)[1](u)
    left = total(u * jv)
    right = sum((total(b * v) for b, v in zip(back[1:], vs[1:], strict=True)), total(back[0] * vs[0]))
    if balls:
        assert left.data.item().overlaps(right.data.item())
    else:
        assert left == right
    assert [b.shape for b in back] == [x.shape for x in xs]


@pytest.mark.parametrize(("primitive", "case"), ALL_CASES)
def test_primitives_of_one_argument_and_of_two_without_parameters_are_declared_so(primitive, case):
    kind = Unary if len(case.args) == 1 else Binary if len(case.args) == 2 and not case.params else Primitive
    several = {len(c.args) for c in primitive.cases} != {len(case.args)} or any(c.params for c in primitive.cases)
    assert type(primitive) is kind or (type(primitive) is Primitive and several)


@pytest.mark.parametrize(("primitive", "case"), CASES)
@few
@given(data=st.data())
def test_arguments_handed_over_one_by_one_give_what_a_list_of_them_gives(primitive, case, data):
    with exact.precision(200):
        f, xs, vs, _, _ = setting(primitive, case, data, primitive.name in IRRATIONAL)
        one_by_one = [repr(found) for _, found in compositions(f, xs, vs, (2,))]
        with pytest.MonkeyPatch.context() as patch:
            for trace in (ForwardTrace, ReverseTrace):
                for name in ("unary", "binary"):
                    patch.setattr(trace, name, getattr(Trace, name))
            assert [repr(found) for _, found in compositions(f, xs, vs, (2,))] == one_by_one


def floats(arrays, dtype, module=np):
    return [
        module.asarray(a.astype(dtype)) if hasattr(a, "data") and hasattr(a, "field") else module.asarray(a)
        for a in arrays
    ]


@pytest.mark.parametrize(("primitive", "case"), CASES)
@few
@given(data=st.data())
def test_float32_stays_float32_in_both_modes_and_at_second_order(primitive, case, data):
    arrays = data.draw(arguments(case))
    vs = directions(arrays, 1)
    places = [i for i, v in enumerate(vs) if v is not None]
    plain = floats(arrays, "float32")

    def f(*xs):
        args = list(plain)
        for i, x in zip(places, xs, strict=True):
            args[i] = x
        return primitive(*args, **case.params)

    xs = tuple(plain[i] for i in places)
    v32 = tuple(vs[i].astype("float32") for i in places)
    y, jv = jvp(f, xs, v32)
    assert y.dtype == jv.dtype == np.float32
    everything = tuple(range(len(xs)))
    gradient = grad(lambda *x: total(f(*x) * f(*x)), everything)
    assert [g.dtype for g in gradient(*xs)] == [np.float32] * len(xs)
    assert [h.dtype for h in jvp(gradient, xs, v32)[1]] == [np.float32] * len(xs)
    assert [g.shape for g in gradient(*xs)] == [x.shape for x in xs]


@pytest.mark.parametrize(("primitive", "case"), CASES)
@few
@given(data=st.data())
def test_the_rules_run_on_a_strict_array_api_library_and_agree_with_numpy(primitive, case, data):
    arrays = data.draw(arguments(case))
    vs = directions(arrays, 1)
    places = [i for i, v in enumerate(vs) if v is not None]
    found = {}
    for module in (np, array_api_strict):
        plain = floats(arrays, "float64", module)
        direction = tuple(module.asarray(vs[i].astype("float64")) for i in places)

        def f(*xs, plain=plain):
            args = list(plain)
            for i, x in zip(places, xs, strict=True):
                args[i] = x
            return primitive(*args, **case.params)

        gradient = grad(lambda *x, f=f: total(f(*x) * f(*x)), tuple(range(len(places))))
        xs = tuple(plain[i] for i in places)
        outputs = [*gradient(*xs), *jvp(gradient, xs, direction)[1]]
        assert all(type(o) is type(module.asarray(0.0)) or isinstance(o, np.generic) for o in outputs)
        found[module] = [np.asarray(o) for o in outputs]
    for a, b in zip(found[np], found[array_api_strict], strict=True):
        scale = np.abs(a).max(initial=1.0)
        # the two libraries sum in different orders: a few roundings per element of at most 64 terms
        assert np.abs(a - b).max(initial=0.0) <= 64 * 2.0**-52 * scale


@pytest.mark.parametrize(("primitive", "case"), ALL_CASES)
@few
@given(data=st.data())
def test_the_source_template_computes_what_the_primitive_computes(primitive, case, data):
    arrays = floats(data.draw(arguments(case)), "float64")
    names = [f"x{i}" for i in range(len(arrays))]
    source = primitive.source.format(*names, all=", ".join(names), **case.params)
    helpers = {name: getattr(plain, name) for name in plain.__all__}
    result = eval(source, {"np": np, "special": special, **helpers, **dict(zip(names, arrays, strict=True))})
    expected = primitive(*arrays, **case.params)
    assert np.array_equal(result, expected)
    assert np.asarray(result).dtype == np.asarray(expected).dtype


def test_a_primitive_needs_both_rules_or_neither():
    from refgrad.autodiff.core import Primitive

    with pytest.raises(ValueError, match="both of jvp and vjp"):
        Primitive("half", lambda xp, x: x, jvp=lambda *a: None, vjp=None, source="{0}", cases=())
    assert "half" not in PRIMITIVES


def test_every_primitive_has_cases_and_a_source():
    for primitive in PRIMITIVES.values():
        assert primitive.cases, primitive
        assert "{" in primitive.source, primitive


def test_casting_has_the_cast_as_its_derivative_and_returns_to_the_input_dtype():
    from refgrad.numpy import astype

    x = np.array([1.0, 2.0], np.float32)
    y, back = vjp(lambda a: astype(a, "float64") * 3.0, x)
    assert y.dtype == np.float64
    (g,) = back(np.ones(2))
    assert g.dtype == np.float32
    assert g.tolist() == [3.0, 3.0]


def test_balls_are_used_for_the_functions_that_leave_the_rationals():
    assert set(PRIMITIVES) >= IRRATIONAL
    assert type(exact.balls([1])).__name__ == "BallArray"
    assert of(exact.balls([1])).name == "ball"


def test_a_primitive_is_defined_once():
    from refgrad.autodiff.core import Primitive

    add = PRIMITIVES["add"]
    with pytest.raises(ValueError, match="add is defined twice"):
        Primitive("add", lambda x: x, jvp=None, vjp=None, source="{0}", cases=())
    assert PRIMITIVES["add"] is add


def test_an_argument_that_has_no_rule_has_no_derivative_and_the_others_keep_theirs():
    from refgrad.autodiff.rules.elementwise import where

    x = exact.asarray([0, 3])
    f = lambda c, x: total(where(c, 5 * x, 7 * x))
    g = grad(f, (0, 1))(x, x)
    assert (g[0] == 0).all()
    assert (g[1] == exact.asarray([7, 5])).all()
    assert jvp(f, (x, x), (x, x))[1] == 15
    assert jvp(lambda c: f(c, x), (x,), (x,))[1] == 0
