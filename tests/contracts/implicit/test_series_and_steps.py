"""Each deviation from a Neumann series and from unrolled steps, by sums and products of matrices."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from refgrad import contracts, exact
from refgrad.contracts.implicit.losses import Outer, Penalised, TwoLayers
from refgrad.contracts.tools import NotApplicable

a = exact.asarray
STAR, PHI = a([1, -1]), a([2, 1])
OUTER = Outer(a([[2, 1], [1, 3]]), a([1, 2]), a([[1, 0], [-2, 2]]), a([[1, 2], [2, 0]]), a([-1, 4]))
PENALISED = Penalised(a([[5, 1], [1, 4]]), a([[1, -2], [0, 3]]), a([[1, 1], [0, 2]]), STAR, PHI)
TWO_LAYERS = TwoLayers(
    a([[6, 1], [1, 5]]), a([[0, 1], [1, 1]]), a([[1, 2], [0, 1]]), a([[1, -1], [2, 1]]), a([[1, 0], [1, 3]]), STAR, PHI
)
INNER = {"penalised": PENALISED, "two layers": TWO_LAYERS}
SERIES, STEPS = (contracts.get(name) for name in ("neumann_hypergradient", "unrolled_hypergradient"))
IDENTITY = np.eye(2, dtype=int).astype(object)


def numbers(x):
    return np.array(exact.to_fractions(x), object)


class Point:
    """The derivatives of two losses at one point as arrays of Fractions."""

    def __init__(self, inner, w):
        at = w, PHI
        self.H, self.B, self.slope_phi = numbers(inner.hessian(*at)), numbers(inner.cross(*at)), inner.slope_phi(*at)
        self.slope_phi = numbers(self.slope_phi)
        self.g, self.d, self.Q = numbers(OUTER.grad_w(*at)), numbers(OUTER.grad_phi(*at)), numbers(OUTER.Q)
        self.penalty = np.diag(numbers(inner.G) @ numbers(PHI))
        if inner is TWO_LAYERS:
            U, V, w, phi = (numbers(x) for x in (inner.U, inner.V, w, PHI))
            e = (U @ w) * (V @ w) - numbers(inner.Y) @ phi
            self.bent = sum(e[k] * (np.outer(U[k], V[k]) + np.outer(V[k], U[k])) for k in range(2))


def inverse(A):
    (p, q), (r, s) = A
    return np.array([[s, -q], [-r, p]], object) / (p * s - q * r)


def power(A, j):
    return IDENTITY if j == 0 else A @ power(A, j - 1)


def summed(H, lr, first, last):
    """``sum_{j = first .. last} (I - lr H)^j``."""
    return sum((power(IDENTITY - lr * H, j) for j in range(first, last + 1)), 0 * IDENTITY)


def u(P, lr, J, H=None):
    return lr * summed(P.H if H is None else H, lr, 0, J) @ P.g


OF_SERIES = {
    "neumann-one-term-fewer": lambda P, lr, J: u(P, lr, J - 1),
    "neumann-one-term-more": lambda P, lr, J: u(P, lr, J + 1),
    "neumann-without-lr": lambda P, lr, J: u(P, lr, J) / lr,
    "neumann-lr-twice": lambda P, lr, J: lr * u(P, lr, J),
    "neumann-lr-one": lambda P, lr, J: u(P, 1, J),
    "neumann-lr-doubled": lambda P, lr, J: u(P, 2 * lr, J),
    "neumann-lr-halved": lambda P, lr, J: u(P, lr / 2, J),
    "neumann-lr-negated": lambda P, lr, J: u(P, -lr, J),
    "neumann-without-first-term": lambda P, lr, J: lr * summed(P.H, lr, 1, J) @ P.g,
    "neumann-terms-subtracted": lambda P, lr, J: lr * (P.g - summed(P.H, lr, 1, J) @ P.g),
    "neumann-last-power-only": lambda P, lr, J: lr * summed(P.H, lr, J, J) @ P.g,
    "neumann-averaged": lambda P, lr, J: u(P, lr, J) / (J + 1),
    "identity": lambda P, lr, J: P.g,
    "one-step-unroll": lambda P, lr, J: lr * P.g,
    "hessian-not-inverted": lambda P, lr, J: P.H @ P.g,
    "hypergradient": lambda P, lr, J: inverse(P.H) @ P.g,
    "cg-one-iteration": lambda P, lr, J: P.g * (P.g @ P.g) / (P.g @ P.H @ P.g),
    "rank-one-hessian": lambda P, lr, J: lr * (J + 1) * P.g,
    "outer-hessian": lambda P, lr, J: u(P, lr, J, P.Q),
    "hessian-of-both-losses": lambda P, lr, J: u(P, lr, J, P.H + P.Q),
    "penalty-missing-in-hessian": lambda P, lr, J: u(P, lr, J, P.H - P.penalty),
    "gauss-newton": lambda P, lr, J: u(P, lr, J, P.H - P.bent),
    "diagonal-hessian": lambda P, lr, J: u(P, lr, J, P.H * IDENTITY),
    "leaf-block-diagonal": lambda P, lr, J: u(P, lr, J, P.H * IDENTITY),
    "weight-decay-missing": lambda P, lr, J: u(P, lr, J, P.H - IDENTITY / Fraction(2)),
    "damping-left-in": lambda P, lr, J: u(P, lr, J, P.H + IDENTITY / Fraction(8)),
    "indirect-doubled": lambda P, lr, J: 2 * u(P, lr, J),
    "indirect-halved": lambda P, lr, J: u(P, lr, J) / 2,
    "indirect-sign-flipped": lambda P, lr, J: -u(P, lr, J),
    "direct-only": lambda P, lr, J: 0 * P.g,
}
WHOLE = {
    "neumann-without-lr-or-direct": lambda P, x, lr: -(x @ P.B) / lr,
    "sign-flipped": lambda P, x, lr: x @ P.B - P.d,
    "direct-sign-flipped": lambda P, x, lr: -P.d - x @ P.B,
    "missing-direct": lambda P, x, lr: -(x @ P.B),
    "zero": lambda P, x, lr: 0 * P.d,
    "doubled": lambda P, x, lr: 2 * P.d - 2 * (x @ P.B),
    "halved": lambda P, x, lr: (P.d - x @ P.B) / 2,
    "inner-loss-leak": lambda P, x, lr: P.slope_phi + P.d - x @ P.B,
    "mixed-partial-not-transposed": lambda P, x, lr: P.d - P.B @ x,
}


def test_every_deviation_has_a_formula_here():
    assert {v.name for v in SERIES.variants} == {*OF_SERIES, *WHOLE}
    assert {v.name for v in STEPS.variants} == {*OF_STEPS}


@pytest.mark.parametrize(("lr", "terms"), [(Fraction(1, 8), 3), (Fraction(-1, 2), 1), (Fraction(1, 4), 0)])
@pytest.mark.parametrize("loss", INNER)
@pytest.mark.parametrize("name", [*OF_SERIES, *WHOLE])
def test_each_deviation_from_a_series_equals_its_sum_of_powers(name, loss, lr, terms):
    inner, answer = INNER[loss], next(v.answer for v in SERIES.variants if v.name == name)
    call, P = (inner, OUTER, STAR, PHI, a(lr), terms), Point(inner, STAR)
    if name == "gauss-newton" and loss == "penalised":
        with pytest.raises(NotApplicable):
            answer(*call)
        return
    if name in WHOLE:
        expected = WHOLE[name](P, u(P, lr, terms), lr)
    else:
        expected = P.d - OF_SERIES[name](P, lr, terms) @ P.B
    assert np.all(answer(*call).value == expected)


@pytest.mark.parametrize("loss", INNER)
def test_the_series_of_the_contract_is_the_sum_of_powers_in_either_way_of_counting(loss):
    P, call = Point(INNER[loss], STAR), (INNER[loss], OUTER, STAR, PHI, a("1/8"))
    lr = Fraction(1, 8)
    for terms in range(4):
        expected = [P.d - u(P, lr, J) @ P.B for J in (terms - 1, terms)]
        other, left = SERIES.choose({"count": "terms", "own": 3})
        assert left == {"own": 3}
        assert np.all(SERIES.quantity(*call, terms).value == expected[1])
        assert np.all(other.quantity(*call, terms).value == expected[0])
        assert np.all(next(v for v in other.variants if v.declare).answer(*call, terms).value == expected[1])


def test_one_way_of_counting_says_how_the_other_is_declared():
    other = SERIES.declared(count="terms")
    assert [(v.name, v.declare) for v in SERIES.variants if v.declare] == [
        ("neumann-one-term-fewer", "--param count=terms")
    ]
    assert [(v.name, v.declare) for v in other.variants if v.declare] == [
        ("neumann-one-term-more", "--param count=powers")
    ]


class Path:
    """The points of some steps, with their derivatives."""

    def __init__(self, inner, start, lr, steps):
        w = start
        self.points = [Point(inner, w)]
        for _ in range(steps):
            w = w - a(lr) * inner.grad(w, PHI)
            self.points.append(Point(inner, w))
        self.lr, self.T, self.end, self.start = lr, steps, self.points[-1], self.points[0]

    def value(self, *, among=None, H=None, B=None, order=None, rate=None, front=None, g=None, d=None):
        """``d - front sum_t B_t^T prod_s (I - rate H_s) g``; the product is over the steps that come after step t."""
        order = list(range(self.T)) if order is None else order
        among = order if among is None else [t for t in order if t in among]
        rate, front = self.lr if rate is None else rate, self.lr if front is None else front
        H, B = (f or (lambda t, kind=kind: getattr(self.points[t], kind)) for f, kind in ((H, "H"), (B, "B")))
        total = (self.end.d if d is None else d) + 0 * self.end.d
        for place, t in enumerate(among):
            v = self.end.g if g is None else g
            for s in reversed(among[place + 1 :]):
                v = (IDENTITY - rate * H(s)) @ v
            total = total - front * (v @ B(t))
        return total


def indirect(p):
    return p.value() - p.end.d


OF_STEPS = {
    "one-step-fewer": lambda p, more: more(-1).value(),
    "one-step-more": lambda p, more: more(1).value(),
    "direct-only": lambda p, more: p.end.d,
    "missing-direct": lambda p, more: indirect(p),
    "zero": lambda p, more: 0 * p.end.d,
    "sign-flipped": lambda p, more: -p.value(),
    "direct-sign-flipped": lambda p, more: indirect(p) - p.end.d,
    "indirect-sign-flipped": lambda p, more: p.end.d - indirect(p),
    "doubled": lambda p, more: 2 * p.value(),
    "halved": lambda p, more: p.value() / 2,
    "inner-loss-leak": lambda p, more: p.value() + p.end.slope_phi,
    "mixed-partial-not-transposed": lambda p, more: p.value(B=lambda t: p.points[t].B.T),
    "first-order": lambda p, more: p.value(rate=0),
    "last-step-only": lambda p, more: p.value(among=[p.T - 1]),
    "last-two-steps-only": lambda p, more: p.value(among=[p.T - 2, p.T - 1]),
    "first-step-only": lambda p, more: p.value(among=[0]),
    "implicit-at-the-end": lambda p, more: p.end.d - inverse(p.end.H) @ p.end.g @ p.end.B,
    "neumann-at-the-end": lambda p, more: p.end.d - u(p.end, p.lr, p.T - 1) @ p.end.B,
    "neumann-at-the-start": lambda p, more: p.value(H=lambda t: p.start.H, B=lambda t: p.start.B),
    "hessians-at-the-end": lambda p, more: p.value(H=lambda t: p.end.H),
    "hessians-one-step-on": lambda p, more: p.value(H=lambda t: p.points[t + 1].H),
    "derivatives-one-step-on": lambda p, more: p.value(H=lambda t: p.points[t + 1].H, B=lambda t: p.points[t + 1].B),
    "steps-in-forward-order": lambda p, more: p.value(order=list(range(p.T))[::-1]),
    "lr-missing": lambda p, more: p.value(front=1),
    "lr-twice": lambda p, more: p.value(front=p.lr**2),
    "lr-missing-on-the-way-back": lambda p, more: p.value(rate=1),
    "ascent": lambda p, more: more(0, -1).value(),
    "lr-doubled": lambda p, more: more(0, 2).value(),
    "lr-halved": lambda p, more: more(0, Fraction(1, 2)).value(),
    "sign-on-the-way-back": lambda p, more: p.value(rate=-p.lr, front=-p.lr),
    "outer-loss-at-every-step": lambda p, more: sum(more(k - p.T).value() for k in range(1, p.T + 1)),
    "outer-loss-averaged": lambda p, more: sum(more(k - p.T).value() for k in range(1, p.T + 1)) / p.T,
    "outer-loss-at-the-start": lambda p, more: p.value(g=p.start.g, d=p.start.d),
}


@pytest.mark.parametrize(("lr", "steps"), [(Fraction(1, 16), 3), (Fraction(-1, 8), 2), (Fraction(1, 8), 1)])
@pytest.mark.parametrize("loss", INNER)
@pytest.mark.parametrize("name", ["the contract", *OF_STEPS])
def test_each_deviation_from_unrolled_steps_equals_its_product_of_matrices(name, loss, lr, steps):
    inner, start = INNER[loss], a([0, 2])
    answer = STEPS.quantity if name == "the contract" else next(v.answer for v in STEPS.variants if v.name == name)
    path = Path(inner, start, lr, steps)

    def more(extra, rate=1):
        return Path(inner, start, rate * lr, steps + extra)

    expected = path.value() if name == "the contract" else OF_STEPS[name](path, more)
    assert np.all(answer(inner, OUTER, start, PHI, a(lr), steps).value == expected)


@pytest.mark.parametrize("name", ["one-step-fewer", "outer-loss-at-every-step", "last-two-steps-only", "lr-missing"])
def test_without_steps_what_is_left_is_the_direct_term(name):
    answer = next(v.answer for v in STEPS.variants if v.name == name)
    found = answer(TWO_LAYERS, OUTER, a([0, 2]), PHI, a("1/8"), 0).value
    assert np.all(found == OUTER.grad_phi(a([0, 2]), PHI))
