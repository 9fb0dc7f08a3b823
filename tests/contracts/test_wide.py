"""Wide problems: the ends of every range are in every run, whatever the seed, and what was covered is read off them."""

from collections import Counter

import pytest

from refgrad.contracts.wide import COUNT, Numbers, Wide

RANGES = {"steps": range(1, 7), "sizes": ("equal", "unequal"), "lr": ("positive", "negative", "zero")}
WIDE = Wide(RANGES, lambda numbers, **properties: {**properties, "x": numbers.vector(3)}, lambda inputs: inputs)


def ends(values):
    return [values[0], values[-1]] if isinstance(values, range) else list(values)


@pytest.mark.parametrize("seed", range(50))
def test_every_end_of_every_range_is_in_at_least_two_problems(seed):
    every = WIDE.inputs(seed)
    assert len(every) == COUNT
    for name, values in RANGES.items():
        count = Counter(one[name] for one in every)
        assert all(count[end] >= 2 for end in ends(values)), (name, count)


def test_the_first_is_the_smallest_and_the_second_the_largest():
    first, second = WIDE.inputs(0)[:2]
    assert [first[name] for name in RANGES] == [1, "equal", "positive"]
    assert [second[name] for name in RANGES] == [6, "unequal", "zero"]


def test_equal_seeds_give_equal_problems_and_others_do_not():
    assert WIDE.inputs(3) == WIDE.inputs(3) != WIDE.inputs(4)


def test_the_numbers_have_more_bits_than_a_float32():
    numbers = [x for one in WIDE.inputs(0) for x in one["x"]]
    assert sum(x * 2**24 % 1 != 0 for x in numbers) > len(numbers) / 2


def test_what_is_covered_is_the_smallest_and_the_largest_number_and_every_word():
    wide = Wide({}, None, lambda inputs: {"sizes": inputs["n"], "word": inputs["word"]})
    covered = wide.covered([{"n": (2, 5), "word": "b"}, {"n": 3, "word": "a"}, {"n": (4, 4), "word": "b"}])
    assert covered == {"sizes": [2, 5], "word": ["a", "b"]}
    assert wide.covered([]) == {}


def test_plain_numbers_are_small_integers():
    import random

    drawn = Numbers(random.Random(0), plain=True).matrix(5, 5)
    assert {x for row in drawn for x in row} <= {-2.0, -1.0, 0.0, 1.0, 2.0}
