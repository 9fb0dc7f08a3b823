"""Containers come apart into their arrays and go together again."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from refgrad import exact, grad, tree
from refgrad.errors import ShapeError

Point = namedtuple("Point", "x y")


@dataclass
class Layer:
    w: Any
    b: Any


def test_every_kind_of_container_is_rebuilt_with_its_types_and_order():
    given = {"b": [1, (2, 3)], "a": Point(4, Layer(5, None)), "o": OrderedDict(z=6, y=7)}
    leaves, structure = tree.flatten(given)
    assert leaves == [4, 5, 1, 2, 3, 7, 6]
    rebuilt = structure.unflatten([10 * leaf for leaf in leaves])
    assert rebuilt == {"b": [10, (20, 30)], "a": Point(40, Layer(50, None)), "o": OrderedDict(z=60, y=70)}
    assert list(rebuilt) == ["b", "a", "o"]
    assert list(rebuilt["o"]) == ["z", "y"]
    assert isinstance(rebuilt["a"].y, Layer)


@pytest.mark.parametrize("kind", [tuple, type("Own", (tuple,), {}), Point._make], ids=["tuple", "own", "named"])
def test_a_tuple_of_leaves_alone_keeps_its_type_too(kind):
    given = kind([1, 2])
    leaves, structure = tree.flatten(given)
    rebuilt = structure.unflatten([10 * leaf for leaf in leaves])
    assert rebuilt == kind([10, 20])
    assert type(rebuilt) is type(given)
    assert structure != tree.flatten([1, 2])[1]


def test_a_dict_that_holds_more_than_its_entries_keeps_it():
    leaves, structure = tree.flatten(defaultdict(list, a=1))
    rebuilt = structure.unflatten(leaves)
    assert rebuilt == {"a": 1}
    assert rebuilt["new"] == []


def test_paths_say_where_a_leaf_is():
    given = {"b": [1, (2,)], "a": Point(4, Layer(5, None))}
    assert tree.paths(given) == ["['a'].x", "['a'].y.w", "['b'][0]", "['b'][1][0]"]


def test_structures_are_equal_when_their_containers_are_alike():
    same, other = ({"a": [1, 2]}, {"a": [3, 4]}), {"a": (1, 2)}
    assert tree.flatten(same[0])[1] == tree.flatten(same[1])[1]
    assert tree.flatten(same[0])[1] != tree.flatten(other)[1]
    assert hash(tree.flatten(same[0])[1]) == hash(tree.flatten(same[1])[1])
    with pytest.raises(ShapeError, match="one structure"):
        tree.map(lambda a, b: a, same[0], other)
    with pytest.raises(ShapeError, match="expected 2 leaves"):
        tree.flatten(same[0])[1].unflatten([1])


@pytest.mark.parametrize("convert", [np.asarray, exact.asarray], ids=["numpy", "rational"])
def test_ravel_dot_and_axpy_see_one_long_vector(convert):
    x = {"a": convert([[1, 2], [3, 4]]), "b": [convert(5)]}
    vector, unravel = tree.ravel(x)
    assert vector.shape == (5,)
    assert (unravel(2 * vector)["a"] == 2 * x["a"]).all()
    assert unravel(vector)["b"][0].shape == ()
    assert tree.dot(x, x) == 55
    assert (tree.axpy(3, x, x)["a"] == 4 * x["a"]).all()
    with pytest.raises(ShapeError):
        tree.dot(x, [x])
    with pytest.raises(ShapeError, match="at least one array"):
        tree.ravel([])


def test_gradients_come_back_in_the_container_of_the_argument():
    theta = Layer(np.ones((2, 2)), Point(np.ones(2), [np.float64(3.0)]))
    g = grad(lambda t: np.sum(t.w) * t.b.y[0] + np.sum(t.b.x))(theta)
    assert isinstance(g, Layer)
    assert isinstance(g.b, Point)
    assert g.w.tolist() == [[3.0, 3.0], [3.0, 3.0]]
    assert g.b.y == [4.0]
