"""What holds of every aggregator: of all functions of `refgrad.multitask` that return an `Aggregate`."""

from __future__ import annotations

import itertools
import typing

import numpy as np
import pytest

from refgrad import exact, multitask
from refgrad.errors import InvalidInput, ShapeError
from refgrad.multitask import Aggregate

AGGREGATORS = [
    f
    for f in map(vars(multitask).get, multitask.__all__)
    if callable(f) and not isinstance(f, type) and issubclass(typing.get_type_hints(f)["return"], Aggregate)
]
every = pytest.mark.parametrize("aggregator", AGGREGATORS, ids=lambda f: f.__name__)

ROWS = [[1, 2, 0], [-1, 1, 1], [0, -2, 1]]


def test_the_min_norm_point_is_one_of_them():
    assert multitask.min_norm in AGGREGATORS
    assert multitask.gap not in AGGREGATORS


@every
@pytest.mark.parametrize("K", [1, 2, 3])
def test_the_direction_is_the_combination_that_the_weights_say(aggregator, K):
    J = exact.asarray(ROWS[:K])
    result = aggregator(J)
    assert result.weights.shape == (K,)
    assert (result.direction == result.weights @ J).all()


@every
def test_the_order_of_the_tasks_does_not_matter(aggregator):
    J = exact.asarray(ROWS)
    v = aggregator(J).direction
    for order in itertools.permutations(range(3)):
        assert (aggregator(J[list(order)]).direction == v).all()


@every
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_keep_their_dtype_and_are_near_the_rationals(aggregator, dtype):
    result, truth = aggregator(np.array(ROWS, dtype)), aggregator(exact.asarray(ROWS))
    assert result.weights.dtype == result.direction.dtype == dtype
    assert np.abs(result.direction - truth.direction.astype(float)).max() <= 16 * np.finfo(dtype).eps


@every
def test_bad_inputs_are_named(aggregator):
    for bad, came in ((np.zeros(3), r"shape \(3,\)"), (np.zeros((0, 3)), r"shape \(0, 3\)"), ([[1.0]], "a list")):
        with pytest.raises(ShapeError, match=rf"shape \(K, n\); got .*{came}"):
            aggregator(bad)
    with pytest.raises(InvalidInput, match="NaN"):
        aggregator(np.array([[np.nan], [1.0]]))
    with pytest.raises(InvalidInput, match="int64"):
        aggregator(np.array([[1], [2]]))
    with pytest.raises(ShapeError, match="at least one parameter"):
        aggregator(np.zeros((2, 0)))
