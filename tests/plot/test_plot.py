"""The pictures show the numbers that they are given: what is drawn is read off the Axes again."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from refgrad import exact, identify, plot, verify
from refgrad.errors import InvalidInput, ShapeError
from refgrad.multitask import min_norm
from refgrad.theory import multitask as theory

pyplot = pytest.importorskip("matplotlib.pyplot", reason="pictures need matplotlib: the extra plot")

WIDE = np.array([[1.0, 0, 0, 2], [-1, 2, -2, 0], [3, -6, 2, 1]])


@pytest.fixture(autouse=True)
def closed():
    yield
    pyplot.close("all")


def tips(ax):
    """The corners of the hull that has been drawn."""
    return ax.patches[0].get_xy()[:-1]


def dot(ax, name):
    line = next(line for line in ax.lines if line.get_label() == name)
    return np.array(line.get_data()).ravel()


@pytest.mark.parametrize("J", [WIDE, WIDE[:2], WIDE[:, :2], WIDE[:2, :1], exact.asarray([[1, 0, 2], [0, "1/3", 1]])])
def test_a_hull_is_drawn_without_distortion(J):
    corners = tips(plot.hull(J))
    J = np.asarray(J.astype(float))
    apart = lambda p: np.linalg.norm(p[:, None] - p[None], axis=-1)
    assert np.allclose(apart(corners), apart(J))


@pytest.mark.parametrize("J", [WIDE, WIDE[:2], WIDE[:, :2], WIDE[:2, :1], WIDE - WIDE[2]])
def test_the_shortest_vector_is_where_a_circle_around_the_origin_touches_the_hull(J):
    found = min_norm(J)
    ax = plot.hull(J, {"min-norm": found.weights, "uniform": np.ones(len(J)) / len(J)})
    shortest, uniform = dot(ax, "min-norm"), dot(ax, "uniform")
    corners = tips(ax)
    # squared lengths in the plane are those of the vectors, up to the distance of the plane
    away = found.direction @ found.direction - shortest @ shortest
    assert np.allclose([c @ c + away for c in corners], [g @ g for g in J])
    assert uniform @ uniform + away == pytest.approx(J.mean(0) @ J.mean(0))
    circle = next(line for line in ax.lines if line.get_linestyle() == ":")
    assert np.allclose(np.hypot(*circle.get_data()), np.linalg.norm(shortest))
    inside = corners @ shortest - shortest @ shortest
    assert inside.min() > -1e-9


def test_the_cone_is_what_matrices_of_that_condition_reach():
    example = theory.counterexample()
    ax = plot.cone(example.x, example.y, example.M)
    x, y, M = (a.astype(float) for a in (example.x, example.y, example.M))
    red, blue = (
        [p.get_xy() for p in ax.patches if np.allclose(p.get_facecolor()[:3], colour)]
        for colour in (rgb(plot.RED), rgb(plot.BLUE))
    )
    rim = np.concatenate([p[1:-1] for p in (*red, *blue)])
    low, high = np.linalg.eigvalsh(M)
    reached = np.concatenate([rim @ y / np.linalg.norm(y)])
    assert reached.min() == pytest.approx(np.sqrt(1 - ((high - low) / (high + low)) ** 2), abs=1e-4)
    assert all((p[1:-1] @ x < 0).all() for p in red)
    assert all((p[1:-1] @ x >= 0).all() for p in blue)
    assert red  # the example is one because of it
    # a matrix of that condition reaches the edge, and none goes beyond
    rng = np.random.default_rng(0)
    for _ in range(200):
        Q = np.linalg.qr(rng.standard_normal((2, 2)))[0]
        turned = Q @ np.diag([low, high]) @ Q.T @ y
        assert turned @ y / np.linalg.norm(turned) / np.linalg.norm(y) > reached.min() - 1e-4


def rgb(colour):
    from matplotlib.colors import to_rgb

    return to_rgb(colour)


def test_no_direction_is_red_where_the_condition_is_below_the_limit():
    x, y = exact.asarray([3, 4]), exact.asarray([5, 0])
    for limit, red in ((3, False), (5, True)):
        ax = plot.cone(x, y, theory.tight_matrix(x, y, 1, limit))
        assert any(np.allclose(p.get_facecolor()[:3], rgb(plot.RED)) for p in ax.patches) == red


def test_errors_that_decay_are_drawn_with_their_bounds_in_one_colour():
    ax = plot.decay({"a": [1, 0.5, 0], "b": [1, 2, 4]}, {"b": [2, 4, 8]})
    a, b, bound = ax.lines
    assert a.get_xdata().tolist() == [1, 2, 3]
    assert np.isnan(a.get_ydata()[2])  # an error of 0 is no point of this axis
    assert b.get_color() == bound.get_color() != a.get_color()
    with pytest.raises(InvalidInput, match=r"expected bounds of .'a'., got one of 'c'"):
        plot.decay({"a": [1]}, {"c": [1]})


def test_a_path_shows_what_each_step_makes_of_a_circle():
    points, factor = np.array([[0.0, 0.0], [1.0, 0.5]]), np.array([[0.5, 0.2], [0.0, -1.0]])
    ax = plot.path(lambda t: t @ t, points, factor[None], {"v": np.array([1.0, 0.0])})
    assert np.array_equal(np.array(ax.lines[0].get_data()).T, points)
    circle, image = (np.array(line.get_data()) for line in ax.lines[1:3])
    assert np.allclose(image, factor @ circle)
    with pytest.raises(ShapeError, match=r"expected points of shape .steps . 1, 2., got .2, 3."):
        plot.path(lambda t: t @ t, np.ones((2, 3)))


@pytest.mark.parametrize("x", [[-1e300, -1e-300, 1e-300, 1.0, 1e300], [0.01, 0.1, 1.0], [0.0, 5e-324, 1.7e308]])
def test_errors_over_the_whole_range_are_in_order_of_their_arguments(x):
    ax = plot.errors(np.array(x), {"f": np.arange(len(x)) * 10.0})
    placed, heights = ax.lines[0].get_data()
    assert (np.diff(placed) > 0).all()
    assert heights.tolist() == [10 * k for k in range(len(x))]
    assert ax.lines[1].get_ydata()[0] == 30 < ax.get_ylim()[1]
    with pytest.raises(ShapeError, match="one an argument"):
        plot.errors(np.array(x), {"f": np.ones(7)})


def mean_of_rows(J):
    return np.ones(len(J)) / len(J)


def test_a_verdict_has_a_dot_for_each_problem_and_its_ratio_is_that_of_the_report():
    report = verify(mean_of_rows, "min_norm", max_examples=30)
    assert {outcome: sum(r["outcome"] == outcome for r in report.judged) for outcome in report.outcomes} == dict(
        report.outcomes
    )
    ax = plot.verdict(report)
    passed, failed, limit = ax.lines
    assert failed.get_ydata().max() == report.numbers["worst_ratio"]
    assert failed.get_ydata().min() > limit.get_ydata()[0] == 30 >= passed.get_ydata().max()
    assert len(failed.get_ydata()) == report.outcomes["failed"]
    assert len(passed.get_ydata()) == sum(r["outcome"] == "passed" and r["attainable"] > 0 for r in report.judged) > 2


def test_a_verdict_without_outputs_is_an_error():
    def raises(J):
        raise ValueError("not today")

    report = verify(raises, "min_norm", max_examples=5)
    with pytest.raises(InvalidInput, match="expected a report with outputs; this one ended as"):
        plot.verdict(report)


def test_a_ranking_marks_what_fits():
    J = np.array([[1.0, 2, 0], [0, 1, -1], [2, 0, 1]])
    found = identify(mean_of_rows(J), "min_norm", J=J)
    ax = plot.ranking(found)
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert [label.get_text() for label in ax.get_yticklabels()] == [row["name"] for row in found.ranking]
    fitting = [k for k, line in enumerate(dots) if line.get_color() == plot.GREEN]
    assert [found.ranking[k]["name"] for k in fitting] == ["uniform"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: plot.hull(np.ones((4, 2))), "expected J with 2 or 3 rows"),
        (lambda: plot.hull(np.ones(3)), "expected J with 2 axes, got shape"),
        (lambda: plot.hull(WIDE * np.nan), "expected finite numbers in J"),
        (lambda: plot.hull(WIDE, {"a": np.ones(2)}), "a weight a row, got"),
        (lambda: plot.cone(np.ones(2), np.ones(2), -np.eye(2)), "symmetric positive definite"),
        (lambda: plot.cone(np.ones(3), np.ones(3), np.eye(3)), "expected x .2,., y .2,., M .2, 2."),
    ],
)
def test_bad_input_is_told(call, words):
    with pytest.raises((InvalidInput, ShapeError), match=words):
        call()


def test_an_axes_of_ones_own_is_drawn_into():
    figure, (left, right) = pyplot.subplots(1, 2)
    assert plot.hull(WIDE, ax=right) is right
    assert right.patches
    assert not left.patches
    assert pyplot.get_fignums() == [figure.number]


def test_without_matplotlib_the_extra_is_named():
    program = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from refgrad import plot\n"
        "from refgrad.errors import MissingExtra\n"
        "try: plot.decay({'a': [1]})\n"
        "except MissingExtra as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "pip install 'refgrad[plot]'" in done.stdout
