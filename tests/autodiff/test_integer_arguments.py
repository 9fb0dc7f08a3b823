"""Images, counts and labels come in narrow and unsigned integers, whose squares, sums and negatives wrap around."""

from __future__ import annotations

import numpy as np
import pytest

import refgrad.numpy as rnp
from refgrad import per_example_grad, vjp, vmap
from refgrad.numpy import nn

NARROW = [np.uint8, np.int8, np.uint16, np.int64, bool]


@pytest.mark.parametrize("name", ["min", "max", "argmin", "argmax"])
@pytest.mark.parametrize("dtype", NARROW)
def test_the_ends_of_the_range_of_integers_have_their_place_in_the_order(dtype, name):
    limits = (0, 1) if dtype is bool else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    X = np.array([[limits[0], limits[1], 1], [1, limits[0], limits[1]]], dtype)
    y = vmap(getattr(np, name))(X)
    assert y.tolist() == [int(getattr(np, name)(x)) for x in X]
    assert y.dtype == getattr(np, name)(X[0]).dtype


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, bool])
@pytest.mark.parametrize(
    "name",
    ["norm", "svdvals", "eigvalsh", "cholesky", "logistic", "softplus", "softmax", "logsumexp", "logcumsumexp", "sinc"],
)
def test_functions_with_real_results_take_integers_as_the_numbers_they_stand_for(name, dtype):
    f = getattr(rnp, name, None) or getattr(rnp.linalg, name)
    x = np.array([[1, 0], [0, 1]] if dtype is bool else [[100, 27], [27, 100]], dtype)  # 100 + 100 and 100**2 wrap
    expected = f(x.astype(float))
    for y in (f(x), vmap(f)(x[None])[0], vjp(lambda z: f(x) + 0 * z, 0.0)[0]):
        assert y.dtype == np.float64
        # of plain arrays the singular values are NumPy's, of others eigenvalues: some roundings of the largest apart
        assert np.abs(y - expected).max() <= (2.0**-50 * np.abs(expected).max() if name == "svdvals" else 0)


def test_layers_and_losses_take_images_and_counts_of_bytes():
    x, t = np.array([[100, 200]], np.uint8), np.array([[200, 255]], np.uint8)
    assert np.array_equal(nn.rms_norm(x), nn.rms_norm(x.astype(float)))
    assert nn.mean_squared_error(x, t) == (100**2 + 55**2) / 2
    for loss in (nn.huber, lambda x, t: nn.poisson_nll(x, t, full=True)):
        assert loss(x / 255, t) == loss(x / 255, t.astype(float))
    for activation in (nn.silu, nn.gelu, nn.log_logistic, nn.log_softmax):
        assert np.array_equal(activation(x), activation(x.astype(float)))
    assert nn.poisson_nll((x / 255).astype(np.float32), t, full=True).dtype == np.float32
    assert rnp.average(x, weights=x) == np.average(x, weights=x) == 500 / 3


@pytest.mark.parametrize("dtype", [np.uint8, np.uint32, np.int8])
def test_labels_may_be_of_any_integers(dtype):
    logits, labels = np.array([[1.0, 2.0, 4.0], [0.0, 8.0, 1.0]]), np.array([2, 0], dtype)
    assert nn.cross_entropy(logits, labels) == nn.cross_entropy(logits, labels.astype(int))
    each = per_example_grad(lambda w, x, k: nn.cross_entropy(w * x, k))
    assert np.array_equal(each(np.ones(3), logits, labels), each(np.ones(3), logits, labels.astype(int)))
    with pytest.raises(IndexError, match="from 0 to 2, got 0 to 3"):
        nn.cross_entropy(logits, np.array([3, 0], dtype))


@pytest.mark.parametrize(
    "n", [2, 2.0, np.int64(2), np.int16(2), np.float64(2.0), np.float32(2.0), np.float16(2.0)], ids=repr
)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int16, np.uint8])
def test_a_whole_power_has_the_dtype_that_numpy_gives_it(dtype, n):
    x = np.array([1, 2, 3], dtype)
    expected = np.power(x, n).dtype  # NumPy 2.1's operator squares without looking at the dtype of n
    for y in (rnp.power(x, n), vmap(lambda x: x**n)(x)):
        assert y.dtype == expected
        assert y.tolist() == [1, 4, 9]
    if x.dtype.kind == "f":
        y, pullback = vjp(lambda x: x**n, x)
        assert y.dtype == expected
        assert pullback(y)[0].dtype == dtype


def test_a_negative_whole_float_is_a_power_of_integers():
    assert vmap(lambda k: k**-1.0)(np.array([1, 2, 4])).tolist() == [1.0, 0.5, 0.25]
