"""Layers and losses against their definitions, written out with NumPy on object arrays of Taylor series of balls."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers.compositions import along, assert_derivatives
from helpers.strict import array_api_strict

import refgrad.numpy as rnp
from refgrad import exact, grad, hvp, jvp, stage, stop_gradient, value_and_grad, vjp, vmap
from refgrad.errors import InvalidInput, ShapeError
from refgrad.numpy import nn

EPSILON = 2  # an integer fits every kind of number
LABELS = np.array([2, 0])
MASK = np.array([[True, False, True], [False, True, True]])
CAUSAL_MASK = np.array([[True, True, False], [False, True, True]])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x, axis=-1):
    return np.exp(x) / np.sum(np.exp(x), axis=axis, keepdims=True)


erf = np.frompyfunc(lambda e: e.erf(), 1, 1)


def normal(x, axis, epsilon=EPSILON):
    mean = np.mean(x, axis=axis, keepdims=True)
    return (x - mean) / np.sqrt(np.mean((x - mean) ** 2, axis=axis, keepdims=True) + epsilon)


def where_positive(x, f):
    return np.where((x > 0).astype(bool), x, f(x))


def pi():
    return exact.balls([1]).table.arctan(exact.balls(1)).data.item() * 4


def attention(q, k, v, mask):
    e = np.exp(q @ np.swapaxes(k, -1, -2) / exact.balls(2).data.item().sqrt()) * mask
    return e @ v / np.sum(e, axis=-1, keepdims=True)


def case(name, ours, definition, *shapes):
    return pytest.param(ours, definition, shapes, id=name)


CASES = [
    case("sigmoid", nn.sigmoid, sigmoid, (3,)),
    case("log_logistic", nn.log_logistic, lambda x: np.log(sigmoid(x)), (3,)),
    case("leaky_relu", lambda x: nn.leaky_relu(x, 3), lambda x: where_positive(x, lambda x: 3 * x), (4,)),
    case("elu", lambda x: nn.elu(x, 2), lambda x: where_positive(x, lambda x: 2 * (np.exp(x) - 1)), (4,)),
    case("silu", nn.silu, lambda x: x * sigmoid(x), (3,)),
    case(
        "gelu-tanh",
        lambda x: nn.gelu(x, approximate=True),
        lambda x: x / 2 * (1 + np.tanh((2 / pi()).sqrt() * (x + x**3 * exact.balls("0.044715").data.item()))),
        (3,),
    ),
    case("gelu", nn.gelu, lambda x: x / 2 * (1 + erf(x / exact.balls(2).data.item().sqrt())), (3,)),
    case("softmax", lambda x: nn.softmax(x, 0), lambda x: softmax(x, 0), (3, 2)),
    case("log_softmax", nn.log_softmax, lambda x: np.log(softmax(x)), (2, 3)),
    case("layer_norm", lambda x: nn.layer_norm(x, epsilon=EPSILON), lambda x: normal(x, -1), (2, 3)),
    case(
        "layer_norm-two-axes",
        lambda x, g, b: nn.layer_norm(x, g, b, axis=(-2, -1), epsilon=EPSILON),
        lambda x, g, b: normal(x, (1, 2)) * g + b,
        (2, 2, 2), (2, 2), (2,),
    ),
    case(
        "rms_norm",
        lambda x, g: nn.rms_norm(x, g, epsilon=EPSILON),
        lambda x, g: x * g / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + EPSILON),
        (2, 3), (3,),
    ),
    case(
        "batch_norm",
        lambda x, g, b: nn.batch_norm(x, g, b, epsilon=EPSILON)[0],
        lambda x, g, b: normal(x, (0, 2)) * g[:, None] + b[:, None],
        (2, 2, 2), (2,), (2,),
    ),
    case(
        "batch_norm-channels-last",
        lambda x, g: nn.batch_norm(x, g, axis=-1, epsilon=EPSILON)[0],
        lambda x, g: normal(x, 0) * g,
        (3, 2), (2,),
    ),
    case("batch_norm-mean", lambda x: nn.batch_norm(x, epsilon=EPSILON)[1], lambda x: np.mean(x, axis=0), (3, 2)),
    case(
        "batch_norm-given-statistics",
        lambda x, m, v: nn.batch_norm(x, epsilon=EPSILON, statistics=(m, v * v))[0],
        lambda x, m, v: (x - m) / np.sqrt(v * v + EPSILON),
        (3, 2), (2,), (2,),
    ),
    case("attention", nn.dot_product_attention, lambda q, k, v: attention(q, k, v, 1), (2, 2), (3, 2), (3, 1)),
    case(
        "attention-mask",
        lambda q, k, v: nn.dot_product_attention(q, k, v, mask=MASK),
        lambda q, k, v: attention(q, k, v, MASK.astype(int)),
        (2, 2), (3, 2), (3, 2),
    ),
    case(
        "attention-causal",
        lambda q, k, v: nn.dot_product_attention(q, k, v, causal=True, mask=CAUSAL_MASK),
        lambda q, k, v: attention(q, k, v, np.tri(2, 3, dtype=int) * CAUSAL_MASK),
        (1, 2, 2), (3, 2), (3, 1),
    ),
    case("mean_squared_error", nn.mean_squared_error, lambda x, y: np.mean((x - y) ** 2), (2, 2), (2, 2)),
    case(
        "huber",
        lambda x, y: nn.huber(x, y, delta=2, reduction="sum"),
        lambda x, y: np.sum(np.where(np.abs(x - y) <= 2, (x - y) ** 2 / 2, 2 * (np.abs(x - y) - 1))),
        (4,), (4,),
    ),
    case(
        "cross_entropy",
        lambda x: nn.cross_entropy(x, LABELS),
        lambda x: -(np.log(softmax(x))[0, 2] + np.log(softmax(x))[1, 0]) / 2,
        (2, 3),
    ),
    case(
        "cross_entropy-first-axis",
        lambda x: nn.cross_entropy(x, LABELS, axis=0, reduction="none"),
        lambda x: -np.log(softmax(x, 0))[LABELS, [0, 1]],
        (3, 2),
    ),
    case(
        "cross_entropy-of-probabilities",
        lambda x, t: nn.cross_entropy(x, t),
        lambda x, t: -np.sum(t * np.log(softmax(x))) / 2,
        (2, 3), (2, 3),
    ),
    case(
        "cross_entropy-of-probabilities-first-axis",
        lambda x, t: nn.cross_entropy(x, t, axis=0, reduction="none"),
        lambda x, t: -np.sum(t * np.log(softmax(x, 0)), 0),
        (3, 2), (3, 2),
    ),
    case(
        "binary_cross_entropy",
        lambda x, t: nn.binary_cross_entropy(x, t, reduction="sum"),
        lambda x, t: -np.sum(t * np.log(sigmoid(x)) + (1 - t) * np.log(1 - sigmoid(x))),
        (3,), (3,),
    ),
    case(
        "gaussian_nll",
        lambda m, t, v: nn.gaussian_nll(m, t, v * v + 1, full=True, reduction="none"),
        lambda m, t, v: np.log(np.sqrt(2 * pi() * (v * v + 1))) + (m - t) ** 2 / (2 * (v * v + 1)),
        (2, 2), (2, 2), (2,),
    ),
    case(
        "gaussian_nll-without-constant",
        lambda m, t, v: nn.gaussian_nll(m, t, v * v + 1),
        lambda m, t, v: np.mean(np.log(v * v + 1) + (m - t) ** 2 / (v * v + 1)) / 2,
        (2,), (2,), (),
    ),
    case(
        "poisson_nll-full",
        lambda x: nn.poisson_nll(x, 0 * x + 4, full=True),
        lambda x: np.mean(np.exp(x) - 4 * x + exact.balls(24).data.item().log()),
        (3,),
    ),
    case("poisson_nll", nn.poisson_nll, lambda x, t: np.mean(np.exp(x) - t * x), (3,), (3,)),
    case(
        "kl_divergence",
        lambda x, y: nn.kl_divergence(x, y, axis=0),
        lambda x, y: np.sum(softmax(x, 0) * np.log(softmax(x, 0) / softmax(y, 0))) / 2,
        (3, 2), (3, 2),
    ),
]  # fmt: skip


def inputs(shapes, seed=0):
    """Different numbers in (-2, 2), none zero or apart by the kinks of the losses."""
    rng = np.random.default_rng(seed)
    count = sum(math.prod(s) for s in shapes)
    values = iter(np.where(rng.permutation(2 * count) < count, 1, -1)[:count] * (2 * rng.permutation(count) + 1))
    return [
        exact.asarray(np.array([next(values) for _ in range(math.prod(s))] + [None], object)[:-1].reshape(s)) / count
        for s in shapes
    ]


def directions(shapes):
    rng = np.random.default_rng(1)
    return [exact.asarray(rng.integers(-3, 4, size=s).astype(object)) for s in shapes]


@pytest.mark.parametrize(("ours", "definition", "shapes"), CASES)
def test_values_and_derivatives_are_those_of_the_definition_on_taylor_series(ours, definition, shapes):
    with exact.precision(200):
        xs = [exact.balls(x) for x in inputs(shapes)]
        vs = [exact.balls(v) for v in directions(shapes)]
        assert_derivatives(ours, xs, vs, definition(*along(xs, vs)))


@pytest.mark.parametrize(("ours", "definition", "shapes"), CASES)
def test_float32_and_its_shapes_are_kept_and_a_batch_is_the_loop(ours, definition, shapes):
    xs = [x.astype("float32") for x in inputs(shapes)]
    y, back = vjp(ours, *xs)
    assert y.dtype == np.float32
    assert [(g.shape, g.dtype) for g in back(np.ones_like(y))] == [(x.shape, np.float32) for x in xs]
    h = hvp(lambda t: rnp.sum(ours(*t) ** 2), tuple(xs), tuple(xs))
    assert [(a.shape, a.dtype) for a in h] == [(x.shape, np.float32) for x in xs]
    examples = [[x.astype(float) for x in inputs(shapes, seed)] for seed in (0, 1)]
    gradients = grad(lambda *x: rnp.sum(ours(*x) ** 2), tuple(range(len(shapes))))
    found = vmap(gradients)(*(np.stack(column) for column in zip(*examples, strict=True)))
    for i, g in enumerate(found):
        loop = np.stack([gradients(*e)[i] for e in examples])
        # sums of at most 16 terms, in another order
        assert np.abs(g - loop).max() <= 2.0**-46 * np.abs(loop).max(initial=1)


@pytest.mark.parametrize(("ours", "definition", "shapes"), CASES)
def test_layers_run_on_a_strict_array_api_library(ours, definition, shapes):
    xs = [x.astype(float) for x in inputs(shapes)]
    y, back = vjp(ours, *[array_api_strict.asarray(x) for x in xs])
    z, plain_back = vjp(ours, *xs)
    assert np.abs(np.asarray(y) - z).max() <= 2.0**-48 * np.abs(z).max(initial=1)
    for a, b in zip(back(array_api_strict.ones(y.shape)), plain_back(np.ones(z.shape)), strict=True):
        assert np.abs(np.asarray(a) - b).max() <= 2.0**-46 * np.abs(b).max(initial=1)


def test_defaults_are_those_of_the_papers_and_keep_float32():
    x = np.linspace(-2, 2, 6, dtype=np.float32).reshape(2, 3)
    deviation = np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    assert np.abs(nn.layer_norm(x) - (x - x.mean(-1, keepdims=True)) / deviation).max() <= 1e-6
    assert np.abs(nn.leaky_relu(x) - np.where(x > 0, x, 0.01 * x)).max() <= 1e-7
    for y in (nn.layer_norm(x), nn.rms_norm(x), *nn.batch_norm(x), nn.leaky_relu(x), nn.elu(x), nn.gelu(x)):
        assert y.dtype == np.float32
    assert nn.huber(np.float32(0.5), np.float32(0)) == 0.125
    assert nn.huber(np.float32(3), np.float32(0)) == 2.5
    assert nn.mean_squared_error(x, x + 2) == 4
    assert nn.dot_product_attention(x, x, x, scale=0.0).tolist() == [(x.mean(0)).tolist()] * 2


def test_the_derivatives_at_the_kinks_are_the_documented_ones():
    assert grad(lambda x: nn.leaky_relu(x, 0.25))(0.0) == 0.25
    assert grad(lambda x: nn.elu(x, 2.0))(0.0) == 2.0
    assert grad(nn.elu)(0.0) == 1.0
    assert grad(grad(lambda x: nn.huber(x, np.array(0.0))))(1.0) == 1.0
    assert grad(lambda x: nn.huber(x, np.array(0.0), delta=2.0))(-5.0) == -2.0


FAR = np.array([-1e300, -800.0, -50.0, 50.0, 800.0, 1e300])


def test_nothing_overflows_far_away():
    for f in (nn.sigmoid, nn.log_logistic, nn.elu, nn.silu, nn.leaky_relu):
        assert np.isfinite(f(FAR)).all()
        assert np.isfinite(grad(lambda x, f=f: rnp.sum(f(x)))(FAR)).all()
    near = FAR[np.abs(FAR) < 1e3]
    for approximate in (False, True):
        assert np.isfinite(grad(lambda x, a=approximate: rnp.sum(nn.gelu(x, approximate=a)))(near)).all()
    # minus the log-likelihood of what is all but certain keeps its digits: log(1 + exp(-50)) = exp(-50) - ...
    expected = math.exp(-50)
    for found in (
        nn.binary_cross_entropy(np.array([50.0]), np.array([1.0])),
        nn.binary_cross_entropy(np.array([-50.0]), np.array([0.0])),
    ):
        assert abs(found - expected) <= 4 * 2.0**-53 * expected
    assert grad(lambda x: nn.cross_entropy(x, np.array([0])))(np.array([[800.0, -800.0]])).tolist() == [[0.0, 0.0]]
    assert nn.cross_entropy(np.array([[-800.0, 800.0]]), np.array([0])) == 1600.0


def test_a_probability_of_zero_has_no_part_in_the_divergence():
    x = np.array([0.0, -np.inf, 1.0])
    y = np.array([1.0, 2.0, 1.0])
    p, q = np.exp([0.0, 1.0]) / (1 + np.e), np.exp([1.0, 1.0]) / (2 * np.e + np.e**2)
    assert abs(nn.kl_divergence(x, y) - p @ np.log(p / q)) <= 2.0**-50
    g = grad(nn.kl_divergence, (0, 1))(x, y)
    assert np.isfinite(g).all()
    assert g[0][1] == 0.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, bool])
def test_labels_may_be_probabilities_of_any_sum_and_their_gradient_is_softmax_times_the_sum_less_them(dtype):
    z = np.array([[0.5, 1.0, -2.0], [3.0, 0.0, 0.25]], np.float32 if dtype is np.float32 else float)
    t = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0]]).astype(dtype)
    weights = t.astype(z.dtype)
    ulp = np.finfo(z.dtype).eps
    p = np.exp(z.astype(float)) / np.exp(z.astype(float)).sum(-1, keepdims=True)
    g = grad(lambda z: nn.cross_entropy(z, t, reduction="sum"))(z)
    assert g.dtype == z.dtype
    assert np.abs(g - (p * weights.sum(-1, keepdims=True) - weights)).max() <= 8 * ulp
    by_labels = grad(lambda t: nn.cross_entropy(z, t, reduction="sum"))(weights)
    assert np.abs(by_labels + np.log(p)).max() <= 16 * ulp
    # rows of the identity are integer labels, by the same mean over the examples
    hard = np.array([2, 0])
    assert abs(nn.cross_entropy(z, np.eye(3, dtype=z.dtype)[hard]) - nn.cross_entropy(z, hard)) <= 8 * ulp
    each = vmap(lambda z, t: nn.cross_entropy(z, t))(z, t)
    assert np.abs(each - nn.cross_entropy(z, t, reduction="none")).max() <= 8 * ulp


def test_a_class_that_is_left_out_by_logits_of_minus_infinity_and_has_no_label_changes_nothing():
    z, t = np.array([[0.5, -np.inf, 1.0]]), np.array([[0.25, 0.0, 0.5]])
    kept = np.array([True, False, True])
    value, gradients = value_and_grad(nn.cross_entropy, (0, 1))(z, t)
    expected, others = value_and_grad(nn.cross_entropy, (0, 1))(z[:, kept], t[:, kept])
    assert value == expected
    for g, h in zip(gradients, others, strict=True):
        assert g[:, kept].tolist() == h.tolist()
        assert g[0, 1] == 0
    assert np.isfinite(hvp(lambda z: nn.cross_entropy(z, t), z, np.ones((1, 3)))).all()
    assert nn.cross_entropy(z, np.array([[0.25, 0.25, 0.5]])) == np.inf


def test_a_query_that_may_attend_to_nothing_gets_zeros_and_passes_no_derivative():
    rng = np.random.default_rng(0)
    q, k, v = rng.normal(size=(2, 3)), rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    mask = np.array([[True, False, True, True], [False] * 4])
    attend = lambda q, k, v: nn.dot_product_attention(q, k, v, mask=mask)
    assert attend(q, k, v)[1].tolist() == [0.0, 0.0]
    gradients = grad(lambda *x: rnp.sum(attend(*x) ** 2), (0, 1, 2))(q, k, v)
    assert all(np.isfinite(g).all() for g in gradients)
    assert gradients[0][1].tolist() == [0.0] * 3
    assert gradients[2][1].tolist() == [0.0] * 2


def test_what_a_mask_leaves_out_may_be_infinitely_far_above():
    k = np.array([[1.0], [1000.0]])
    attend = lambda q: nn.dot_product_attention(q, k, np.array([[1.0], [2.0]]), mask=np.array([True, False]))
    assert attend(np.array([[2.0]])).tolist() == [[1.0]]
    assert grad(lambda q: rnp.sum(attend(q)))(np.array([[2.0]])).tolist() == [[0.0]]
    assert jvp(lambda q: grad(lambda q: rnp.sum(attend(q)))(q), (np.ones((1, 1)),), (np.ones((1, 1)),))[1] == 0.0


def test_batch_statistics_are_differentiated_unless_they_are_made_constants():
    x = np.array([[1.0], [2.0], [6.0]])
    fixed = lambda x: nn.batch_norm(x, statistics=stop_gradient(nn.batch_norm(x)[1:]))[0]
    assert (fixed(x) == nn.batch_norm(x)[0]).all()
    # what is normalised has a sum that no change of x alters
    assert np.abs(grad(lambda x: rnp.sum(nn.batch_norm(x)[0]))(x)).max() <= 2.0**-50
    assert np.abs(grad(lambda x: rnp.sum(fixed(x)))(x)).min() > 0.1


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (ShapeError, lambda x: nn.mean_squared_error(x, x[:, :1])),
        (ShapeError, lambda x: nn.binary_cross_entropy(x[0], x)),
        (ShapeError, lambda x: nn.cross_entropy(x, np.array([[0], [1]]))),
        (ShapeError, lambda x: nn.batch_norm(x, gain=np.ones(2))),
        (ShapeError, lambda x: nn.batch_norm(x, statistics=(np.ones((1, 3)), np.ones(3)))),
        (ShapeError, lambda x: nn.dot_product_attention(x, x[:, :2], x)),
        (ShapeError, lambda x: nn.dot_product_attention(x[0], x, x)),
        (InvalidInput, lambda x: nn.cross_entropy(x, np.array([0.0, 1.0]))),
        (InvalidInput, lambda x: nn.huber(x, x, reduction="average")),
        (IndexError, lambda x: nn.cross_entropy(x, np.array([0, 3]))),
        (IndexError, lambda x: nn.cross_entropy(x, np.array([0, -1]))),
    ],
)
def test_what_does_not_fit_is_refused(error, call):
    for f in (call, lambda x: grad(lambda x: rnp.sum(call(x)))(x)):
        with pytest.raises(error, match="expected"):
            f(np.ones((2, 3)))


def test_a_network_is_the_same_to_the_bit_when_it_is_staged():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 2, 6, 6)), np.array([0, 2])
    p = {"w": rng.normal(size=(4, 2, 3, 3)), "b": rng.normal(size=4), "d": rng.normal(size=(16, 3))}

    def loss(p):
        h = nn.max_pool(nn.relu(nn.batch_norm(nn.conv2d(x, p["w"], p["b"], padding=1))[0]), 3)
        h = nn.layer_norm(h.reshape(2, 2, 8))
        h = nn.dot_product_attention(h, h, h, causal=True).reshape(2, 16)
        return nn.cross_entropy(nn.gelu(h @ p["d"], approximate=True), y)

    eager, staged = grad(loss)(p), stage(grad(loss))(p)
    assert all(eager[k].tobytes() == staged[k].tobytes() for k in p)


def test_a_mask_of_floats_is_refused_for_elsewhere_it_is_added_to_the_scores():
    q = np.ones((2, 3))
    for mask in (np.zeros((2, 2)), np.array([0.0, -np.inf], np.float32)):
        for causal in (False, True):
            with pytest.raises(InvalidInput, match=r"booleans.*mask == 0"):
                nn.dot_product_attention(q, q, q, mask=mask, causal=causal)
    assert nn.dot_product_attention(q, q, q, mask=np.array([0, 1])).tolist() == q.tolist()


def test_rows_of_the_identity_are_for_whole_numbers():
    for labels in (np.array([0.5]), 1.0, [1.0, 2.0], np.array([True])):
        with pytest.raises(InvalidInput, match="integer labels"):
            nn.one_hot(labels, 3)
