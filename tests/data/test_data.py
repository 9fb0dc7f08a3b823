"""Splits and batches: disjoint, complete, reproducible."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from refgrad.data import digits, minibatches, split
from refgrad.errors import InvalidInput, MissingExtra, ShapeError

X, Y = np.arange(60).reshape(30, 2), np.arange(30) % 3
RNG = np.random.default_rng


@pytest.mark.parametrize("sizes", [(30,), (10, 5, 0), (7, 7, 7, 9)])
def test_parts_are_disjoint_and_their_arrays_go_together(sizes):
    parts = split((X, Y), sizes, RNG(0))
    assert [len(x) for x, _ in parts] == list(sizes)
    rows = np.concatenate([x[:, 0] // 2 for x, _ in parts])
    assert len(set(rows)) == len(rows) == sum(sizes)
    assert all((y == (x[:, 0] // 2) % 3).all() for x, y in parts)


def test_parts_by_label_have_as_many_of_each():
    labels = np.array([0] * 4 + [7] * 9 + [2] * 5)
    parts = split((labels, np.arange(18)), (3, 1), RNG(1), labels=labels)
    assert [np.unique(y, return_counts=True)[1].tolist() for y, _ in parts] == [[3] * 3, [1] * 3]
    assert not set(parts[0][1]) & set(parts[1][1])
    with pytest.raises(InvalidInput, match=r"sum of at most 4, the examples of each label; got \(3, 2\)"):
        split((labels,), (3, 2), RNG(0), labels=labels)


def test_a_seed_decides():
    same, again, other = (split((X,), (15,), RNG(seed))[0][0] for seed in (4, 4, 5))
    assert (same == again).all()
    assert (same != other).any()


@pytest.mark.parametrize(("size", "drop", "lengths"), [(8, False, [8, 8, 8, 6]), (8, True, [8] * 3), (30, True, [30]),
                                                       (40, False, [30]), (40, True, [])])  # fmt: skip
def test_an_epoch_has_each_example_once(size, drop, lengths):
    batches = list(minibatches((X, Y), size, RNG(0), drop_last=drop))
    assert [len(x) for x, _ in batches] == lengths
    rows = [row for x, _ in batches for row in x[:, 0]]
    assert len(set(rows)) == len(rows)
    assert all((y == (x[:, 0] // 2) % 3).all() for x, y in batches)


def test_what_does_not_fit_is_told():
    with pytest.raises(ShapeError, match=r"expected arrays of one length, got \[29, 30\]"):
        split((X, Y[1:]), (3,), RNG(0))
    with pytest.raises(InvalidInput, match="sum of at most 30"):
        split((X,), (31,), RNG(0))
    with pytest.raises(InvalidInput, match="size of at least 1"):
        next(minibatches((X,), 0, RNG(0)))


def test_the_digits_are_images_from_0_to_1():
    pytest.importorskip("sklearn")
    images, y = digits()
    assert images.shape == (1797, 64)
    assert (images.min(), images.max()) == (0.0, 1.0)
    assert y.dtype == np.int64
    assert sorted(set(y)) == list(range(10))


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtra, match=r"refgrad\[experiments\]"):
        digits()
