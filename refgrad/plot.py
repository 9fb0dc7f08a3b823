"""Pictures of what refgrad computes, drawn with matplotlib into an Axes of one's own or a new one.

==========  ===================================================================================
`hull`      the gradients of two or three tasks, their convex hull, and points of it
`cone`      how far a matrix of bounded condition turns a vector: the lemma behind MGDA-UB
`decay`     errors that fall with the number of terms or steps, beside their bounds
`path`      steps of gradient descent, and what each of them makes of a small circle
`errors`    errors over the whole range of floats, in units of the attainable error
`verdict`   the problems of a report: the error of each in units of the attainable error
`ranking`   the formulas that `refgrad.identify` has compared, by their distance
==========  ===================================================================================

They draw what is given to them and compute no algorithm's result. ``pip install "refgrad[plot]"`` brings matplotlib.

>>> from refgrad import plot
>>> ax = plot.decay({"lr = 1/2": [1, 1 / 2, 1 / 4]})
>>> ax.get_yscale(), len(ax.lines)
('log', 1)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from refgrad.accuracy import LIMIT
from refgrad.errors import InvalidInput, MissingExtra, ShapeError
from refgrad.typing import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["cone", "decay", "errors", "hull", "path", "ranking", "verdict"]

BLUE, ORANGE, GREEN, RED, PURPLE, GREY = "#3b82c4", "#d9780f", "#2f9e6e", "#d1495b", "#9467bd", "#808080"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, RED)
"""Of a contrast of 3 or more to white and to near black alike."""


def hull(J: Array, points: Mapping[str, Array] | None = None, ax: Axes | None = None) -> Axes:
    """The convex hull of two or three gradients, and points of it.

    It lies in a plane, which is drawn without distortion: that of the gradients and the origin if there is one, with
    the gradients as arrows; else that of three gradients' tips, with the place in it that is nearest to the origin.
    Circles are where vectors are as long as the first of `points`: the shortest one's touches the hull from outside.

    Parameters
    ----------
    J : array, shape (K, n)
        A gradient in each of K = 2 or 3 rows.
    points : dict of arrays, optional
        K weights by name, ``{"min-norm": min_norm(J).weights}``; each point is the weighted sum of the rows.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    J = _floats("hull", "J", J, 2)
    if len(J) not in (2, 3):
        raise ShapeError(f"hull: expected J with 2 or 3 rows, one a gradient, got shape {J.shape}")
    ax = _axes(ax)
    flat = np.linalg.matrix_rank(J) <= 2
    foot = np.zeros(J.shape[1]) if flat else _nearest_to_origin(J)
    plane = _plane(J - foot)
    corners = J @ plane
    ax.fill(*corners.T, facecolor=BLUE, alpha=0.15)
    ax.plot(*np.vstack([corners, corners[:1]]).T, color=BLUE, lw=1.5)
    for k, corner in enumerate(corners):
        if flat:
            _arrow(ax, (0, 0), corner, GREY)
        _label(ax, corner, f"$g_{k + 1}$")
    ax.plot(0, 0, "+", color=GREY, ms=10)
    if not flat:
        ax.set_xlabel(f"in the plane of the tips; + is nearest to 0, at {np.linalg.norm(foot):.3g}")
    for k, (name, weights) in enumerate((points or {}).items()):
        a = _floats("hull", f"points[{name!r}]", weights, 1)
        if a.shape != (len(J),):
            raise ShapeError(f"hull: expected points[{name!r}] of shape ({len(J)},), a weight a row, got {a.shape}")
        at = a @ corners
        if k == 0:
            angle = np.linspace(0, 2 * np.pi, 200)
            ax.plot(*(np.linalg.norm(at) * np.stack([np.cos(angle), np.sin(angle)])), ":", color=GREY, lw=1)
        if flat:
            _arrow(ax, (0, 0), at, COLOURS[(k + 1) % len(COLOURS)])
        ax.plot(*at, "o", color=COLOURS[(k + 1) % len(COLOURS)], label=name)
    if points:
        ax.legend(frameon=False)
    ax.set_aspect("equal", "datalim")
    ax.margins(0.12)
    return ax


def cone(x: Array, y: Array, M: Array, ax: Axes | None = None) -> Axes:
    r"""How far a matrix can turn y, and what that makes of the sign of the product of x and M y.

    Shaded are the directions of ``A y`` of all symmetric positive definite A with the condition number of M: those at
    an angle of at most ``arcsin((k - 1) / (k + 1))`` to y. Red are those among them whose product with x is negative.
    If none is, the sign of ``<x, y>`` decides that of ``<x, M y>``. Vectors are drawn with length 1.

    Parameters
    ----------
    x, y : array, shape (2,)
    M : array, shape (2, 2)
        Symmetric and positive definite.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    x, y, M = (_floats("cone", name, value, ndim) for name, value, ndim in (("x", x, 1), ("y", y, 1), ("M", M, 2)))
    if x.shape != (2,) or y.shape != (2,) or M.shape != (2, 2):
        raise ShapeError(f"cone: expected x (2,), y (2,), M (2, 2), got {x.shape}, {y.shape}, {M.shape}")
    low, high = np.linalg.eigvalsh(M)
    if low <= 0 or not np.array_equal(M, M.T) or not x.any() or not y.any():
        raise InvalidInput(f"cone: expected M symmetric positive definite, x and y not zero, got M={M}, x={x}, y={y}")
    ax = _axes(ax)
    towards, most = math.atan2(y[1], y[0]), math.asin((high - low) / (high + low))
    turned = np.linspace(towards - most, towards + most, 721)
    rim = np.stack([np.cos(turned), np.sin(turned)])
    for colour, inside in ((BLUE, x @ rim >= 0), (RED, x @ rim < 0)):
        for part in _runs(inside):
            ax.fill([0, *rim[0, part]], [0, *rim[1, part]], facecolor=colour, alpha=0.25, lw=0)
    right = np.array([-x[1], x[0]]) / np.linalg.norm(x)
    ax.plot(*np.stack([-right, right]).T, "--", color=GREY, lw=1)
    for vector, name, colour in ((x, "x", ORANGE), (y, "y", BLUE), (M @ y, "M y", RED if x @ (M @ y) < 0 else GREEN)):
        tip = vector / np.linalg.norm(vector)
        _arrow(ax, (0, 0), tip, colour)
        ax.annotate(f"${name}$", 1.12 * tip, ha="center", va="center", color=colour)
    ax.set(xlim=(-1.3, 1.3), ylim=(-1.3, 1.3), xticks=[], yticks=[], aspect="equal")
    ax.set_frame_on(False)
    return ax


def decay(
    errors: Mapping[str, Sequence[float]],
    bounds: Mapping[str, Sequence[float]] | None = None,
    ax: Axes | None = None,
    xlabel: str = "terms",
) -> Axes:
    """Errors on a logarithmic axis against 1, 2, ... terms or steps, with their bounds dashed in the same colour.

    Parameters
    ----------
    errors : dict of str to sequence of float
        By the name of the line. An error of 0 is no point of a logarithmic axis and is left out.
    bounds : dict of str to sequence of float, optional
        By the same names.
    ax : matplotlib.axes.Axes, optional
    xlabel : str

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax, bounds = _axes(ax), bounds or {}
    unknown = [name for name in bounds if name not in errors]
    if unknown:
        raise InvalidInput(f"decay: expected bounds of {list(errors)}, got one of {unknown[0]!r}")
    for k, (name, values) in enumerate(errors.items()):
        colour = COLOURS[k % len(COLOURS)]
        for given, style, label in ((values, "o-", name), (bounds.get(name, ()), "--", None)):
            y = np.asarray(given, float)
            if y.size:
                ax.plot(np.arange(1, len(y) + 1), np.where(y > 0, y, np.nan), style, color=colour, ms=3, label=label)
    ax.set_yscale("log")
    ax.set(xlabel=xlabel, ylabel="error")
    ax.legend(frameon=False)
    return ax


def path(
    loss: Callable[[Array], Any],
    points: Array,
    factors: Array | None = None,
    vectors: Mapping[str, Array] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Steps of gradient descent by two parameters over the level lines of their loss.

    Parameters
    ----------
    loss : callable
        From an array of shape (2,) to a number.
    points : array, shape (k + 1, 2)
        The parameters before the first step, and after each.
    factors : array, shape (k, 2, 2), optional
        The derivative of each step, ``I - lr H``: at the point where it begins, a small circle, dotted, and its image.
    vectors : dict of arrays, optional
        By name, gradients by the two parameters at the first point, drawn to one scale and downhill.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    points = _floats("path", "points", points, 2)
    if points.shape[1] != 2:
        raise ShapeError(f"path: expected points of shape (steps + 1, 2), got {points.shape}")
    ax = _axes(ax)
    middle, extent = (points.max(0) + points.min(0)) / 2, float(np.ptp(points, axis=0).max()) or 1.0
    sides = [np.linspace(m - extent, m + extent, 61) for m in middle]
    levels = np.array([[float(loss(np.array([a, b]))) for a in sides[0]] for b in sides[1]])
    ax.contour(*sides, levels, levels=np.quantile(levels, np.linspace(0.02, 0.95, 9)), colors=GREY, linewidths=0.6)
    ax.plot(*points.T, "o-", color=BLUE, ms=4)
    for k, point in enumerate(points):
        _label(ax, point, rf"$\theta_{{{k}}}$")
    angle = np.linspace(0, 2 * np.pi, 100)
    circle = 0.12 * extent * np.stack([np.cos(angle), np.sin(angle)])
    steps = np.zeros((0, 2, 2)) if factors is None else _floats("path", "factors", factors, 3)
    if len(steps) and steps.shape != (len(points) - 1, 2, 2):
        raise ShapeError(f"path: expected factors of shape ({len(points) - 1}, 2, 2), one a step, got {steps.shape}")
    for point, factor in zip(points, steps, strict=False):
        ax.plot(*(point[:, None] + circle), ":", color=GREY, lw=1)
        ax.plot(*(point[:, None] + factor @ circle), color=ORANGE, lw=1.2)
    arrows = {name: _floats("path", f"vectors[{name!r}]", v, 1) for name, v in (vectors or {}).items()}
    longest = max((float(np.linalg.norm(v)) for v in arrows.values()), default=1.0) or 1.0
    for k, (name, v) in enumerate(arrows.items()):
        colour = COLOURS[(k + 2) % len(COLOURS)]
        _arrow(ax, points[0], points[0] - 0.45 * extent * v / longest, colour)
        ax.plot([], [], color=colour, label=name)
    if arrows:
        ax.legend(frameon=False)
    ax.set_aspect("equal")
    return ax


def errors(x: Array, ratios: Mapping[str, Array], ax: Axes | None = None, limit: float = LIMIT) -> Axes:
    """Errors in units of the attainable error over the whole range of floats; the limit is dashed.

    Parameters
    ----------
    x : array of float, shape (n,)
        Arguments, of any magnitude and both signs.
    ratios : dict of arrays
        By the name of the function, n of them.
    ax : matplotlib.axes.Axes, optional
    limit : float

    Returns
    -------
    matplotlib.axes.Axes
    """
    x, ax = _floats("errors", "x", x, 1), _axes(ax)
    tiny, far = (float(f(np.abs(x[x != 0]), initial=1.0)) for f in (np.min, np.max))
    for k, (name, values) in enumerate(ratios.items()):
        y = _floats("errors", f"ratios[{name!r}]", values, 1)
        if y.shape != x.shape:
            raise ShapeError(f"errors: expected ratios[{name!r}] of shape {x.shape}, one an argument, got {y.shape}")
        ax.plot(_decades(x, tiny), y, ".", color=COLOURS[k % len(COLOURS)], ms=4, label=name)
    decades = 10.0 ** np.unique(np.linspace(math.log10(tiny), math.log10(far), 3).round())
    ticks = [t for t in (*-decades[:0:-1], 0, *decades[1:]) if x.min(initial=0) <= t <= x.max(initial=0)]
    ax.set_xticks(_decades(np.array(ticks), tiny), [f"{t:.0e}" if t else "0" for t in ticks])
    ax.set_yscale("symlog", linthresh=1)
    ax.axhline(limit, ls="--", color=RED, lw=1, label=f"limit {limit:g}")
    ax.set(xlabel="argument", ylabel="error / attainable error", ylim=(0, max(2 * limit, ax.get_ylim()[1])))
    ax.legend(frameon=False)
    return ax


def verdict(report: Any, ax: Axes | None = None) -> Axes:
    """The problems of a report: the error of each output in units of the attainable error, against that.

    Parameters
    ----------
    report : refgrad.Report
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        Up to the dashed line a problem passes. Errors of 0 are on the lower edge; left out is what is infinitely wrong,
        and problems whose terms are all 0.
    """
    if not report.judged:
        raise InvalidInput(f"verdict: expected a report with outputs; this one ended as {report.grade}, without one")
    ax = _axes(ax)
    # both are 0 only where every term is
    rows = [row for row in report.judged if row["attainable"] > 0 and row["error"] < math.inf]
    ratios = [row["error"] / row["attainable"] for row in rows]
    floor = min([1e-3, *(r / 10 for r in ratios if r)])
    for outcome, colour in (("passed", BLUE), ("failed", RED)):
        chosen = [(row["attainable"], r) for row, r in zip(rows, ratios, strict=True) if row["outcome"] == outcome]
        if chosen:
            x, y = np.array(chosen).T
            ax.plot(x, np.maximum(y, floor), "o", color=colour, ms=4, alpha=0.7, label=f"{len(chosen)} {outcome}")
    limit = report.numbers["limit"]
    ax.axhline(limit, ls="--", color=GREY, lw=1, label=f"limit {limit}")
    ax.set(xscale="log", yscale="log", xlabel="attainable error", ylabel="error / attainable error")
    ax.legend(frameon=False)
    return ax


def ranking(found: Any, ax: Axes | None = None) -> Axes:
    """The nearest formulas that `refgrad.identify` has compared: their distance, and what rounding explains of it.

    Parameters
    ----------
    found : refgrad.Identification
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        A formula fits if its dot is on its bar.
    """
    rows = found.ranking
    if not rows:
        raise InvalidInput(f"ranking: expected formulas that were compared; this one says: {found.summary}")
    ax = _axes(ax)
    known = [v for row in rows for v in (row["distance"], row["explained"]) if v]
    floor = min(known, default=1.0) / 10
    for k, row in enumerate(rows):
        explained = row["explained"]
        fits = explained is not None and row["distance"] <= explained
        if explained:
            ax.plot([floor, explained], [k, k], color=GREY, lw=8, alpha=0.4, solid_capstyle="butt")
        ax.plot(max(row["distance"], floor), k, "o", color=GREEN if fits else BLUE)
    ax.set_xscale("log")
    ax.set_yticks(range(len(rows)), [row["name"] for row in rows])
    ax.set(xlabel="distance; bar: what rounding explains", xlim=(floor, None), ylim=(len(rows) - 0.5, -0.5))
    return ax


def _axes(ax: Axes | None) -> Axes:
    """`ax`, or a new one without a frame on two sides."""
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise MissingExtra("pictures need matplotlib, of the extra plot: pip install 'refgrad[plot]'") from error
    ax = pyplot.subplots(figsize=(6.4, 4), layout="constrained")[1]
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _floats(function: str, name: str, value: Any, ndim: int) -> np.ndarray:
    """Numbers of any kind as finite floats."""
    found = value.astype(float) if hasattr(value, "astype") else np.asarray(value, float)
    if found.ndim != ndim:
        raise ShapeError(f"{function}: expected {name} with {ndim} axes, got shape {found.shape}")
    if not np.isfinite(found).all() and name not in ("x",) and not name.startswith("ratios"):
        raise InvalidInput(f"{function}: expected finite numbers in {name}, got {found}")
    return np.asarray(found)


def _nearest_to_origin(J: np.ndarray) -> np.ndarray:
    """The point of the plane through three tips that is nearest to the origin."""
    sides = (J[1:] - J[0]).T
    return J[0] - sides @ np.linalg.lstsq(sides, J[0], rcond=None)[0]


def _plane(J: np.ndarray) -> np.ndarray:
    """An orthonormal basis of two columns whose span has the rows of J; the axes themselves where these are two."""
    n = J.shape[1]
    if n <= 2:
        return np.eye(n, 2)
    return np.linalg.svd(J)[2][:2].T


def _decades(x: np.ndarray, tiny: float) -> np.ndarray:
    """Places on a symmetric logarithmic axis of any range; matplotlib's own overflows beyond 300 decades."""
    return np.sign(x) * (1 + np.log10(np.maximum(np.abs(x), tiny)) - math.log10(tiny))


def _runs(inside: np.ndarray) -> list[slice]:
    """The stretches in which a mask is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(int), [0]])))
    return [slice(a, b) for a, b in edges.reshape(-1, 2)]


def _arrow(ax: Axes, start: Any, end: Any, colour: str) -> None:
    ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": 0})


def _label(ax: Axes, at: Any, text: str) -> None:
    ax.annotate(text, at, (5, 5), textcoords="offset points")
