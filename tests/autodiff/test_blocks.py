"""Blocks of examples are as large as memory allows, and no example is left out or counted twice."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad import exact, grad, vmap
from refgrad.autodiff.blocks import BLOCK, nbytes, spans


@pytest.mark.parametrize(
    ("count", "size", "lengths"),
    [
        (5, BLOCK // 2, [2, 2, 1]),
        (4, BLOCK // 2, [2, 2]),
        (3, BLOCK, [1, 1, 1]),
        (3, BLOCK + 1, [1, 1, 1]),
        (3, BLOCK // 3, [3]),
        (7, 0, [7]),
        (0, 8, []),
    ],
)
def test_blocks_follow_one_another_and_end_with_the_last_example(count, size, lengths):
    found = list(spans(count, size))
    assert [s.stop - s.start for s in found] == lengths
    assert [n for s in found for n in range(s.start, s.stop)] == list(range(count))


def test_bytes_are_those_of_all_arrays_also_of_traced_and_exact_ones():
    tree = {"w": np.ones((2, 3)), "b": (np.ones(4, np.float32), np.ones(5, np.int8)), "none": None}
    assert nbytes(tree) == 6 * 8 + 4 * 4 + 5
    assert nbytes(exact.asarray([1, 2, 3])) == 3 * 64
    seen = []
    grad(lambda x: seen.append(nbytes(x)) or np.sum(x))(np.ones(7))
    vmap(lambda x: seen.append(nbytes(x)) or x)(np.ones((4, 7), np.float32))
    assert seen == [7 * 8, 7 * 4]
