"""The operators' derivatives against truncated Taylor series: the definition of each operator, run on series.

A second derivative along two directions follows from three along one, ``D^2 f[u, v] = c2(u + v) - c2(u) - c2(v)`` with
the coefficients c2 of t^2. Rational operators are compared with ``==``, the others as certified balls.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from helpers.drawing import draws
from helpers.jets import JETS, JetArray, coefficient, line

from refgrad import exact
from refgrad.contracts.operators import OPERATORS, variants
from refgrad.contracts.operators.operator import hold_still
from refgrad.contracts.operators.problems import operator_inputs
from refgrad.contracts.tools import NotApplicable, terms
from refgrad.contracts.tools.terms import measured

KINDS = ("crisp", "rough", "ill_conditioned", "degenerate")
RATIONAL = {"ldexp", "prod", "cumprod", "matmul", "det", "inv", "solve", "cholesky_inverse", "cholesky_solve"}
BITS = 512


def permutation_sum(x):
    n, total = len(x), 0
    for order in permutations(range(n)):
        product = (-1) ** sum(order[i] > order[j] for j in range(n) for i in range(j))
        for i in range(n):
            product = product * x.data[i, order[i]]
        total = total + product
    box = np.empty((), object)
    box[()] = total
    return JetArray(box)


def cholesky(x):
    """By outer products: the first column is divided by its root, the rest loses its square."""
    rest, n = x.data.copy(), len(x)
    found = np.full((n, n), JETS.field.zero, object)
    for j in range(n):
        found[j:, j] = rest[j:, j] / rest[j, j].sqrt()
        rest = rest - np.outer(found[:, j], found[:, j])
    return JetArray(found)


def normalized(axis):
    def function(x):
        c = x - JETS.mean(x, axis, True)
        return c / JETS.sqrt(JETS.mean(c * c, axis, True) + exact.asarray(Fraction(1, 2**10)).data.item())

    return function


def log_sum_exp(x):
    return JETS.log(JETS.sum(JETS.exp(x)))


def prefixes(x):
    return JETS.stack([log_sum_exp(x[: k + 1]) for k in range(len(x))])


DEFINITIONS = {
    "tanh": JETS.tanh,
    "exp": JETS.exp,
    "log": JETS.log,
    "sqrt": JETS.sqrt,
    "ldexp": lambda x, e: x * exact.asarray([Fraction(2) ** int(k) for k in e]).data,
    "prod": lambda x: JETS.cumprod(x)[-1],
    "cumprod": JETS.cumprod,
    "norm": lambda x: JETS.sqrt(x @ x),
    "logsumexp": log_sum_exp,
    "logcumsumexp": prefixes,
    "softmax": lambda x: JETS.exp(x) / JETS.sum(JETS.exp(x)),
    "log_softmax": lambda x: x - log_sum_exp(x),
    "matmul": lambda a, b: a @ b,
    "det": permutation_sum,
    "logdet": lambda x: JETS.log(permutation_sum(x)),
    "inv": JETS.inv,
    "solve": JETS.solve,
    "cholesky": cholesky,
    "cholesky_inverse": lambda x: JETS.inv(x @ x.mT),
    "cholesky_solve": lambda b, x: JETS.solve(x @ x.mT, b),
    "layer_norm": normalized(-1),
    "batch_norm": normalized(0),
}
every = pytest.mark.parametrize("name", DEFINITIONS)


def parts(name, inputs, make=exact.asarray):
    """x, u, v as tuples of what moves, and what does not."""
    operator = OPERATORS[name]
    alone = len(operator.inputs) == 1
    x = tuple(make(exact.asarray(inputs[k])) for k in operator.inputs)
    u, v = (
        tuple(make(exact.asarray(inputs[letter if alone else f"{letter}_{k}"])) for k in operator.inputs)
        for letter in "uv"
    )
    return x, u, v, tuple(np.array(inputs[k], np.int64) for k in operator.fixed)


def called(name, x, *directions, fixed=()):
    """The arguments as a contract passes them."""
    whole = (*x, *fixed)
    return whole if len(whole) > 1 else whole[0], *(d if len(d) > 1 else d[0] for d in directions)


def series(name, x, u, fixed, k):
    moving = tuple(line(a, b) for a, b in zip(x, u, strict=True))
    return coefficient(DEFINITIONS[name](*moving, *fixed), k)


def agree(name, answer, expected):
    got = np.asarray(answer.value.data, object)
    assert got.shape == np.shape(expected) == answer.magnitude.shape
    pairs = list(zip(np.ravel(got), np.ravel(np.asarray(expected, object)), strict=True))
    if name in RATIONAL:
        return all(a == b for a, b in pairs)
    for ball in (b for pair in pairs for b in pair if not isinstance(b, int)):
        assert float(ball.rad()) <= 2.0**-100 * max(1.0, abs(float(ball.mid())))
    return all((a - b).contains(0) for a, b in pairs)


def judge(name, inputs):
    """Whether value, first and second derivative are those of the series."""
    make = exact.asarray if name in RATIONAL else exact.balls
    x, u, v, fixed = parts(name, inputs, make)
    operator, both = OPERATORS[name], tuple(a + b for a, b in zip(u, v, strict=True))
    first, second = (
        operator.derivative(1)(*called(name, x, u, fixed=fixed)),
        operator.derivative(2)(*called(name, x, u, v, fixed=fixed)),
    )
    crossed = series(name, x, both, fixed, 2) - series(name, x, u, fixed, 2) - series(name, x, v, fixed, 2)
    return (
        agree(name, measured(operator.value)(called(name, x, fixed=fixed)[0]), series(name, x, u, fixed, 0)),
        agree(name, first, series(name, x, u, fixed, 1)),
        agree(name, second, crossed),
    )


def test_every_operator_has_a_definition():
    assert set(DEFINITIONS) == set(OPERATORS)


@every
@pytest.mark.parametrize("kind", KINDS)
def test_value_and_derivatives_are_the_coefficients_of_the_series(name, kind):
    with exact.precision(BITS):
        for inputs in draws(operator_inputs(name, 2, kind), 12):
            assert judge(name, inputs) == (True, True, True), inputs


@every
def test_a_magnitude_is_no_less_than_the_value(name):
    operator = OPERATORS[name]
    with exact.precision(BITS):
        for inputs in draws(operator_inputs(name, 2), 12):
            x, u, v, fixed = parts(name, inputs, exact.balls)
            for order in (1, 2):
                answer = operator.derivative(order)(*called(name, x, *(u, v)[:order], fixed=fixed))
                low, _ = exact.bounds(answer.magnitude * Fraction(1 + 2**40, 2**40) - abs(answer.value))
                assert all(gap >= -Fraction(1, 2**200) for gap in np.ravel(low))


def test_terms_count_what_cancels():
    a, b = exact.asarray([[1, -2], [3, 4]]), exact.asarray([[5, 1], [2, -1]])
    product = terms(a) @ b
    assert np.all(product.value == a @ b)
    assert np.all(product.magnitude == exact.asarray([[9, 3], [23, 7]]))
    assert (terms(a) - a).magnitude[0, 1] == 4
    assert (2 - terms(a) * b / 2).magnitude[0, 0] == 2 + Fraction(5, 2)
    assert (terms(a).sum(0) @ exact.asarray([1, 1])).magnitude == 10
    assert (a @ terms(b)).magnitude[0, 1] == 3


def test_the_determinant_of_a_matrix_of_rank_one_has_a_second_derivative():
    x, u, v = (exact.asarray(m) for m in ([[1, 2], [2, 4]], [[0, 1], [0, 0]], [[0, 0], [3, 0]]))
    assert OPERATORS["det"].second(x, u, v) == -3  # det has the term -x01 x10
    with pytest.raises(NotApplicable):
        by_name("det", 2)["saved-factors"](x, u, v)


def by_name(name, order):
    return {v.name: v.answer for v in variants(OPERATORS[name], order)}


@every
def test_the_variants_of_an_operator_are_different_formulas_with_names_of_their_own(name):
    for order in OPERATORS[name].orders:
        found = variants(OPERATORS[name], order)
        assert len({v.name for v in found}) == len(found) >= 2
        assert all(v.formula and v.meaning and not v.meaning.endswith(".") for v in found)


def test_a_stopped_input_does_not_move():
    u = exact.asarray([1, 2]), exact.asarray([3])
    held = hold_still(u, 0)
    assert np.all(held[0] == 0)
    assert held[1] is u[1]


def test_saved_factors_give_what_pytorch_issue_196696_reports():
    """Exactly 9.8^2 / 10.88 for the matrix [[t + 2, 1], [1, 2 t + 3]] at t = 0.7; the report has 8.82720588235294."""
    x = exact.asarray([["2.7", 1], [1, "4.4"]])
    u = exact.asarray([[1, 0], [0, 2]])
    assert by_name("det", 2)["saved-factors"](x, u, u).value == Fraction(98, 10) ** 2 / Fraction(1088, 100)
    assert OPERATORS["det"].second(x, u, u) == 4


def test_a_frozen_first_zero_gives_what_pytorch_issue_196701_reports():
    """68 in place of 144, for the rows (t, t + 1, 2 - t) and (t - 1, 2 t + 1, t + 3) at t = 1."""
    rows = ([1, 2, 1], [1, 1, -1], [1, 2, 3]), ([0, 3, 4], [1, 2, 1], [4, 5, 6])
    frozen, right = 0, 0
    for x, u, weights in rows:
        x, u, w = exact.asarray(x), exact.asarray(u), exact.asarray(weights)
        frozen = frozen + by_name("cumprod", 2)["first-zero-frozen"](x, u, u).value @ w
        right = right + OPERATORS["cumprod"].second(x, u, u) @ w
    assert (frozen, right) == (68, 144)


def test_factors_out_of_order_give_what_pytorch_issue_196682_reports():
    """The sum of the inverse is 5/(4 a^2) - 1/(2 a) + 1/4 with a = t + 1, at t = 0.7."""
    x, u = exact.asarray([["1.7", 0], [1, 2]]), exact.asarray([[1, 0], [0, 0]])
    a = Fraction(17, 10)
    assert OPERATORS["cholesky_inverse"].first(x, u).sum() == -5 / (2 * a**3) + 1 / (2 * a**2)
    got = by_name("cholesky_inverse", 1)["factors-out-of-order"](x, u).value.sum()
    assert abs(exact.to_fractions(got) - Fraction("-0.4988266424013123")) < Fraction(1, 10**15)


def test_vectors_read_for_a_matrix_give_what_pytorch_issue_196694_reports():
    """-410.222... in place of -11/3."""
    l = exact.asarray([[[2, 0], [-7, 3]], [[3, 0], [-13, 2]]])
    u = exact.asarray([[[0, 0], [1, 0]], [[0, 0], [2, 0]]])
    b, w = exact.asarray([[1, 2], [-1, 3]]), exact.asarray([[[1, 2], [3, 4]], [[2, -1], [4, 3]]])
    assert (OPERATORS["cholesky_solve"].first((b, l), (0 * b, u)) * w).sum() == Fraction(-11, 3)
    got = (by_name("cholesky_solve", 1)["read-as-vectors"]((b, l), (0 * b, u)).value * w).sum()
    assert abs(exact.to_fractions(got) - Fraction("-410.22222222222206")) < Fraction(1, 10**12)


def test_saved_statistics_give_what_pytorch_issue_196700_reports():
    """With eps = 1/4 the report has -0.38487..., for which x = (t, 0) is scaled by 16 from here."""
    x, u = exact.asarray(["0.04375", 0]), exact.asarray(["0.0625", 0])  # t / 16: eps falls from 1/4 to 2^-10
    weights = exact.asarray([1, 2])
    with exact.precision(200):
        got = by_name("layer_norm", 2)["saved-statistics"](*(exact.balls(a)[None] for a in (x, u, u))).value[0]
        right = OPERATORS["layer_norm"].second(*(exact.balls(a)[None] for a in (x, u, u)))[0]
        low, _ = exact.bounds(got @ exact.balls(weights))
        true, _ = exact.bounds(right @ exact.balls(weights))
    assert abs(low - Fraction("-0.38487405661968344")) < Fraction(1, 10**15)
    assert abs(true - Fraction("0.7749142079590942")) < Fraction(1, 10**15)
