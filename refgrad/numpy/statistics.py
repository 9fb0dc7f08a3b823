"""Averages and spreads over axes."""

from __future__ import annotations

import math
from typing import Any

from refgrad import backend
from refgrad.autodiff.core import primal
from refgrad.autodiff.rules import norm as norms
from refgrad.autodiff.rules import shape as rules
from refgrad.autodiff.rules.elementwise import stop_gradient
from refgrad.backend import shape_of
from refgrad.errors import ShapeError
from refgrad.numpy.conversion import asarray, floating, ones_like
from refgrad.numpy.elementwise import exp2, floor, isfinite, isnan, log2, sqrt, where
from refgrad.numpy.reductions import axes_of, max, mean, min, sum
from refgrad.numpy.shapes import squeeze, transpose
from refgrad.typing import Array, Axes

__all__ = ["average", "nanmean", "nansum", "ptp", "std", "var"]


def var(
    x: Any, axis: Axes = None, *, ddof: float = 0, correction: float | None = None, keepdims: bool = False
) -> Array:
    """The variance over `axis`: the sum of squared deviations from the mean over ``N - ddof``.

    Parameters
    ----------
    x : array
    axis : int, tuple of ints, or None for all axes
    ddof : number
        What is taken from the number N of elements; 0 for the mean squared deviation, 1 for Bessel's correction.
    correction : number
        The array API's name for `ddof`.
    """
    x = asarray(x)
    axes = axes_of(x, axis, "var")
    centred = x - mean(x, axes, keepdims=True)
    count = _freedom(x, axes, ddof if correction is None else correction)
    return sum(centred * centred, axes, keepdims=keepdims) / count


def std(
    x: Any, axis: Axes = None, *, ddof: float = 0, correction: float | None = None, keepdims: bool = False
) -> Array:
    """The square root of `var`, also where that leaves the range.

    Where several elements are all equal, its derivative is NaN; of one alone, 0.
    """
    x = asarray(x)
    axes = axes_of(x, axis, "std")
    if math.prod(shape_of(x)[a] for a in axes) == 1 and not (ddof or correction):
        return var(x, axes, keepdims=keepdims)  # 0, whatever the element is
    centred = x - mean(x, axes, keepdims=True)
    size = _size(centred, axes)
    z = centred / size
    count = _freedom(x, axes, ddof if correction is None else correction)
    return sqrt(sum(z * z, axes, keepdims=keepdims) / count) * (size if keepdims else squeeze(size, axes))


def _freedom(x: Array, axes: tuple[int, ...], correction: float) -> float:
    """The number of elements over `axes` less `correction`, not below 0."""
    count = math.prod(tuple(shape_of(x)[a] for a in axes)) - correction
    return count if count > 0 else 0


def _size(x: Array, axes: tuple[int, ...]) -> Any:
    """A power of two near the length of x over `axes`, as a constant; 1 where that is 0, or x exact."""
    if backend.of(primal(x)).exact:
        return ones_like(sum(x, axes, keepdims=True))
    y = stop_gradient(norms.norm(x, axis=axes, keepdims=True))
    return exp2(floor(log2(where(isfinite(y) & (y > 0), y, 1))))


def ptp(x: Any, axis: Axes = None, *, keepdims: bool = False) -> Array:
    """The largest element over `axis` less the smallest."""
    return max(x, axis, keepdims=keepdims) - min(x, axis, keepdims=keepdims)


def average(x: Any, axis: Axes = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False) -> Any:
    """The weighted mean over `axis`, ``sum(weights * x) / sum(weights)``.

    Parameters
    ----------
    x : array
    axis : int, tuple of ints, or None for all axes
    weights : array, optional
        Of the shape of x, or with one axis for each that `axis` names, in its order; differentiable like x. Without
        weights, the mean.
    returned : bool
        Whether to return the pair of the mean and the sums of weights.
    """
    x = asarray(x)
    axes = axes_of(x, axis, "average")
    if weights is None:
        weights = ones_like(x)
        y = mean(x, axes, keepdims=keepdims)
    else:
        weights = _spread(floating(weights), x, axis)
        y = sum(x * weights, axes, keepdims=keepdims) / sum(weights, axes, keepdims=keepdims)
    if not returned:
        return y
    return y, rules.broadcast_to(sum(weights, axes, keepdims=keepdims), shape=shape_of(y))


def _spread(weights: Array, x: Array, axis: Axes) -> Array:
    """Weights of the axes that `axis` names, as an array of the shape of x."""
    dims = shape_of(x)
    if shape_of(weights) == dims:
        return weights
    named = () if axis is None else axis if isinstance(axis, tuple) else (axis,)
    places = [a % len(dims) for a in named]
    if axis is None or shape_of(weights) != tuple(dims[p] for p in places):
        raise ShapeError(
            f"average: expected weights of the shape {dims} of x or of the axes {axis!r} of it, got {shape_of(weights)}"
        )
    ascending = transpose(weights, sorted(range(len(places)), key=places.__getitem__))
    aligned = rules.reshape(ascending, shape=tuple(n if i in places else 1 for i, n in enumerate(dims)))
    return rules.broadcast_to(aligned, shape=dims)


def nansum(x: Any, axis: Axes = None, *, keepdims: bool = False) -> Array:
    """The sum over `axis` of what is not NaN; the derivative by a NaN is 0."""
    x = asarray(x)
    return sum(where(isnan(x), 0, x), axis, keepdims=keepdims)


def nanmean(x: Any, axis: Axes = None, *, keepdims: bool = False) -> Array:
    """The mean over `axis` of what is not NaN; NaN where nothing else is."""
    x = floating(x)
    count = sum(where(isnan(x), 0, ones_like(x)), axis, keepdims=keepdims)
    return nansum(x, axis, keepdims=keepdims) / count
