"""Numbers that remember the size of the terms they were added up from: formulas that state their own magnitude.

A formula is written once, as plain arithmetic on arrays of any kind: rationals, balls, float64. On `Terms` it yields
its value and its `magnitude`, which is what comes out when every number in it is replaced by its absolute value and
every subtraction by an addition. That is the scale at which one rounding acts, whatever the order in which the terms
are added. A nonlinear function, a power or a solve is one term, of the size of its value; values decide selections.

>>> from refgrad import exact
>>> a, b = (terms(exact.asarray(x)) for x in ([1, 2], [3, -1]))
>>> (a @ b).value, (a @ b).magnitude
(ExactArray(1), ExactArray(5))
>>> measured(lambda x, y: x @ y)(exact.asarray([1, 2]), exact.asarray([3, -1]))
Answer(value=ExactArray(1), magnitude=ExactArray(5))
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from types import FunctionType, ModuleType
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import numpy as np

from refgrad import exact
from refgrad.backend import of
from refgrad.backend.base import Backend
from refgrad.backend.exact.array import TABLES
from refgrad.contracts.tools.answer import Answer
from refgrad.contracts.tools.assemble import vector
from refgrad.errors import Inconclusive
from refgrad.typing import Array, Shape

__all__ = ["Measured", "Terms", "measured", "settled", "stack", "terms"]


class Terms(Answer):
    """An `Answer` that can be calculated with. Bare arrays and ints in a calculation stand for themselves."""

    table: ClassVar[Backend]
    __array_ufunc__ = None  # an array of NumPy's leaves its operators to these
    __hash__ = None  # type: ignore[assignment]

    @property
    def shape(self) -> Shape:
        return self.value.shape  # type: ignore[no-any-return]

    @property
    def ndim(self) -> int:
        return self.value.ndim  # type: ignore[no-any-return]

    def __len__(self) -> int:
        return len(self.value)

    def __add__(self, other: Any) -> Terms:
        other = terms(other)
        return Terms(self.value + other.value, self.magnitude + other.magnitude)

    __radd__ = __add__

    def __neg__(self) -> Terms:
        return Terms(-self.value, self.magnitude)

    def __abs__(self) -> Terms:
        return Terms(abs(self.value), self.magnitude)

    def __sub__(self, other: Any) -> Terms:
        return self + -terms(other)

    def __rsub__(self, other: Any) -> Terms:
        return terms(other) + -self

    def __mul__(self, other: Any) -> Terms:
        other = terms(other)
        return Terms(self.value * other.value, self.magnitude * other.magnitude)

    __rmul__ = __mul__

    def __matmul__(self, other: Any) -> Terms:
        other = terms(other)
        return Terms(self.value @ other.value, self.magnitude @ other.magnitude)

    def __rmatmul__(self, other: Any) -> Terms:
        return terms(other) @ self

    def __truediv__(self, divisor: Any) -> Terms:
        """By a number or an array, taken as it is: only the dividend is a sum."""
        divisor = divisor.value if isinstance(divisor, Terms) else divisor
        return Terms(self.value / divisor, self.magnitude / abs(divisor))

    def __rtruediv__(self, dividend: Any) -> Terms:
        return terms(dividend) / self

    def __pow__(self, n: int) -> Terms:
        return terms(self.value**n)

    def __getitem__(self, index: Any) -> Terms:
        return Terms(self.value[index], self.magnitude[index])

    def __lt__(self, other: Any) -> Any:
        return self.value < terms(other).value

    def __le__(self, other: Any) -> Any:
        return self.value <= terms(other).value

    def __gt__(self, other: Any) -> Any:
        return self.value > terms(other).value

    def __ge__(self, other: Any) -> Any:
        return self.value >= terms(other).value

    def __eq__(self, other: object) -> Any:
        return self.value == terms(other).value

    def __ne__(self, other: object) -> Any:
        return self.value != terms(other).value

    def __bool__(self) -> bool:
        return bool(self.value)

    def sum(self, axis: int | None = None, keepdims: bool = False) -> Terms:
        """The sum over one axis, or over all."""
        axes = tuple(range(self.value.ndim)) if axis is None else (axis,)
        return self.table.sum(self, axes, keepdims)  # type: ignore[no-any-return]

    def mean(self, axis: int) -> Terms:
        """The mean over one axis, which is kept with length 1."""
        return self.sum(axis, True) / self.value.shape[axis]

    @property
    def T(self) -> Terms:
        return Terms(self.value.T, self.magnitude.T)

    @property
    def mT(self) -> Terms:
        """The transposed matrix, or a stack of them."""
        return Terms(self.value.mT, self.magnitude.mT)


def terms(x: Any) -> Terms:
    """`x` as one term: its magnitude is its absolute value."""
    return x if isinstance(x, Terms) else Terms(x, abs(x))


def settled(x: Array) -> Array:
    """`x`, and if it is a sum of terms, one term: what is computed from it rounds at the size of its value."""
    return terms(x.value) if isinstance(x, Terms) else x


def stack(parts: list[Terms]) -> Terms:
    """Numbers of shape () as a vector."""
    return Terms(vector([part.value for part in parts]), vector([part.magnitude for part in parts]))


def _both(name: str) -> Callable[..., Terms]:
    """A function that moves elements, on values and magnitudes alike."""

    def function(self: TermsTable, x: Any, *args: Any) -> Terms:
        x = terms(x)
        return Terms(getattr(of(x.value), name)(x.value, *args), getattr(of(x.magnitude), name)(x.magnitude, *args))

    return function


def _of_values(name: str) -> Callable[..., Any]:
    """A function of values whose result is no number: places, masks."""

    def function(self: TermsTable, x: Any, *args: Any) -> Any:
        return getattr(of(terms(x).value), name)(terms(x).value, *args)

    return function


class TermsTable(Backend):
    """The functions of `Terms` that formulas use; any that is not here is one term of the size of its value."""

    name = "terms"

    @property
    def absorbs(self) -> tuple[Backend, ...]:  # type: ignore[override]
        return tuple(TABLES.values())  # balls are among them once they are loaded

    sum, reshape, transpose, broadcast_to = (_both(name) for name in ("sum", "reshape", "transpose", "broadcast_to"))
    take, take_along_axis, flip = (_both(name) for name in ("take", "take_along_axis", "flip"))
    argmax, argsort = _of_values("argmax"), _of_values("argsort")

    def amax(self, x: Any, axis: tuple[int, ...], keepdims: bool) -> Terms:
        return terms(of(x.value).amax(x.value, axis, keepdims))

    def maximum(self, a: Any, b: Any) -> Terms:
        return terms(of(terms(a).value, terms(b).value).maximum(terms(a).value, terms(b).value))

    def where(self, mask: Any, a: Any, b: Any) -> Terms:
        a, b = terms(a), terms(b)
        xp = of(a.value, b.value)
        return Terms(xp.where(mask, a.value, b.value), xp.where(mask, a.magnitude, b.magnitude))

    def concat(self, parts: Sequence[Any], axis: int) -> Terms:
        every = [terms(part) for part in parts]
        xp = of(*(part.value for part in every))
        return Terms(xp.concat([p.value for p in every], axis), xp.concat([p.magnitude for p in every], axis))

    def solve(self, a: Any, b: Any) -> Terms:
        return terms(of(terms(a).value).solve(terms(a).value, terms(b).value))

    def einsum(self, subscripts: str, a: Any, b: Any) -> Terms:
        a, b = terms(a), terms(b)
        xp = of(a.value, b.value)
        return Terms(xp.einsum(subscripts, a.value, b.value), xp.einsum(subscripts, a.magnitude, b.magnitude))

    def onehot(self, indices: Any, size: int, like: Any) -> Terms:
        return terms(of(like.value).onehot(indices, size, like.value))

    def zeros(self, shape: Shape, like: Any) -> Terms:
        return terms(of(like.value).zeros(shape, like.value))

    def zeros_like(self, x: Any) -> Terms:
        return terms(of(x.value).zeros_like(x.value))

    def ones_like(self, x: Any) -> Terms:
        return terms(of(x.value).ones_like(x.value))

    def __getattr__(self, name: str) -> Callable[..., Terms]:
        def function(*args: Any) -> Terms:
            values = [a.value if isinstance(a, Terms) else a for a in args]
            return terms(getattr(of(*values), name)(*values))

        return function


Terms.table = TermsTable()


class Measured:
    """A formula in plain arithmetic as what a contract holds: its value with its magnitude.

    The value is computed on the arguments themselves, the magnitude on the float64 numbers nearest to them.

    Attributes
    ----------
    plain : callable
        The formula. Arrays among its arguments may lie in lists, tuples and dicts, and in the attributes of objects
        that are handed in, such as a loss; what a function has captured stays as it is.
    """

    def __init__(self, plain: Callable[..., Array]) -> None:
        self.plain = plain
        functools.update_wrapper(self, plain)

    def __call__(self, *args: Any, **kwargs: Any) -> Answer:
        alike = _in_balls if any(map(_is_ball, (*args, *kwargs.values()))) else lambda x: x
        value = self.plain(*alike(args), **alike(kwargs))
        with np.errstate(all="ignore"):
            found = terms(self.plain(*_rounded(args), **_rounded(kwargs))).magnitude
        magnitude = np.broadcast_to(np.asarray(found, float), value.shape)
        if not np.isfinite(magnitude).all():
            raise Inconclusive("the terms of the formula are beyond the range of float64")
        return Answer(value, of(value).asarray(magnitude) if of(value).exact else magnitude)


def measured(plain: Callable[..., Array]) -> Measured:
    """The value of a formula with its magnitude; see `Measured`."""
    return Measured(plain)


def _is_ball(x: Any) -> bool:
    return isinstance(x, exact.ElementArray) and not isinstance(x, exact.ExactArray)


def _in_balls(x: Any) -> Any:
    """Arguments with rationals as balls, once: in the attributes of an object each use would convert them again."""
    from refgrad.backend.exact.balls import bits

    return _mapped(x, lambda leaf: exact.balls(leaf) if isinstance(leaf, exact.ExactArray) else leaf, bits())


def _rounded(x: Any) -> Any:
    """Arguments with every array of numbers as `Terms` of float64."""

    def leaf(x: Any) -> Any:
        if isinstance(x, exact.ElementArray):
            return terms(x.astype(float))
        return terms(x) if x.dtype.kind == "f" else x

    return _mapped(x, leaf, 0)


_CONVERTED: WeakKeyDictionary[Any, dict[int, tuple[dict[str, Any], Any]]] = WeakKeyDictionary()
"""Of objects, by the bits of their balls (0: as `Terms`): the attributes they had, and what was made of them."""


def _mapped(x: Any, leaf: Callable[[Any], Any], bits: int) -> Any:
    """`leaf` of every array in lists, tuples, dicts and the attributes of objects.

    An object that is handed in again, to the next formula, is not converted again unless an attribute is another.
    """
    if isinstance(x, (exact.ElementArray, np.ndarray)):
        return leaf(x)
    if isinstance(x, (list, tuple)):
        return type(x)(_mapped(value, leaf, bits) for value in x)
    if isinstance(x, dict):
        return {name: _mapped(value, leaf, bits) for name, value in x.items()}
    if not hasattr(x, "__dict__") or isinstance(x, (type, FunctionType, ModuleType, Backend)):
        return x
    kind: Any = type(x)
    known = _CONVERTED.setdefault(x, {}) if kind.__hash__ is object.__hash__ else {}
    attributes, other = known.get(bits, ({}, None))
    now = vars(x)
    if other is None or attributes.keys() != now.keys() or any(attributes[name] is not now[name] for name in now):
        found = {name: _mapped(value, leaf, bits) for name, value in now.items()}
        if all(found[name] is now[name] for name in now):
            return x
        other = copy.copy(x)
        vars(other).update(found)
        known[bits] = dict(now), other
    return other
