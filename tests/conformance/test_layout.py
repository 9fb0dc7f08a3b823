"""Problems as they are shown to people."""

import pytest

from refgrad.conformance.report.layout import layout, number


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1.0, "1"), (-0.5, "-1/2"), (0.3, "0.3"), (2.0**-30, "9.31322575e-10"), (3, "3"), (1e300, "1e+300"), ("a", "a")]
    + [(float("nan"), "nan"), (float("inf"), "inf"), (True, "True")],
)
def test_numbers_are_short_fractions_or_decimals(value, shown):
    assert number(value) == shown


def test_a_matrix_has_brackets_and_aligned_columns():
    assert layout({"J": [[1.0, -0.5], [10.0, 2.0]]}) == ["J = ⎡  1  -1/2 ⎤", "    ⎣ 10     2 ⎦"]


def test_arrays_of_one_problem_stand_side_by_side():
    assert layout({"X": [[1.0], [2.0]], "y": [0, 1], "lr": 0.25}) == [
        "X = ⎡ 1 ⎤   y = [0, 1]   lr = 1/4",
        "    ⎣ 2 ⎦",
    ]


def test_tasks_are_named_by_number_support_and_query():
    task = [[[[1.0]], [2.0]], [[[3.0]], [4.0]]]
    assert layout({"theta": [0.0], "tasks": [task], "steps": 1}) == [
        "theta = [0]",
        "task 1 support: X = [1]   y = [2]",
        "task 1 query  : X = [3]   y = [4]",
        "steps = 1",
    ]


def test_containers_of_other_kinds_are_shown_by_their_place():
    assert layout({"batches": [[1.0], [1.0, 2.0], [3.0]], "options": {"a": 1.0}}) == [
        "batches 1 = [1]",
        "batches 2 = [1, 2]",
        "batches 3 = [3]",
        "options.a = 1",
    ]


def test_what_is_too_wide_goes_to_the_next_line():
    wide = [float(i) for i in range(30)]
    assert len(layout({"x": wide, "y": wide})) == 2
