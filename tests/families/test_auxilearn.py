"""AuxiLearn: its two algorithms, the switches of the official code, and why weights grow."""

from __future__ import annotations

import math
from itertools import islice

import numpy as np
import pytest

from refgrad import exact, grad, hessian, jacrev
from refgrad.contracts.implicit.auxiliary import AuxiliaryTasks
from refgrad.contracts.implicit.bilevel import probe
from refgrad.errors import IndefiniteHessian, InvalidInput, NotConverged, ShapeError
from refgrad.implicit import alignment, auxilearn, hypergradient, joint_descent, series_hypergradient, steps_to_zero
from refgrad.implicit.auxilearn import AS_DERIVED, Official, nonnegative
from refgrad.implicit.combiners import Convolutional, Linear, Network, focal_loss, sub_class_labels
from refgrad.linalg import Neumann
from refgrad.models import SGD
from refgrad.numpy import logistic, softplus
from refgrad.numpy.nn import cross_entropy

R = exact.asarray


def fractions(seed, *shape):
    rng = np.random.default_rng(seed)
    return R(rng.integers(-5, 6, shape)) / R(int(rng.integers(2, 7)))


def float_of(x):
    return exact.to_fractions(x).astype(float)


def tasks(seed, n=3, m=2):
    """A main and m auxiliary quadratic tasks with positive definite matrices, and positive weights."""
    rng = np.random.default_rng(seed)
    factors = rng.integers(-2, 3, (m + 2, n, n))
    A = R(np.array([F.T @ F + np.eye(n, dtype=int) for F in factors]))
    b = R(rng.integers(-3, 4, (m + 2, n)))
    problem = AuxiliaryTasks(A[0], b[0], A[2:], b[2:], A[1], b[1])
    return problem, R(rng.integers(1, 5, m)) / 2


def parts_of(problem):
    """The main loss, on training data and on the auxiliary set, and the auxiliary losses, as a user writes them."""
    main = lambda W, batch: W @ (batch[0] @ W) / 2 - batch[1] @ W
    losses = lambda W, batch: problem.losses(W)
    return main, losses, (problem.A0, problem.b0), (problem.A_val, problem.b_val)


# algorithm 2


@pytest.mark.proves("auxilearn-hypergradient")
@pytest.mark.parametrize("terms", [1, 2, 5])
@pytest.mark.parametrize("seed", range(4))
def test_algorithm_2_is_the_hypergradient_by_as_many_terms_of_the_series(terms, seed):
    problem, phi = tasks(seed)
    w, lr = problem.solution(phi), R("1/128")
    outer = lambda w, phi: problem.outer(w, phi)
    found = series_hypergradient(lambda w: problem.outer(w, phi), problem.inner, w, phi, terms=terms, lr=lr)
    solver = Neumann(terms=terms, lr=lr)
    by_solver = hypergradient(problem.inner, outer, w, phi, solver=solver)
    assert (found.value == by_solver.value).all()
    assert found.residual == by_solver.residual < 1
    assert 0 <= found.growth < 1


PROBE, W, PHI = probe()
LOSS = lambda w: PROBE.outer(w, PHI)


def by_powers(weights, lr):
    """``-B^T sum_j weights[j] (I - lr H)^j g`` at the probe, without its direct term."""
    D = PROBE.derivatives(W, PHI)
    v, total = D.g, 0 * D.g
    for weight in weights:
        total, v = total + weight * v, v - lr * (D.H @ v)
    return -(D.B.T @ total)


@pytest.mark.parametrize(
    ("switches", "weights"),
    [
        ({}, ["1/16"] * 4),
        ({"factor": False}, [1] * 4),
        ({"extra_terms": 1}, ["1/16"] * 5),
        ({"subtract": True}, ["1/16", "-1/16", "-1/16", "-1/16"]),
        ({"factor": False, "extra_terms": 1, "subtract": True}, [1, -1, -1, -1, -1]),
    ],
)
def test_each_switch_of_the_series_has_its_sum_of_powers(switches, weights):
    lr = R("1/16")
    found = series_hypergradient(LOSS, PROBE.inner, W, PHI, terms=4, lr=lr, official=Official(**switches))
    assert (found.value == by_powers([R(weight) for weight in weights], lr)).all()


def test_the_official_code_has_the_value_that_was_measured_in_it():
    # at 17495d6, Hypergrad(learning_rate=1/16, truncate_iter=3) on the probe: (-14.176, 15.222, -32.641)
    official = Official(factor=False, extra_terms=1)
    found = series_hypergradient(LOSS, PROBE.inner, W, PHI, terms=3, lr=R("1/16"), official=official)
    assert [round(float(x), 3) for x in exact.to_fractions(found.value)] == [-14.176, 15.222, -32.641]


def test_a_step_of_a_main_optimiser_makes_four_times_the_identity_of_the_series():
    # eigenvalues 1, 10, 100, 1000, a step of 1e-4 and three iterations: 3.9994, 3.994, 3.940, 3.439, not 1 / eigenvalue
    scales = R([1, 10, 100, 1000])
    inner = lambda w, phi: w @ (scales * w) / 2 - phi @ w
    official = Official(factor=False, extra_terms=1)
    ones = R([1, 1, 1, 1])
    step = R("1/10000")
    found = series_hypergradient(lambda w: np.sum(w), inner, ones, scales, terms=3, lr=step, official=official)
    r = 1 - step * scales
    assert (found.value == 1 + r + r * r + r * r * r).all()
    assert [round(float(x), 4) for x in exact.to_fractions(found.value)] == [3.9994, 3.994, 3.9404, 3.439]


@pytest.mark.parametrize("seed", range(3))
def test_a_head_that_is_left_out_leaves_the_block_of_the_others(seed):
    K = hessian(tasks(seed, n=4)[0].inner)(R([0, 0, 0, 0]), R([1, 1]))
    C, target = fractions(seed + 9, 4, 2), fractions(seed + 7, 2)
    tree = {"head": R([0, 0]), "shared": R([1, 2])}
    flat = lambda W: np.concatenate([W["head"], W["shared"]])
    L_T = lambda W, phi: flat(W) @ (K @ flat(W)) / 2 - flat(W) @ (C @ phi)
    L_A = lambda W: np.sum((W["shared"] - target) ** 2) / 2
    lr, g = R("1/32"), R([1, 2]) - target
    official = Official(left_out=lambda path: "head" in path)
    found = series_hypergradient(L_A, L_T, tree, R([1, 1]), terms=2, lr=lr, official=official).value
    assert (found == C[2:].T @ (lr * (2 * g - lr * (K[2:, 2:] @ g)))).all()
    whole = series_hypergradient(L_A, L_T, tree, R([1, 1]), terms=2, lr=lr).value
    long = np.concatenate([R([0, 0]), g])
    assert (whole == C.T @ (lr * (2 * long - lr * (K @ long)))).all()
    assert (whole != found).any()
    with pytest.raises(InvalidInput, match=r"does not depend on the leaf \['head'\]"):
        series_hypergradient(L_A, L_T, tree, R([1, 1]), terms=2, lr=lr, official=Official(unused=False))


def test_a_series_says_what_it_leaves_and_how_it_grows():
    H = np.diag([1.0, 3.0])
    inner = lambda w, phi: w @ (H @ w) / 2 - phi @ w
    converging = series_hypergradient(lambda w: np.sum(w), inner, np.zeros(2), np.ones(2), terms=8, lr=0.25)
    # what is left of both components: (1 - h / 4)^8
    assert converging.residual == pytest.approx(math.hypot(0.75**8, 0.25**8) / math.sqrt(2), rel=1e-12)
    assert converging.growth < 1
    growing = series_hypergradient(lambda w: np.sum(w), inner, np.zeros(2), np.ones(2), terms=8, lr=1.0)
    assert 1.9 < growing.growth <= 2


# algorithm 1


def quadratic_run(problem, phi, official=AS_DERIVED, **options):
    main, losses, train, aux_set = parts_of(problem)
    settings = {"every": 2, "terms": 3, "lr": R("1/64"), "optimizer": SGD(R("1/64")), "aux_optimizer": SGD(R("1/8"))}
    settings |= options
    auxiliary = lambda W, phi, batch: phi @ losses(W, batch)
    start = 0 * problem.b0 + 1
    return auxilearn(main, auxiliary, start, phi, lambda t: train, lambda s: aux_set, official=official, **settings)


@pytest.mark.parametrize("decay", [0, "1/2"])
@pytest.mark.parametrize("counted", [True, False])
def test_algorithm_1_is_its_recursion_in_rationals(decay, counted):
    problem, phi = tasks(3)
    w, lr, beta, wd = 0 * problem.b0 + 1, R("1/64"), R("1/8"), R(decay)
    optimizer = SGD(lr, weight_decay=wd) if decay else SGD(lr)
    run = quadratic_run(problem, phi, Official(decay=counted), optimizer=optimizer)
    for state in islice(run, 3):
        for _ in range(2):
            w = w - lr * (problem.hessian(phi) @ w - problem.b0 - phi @ problem.b + wd * w)
        D = problem.derivatives(w, phi)
        H = D.H + (wd if counted else 0) * R(np.eye(3, dtype=int))
        u = lr * (3 * D.g - 3 * lr * (H @ D.g) + lr * lr * (H @ (H @ D.g)))
        phi = phi + beta * (D.B.T @ u)
        phi = np.where(phi > 0, phi, 0)
        assert (w == state.W).all()
        assert (state.phi == phi).all()
        assert state.aux_loss == pytest.approx(float(problem.outer(w, phi)))


def test_weights_stay_non_negative_and_a_projection_of_ones_own_is_used():
    problem, phi = tasks(8)
    states = list(islice(quadratic_run(problem, phi, aux_optimizer=SGD(R(2))), 3))
    assert any((state.phi == 0).any() for state in states)
    assert all((state.phi >= 0).all() for state in states)
    held = quadratic_run(problem, phi, project=lambda phi: 0 * phi + 7)
    assert (next(held).phi == 7).all()
    assert nonnegative([np.array([-1.0, 2.0])])[0].tolist() == [0.0, 2.0]


def test_a_run_goes_on_where_it_was_stopped_to_the_last_bit():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(40, 5)), rng.normal(size=(40, 2))
    main = lambda W, rows: np.mean((X[rows] @ W["a"] - Y[rows, 0]) ** 2)
    auxiliary = lambda W, phi, rows: phi[0] * np.mean((X[rows] @ W["a"] * W["b"] - Y[rows, 1]) ** 2)
    batch = lambda t: np.random.default_rng(t).choice(40, 8, replace=False)
    options = {"optimizer": SGD(0.05, momentum=0.9), "aux_optimizer": SGD(0.1, momentum=0.5), "every": 3}
    start = {"a": np.zeros(5), "b": np.ones(())}
    run = lambda W, phi, **more: auxilearn(
        main, auxiliary, W, phi, batch, batch, terms=4, lr=0.1, max_norm=0.5, **options, **more
    )
    whole = list(islice(run(start, np.ones(1)), 5))
    second = list(islice(run(start, np.ones(1)), 2))[-1]
    after = list(islice(run(None, None, start=second), 3))
    assert [s.phi.tolist() for s in after] == [s.phi.tolist() for s in whole[2:]]
    assert after[-1].W["a"].tolist() == whole[-1].W["a"].tolist()
    assert after[-1].drawn == whole[-1].drawn == (20, 5)


def test_the_main_task_may_have_a_learned_weight_like_the_others():
    problem, phi = tasks(4)
    main, losses, train, aux_set = parts_of(problem)
    everything = lambda W, batch: np.concatenate([np.stack([main(W, batch)]), losses(W, batch)])
    run = lambda main, phi, of: next(auxilearn(
        main, lambda W, phi, batch: phi @ of(W, batch), problem.b0, phi, lambda t: train, lambda s: aux_set, every=1,
        terms=2, lr=R("1/64"), optimizer=SGD(R("1/64")), aux_optimizer=SGD(R("1/8")), aux_loss=parts_of(problem)[0],
    ))  # fmt: skip
    fixed, learned = run(main, phi, losses), run(None, np.concatenate([R([1]), phi]), everything)
    assert (learned.W == fixed.W).all()  # the same loss while the main weight is 1
    assert (learned.hypergradient.value[1:] == fixed.hypergradient.value).all()
    assert learned.phi[0] != 1


def test_a_step_for_phi_is_shortened_to_the_length_asked_for():
    problem, phi = tasks(2)
    phi = np.array([float(x) for x in exact.to_fractions(phi)])
    floats = AuxiliaryTasks(*(float_of(a) for a in vars(problem).values()))
    options = {"optimizer": SGD(1 / 16), "aux_optimizer": SGD(1.0), "lr": 1 / 16, "project": lambda phi: phi}
    free, short = (next(quadratic_run(floats, phi, max_norm=norm, **options)) for norm in (None, 0.01))
    moved = [phi - state.phi for state in (free, short)]
    assert np.linalg.norm(moved[0]) > 0.01
    assert np.linalg.norm(moved[1]) == pytest.approx(0.01)
    assert np.allclose(moved[1] / np.linalg.norm(moved[1]), moved[0] / np.linalg.norm(moved[0]))


def test_batches_are_drawn_once_each_and_in_order():
    problem, phi = tasks(1)
    drawn, seen = {"train": [], "aux": []}, []
    main, losses, train, aux_set = parts_of(problem)

    def draw(name, batch):
        return lambda t: drawn[name].append(t) or batch

    def run(official):
        return auxilearn(
            main, lambda W, phi, batch: phi @ losses(W, batch), 0 * problem.b0, phi, draw("train", train),
            draw("aux", aux_set), optimizer=SGD(R("1/16")), aux_optimizer=SGD(R("1/8")), every=2, terms=1,
            lr=R("1/16"), observe=lambda W, batch: seen.append(batch is aux_set), official=official,
        )  # fmt: skip

    list(islice(run(Official()), 2))
    assert drawn == {"train": [0, 1, 2, 3, 4, 5], "aux": [0, 1]}
    assert seen == [False] * 4
    drawn["train"].clear(), drawn["aux"].clear(), seen.clear()
    once = list(islice(run(Official(drawn=5, used=2, observe=True)), 2))
    assert drawn == {"train": [0, 1, 2, 3, 7, 8, 9, 10], "aux": [0, 1, 5, 6]}  # of a loader of five, two are used
    assert seen == [False, False, False, False, True, True] * 2
    assert once[0].aux_loss == 2 * next(run(Official())).aux_loss  # sums, not means


def test_a_generator_that_is_used_up_never_moves_phi():
    problem, phi = tasks(1)
    assert (next(quadratic_run(problem, phi)).phi != phi).all()
    assert all((state.phi == phi).all() for state in islice(quadratic_run(problem, phi, Official(exhausted=True)), 3))


def test_what_is_wrong_is_told():
    problem, phi = tasks(0)
    with pytest.raises(InvalidInput, match="expected every, terms, drawn and used of at least 1, got 0, 3"):
        next(quadratic_run(problem, phi, every=0))
    with pytest.raises(InvalidInput, match="expected aux_loss"):
        next(auxilearn(None, None, 0, 0, None, None, optimizer=None, aux_optimizer=None, every=1, terms=1, lr=1))
    floats = AuxiliaryTasks(*(float_of(a) for a in vars(problem).values()))
    options = {"lr": 0.1, "aux_optimizer": SGD(0.1)}
    run = quadratic_run(floats, np.ones(2), optimizer=SGD(1e200), **options)
    with pytest.raises(NotConverged, match="after 3 training batches L_T and L_A are"), np.errstate(all="ignore"):
        next(run)


# why weights grow


@pytest.mark.proves("auxilearn-growth", "auxilearn-dual")
@pytest.mark.parametrize(("n", "m"), [(3, 2), (2, 3), (4, 1), (1, 2)])
@pytest.mark.parametrize("seed", range(3))
def test_a_weight_grows_as_its_task_agrees_with_the_main_one(seed, n, m):
    problem, phi = tasks(seed, n, m)
    main, losses, train, aux_set = parts_of(problem)
    w = problem.solution(phi)
    found = alignment(main, losses, w, phi, train, aux_set)
    assert (found.rates == -problem.total_derivative(phi)).all()
    assert found.gap == 0
    assert found.main_rate == -(phi @ found.rates)
    root = np.linalg.inv(np.linalg.cholesky(float_of(problem.hessian(phi))))  # of the inverse Hessian
    g, B = (root @ float_of(part) for part in (problem.A_val @ w - problem.b_val, problem.derivatives(w, phi).B))
    with np.errstate(invalid="ignore"):
        cosines = g @ B / np.linalg.norm(g) / np.linalg.norm(B, axis=0)
    assert np.allclose(found.cosines, cosines, rtol=1e-12, equal_nan=True)
    off = alignment(main, losses, w + 1, phi, train, aux_set)
    D = problem.derivatives(w + 1, phi)
    assert off.gap == D.g @ np.linalg.solve(D.H, D.slope)  # what the training that is left would gain
    assert off.gap == off.main_rate + phi @ off.rates


@pytest.mark.proves("auxilearn-dual")
@pytest.mark.parametrize("seed", range(3))
def test_without_a_fixed_main_loss_the_scale_of_phi_moves_nothing(seed):
    problem, phi = tasks(seed, 3, 2)
    losses = lambda W, batch: problem.losses(W)
    H = phi[0] * problem.A[0] + phi[1] * problem.A[1]
    w = np.linalg.solve(H, phi @ problem.b)
    on_aux = lambda W, batch: problem.outer(W, phi)
    found = alignment(None, losses, w, phi, None, None, aux_loss=on_aux)
    assert phi @ found.rates == 0
    assert found.main_rate == 0
    assert (found.rates != 0).any()


def test_a_saddle_has_no_alignment():
    main = lambda W, batch: W[0] * W[0] / 2 - W[1] * W[1] / 2
    losses = lambda W, batch: np.stack([np.sum(W)])
    with pytest.raises(IndefiniteHessian):
        alignment(main, losses, R([0, 0]), R([1]), None, None)


@pytest.mark.proves("trivial-solution")
@pytest.mark.parametrize("seed", range(3))
def test_joint_descent_lets_no_weight_grow_and_ends_at_zero_in_time(seed):
    rng = np.random.default_rng(seed)
    target, lowest, phi = R(rng.integers(-3, 4, (2, 3))), R([1, "1/2"]), R([2, 1])
    main = lambda W, batch: W @ W / 2
    auxiliary = lambda W, phi, batch: phi @ (np.sum((W - target) ** 2, -1) / 8 + lowest)
    eta = R("1/8")
    bound = steps_to_zero([2.0, 1.0], 1 / 8, [1.0, 0.5])
    assert bound.tolist() == [16.0, 16.0]
    run = joint_descent(
        main, auxiliary, target[0], phi, lambda t: None, optimizer=SGD(R("1/4")), aux_optimizer=SGD(eta)
    )
    for _, following in islice(run, 16):
        assert (following <= phi).all()
        assert (following >= 0).all()
        phi = following
    assert (phi == 0).all()


def test_a_loss_that_can_be_zero_may_keep_its_weight():
    auxiliary = lambda W, phi, batch: phi[0] * np.sum(W * W) / 2
    run = joint_descent(
        lambda W, batch: np.sum(W * W) / 2, auxiliary, np.array([0.1]), np.array([1.0]), lambda t: None,
        optimizer=SGD(0.5), aux_optimizer=SGD(0.5),
    )  # fmt: skip
    *_, (_, phi) = islice(run, 200)
    assert 0.9 < phi[0] < 1
    assert steps_to_zero([1.0], 0.5, [0.0]).tolist() == [math.inf]


# combiners


def test_a_weighted_sum_is_a_mean_over_examples():
    h, losses = Linear(tasks=3), fractions(1, 4, 3)
    phi = R(["1/2", 2, 3])
    assert h(phi, losses) == np.sum(losses * phi) / 4
    assert h.init().tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(ShapeError, match=r"expected losses of shape \(N, 3\), a column a task, got \(4, 2\)"):
        h(phi, losses[:, :2])


def test_normalised_weights_that_are_clamped_to_zero_are_an_error_or_not_a_number():
    h = Linear(tasks=2, weight_norm=True)
    assert np.allclose(h.weights(h.init()), 1)
    phi = {"g": np.float64(2.0), "v": np.array([3.0, -4.0])}
    assert np.allclose(h.weights(phi), [1.2, -1.6])
    with pytest.raises(InvalidInput, match="all of v is clamped to 0"):
        h.project({"g": np.float64(2.0), "v": np.array([-3.0, -4.0])})
    official = Linear(tasks=2, weight_norm=True, guarded=False)
    with np.errstate(invalid="ignore"):
        assert np.isnan(official.weights(official.project({"g": np.float64(2.0), "v": np.array([-3.0, -4.0])}))).all()


def test_a_deep_linear_network_is_the_product_of_its_matrices():
    h = Network(tasks=3, hidden=(4, 2), activation="identity")
    phi = [{"W": fractions(k, *shape)} for k, shape in enumerate([(3, 4), (4, 2), (2, 1)])]
    losses = fractions(5, 6, 3)
    product = phi[0]["W"] @ phi[1]["W"] @ phi[2]["W"]
    assert h(phi, losses) == np.sum(losses @ product) / 6
    assert [sorted(layer) for layer in h.init(np.random.default_rng(0))] == [["W"]] * 3


@pytest.mark.parametrize("seed", range(3))
def test_non_negative_weights_make_a_convex_function_that_never_falls(seed):
    rng = np.random.default_rng(seed)
    h = Network(tasks=3, hidden=(4, 4))
    phi = [{k: x + rng.normal(size=x.shape) for k, x in layer.items()} for layer in h.init(rng)]
    losses = rng.uniform(0, 2, (1, 3))
    assert (grad(lambda l: h(phi, l))(losses) < 0).any() or seed  # free weights may reward a loss
    phi = h.project(phi)
    assert any((layer["b"] < 0).any() for layer in phi[:-1])  # biases are free
    slopes, H = grad(lambda l: h(phi, l))(losses), hessian(lambda l: h(phi, l.reshape(1, 3)))(losses[0])
    assert (slopes >= 0).all()
    assert np.linalg.eigvalsh(H).min() >= -1e-15 * abs(H).max()
    x = losses
    for layer in phi[:-1]:
        x = np.log1p(np.exp(x @ layer["W"] + layer["b"]))
    assert h(phi, losses) == pytest.approx((x @ phi[-1]["W"]).item(), rel=1e-14)
    assert (Network(3, (4, 4), clamp_bias=True).project(phi)[0]["b"] >= 0).all()


def test_at_its_initial_weights_the_softplus_network_is_not_zero_without_losses():
    h = Network(tasks=2, hidden=(3,))
    phi = h.init(np.random.default_rng(0))
    assert h(phi, np.zeros((1, 2))) == pytest.approx(np.log(2) * phi[-1]["W"].sum())
    assert "b" not in phi[-1]


def test_convolutions_on_images_of_losses_are_sums_over_windows():
    rng = np.random.default_rng(0)
    h = Convolutional(tasks=2, channels=(3,))
    phi = h.init(rng)
    images = rng.uniform(0, 1, (2, 2, 4, 6))
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    maps = np.zeros((2, 3, 4, 6))
    for n, o, i, j in np.ndindex(*maps.shape):
        maps[n, o, i, j] = softplus((phi[0]["W"][o] * padded[n, :, i : i + 3, j : j + 3]).sum() + phi[0]["b"][o])
    means = maps.reshape(2, 3, 2, 2, 3, 2).mean((3, 5))
    value = np.einsum("c,nchw->nhw", phi[1]["W"][0, :, 0, 0], means).mean()
    assert h(phi, images) == pytest.approx(value, rel=1e-14)
    # a border of zeros before the last layer, 1 x 1, is counted in the mean: 2 x 3 of 4 x 5 places
    assert Convolutional(tasks=2, channels=(3,), padding=1)(phi, images) == pytest.approx(value * 6 / 20, rel=1e-14)
    with pytest.raises(ShapeError, match=r"\(N, 2, height, width\)"):
        h(phi, images[:, :1])


def test_labels_of_sub_classes_are_probabilities_within_the_class():
    logits = np.random.default_rng(0).normal(size=(4, 6))
    y = np.array([0, 2, 1, 2])
    t = sub_class_labels(logits, y, 2)
    assert np.allclose(t.sum(1), 1)
    for row, c in zip(t, y, strict=True):
        assert set(np.flatnonzero(row)) == {2 * c, 2 * c + 1}
    slopes = jacrev(lambda z: sub_class_labels(z, y, 2))(logits)
    assert np.isfinite(slopes).all()
    p = t[0, 0]
    assert slopes[0, 0, 0, 0] == pytest.approx(p * (1 - p))
    with pytest.raises(ShapeError, match=r"expected logits \(N, C \* 4\)"):
        sub_class_labels(logits, y, 4)


def test_the_focal_loss_weighs_the_cross_entropy_by_what_is_missing():
    rng = np.random.default_rng(1)
    logits, t = rng.normal(size=(3, 4)), rng.dirichlet(np.ones(4), 3)
    assert np.allclose(focal_loss(logits, t, 0), cross_entropy(logits, t, reduction="none"), rtol=1e-14)
    two = np.array([[0.3, 0.0]])
    p = logistic(0.3)
    assert focal_loss(two, np.array([[1.0, 0.0]]))[0] == pytest.approx(-((1 - p) ** 2) * np.log(p))


def test_labels_that_a_network_makes_up_are_learned_through_the_weights():
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=(12, 3)), np.arange(12) % 2
    W, phi = {"main": rng.normal(size=(3, 2)) / 4, "sub": rng.normal(size=(3, 4)) / 4}, rng.normal(size=(3, 4))
    shared = lambda W: np.tanh(X @ W["main"]) @ np.ones((2, 3)) / 3
    h = lambda W, phi: np.mean(focal_loss(shared(W) @ W["sub"], sub_class_labels(X @ phi, y, 2))) / 4
    L_T = lambda W, phi: np.mean(cross_entropy(X @ W["main"], y)) + h(W, phi)
    L_A = lambda W: np.mean(cross_entropy(X[::2] @ W["main"], y[::2]))
    found = series_hypergradient(L_A, L_T, W, phi, terms=3, lr=0.5).value
    flat = lambda v: {"main": v[:6].reshape(3, 2), "sub": v[6:].reshape(3, 4)}
    v = np.concatenate([W["main"].ravel(), W["sub"].ravel()])
    g = grad(lambda v: L_A(flat(v)))(v)
    H = hessian(lambda v: L_T(flat(v), phi))(v)
    B = jacrev(lambda phi: grad(lambda v: L_T(flat(v), phi))(v))(phi)
    M = np.eye(18) - 0.5 * H
    u = 0.5 * (g + M @ g + M @ (M @ g))
    assert np.allclose(found, -np.tensordot(u, B, 1), rtol=1e-12, atol=1e-15)
    assert abs(found).max() > 1e-4
