"""What one call notes where the arrays are CuPy's."""

from __future__ import annotations

import pytest

from refgrad.conformance.subject.arguments import Arguments
from refgrad.conformance.subject.generators import seeded

pytestmark = pytest.mark.gpu


def test_the_generator_of_cupy_begins_from_one_seed_and_is_given_back(cupy):
    cupy.random.seed(7)
    expected = cupy.random.random(3).tolist()
    cupy.random.seed(7)
    draws = []
    for seed in (0, 0, 1):
        with seeded(seed):
            draws.append(cupy.random.random(3).tolist())
    assert draws[0] == draws[1] != draws[2]
    assert cupy.random.random(3).tolist() == expected


def test_an_array_on_the_device_that_changes_is_named(cupy):
    arguments = Arguments((cupy.ones(3), [cupy.ones(2)]), ("x", "tasks"))
    assert arguments.mutated() == []
    arguments.positional[1][0][0] = 2
    assert arguments.mutated() == ["tasks"]
