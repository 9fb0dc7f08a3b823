"""Values are those of the moment of use: what a derivative needs later is kept as it was when it was used.

A plain array that a function captures may change before its derivative is taken, as a running average or a momentum
does in a loop. Up to `COPIED` bytes it is copied at its use. A larger one stays where it is, and sums over chunks of
its words, each word's weight depending on its place, are compared at the sweep: a plain sum would miss a shuffle.
Small arguments are copied as well; a large one that the function changes by another name is not seen, for looking at
all parameters of a network twice would cost a sixth of its gradient.

References
----------
The weights are odd, so that a change of a single word is never missed; that of several is missed with a probability of
2^-63 (universal hashing by multiplication, [dietzfelbinger1997]_).

.. [dietzfelbinger1997] M. Dietzfelbinger et al., A reliable randomized algorithm for the closest-pair problem, Journal
   of Algorithms 25 (1997).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from refgrad import backend
from refgrad.autodiff.core import Tracer
from refgrad.backend import shape_of
from refgrad.errors import ChangedValue, NoDerivative

__all__ = ["COPIED", "IMMUTABLE", "Use", "hold", "keep", "same_layout", "snapshot"]

COPIED = 2**16
"""Arrays of up to so many bytes are copied where they are used."""

IMMUTABLE = frozenset(
    {bool, int, float, *(t for t in np.sctypeDict.values() if issubclass(t, (np.bool_, np.integer, np.floating)))}
)
"""Types of real numbers, of which no value ever changes."""

_CHUNK = 4096


def snapshot(x: Any) -> Any:
    """A copy of an array, as `Backend.copy` makes it; what never changes, such as a traced value, as it is."""
    if isinstance(x, Tracer):
        return x
    try:
        return backend.of(x).copy(x)
    except NoDerivative:  # a label or a function among the arguments
        return x


class Use:
    """An array too large to be copied, where it was used.

    Attributes
    ----------
    place : str or None
        The line of the user's, known inside `refgrad.debug`.
    """

    __slots__ = ("array", "operation", "place", "sums")

    def __init__(self, array: Any, operation: str, sums: Any = None) -> None:
        self.array, self.operation, self.sums = array, operation, _sums(array) if sums is None else sums
        self.place: str | None = None

    def check(self, what: str) -> None:
        """Raise if the array has changed since."""
        if bool((self.sums == _sums(self.array)).all()):
            return
        place = "; inside refgrad.debug() this message names the line" if self.place is None else f", at {self.place}"
        raise ChangedValue(
            f"{what}: an array of shape {shape_of(self.array)} was changed in place after {self.operation} had used it "
            f"and before the derivative was taken, which would be that of other numbers{place}. Write x = x + 1 for "
            f"x += 1, or use x.copy(); only arrays of up to {COPIED} bytes are copied by themselves."
        )


def same_layout(x: np.ndarray) -> np.ndarray:
    """A copy of an array with the distances between its elements, on which the last bits of a result may depend."""
    copy = x.copy("K")
    if copy.strides != x.strides and x.size:
        low, high = np.lib.array_utils.byte_bounds(x)
        offset = x.__array_interface__["data"][0] - low
        copy = np.ndarray(x.shape, x.dtype, np.zeros(high - low, np.uint8), offset, x.strides)
        copy[...] = x
    return copy


def hold(x: Any) -> Any:
    """An argument as it is now, if it is small: the function may know its array by another name, and change it."""
    if type(x) is np.ndarray:
        if x.nbytes > COPIED:
            return x
        copy = x.copy("K")
        return copy if copy.strides == x.strides else same_layout(x)
    return x if type(x) in IMMUTABLE or getattr(x, "nbytes", 0) > COPIED else snapshot(x)


def keep(x: Any, operation: str, uses: list[Use], y: Any = None) -> Any:
    """A captured `x` as it is now: a copy, or if it is large the array itself, with its `Use` in `uses`.

    If the result `y` of the operation is traced by a run around this one, that has just taken the sums of `x`.
    """
    if type(x) is np.ndarray and x.nbytes <= COPIED:
        return x.copy("K")
    if type(x) in IMMUTABLE or isinstance(x, Tracer):
        return x
    if getattr(x, "nbytes", 0) <= COPIED or not hasattr(x, "view") or x.dtype.hasobject:
        return snapshot(x)
    around = getattr(getattr(y, "owner", None), "uses", [])
    taken = around and around[-1].array is x
    uses.append(Use(x, operation, around[-1].sums if taken else None))
    return x


def _sums(x: Any) -> Any:
    """Sums of the words of an array of NumPy or CuPy, each times a weight that belongs to its place."""
    xp = backend.of(x).xp
    data = x.ravel(order="K").view(xp.uint8)
    length = len(data) // (8 * _CHUNK) * (8 * _CHUNK)
    rest = xp.zeros(8 * _CHUNK, xp.uint8)
    rest[: len(data) - length] = data[length:]
    weights = xp.asarray(_weights())
    chunks = data[:length].view(xp.uint64).reshape(-1, _CHUNK)
    return xp.append(xp.einsum("ij,j->i", chunks, weights), xp.sum(rest.view(xp.uint64) * weights))


@cache
def _weights() -> np.ndarray:
    return np.random.default_rng().integers(2**63, size=_CHUNK, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
