"""The order of elements along an axis. It is piecewise constant, so it has no derivative, but it can be batched."""

from __future__ import annotations

from refgrad.autodiff.core import Primitive, Unary
from refgrad.autodiff.domains import case, real
from refgrad.autodiff.rules.index import take_along_axis
from refgrad.autodiff.rules.scan import along
from refgrad.typing import Array

__all__ = ["argsort"]


def _ties(places: Array, x: Array, axis: int) -> Array:
    """Where equal elements are neighbours in the order."""
    ordered = take_along_axis(x, places, axis=axis)
    return along(ordered, axis, slice(1, None)) == along(ordered, axis, slice(None, -1))


argsort: Primitive = Unary(
    "argsort",
    lambda xp, x, axis: xp.argsort(x, axis),
    jvp=None,
    vjp=None,
    batch=lambda size, mapped, args, params: argsort(args[0], axis=params["axis"] + 1),
    kink=_ties,
    source="np.argsort({0}, axis={axis}, kind='stable')",
    cases=(case(real(4), axis=0), case(real(2, 3), axis=1), case(real(3, 2), axis=0)),
)
