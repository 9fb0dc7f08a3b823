"""Known different hypergradients: at the probe, by other formulas, and how far they lie from one another."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from helpers import bilevel

from refgrad import exact
from refgrad.contracts import implicit
from refgrad.contracts.implicit.bilevel import QuadraticBilevel
from refgrad.contracts.implicit.bilevel_variants import HYPERGRADIENT_VARIANTS
from refgrad.contracts.implicit.intercepts import LogisticIntercept, PoissonIntercept
from refgrad.contracts.implicit.manufactured import Manufactured, QuadraticMap
from refgrad.contracts.tools import EXACT_TABLE, NotApplicable, Quartic

VARIANT = bilevel.variants()
EPS = Fraction(1, 2**40)  # magnitudes are float64 numbers
a = exact.asarray

AT_THE_PROBE = {
    "indirect-sign-flipped": ["34/5", "-16/5", "36/5"],
    "sign-flipped": ["4/5", "4/5", "6/5"],
    "direct-sign-flipped": ["-34/5", "16/5", "-36/5"],
    "missing-direct": ["-19/5", "6/5", "-21/5"],
    "direct-only": [3, -2, 3],
    "zero": [0, 0, 0],
    "doubled": ["-8/5", "-8/5", "-12/5"],
    "halved": ["-2/5", "-2/5", "-3/5"],
    "indirect-doubled": ["-23/5", "2/5", "-27/5"],
    "indirect-halved": ["11/10", "-7/5", "9/10"],
    "inner-loss-leak": ["36/5", "26/5", "-16/5"],
    "mixed-partial-not-transposed": ["38/5", "1/5", "34/5"],
    "identity": [0, 6, -8],
    "one-step-unroll": ["45/16", "-3/2", "37/16"],
    "neumann": ["69271/32768", "-34361/32768", "983/1024"],
    "neumann-one-term-fewer": ["4801/2048", "-1151/1024", "2727/2048"],
    "neumann-without-lr": ["-22889/2048", "27079/2048", "-1897/64"],
    "neumann-lr-one": [-853, -3082, 947],
    "neumann-terms-subtracted": ["115049/32768", "-63943/32768", "3753/1024"],
    "outer-hessian": [2, "2/3", "-2/3"],
    "hessian-not-inverted": [14, 63, -35],
    "weight-decay-missing": ["-79/21", "-2/3", "-43/21"],
    "damping-left-in": ["-739/1751", "-1454/1751", "-1763/1751"],
    "ridge-on-normal-equations": ["-12125/25817", "-20842/25817", "-29477/25817"],
    "diagonal-hessian": [1, "25/42", "-33/14"],
    "leaf-block-diagonal": ["12/13", "-1/39", "-35/13"],
    "first-leaf-only": ["-1/13", "-9/13", "-22/13"],
    "cg-one-iteration": ["105/46", "-2/23", "17/46"],
    "rank-one-hessian": ["9/4", 0, "1/4"],
    "cg-stale-iterate": ["1111/3562", "-2627/3562", "-3477/1781"],
}


@pytest.mark.parametrize("name", AT_THE_PROBE)
def test_each_variant_has_its_known_value_at_the_probe(name):
    problem, _, phi = implicit.probe()
    assert np.all(VARIANT[name](problem, phi).value == a(AT_THE_PROBE[name]))


ROUNDED_AT_THE_PROBE = {
    "inner-not-solved": ["11.90", "0.40", "-4.38"],
    "neumann-one-term-more": ["1.896965", "-0.999828", "0.643223"],
    "neumann-without-lr-or-direct": ["-14.176", "15.222", "-32.641"],
    "neumann-without-first-term": ["2.301483", "-1.548615", "1.647461"],
    "cg-direction-from-old-residual": ["1.413596", "1.408237", "-2.134091"],
    "cg-scale-mismatch": ["-7.064301", "-0.422954", "-12.104777"],
}


@pytest.mark.parametrize("name", ROUNDED_AT_THE_PROBE)
def test_each_variant_with_long_fractions_rounds_to_its_known_value_at_the_probe(name):
    problem, _, phi = implicit.probe()
    for value, decimal in zip(VARIANT[name](problem, phi).value, ROUNDED_AT_THE_PROBE[name], strict=True):
        assert abs(value - Fraction(decimal)) <= Fraction(1, 2 * 10 ** len(decimal.partition(".")[2]))


def test_any_two_formulas_differ_at_the_probe_by_a_tenth_and_more():
    problem, _, phi = implicit.probe()
    names = [*AT_THE_PROBE, *ROUNDED_AT_THE_PROBE]
    values = {"exact": problem.hypergradient(phi)} | {name: VARIANT[name](problem, phi) for name in names}
    for first, second in combinations(values, 2):
        gap = exact.to_fractions(abs(values[first].value - values[second].value).max())
        assert gap >= Fraction(11, 92), (first, second)  # the hypergradient's largest component is 6/5


def test_names_are_distinct_and_in_lower_case_with_hyphens():
    names = [v.name for v in HYPERGRADIENT_VARIANTS]
    assert len(set(names)) == len(names) <= 60
    assert set(names) == {*VARIANT, *bilevel.NEED_LOSSES}
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+|-[0-9.]+)*", name) for name in names)


@dataclass
class Point:
    """The derivatives at a solution as arrays of Fractions, and lr and the last power."""

    slope_phi: np.ndarray
    H: np.ndarray
    B: np.ndarray
    g: np.ndarray
    d: np.ndarray
    Q: np.ndarray
    lr: Fraction
    terms: int

    @property
    def identity(self):
        return np.eye(len(self.g), dtype=int).astype(object)

    @property
    def M(self):
        return self.identity - self.lr * self.H

    @property
    def series(self):
        return geometric(self.H, self.lr, self.terms) @ self.g


def determinant(A):
    """By the first row, recursively."""
    if not len(A):
        return Fraction(1)
    minors = [np.delete(np.delete(A, 0, 0), j, 1) for j in range(len(A))]
    return sum(((-1) ** j * A[0, j] * determinant(minor) for j, minor in enumerate(minors)), Fraction(0))


def inverse(A):
    """By cofactors."""
    n, det = len(A), determinant(A)
    minors = [[np.delete(np.delete(A, j, 0), i, 1) for j in range(n)] for i in range(n)]
    return np.array([[(-1) ** (i + j) * determinant(minors[i][j]) / det for j in range(n)] for i in range(n)], object)


def power(A, k):
    y = np.eye(len(A), dtype=int).astype(object)
    for _ in range(k):
        y = y @ A
    return y


def geometric(H, lr, terms):
    """``lr sum_{j=0..terms} (I - lr H)^j`` as ``H^{-1} (I - (I - lr H)^{terms + 1})``."""
    identity = np.eye(len(H), dtype=int).astype(object)
    return inverse(H) @ (identity - power(identity - lr * H, terms + 1))


def blocks(H, last):
    """H in which the last component stands alone, with 1 or 0 in place of the inverse of its block."""
    n = len(H) - 1
    y = 0 * H
    y[:n, :n] = inverse(H[:n, :n])
    y[n, n] = last
    return y


def galerkin(P, k):
    """The minimiser of ``1/2 x^T H x - g^T x`` among the combinations of g, H g, ..., H^{k-1} g."""
    if k == 0:
        return 0 * P.g
    K = np.stack([power(P.H, j) @ P.g for j in range(k)], axis=1)
    return K @ (inverse(K.T @ P.H @ K) @ (K.T @ P.g))


def krylov(P, k, start=0):
    """The minimiser among the combinations of the first k powers of H times the residual at ``start g``."""
    moved = replace(P, g=P.g - start * (P.H @ P.g))
    return start * P.g + galerkin(moved, min(k, krylov_dimension(moved)))


def krylov_dimension(P):
    """The largest k for which g, H g, ..., H^{k-1} g are independent."""
    for k in range(len(P.g), 0, -1):
        K = np.stack([power(P.H, j) @ P.g for j in range(k)], axis=1)
        if determinant(K.T @ K):
            return k
    return 0


def as_betty(P, cg_alpha=Fraction(1), stale_direction=False):
    """The loop of betty/hypergradient/cg.py, with n iterations; its early releases build p on the old r."""
    x, r, p = 0 * P.g, P.g, P.g
    for _ in range(len(P.g)):
        if not any(r):
            break
        hvp = P.H @ p
        alpha = (r @ r) / (cg_alpha * (hvp @ p))
        x, r_new = x + alpha * p, r - alpha * hvp
        p = (r if stale_direction else r_new) + (r_new @ r_new) / (r @ r) * p
        r = r_new
    return cg_alpha * x


def with_u(u, direct=1, indirect=-1):
    return lambda P: direct * P.d + indirect * (u(P) @ P.B)


def newton(P):
    return inverse(P.H) @ P.g


H2, I8 = Fraction(1, 2), Fraction(1, 8)
FORMULAS = {
    "indirect-sign-flipped": with_u(newton, 1, 1),
    "sign-flipped": with_u(newton, -1, 1),
    "direct-sign-flipped": with_u(newton, -1, -1),
    "missing-direct": with_u(newton, 0),
    "direct-only": lambda P: P.d,
    "zero": lambda P: 0 * P.d,
    "doubled": lambda P: 2 * (P.d - newton(P) @ P.B),
    "halved": lambda P: (P.d - newton(P) @ P.B) / 2,
    "indirect-doubled": with_u(lambda P: 2 * newton(P)),
    "indirect-halved": with_u(lambda P: newton(P) / 2),
    "inner-loss-leak": lambda P: P.slope_phi + P.d - newton(P) @ P.B,
    "mixed-partial-not-transposed": lambda P: P.d - P.B @ newton(P),
    "identity": with_u(lambda P: P.g),
    "one-step-unroll": with_u(lambda P: P.lr * P.g),
    "neumann": with_u(lambda P: P.series),
    "neumann-one-term-fewer": with_u(lambda P: geometric(P.H, P.lr, P.terms - 1) @ P.g),
    "neumann-one-term-more": with_u(lambda P: geometric(P.H, P.lr, P.terms + 1) @ P.g),
    "neumann-without-lr": with_u(lambda P: P.series / P.lr),
    "neumann-without-lr-or-direct": with_u(lambda P: P.series / P.lr, 0),
    "neumann-lr-twice": with_u(lambda P: P.lr * P.series),
    "neumann-lr-one": with_u(lambda P: geometric(P.H, 1, P.terms) @ P.g),
    "neumann-without-first-term": with_u(lambda P: P.series - P.lr * P.g),
    "neumann-terms-subtracted": with_u(lambda P: 2 * P.lr * P.g - P.series),
    "rank-one-hessian": with_u(lambda P: P.lr * (P.terms + 1) * P.g),
    "neumann-last-power-only": with_u(lambda P: P.lr * (power(P.M, P.terms) @ P.g)),
    "outer-hessian": with_u(lambda P: inverse(P.Q) @ P.g),
    "hessian-not-inverted": with_u(lambda P: P.H @ P.g),
    "weight-decay-missing": with_u(lambda P: inverse(P.H - H2 * P.identity) @ P.g),
    "damping-left-in": with_u(lambda P: inverse(P.H + I8 * P.identity) @ P.g),
    "ridge-on-normal-equations": with_u(lambda P: inverse(P.H @ P.H + I8 * P.identity) @ P.H @ P.g),
    "diagonal-hessian": with_u(lambda P: np.array([P.g[i] / P.H[i, i] for i in range(len(P.g))], object)),
    "leaf-block-diagonal": with_u(lambda P: blocks(P.H, 1 / P.H[-1, -1]) @ P.g),
    "first-leaf-only": with_u(lambda P: blocks(P.H, Fraction(0)) @ P.g),
    "hessian-of-both-losses": with_u(lambda P: inverse(P.H + P.Q) @ P.g),
    "cg-one-iteration": with_u(lambda P: galerkin(P, 1)),
    "cg-two-iterations": with_u(lambda P: krylov(P, 2)),
    "cg-three-iterations": with_u(lambda P: krylov(P, 3)),
    "cg-five-iterations": with_u(lambda P: krylov(P, 5)),
    "cg-ten-iterations": with_u(lambda P: krylov(P, 10)),
    "cg-one-iteration-from-g": with_u(lambda P: krylov(P, 1, 1)),
    "cg-two-iterations-from-g": with_u(lambda P: krylov(P, 2, 1)),
    "cg-three-iterations-from-g": with_u(lambda P: krylov(P, 3, 1)),
    "cg-five-iterations-from-g": with_u(lambda P: krylov(P, 5, 1)),
    "cg-ten-iterations-from-g": with_u(lambda P: krylov(P, 10, 1)),
    "cg-stale-iterate": with_u(lambda P: galerkin(P, krylov_dimension(P) - 1)),
    "cg-direction-from-old-residual": with_u(lambda P: as_betty(P, stale_direction=True)),
    "cg-scale-mismatch": with_u(lambda P: as_betty(P, H2)),
}


def settled(lr, J):
    return with_u(lambda P: geometric(P.H, Fraction(lr), J) @ P.g)


for name in VARIANT:
    if found := re.fullmatch(r"neumann-(\d+)-lr-(.+)", name):
        FORMULAS[name] = settled(found[2], int(found[1]))


def square():
    problem, _, phi = implicit.probe()
    return problem, phi


def wide():
    """Three weights, two hyperparameters; two of the eigenvalues of H are equal."""
    problem = QuadraticBilevel(
        H=a([[3, 1, 1], [1, 3, 1], [1, 1, 3]]), C=a([[1, -2], [0, 3], [2, 1]]), c=a([1, 0, "1/2"]),
        Q=a([[2, 1, 0], [1, 2, 0], [0, 0, 1]]), t=a([1, 2, -1]), R=a([[1, 0], [0, 2], [1, 1]]),
        P=a([[1, "1/3"], ["1/3", 0]]), q=a([-1, 4]),
    )  # fmt: skip
    return problem, a([2, -1])


def curved():
    """An inner loss whose curvature is another one at every point."""
    psi = QuadraticMap(a(["1/2", -1]), a([[1, 2], [0, 1]]), a([[[1, 0], [1, 0]], [[0, "1/2"], [0, 1]]]))
    outer = {"Q": a([[2, 1], [1, 3]]), "t": a([1, 0]), "R": a([[1, 2], [0, 1]]), "P": a([[0, 1], [1, 2]])}
    batch = a([[1, 2], [1, -1]]), a([1, "1/2"])
    return Manufactured(Quartic(EXACT_TABLE), batch, psi, a("1/4"), **outer, q=a([3, -2])), a(["1/2", 1])


def at(problem, phi, lr, terms):
    found = problem.derivatives(problem.solution(phi), phi)
    arrays = [found.slope_phi, found.H, found.B, found.g, found.d, found.Q]
    return Point(*(np.array(exact.to_fractions(x), object) for x in arrays), lr, terms)


def test_every_variant_but_the_one_off_the_solution_has_a_formula_here():
    assert set(FORMULAS) == set(VARIANT) - {"inner-not-solved"}


@pytest.mark.parametrize(("lr", "terms"), [(Fraction(1, 16), 3), (Fraction(1, 5), 1), (Fraction(3), 0)])
@pytest.mark.parametrize("problem", [square, wide, curved])
@pytest.mark.parametrize("name", FORMULAS)
def test_each_variant_equals_its_formula_in_matrices(name, problem, lr, terms):
    arguments = (*problem(), lr, terms)
    P = at(*arguments)
    if name == "mixed-partial-not-transposed" and P.B.shape[0] != P.B.shape[1]:
        with pytest.raises(NotApplicable):
            VARIANT[name](*arguments)
        return
    answer = VARIANT[name](*arguments)
    assert np.all(answer.value == FORMULAS[name](P))
    assert np.all(abs(answer.value) <= (1 + EPS) * answer.magnitude)


def test_the_defaults_are_a_step_of_one_sixteenth_and_a_third_power():
    problem, phi = wide()
    for answer in VARIANT.values():
        try:
            expected = answer(problem, phi, lr=Fraction(1, 16), terms=3)
        except NotApplicable:
            continue
        assert np.all(answer(problem, phi).value == expected.value)


@pytest.mark.parametrize("terms", [0, 3])
@pytest.mark.parametrize("problem", [square, wide])
def test_an_unsolved_quadratic_problem_is_described_by_a_matrix_power(problem, terms):
    (problem, phi), lr = problem(), Fraction(1, 16)
    P = at(problem, phi, lr, terms)
    w = np.array(exact.to_fractions(problem.solution(phi)), object)
    move = -power(P.M, terms + 1) @ w
    R = np.array(exact.to_fractions(problem.R), object)
    expected = P.d + move @ R - (inverse(P.H) @ (P.g + P.Q @ move)) @ P.B
    answer = VARIANT["inner-not-solved"](problem, phi, lr, terms)
    assert np.all(answer.value == expected)
    assert np.all(abs(answer.value) <= (1 + EPS) * answer.magnitude)


def test_an_unsolved_problem_is_differentiated_where_descent_has_ended():
    problem, phi = curved()
    w = a([0, 0])
    for _ in range(2):
        w = w - problem.inner_grad(w, phi) / 16
    found = problem.derivatives(w, phi)
    H, B, g, d = (np.array(exact.to_fractions(x), object) for x in (found.H, found.B, found.g, found.d))
    assert np.all(VARIANT["inner-not-solved"](problem, phi, terms=1).value == d - (inverse(H) @ g) @ B)
    assert not np.all(problem.derivatives(problem.solution(phi), phi).H == found.H)


def intercepts():
    """Problems of one weight, phi, and their rational derivatives at the solution: H, B, g, Q."""
    logistic, poisson = LogisticIntercept(EXACT_TABLE, 3, 5, 2, 7), PoissonIntercept(EXACT_TABLE, 4, 2, 2)
    p, r = Fraction(6, 11), Fraction(5, 4)
    yield logistic, [2, 1], (11 * p * (1 - p), [3 * (p - 1), 5 * p], 9 * p - 2, 9 * p * (1 - p))
    yield poisson, [3], (4 * r, [-1], 2 * r**2, 4 * r**2)


RATIONAL_IN_INTERCEPTS = set(FORMULAS) - {"inner-loss-leak", "leaf-block-diagonal", "first-leaf-only"}


@pytest.mark.parametrize("name", sorted(RATIONAL_IN_INTERCEPTS))
def test_in_balls_the_variants_enclose_their_rational_values(name):
    for problem, phi, (H, B, g, Q) in intercepts():
        matrices = [np.array(x, object) for x in ([[H]], [B], [g], [0 * b for b in B], [[Q]])]
        P = Point(None, *matrices, Fraction(1, 16), 3)
        if name == "mixed-partial-not-transposed" and len(B) == 2:
            continue
        found = exact.evaluate(VARIANT[name], problem, a(phi))
        for low, value, high in zip(found.low.value, FORMULAS[name](P), found.high.value, strict=True):
            assert low <= value <= high
            assert high - low < Fraction(1, 2**60)


def test_in_balls_the_remaining_variants_are_what_they_say():
    problem = PoissonIntercept(EXACT_TABLE, 4, 2, 2)
    phi = a([3])
    # the hypergradient 5/8, less w = log(5/4) = 0.2231435...
    leak = exact.evaluate(VARIANT["inner-loss-leak"], problem, phi)
    assert Fraction("0.401856") < leak.low.value[0] <= leak.high.value[0] < Fraction("0.401857")
    # one step of 1/16 from 0 leads to w = 1/16, where -B / H is e^{-w} / 4 and g is 2 e^{2w}: e^{1/16} / 2 in all
    off = exact.evaluate(lambda phi: VARIANT["inner-not-solved"](problem, phi, Fraction(1, 16), 0), phi)
    assert Fraction("0.532247") < off.low.value[0] <= off.high.value[0] < Fraction("0.532248")


@pytest.mark.parametrize("name", ["leaf-block-diagonal", "first-leaf-only"])
def test_one_weight_is_not_two_leaves(name):
    one = a([[2]])
    problem = QuadraticBilevel(one, one, one[0], one, one[0], one, one, one[0])
    with pytest.raises(NotApplicable):
        VARIANT[name](problem, a([1]))


def test_a_matrix_without_inverse_leaves_a_formula_without_a_value():
    identity, zero = a([[1, 0], [0, 1]]), a([[0, 0], [0, 0]])
    w, phi = a([1, 1]), a([1, 2])
    cases = {
        "outer-hessian": (a([[2, 0], [0, 3]]), a([[1, 1], [1, 1]])),
        "weight-decay-missing": (a([["1/2", 0], [0, 3]]), identity),
        "damping-left-in": (a([["-1/8", 0], [0, 3]]), identity),
        "diagonal-hessian": (a([[0, 1], [1, 3]]), identity),
        "cg-one-iteration": (a([[1, 0], [0, -1]]), identity),
        "cg-stale-iterate": (a([[1, 0], [0, -1]]), identity),
    }
    for name, (H, Q) in cases.items():
        problem = QuadraticBilevel(H, identity, H @ w - phi, Q, 0 * w, zero, zero, w)
        problem.hypergradient(phi)
        with pytest.raises(NotApplicable):
            VARIANT[name](problem, phi)


def test_where_nothing_is_propagated_the_stale_iterate_is_zero_too():
    problem, w, phi = implicit.probe()
    problem.t, problem.R = w, 0 * problem.R
    assert np.all(VARIANT["cg-stale-iterate"](problem, phi).value == problem.hypergradient(phi).value)
