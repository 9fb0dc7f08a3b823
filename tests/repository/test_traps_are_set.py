"""What goes wrong in engines of this kind, by number, and that a test bears each number as ``pytest.mark.trap(n)``."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]

TRAPS = {
    1: "perturbation confusion",
    2: "threads that interleave their levels",
    3: "traced values that leak: caches, generators, exceptions",
    4: "mutation of arguments, residuals and results; shared memory",
    5: "accumulation in place into a shared buffer",
    6: "broadcasting that the transpose does not undo",
    7: "axes: negative, tuples, empty, keepdims",
    8: "arguments of tile, repeat, roll, pad and transpose",
    9: "indexing: repeated, negative, mixed, out of bounds",
    10: "dtypes that change on the way",
    11: "0-d arrays, scalars and elements of exact arrays",
    12: "NaN and infinity where they have no business",
    13: "deep graphs, and their end",
    14: "memory growth and reference cycles",
    15: "dead outputs, unused inputs, None and integers in containers",
    16: "order of accumulation: bits that differ between runs",
    17: "late binding in functions made in a loop",
    18: "staging: captured arrays, side effects, merged constants",
    19: "batches: shapes, shared operands, sizes 0 and 1, branches",
    20: "modes that disagree",
    21: "linear algebra: which triangle, singular matrices, stacks",
    22: "complex numbers whose imaginary part is dropped",
    23: "finite differences as an oracle",
}


def marked(folder):
    """The numbers that tests in `folder` bear."""
    found = set()
    for path in folder.rglob("test_*.py"):
        for numbers in re.findall(r"pytest\.mark\.trap\(([\d, ]+)\)", path.read_text()):
            found |= {int(n) for n in numbers.split(",")}
    return found


def test_every_trap_is_set_by_a_test():
    assert marked(TESTS) == set(TRAPS)


def test_the_list_is_numbered_without_gaps():
    assert list(TRAPS) == list(range(1, 24))
