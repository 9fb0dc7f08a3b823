"""`check_derivatives` finds broken rules of every kind, and says what it has not looked at."""

from __future__ import annotations

import re
from fractions import Fraction
from importlib.util import find_spec

import numpy as np
import pytest

import refgrad.numpy as rnp
from refgrad import check_derivatives, exact, value_of
from refgrad.autodiff import check
from refgrad.autodiff.core import PRIMITIVES, Primitive
from refgrad.errors import InvalidInput, NoDerivative, NotFinite, WrongDerivative

X = np.array([0.5, 2.0])
certified = pytest.mark.skipif(find_spec("flint") is None, reason="certified enclosures need python-flint")
FIRST, SECOND = "<u, J v> by forward and reverse mode", "<w, H v> by four compositions, and <v, H w>"
TRUTH, TRUTH_OF_GRADIENT = "J v and the function itself", "H v and the gradient"


def cube(x):
    return x * x * x


def exponential(x):
    return np.exp(x)


def through_floats(x):
    """The cube, by code that runs on floats alone."""
    return np.power(np.asarray(x, float), 3)


RULE = {cube: lambda y, x: 3 * x * x, exponential: lambda y, x: y, through_floats: lambda y, x: 3 * x * x}


@pytest.fixture
def primitive():
    """What makes a primitive of one argument, which is gone after the test, from its derivatives in either mode."""
    made = []

    def make(f, forward, reverse):
        made.append(
            Primitive(
                "tested",
                f,
                jvp=lambda y, xs, ts: ts[0] * forward(y, xs[0]),
                vjp=lambda i, g, y, x: g * reverse(y, x),
                source="",
                cases=(),
                needs_table=False,
            )
        )
        return made[0]

    yield make
    for p in made:
        del PRIMITIVES[p.name]


def kept(rule):
    """The rule as a constant: right at first order, without a derivative of its own."""
    return lambda y, x: value_of(rule(y, x))


BROKEN = {
    "sign": lambda d: -d,
    "factor": lambda d: 2 * d,
    "zero": lambda d: 0 * d,
    "a millionth": lambda d: d + d / 2**20,
    "offset": lambda d: d + 1,
}
FUNCTIONS = pytest.mark.parametrize("f", [cube, exponential, through_floats], ids=lambda f: f.__name__)


@certified
@FUNCTIONS
def test_right_rules_pass(primitive, f):
    p = primitive(f, RULE[f], RULE[f])
    report = check_derivatives(lambda x: rnp.sum(p(x) * x), X)
    if f is through_floats:
        assert [(c.what, c.numbers) for c in report.compared] == [(FIRST, "float"), (SECOND, "float")]
        assert "TypeError" in report.unchecked[0]
    else:
        numbers = "rational" if f is cube else "ball"
        assert [(c.what, c.numbers) for c in report.compared[:2]] == [(FIRST, numbers), (SECOND, numbers)]
        assert [(c.what, c.numbers) for c in report.compared[2:]] == [(TRUTH, "ball"), (TRUTH_OF_GRADIENT, "ball")]
        assert not report.unchecked


@FUNCTIONS
@pytest.mark.parametrize("wrong", ["forward", "reverse"])
@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_one_wrong_mode_is_found_with_both_numbers_and_the_argument(primitive, f, wrong, broken):
    right = RULE[f]
    faulty = lambda y, x: broken(right(y, x))
    p = primitive(f, faulty if wrong == "forward" else right, faulty if wrong == "reverse" else right)
    with pytest.raises(WrongDerivative, match=re.escape(FIRST)) as error:
        check_derivatives(lambda w, x: rnp.sum(w * p(x["a"])), X, {"a": X, "b": X})
    message = str(error.value)
    assert "by argument [1]['a']:" in message
    number = r"-?[\d./e+-]+"
    found = re.search(rf"forward mode ({number}), reverse mode ({number})\. Directions: u = .*; v = .*; w = ", message)
    if f is cube:
        assert all(str(Fraction(n)) == n for n in found.groups())


@certified
@pytest.mark.parametrize("f", [cube, exponential], ids=lambda f: f.__name__)
@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_rules_that_are_wrong_alike_are_found_by_the_function_itself(primitive, f, broken):
    faulty = lambda y, x: broken(RULE[f](y, x))
    p = primitive(f, faulty, faulty)
    with pytest.raises(WrongDerivative, match=re.escape(TRUTH) + ".* the quotient .*, the derivative "):
        check_derivatives(lambda x: rnp.sum(p(x)), X)


def test_rules_that_are_wrong_alike_on_floats_are_said_to_be_unchecked(primitive):
    faulty = lambda y, x: 2 * RULE[through_floats](y, x)
    p = primitive(through_floats, faulty, faulty)
    report = check_derivatives(lambda x: rnp.sum(p(x)), X)
    assert any(TRUTH in reason for reason in report.unchecked)
    assert "not checked" in str(report)


@FUNCTIONS
@pytest.mark.parametrize("wrong", ["forward", "reverse"])
def test_a_rule_that_is_wrong_at_second_order_only_is_found(primitive, f, wrong):
    right = RULE[f]
    faulty = kept(right)
    p = primitive(f, faulty if wrong == "forward" else right, faulty if wrong == "reverse" else right)
    with pytest.raises(WrongDerivative, match=re.escape(SECOND)) as error:
        check_derivatives(lambda x: rnp.sum(p(x)), X)
    found = dict(re.findall(r"(\w+ over \w+|<v, H w>) (-?[\d./e+-]+),?", str(error.value)))
    assert len(found) == 5
    # the mode inside is the one whose rule is differentiated
    alike = lambda a, b: abs(float(Fraction(found[a]) - Fraction(found[b]))) < 1e-9
    assert alike("forward over forward", "reverse over forward")
    assert alike("forward over reverse", "reverse over reverse")
    assert not alike("forward over forward", "forward over reverse")


@certified
@pytest.mark.parametrize("f", [cube, exponential], ids=lambda f: f.__name__)
def test_rules_that_are_wrong_alike_at_second_order_only_are_found_by_the_gradient(primitive, f):
    p = primitive(f, kept(RULE[f]), kept(RULE[f]))
    with pytest.raises(WrongDerivative, match=re.escape(TRUTH_OF_GRADIENT)):
        check_derivatives(lambda x: rnp.sum(p(x)), X)


@certified
def test_what_refgrad_computes_itself_passes_in_every_arithmetic():
    def network(p, x, labels):
        hidden = np.tanh(x @ p["w"] + p["b"])
        return {"loss": rnp.logsumexp(hidden, axis=1)[labels], "n": 3}

    p = {"w": np.array([[0.5, -1.0], [0.25, 2.0]]), "b": np.array([0.1, 0.2])}
    report = check_derivatives(network, p, X[None, :] * np.ones((3, 1)), np.array([0, 2, 2]), directions=3)
    assert [c.numbers for c in report.compared] == ["ball"] * 4
    assert all(c.worst < 1e-12 for c in report.compared)
    assert not report.unchecked
    assert report.directions == 3
    rational = check_derivatives(lambda a, x: rnp.linalg.solve(a, x) * 2, np.array([[2.0, 1.0], [0.5, 3.0]]), X)
    assert [(c.numbers, c.worst) for c in rational.compared[:2]] == [("rational", 0.0)] * 2
    given = check_derivatives(lambda x: x**3 / (1 + x * x), exact.asarray(["1/3", 2]))
    assert [c.numbers for c in given.compared] == ["rational", "rational", "ball", "ball"]


def test_float32_is_judged_by_its_own_roundoff(primitive):
    p = primitive(lambda x: through_floats(x).astype(np.float32), RULE[cube], RULE[cube])
    x = np.linspace(0.1, 3, 50, dtype=np.float32)
    report = check_derivatives(lambda x: rnp.sum(p(x) * p(1 / x)), x)
    assert [c.numbers for c in report.compared] == ["float", "float"]
    assert 0 < max(c.worst for c in report.compared) < 1


@pytest.mark.parametrize("roundings", [-18, -12, -6, 0, 6, 12, 18])
def test_floats_may_differ_by_thirty_units_of_roundoff_and_no_more(primitive, roundings):
    factor = 1 + roundings * np.finfo(float).eps
    p = primitive(lambda x: np.asarray(x, float) * 1, lambda y, x: 1, lambda y, x: factor)
    if abs(roundings) > 15:  # of two units each
        with pytest.raises(WrongDerivative):
            check_derivatives(p, np.ones(1))
    else:
        first, second = check_derivatives(p, np.ones(1)).compared
        assert abs(first.worst - abs(roundings) / 15) <= 1 / 15  # the products with small integers are rounded
        assert second.worst == 0


def test_a_python_number_is_checked_on_floats_like_an_array(primitive):
    p = primitive(through_floats, RULE[cube], RULE[cube])
    report = check_derivatives(lambda x: p(x) * x, 2.0)
    assert [(c.what, c.numbers) for c in report.compared] == [(FIRST, "float"), (SECOND, "float")]


@certified
def test_a_second_derivative_that_is_zero_is_no_obstacle():
    report = check_derivatives(lambda x: rnp.log(rnp.exp(x[0]) * rnp.exp(x[1])), X)
    assert not report.unchecked
    assert [c.numbers for c in report.compared] == ["ball"] * 4


@certified
def test_enclosures_are_narrow_or_nothing_is_claimed():
    # 2**300 cancels, and takes 300 bits with it
    x = exact.asarray(X)
    report = check_derivatives(lambda x: (rnp.exp(x) * 2**300 + x * x) - rnp.exp(x) * 2**300, x)
    assert [(c.what, c.numbers) for c in report.compared] == [(FIRST, "ball"), (SECOND, "ball")]
    assert all(c.worst < 2.0**-40 for c in report.compared)
    assert "Inconclusive" in report.unchecked[0]
    assert TRUTH in report.unchecked[0]
    large = check_derivatives(lambda x: (rnp.exp(x) * 2**300 + x * x * 2**60) - rnp.exp(x) * 2**300, x)
    assert all(c.worst < 2.0**-40 for c in large.compared)
    # over any segment this derivative changes by more than it is
    steep = check_derivatives(lambda x: rnp.sin(x * 2**70), x)
    assert "too wide an enclosure" in steep.unchecked[0]


@certified
@pytest.mark.parametrize("scale", [Fraction(1, 2**50), 2**50])
def test_enclosures_are_narrow_relative_to_what_they_enclose(primitive, scale):
    # of the 256 bits of the first precision 250 cancel beside a small number, and none of a millionth is left
    around = lambda p: lambda x: rnp.sum((rnp.exp(x) * 2**200 + p(x) * scale) - rnp.exp(x) * 2**200)
    p = primitive(cube, RULE[cube], lambda y, x: BROKEN["a millionth"](RULE[cube](y, x)))
    with pytest.raises(WrongDerivative, match=re.escape(FIRST)):
        check_derivatives(around(p), exact.asarray(X))
    report = check_derivatives(around(cube), exact.asarray(X))
    assert [(c.what, c.numbers) for c in report.compared[:2]] == [(FIRST, "ball"), (SECOND, "ball")]


@certified
def test_constants_that_are_floats_keep_a_function_from_exact_numbers_and_the_report_says_so():
    report = check_derivatives(lambda x: 0.1 * x * x, X)
    assert {c.numbers for c in report.compared} == {"float"}
    assert "NotRational" in report.unchecked[0]
    nothing = check_derivatives(lambda x: 0.1 * x * x, exact.asarray(X))
    assert nothing.compared == ()
    assert "nothing could be compared" in str(nothing)


@certified
def test_a_kink_at_the_point_is_said_to_be_unchecked():
    report = check_derivatives(lambda x: rnp.relu(x), np.array([0.0, 1.0]))
    assert [c.what for c in report.compared] == [FIRST, SECOND]
    assert "Kink: relu: exact numbers lie where it has no derivative" in report.unchecked[0]


@certified
def test_the_report_reads_well():
    lines = str(check_derivatives(cube, X)).splitlines()
    assert lines[0] == "derivatives of cube agree in 2 directions"
    assert lines[1] == f"  {FIRST}: equal, on rational numbers"
    assert re.fullmatch(rf"  {TRUTH}: certified to \de-\d\d", lines[3])


def test_arguments_are_refused_when_there_is_nothing_to_check(primitive):
    with pytest.raises(NoDerivative, match="expected an argument of real"):
        check_derivatives(lambda n: n * 2, np.array([1, 2]))
    assert check_derivatives(cube, X, directions=1).directions == 1
    for directions in (0, True, 1.0):
        with pytest.raises(InvalidInput, match="directions"):
            check_derivatives(cube, X, directions=directions)
    root = primitive(lambda x: np.sqrt(np.asarray(x, float)), lambda y, x: 1 / (2 * y), lambda y, x: 1 / (2 * y))
    with pytest.raises(NotFinite, match="infinite or NaN"), np.errstate(all="ignore"):
        check_derivatives(lambda x: rnp.sum(root(x)), np.array([0.0, 1.0]))


def changes_an_array_by_two_names(x):
    y = x
    y += 1  # x too if it is an array, and y alone if it is traced
    return np.sum(y * x)


@pytest.mark.parametrize(
    "f",
    [
        changes_an_array_by_two_names,
        lambda x: np.sum(x) if isinstance(x, np.ndarray) else np.sum(0 * x),
    ],
    ids=["alias", "type"],
)
def test_a_function_with_another_value_when_traced_is_found(f):
    x = np.array([[1.0, 2.0], [3.0, 5.0]])
    with pytest.raises(WrongDerivative, match="plain and traced, disagree"):
        check_derivatives(f, x)
    assert x.tolist() == [[1.0, 2.0], [3.0, 5.0]]


@certified
@pytest.mark.parametrize("f", [np.linalg.eigvalsh, np.linalg.cholesky])
def test_a_function_that_reads_one_triangle_is_told_to_take_the_symmetric_part_of_which_all_directions_are_right(f):
    x = np.array([[4.0, 1.0], [1.0, 3.0]])
    with pytest.raises(WrongDerivative, match=r"the quotient.*reads one triangle.*check it at \(a \+ a\.T\) / 2"):
        check_derivatives(f, x)
    assert len(check_derivatives(lambda a: f((a + a.T) / 2), x).compared) >= 3


def test_a_function_of_chance_is_refused():
    generator = np.random.default_rng(0)
    with pytest.raises(InvalidInput, match="random"):
        check_derivatives(lambda x: np.sum(x * generator.random(2)), np.array([1.0, 2.0]))
    assert check_derivatives(lambda x: np.sum(x * np.random.default_rng(0).random(2)), np.array([1.0, 2.0])).compared


def test_a_number_in_a_message_is_exact_if_that_is_short_and_else_the_middle_of_its_interval():
    assert check._number_text((Fraction(2, 3), Fraction(2, 3))) == "2/3"
    assert check._number_text((Fraction(1, 4), Fraction(1, 2))) == "0.375"
    long = Fraction(1, 3**90)
    assert check._number_text((long, long)) == repr(float(long))
