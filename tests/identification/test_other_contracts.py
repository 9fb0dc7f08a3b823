"""Min-norm weights and directions, penalties, gradients, products and hypergradients of one's own, by name."""

from dataclasses import replace

import numpy as np
import pytest

import refgrad
from refgrad.contracts.implicit.bilevel_variants import CHOICES, EXACT
from refgrad.contracts.implicit.recipe import formula
from refgrad.errors import UsageError
from refgrad.multitask import min_norm

RNG = np.random.default_rng(0)
J = RNG.standard_normal((4, 300)) + RNG.standard_normal(300)
WEIGHTS = min_norm(J).weights
STAR, THETA, IMPORTANCE = RNG.standard_normal(20), RNG.standard_normal(20), RNG.random(20)


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("min_norm", WEIGHTS),
        ("uniform", np.full(4, 0.25)),
        ("softmax", np.exp(WEIGHTS) / np.exp(WEIGHTS).sum()),
        ("", np.array([0.7, 0.1, 0.15, 0.05])),
    ],
)
def test_weights_have_the_name_of_their_formula(name, weights):
    rows = [{"W": row[:200].reshape(20, 10), "b": row[200:]} for row in J]
    for given in (J, rows):
        assert refgrad.identify(weights, "min_norm", J=given).name == name


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("mgda_direction", WEIGHTS @ J),
        ("negated", -WEIGHTS @ J),
        ("sum-of-gradients", J.sum(0)),
        ("unit-length", WEIGHTS @ J / np.linalg.norm(WEIGHTS @ J)),
        ("", WEIGHTS @ J + 0.01 * RNG.standard_normal(300)),
    ],
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_direction_has_the_name_of_its_formula(name, direction, dtype):
    assert refgrad.identify(direction.astype(dtype), "mgda_direction", J=J.astype(dtype)).name == name


@pytest.mark.parametrize(
    ("name", "contract", "output"),
    [
        ("ewc_penalty", "ewc_penalty", 1.5 * (IMPORTANCE * (THETA - STAR) ** 2).sum()),
        ("missing-half", "ewc_penalty", 3 * (IMPORTANCE * (THETA - STAR) ** 2).sum()),
        ("mean-over-parameters", "ewc_penalty", 1.5 * (IMPORTANCE * (THETA - STAR) ** 2).mean()),
        ("", "ewc_penalty", 1.2345),
        ("ewc_gradient", "ewc_gradient", 3 * IMPORTANCE * (THETA - STAR)),
        ("root-of-importance", "ewc_gradient", 3 * np.sqrt(IMPORTANCE) * (THETA - STAR)),
        ("", "ewc_gradient", RNG.standard_normal(20)),
    ],
)
def test_a_penalty_has_the_name_of_its_formula(name, contract, output):
    found = refgrad.identify(output, contract, theta=THETA, theta_star=STAR, fisher=IMPORTANCE, lam=3.0)
    assert found.name == name, str(found)


@pytest.mark.parametrize("seed", range(40))
def test_a_single_number_of_no_formula_has_no_name_by_coincidence(seed):
    rng = np.random.default_rng(seed)
    output = np.float32(np.exp(rng.standard_normal()))
    given = {"theta": THETA.astype(np.float32), "theta_star": STAR, "fisher": IMPORTANCE, "lam": 100.0}
    assert refgrad.identify(output, "ewc_penalty", **given).name == ""


@pytest.mark.parametrize("seed", range(10))
def test_a_single_number_that_is_nearly_right_is_no_matter_of_precision(seed):
    rng = np.random.default_rng(seed)
    theta, star = (rng.standard_normal(20).astype(np.float32) for _ in range(2))
    importance = rng.random(20).astype(np.float32)
    off = rng.choice([-1, 1]) * 10 ** rng.uniform(-4, -3)
    output = np.float32((1 + off) * 1.5 * (importance * (theta - star) ** 2).sum())
    found = refgrad.identify(output, "ewc_penalty", theta=theta, theta_star=star, fisher=importance, lam=3.0)
    assert (found.grade, found.name) == ("wrong", ""), str(found)


def test_derivatives_of_ones_own_function_have_names():
    f = lambda x: np.sum(np.tanh(x["a"]) @ x["b"])
    x, v = ({"a": RNG.standard_normal((3, 4)), "b": RNG.standard_normal(4)} for _ in "xv")
    gradient, product = refgrad.grad(f)(x), refgrad.hvp(f, x, v)
    assert refgrad.identify(gradient, "gradient", f=f, x=x).name == "gradient"
    assert refgrad.identify(product, "hvp", f=f, x=x, v=v).name == "hvp"
    halved = {k: g / 2 for k, g in gradient.items()}
    assert refgrad.identify(halved, "gradient", f=f, x=x).name in ("1/2 times gradient", "halved")


def turned(distance=1e-7, dtype="float32", size=1.0, count=8):
    """A sum of 60 ReLUs and a square, of which the first is `distance` off its kink; the gradient beyond it."""
    rng = np.random.default_rng(1)
    rows, x = rng.standard_normal((60, count)), rng.standard_normal(count).astype(dtype)
    wide = x.astype(float)
    rows[0] = 0.1 * (rows[0] - wide * (rows[0] @ wide) / (wide @ wide)) + distance * wide / (wide @ wide)
    f = lambda x: np.sum(np.maximum(rows @ x, 0)) + np.sum(x**2) / 2
    length = np.linalg.norm(refgrad.grad(f)(wide))
    scaled = lambda x: size / length * f(x)
    gradient = refgrad.grad(scaled)(wide)
    return scaled, x, gradient, (gradient - size / length * rows[0])


def test_a_decision_that_rounding_turns_is_said_and_the_formula_named():
    f, x, right, beyond = turned()
    found = refgrad.identify(beyond.astype("float32"), "gradient", f=f, x=x)
    assert (found.name, found.grade) == ("gradient", "inconclusive"), str(found)
    assert "turns decisions" in found.summary
    assert "float64" in found.advice
    doubled = refgrad.identify(2 * beyond.astype("float32"), "gradient", f=f, x=x)
    assert (doubled.name, doubled.grade) == ("doubled", "variant:doubled"), str(doubled)
    tripled = refgrad.identify(3 * beyond.astype("float32"), "gradient", f=f, x=x)
    assert tripled.name.endswith("times gradient"), str(tripled)
    assert "turns decisions" in tripled.summary
    assert "turns decisions" not in refgrad.identify((3 * right).astype("float32"), "gradient", f=f, x=x).summary
    assert float(tripled.name.split()[0]) == pytest.approx(3, rel=1e-2)


@pytest.mark.parametrize(
    "changes",
    [{"distance": 1e-3}, {"dtype": "float64"}, {"size": 1.05}, {"count": 4}, {"count": 5}, {"count": 7}],
    ids=["far from the kink", "in float64", "another formula near", "4 numbers", "5 numbers", "7 numbers"],
)
def test_elsewhere_no_decision_explains_an_error(changes):
    f, x, gradient, beyond = turned(**changes)
    assert 1e-3 < np.linalg.norm(beyond - gradient) / np.linalg.norm(gradient) < 1e-2
    found = refgrad.identify(beyond.astype(x.dtype), "gradient", f=f, x=x)
    assert "turns decisions" not in found.summary
    assert "times" not in found.name


@pytest.mark.parametrize("distance", [1e-7, 1e-3])
def test_a_sign_that_a_decision_turns_is_left_out(distance):
    f, x, gradient, beyond = turned(distance)
    share = gradient + 0.3 * (beyond - gradient)  # without it one element has another sign beyond the kink
    lean = np.where(np.arange(8) == 0, share, 0)
    leaning = lambda x: f(x) - lean @ x
    signs = np.sign(beyond - lean)
    assert np.sum(signs != np.sign(gradient - lean)) == 1
    after = x - np.float32(1e-2) * signs.astype("float32")
    found = refgrad.identify(None, "gradient", f=leaning, before=x, after=after, outer_lr=1e-2)
    assert ("gradient" in found.name.split(" or ")) == (distance == 1e-7), str(found)


def test_two_conventions_are_declared_together():
    given = {"theta": THETA, "theta_star": STAR, "fisher": IMPORTANCE, "lam": 3.0}
    output = 3 * IMPORTANCE * (THETA - STAR) * 2 / len(THETA)
    found = refgrad.identify(output, "ewc_gradient", **given)
    assert 'params={"half": "false", "reduction": "mean"}' in found.advice
    params = {"half": "false", "reduction": "mean"}
    assert refgrad.identify(output, "ewc_gradient", params=params, **given).exit_code == 0


def test_a_direction_is_told_by_the_step_along_it_too():
    start = RNG.standard_normal(300)
    after = start - 0.1 * (WEIGHTS @ J)
    assert refgrad.identify(None, "mgda_direction", J=J, before=start, after=after, outer_lr=0.1).exit_code == 0


N = 12
A, B = RNG.standard_normal((20, N)), RNG.standard_normal(20)
V, U = RNG.standard_normal((15, N)), RNG.standard_normal(15)
PHI = 0.3 * RNG.standard_normal(N) - 1
H = A.T @ A / 20 + np.diag(np.exp(PHI))
W = np.linalg.solve(H, A.T @ B / 20)
G, MIXED, DIRECT = V.T @ (V @ W - U) / 15, np.diag(np.exp(PHI) * W), 0.02 * PHI


def inner(w, phi):
    return np.mean((A @ w - B) ** 2) / 2 + np.sum(np.exp(phi) * w**2) / 2


def outer(w, phi):
    return np.mean((V @ w - U) ** 2) / 2 + 0.01 * np.sum(phi**2)


def conjugate_gradients(steps):
    x, r = 0 * G, G
    p = r
    for _ in range(steps):
        a = r @ r / (p @ (H @ p))
        x, new = x + a * p, r - a * (H @ p)
        p, r = new + (new @ new) / (r @ r) * p, new
    return x


def series(terms, lr):
    v, total = G, 0
    for _ in range(terms):
        total, v = total + v, v - lr * (H @ v)
    return lr * total


@pytest.mark.parametrize(
    ("name", "u"),
    [
        ("hypergradient", np.linalg.solve(H, G)),
        ("cg-three-iterations", conjugate_gradients(3)),
        ("cg-7-iterations", conjugate_gradients(7)),
        ("neumann-20-terms", series(20, 0.05)),
        ("neumann-20-terms-without-lr", series(20, 0.05) / 0.05),
        ("identity", G),
        ("damped-by-0.01", np.linalg.solve(H + 0.01 * np.eye(N), G)),
    ],
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_hypergradient_is_named_with_its_count(name, u, dtype):
    given = {"inner": inner, "outer": outer, "w": W, "phi": PHI.astype(dtype), "lr": 0.05}
    assert refgrad.identify((DIRECT - MIXED.T @ u).astype(dtype), "hypergradient", **given).name == name


class Derivatives:
    """What a formula asks of a point of two losses that are not quadratic, as matrices by the engine."""

    def __init__(self, w, phi):
        inner, outer = curved_inner, curved_outer
        self.slope, self.slope_phi = refgrad.grad(inner, (0, 1))(w, phi)
        self.H, self.Q = refgrad.hessian(inner)(w, phi), refgrad.hessian(outer)(w, phi)
        self.B = refgrad.jacrev(lambda p: refgrad.grad(inner)(w, p))(phi)
        self.g, self.d = refgrad.grad(outer, (0, 1))(w, phi)


CROSSED = RNG.standard_normal((N, N))


def curved_inner(w, phi):
    fit = np.mean(np.log(1 + np.exp(-(A @ w) * np.sign(B))))
    return fit + np.sum(np.exp(phi) * w**2) / 2 + np.sum(np.tanh(w) * (CROSSED @ phi)) / 10


def curved_outer(w, phi):
    return np.mean((V @ w - U) ** 2) / 2 + np.sum(phi**2) / 10 + np.sum(w * phi) / 10


SOLVED = np.zeros(N)
for _ in range(50):
    SOLVED = SOLVED - np.linalg.solve(
        refgrad.hessian(curved_inner)(SOLVED, PHI), refgrad.grad(curved_inner)(SOLVED, PHI)
    )
UNKNOWN = ("penalty-missing-in-hessian", "gauss-newton")
"""What needs to know what phi weighs, or what the residuals are."""
TIES = {"cg-ten-iterations", "cg-ten-iterations-from-g", "cg-stale-iterate"}
"""What single precision cannot tell from the solution of twelve equations."""


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("choice", [c for c in CHOICES if c.name not in UNKNOWN], ids=lambda c: c.name)
def test_every_formula_that_deviates_once_is_named_on_losses_of_ones_own(choice, dtype):
    output = formula(replace(EXACT, **choice.changes), Derivatives, SOLVED, PHI, None, 0)
    given = {"inner": curved_inner, "outer": curved_outer, "w": SOLVED, "phi": PHI.astype(dtype)}
    found = refgrad.identify(output.astype(dtype), "hypergradient", **given)
    alike = TIES | {"hypergradient"} if dtype == "float32" and choice.name in TIES else {choice.name}
    assert found.name in alike, str(found)


@pytest.mark.parametrize("seed", range(20))
def test_a_vector_that_is_no_hypergradient_has_no_name(seed):
    output = np.random.default_rng(seed).standard_normal(N)
    given = {"inner": curved_inner, "outer": curved_outer, "w": SOLVED, "phi": PHI, "lr": 0.1}
    assert refgrad.identify(output, "hypergradient", **given).name == ""


@pytest.mark.parametrize(("name", "u"), [("cg-7-iterations", conjugate_gradients(7)), ("identity", G)])
def test_an_approximation_without_the_direct_term_is_named_by_both(name, u):
    given = {"inner": inner, "outer": outer, "w": W, "phi": PHI, "lr": 0.05}
    assert refgrad.identify(-MIXED.T @ u, "hypergradient", **given).name == f"missing-direct-with-{name}"


def test_an_inner_problem_that_is_not_solved_is_noted_and_one_that_is_too_large_is_refused():
    found = refgrad.identify(PHI, "hypergradient", inner=inner, outer=outer, w=W + 1, phi=PHI)
    assert any("w does not solve the inner problem" in note for note in found.notes)
    with pytest.raises(UsageError, match="at most 2000 inner weights"):
        refgrad.identify(PHI, "hypergradient", inner=inner, outer=outer, w=np.ones(2001), phi=PHI)


@pytest.mark.parametrize("value", [False, "false"])
def test_a_convention_may_be_declared_by_a_word_or_by_a_truth_value(value):
    given = {"theta": THETA, "theta_star": STAR, "fisher": IMPORTANCE, "lam": 3.0, "params": {"half": value}}
    output = 3 * (IMPORTANCE * (THETA - STAR) ** 2).sum()
    assert refgrad.identify(output, "ewc_penalty", **given).exit_code == 0
    with pytest.raises(UsageError, match="half, one of true, false; got 'no'"):
        refgrad.identify(output, "ewc_penalty", **given | {"params": {"half": "no"}})


@pytest.mark.parametrize(
    ("half", "name"), [(True, "mean-within-arrays"), (False, "mean-within-arrays-with-missing-half")]
)
@pytest.mark.parametrize("contract", ["ewc_penalty", "ewc_gradient"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_penalty_by_the_means_within_each_array_is_named(dtype, contract, half, name):
    rng = np.random.default_rng(0)
    theta, star, fisher = (
        {"w": rng.standard_normal((3, 4)).astype(dtype), "b": rng.standard_normal(3).astype(dtype)} for _ in range(3)
    )
    fisher = {k: v**2 for k, v in fisher.items()}
    lam = 3.0 * (1 if half else 2)
    output = {k: lam * fisher[k] * (theta[k] - star[k]) / theta[k].size for k in theta}
    if contract == "ewc_penalty":
        output = sum((output[k] * (theta[k] - star[k])).sum() for k in theta) / 2
    found = refgrad.identify(output, contract, theta=theta, theta_star=star, fisher=fisher, lam=3.0)
    assert (found.name, found.exit_code) == (name, 1), str(found)


def test_a_gradient_in_place_of_a_penalty_is_sent_to_its_contract():
    with pytest.raises(UsageError, match="ask for the contract ewc_gradient"):
        refgrad.identify(THETA, "ewc_penalty", theta=THETA, theta_star=STAR, fisher=IMPORTANCE, lam=3.0)
