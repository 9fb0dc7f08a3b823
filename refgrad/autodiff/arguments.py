"""Checks on arguments and results of the transformations; copies, so that nothing is aliased."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from numpy import ndarray

from refgrad import backend
from refgrad.autodiff.core import PRIMITIVES, Tracer, primal
from refgrad.autodiff.primitive import zeros_like
from refgrad.backend import shape_of
from refgrad.backend.exact.array import ElementArray
from refgrad.errors import InvalidInput, NoDerivative, ShapeError, TracedAssignment
from refgrad.tree import Structure, flatten, paths
from refgrad.typing import Array, Tree

__all__ = [
    "as_own", "check_like", "check_result", "explain", "is_real", "memory_of", "name_of", "pair", "real_leaves",
    "select",
]  # fmt: skip


def name_of(f: Callable[..., Any]) -> str:
    """How messages call `f`."""
    return getattr(f, "__qualname__", None) or repr(f)


def select(args: tuple[Any, ...], argnums: int | tuple[int, ...], what: str) -> tuple[int, ...]:
    """The places that `argnums` names, counted from 0; negative ones count from the end."""
    if type(argnums) is int and 0 <= argnums < len(args):
        return (argnums,)
    wanted = argnums if isinstance(argnums, (tuple, list)) else (argnums,)
    try:
        if any(isinstance(n, bool) for n in wanted):
            raise TypeError
        numbers = [operator.index(n) for n in wanted]
    except TypeError:
        raise InvalidInput(f"{what}: expected argnums to be an int or a tuple of ints, got {argnums!r}") from None
    for place in numbers:
        if not -len(args) <= place < len(args):
            raise InvalidInput(
                f"{what}: argnums {argnums!r} asks for argument {place}, but the function was called with {len(args)} "
                "positional arguments; keyword arguments are never differentiated"
            )
    places = tuple(place % len(args) for place in numbers)
    if len(set(places)) != len(places):
        raise InvalidInput(f"{what}: expected different arguments, got argnums {argnums!r}")
    return places


def pair(out: Any, f: Callable[..., Any]) -> tuple[Any, Any]:
    """The result and the rest, of a function called with has_aux=True."""
    if not (isinstance(out, tuple) and len(out) == 2):
        given = f"a tuple of {len(out)}" if isinstance(out, tuple) else type(out).__name__
        raise InvalidInput(f"{name_of(f)}: has_aux=True expects a pair (result, rest), got {given}")
    return out


def explain(error: Exception, what: str, f: Callable[..., Any], arguments: Sequence[Tree]) -> None:
    """Raise what says more than `error`, which f raised on traced arguments, if there is more to say."""
    place = f"{what}({name_of(f)})"
    if isinstance(error, AttributeError) and isinstance(error.obj, Tracer):
        # said here and not by a __getattr__ of the traced value, which would make CPython look for all its attributes
        raise AttributeError(
            f"{place}: a traced value has no attribute {error.name!r}; use a function of refgrad.numpy, or "
            f"refgrad.value_of(x).{error.name} if no derivative is needed"
        ) from error
    if type(error) is ValueError and isinstance(error.__cause__, NoDerivative):  # NumPy's, for what a traced value said
        raise TracedAssignment(
            f"{place}: a traced value was assigned to an element of a plain array, which would drop its derivative. "
            "Write refgrad.numpy.stack([...]) of the elements in place of y[i] = x, or refgrad.numpy.where(mask, x, y)."
        ) from error
    found = [a for a in arguments if type(a) in (list, tuple) and a and all(type(e) is float for e in a)]
    if found and isinstance(error, (AttributeError, TypeError)) and any(word in str(error) for word in _SEQUENCES):
        kind = type(found[-1]).__name__
        raise InvalidInput(
            f"{place}: an argument is a {kind} of numbers, which is a container, so that the function computes with a "
            f"{kind} of traced numbers. Give numpy.array(x), whose gradient is an array, or unpack it. It said: {error}"
        ) from error


_SEQUENCES = ("list", "tuple", "sequence", "plain NumPy array")


def check_result(out: Any, f: Callable[..., Any], what: str) -> Any:
    """`out`, a result that is not traced here, if it is a real constant; raises otherwise."""
    if isinstance(out, Tracer) and not out.owner.alive:
        raise out.owner.escape_error(out)
    value = primal(out)
    if not is_real(value):
        raise NoDerivative(
            f"{what}({name_of(f)}): expected a result of real floating-point or exact numbers, got {_describe(value)}"
        )
    return out


def real_leaves(tree: Tree, what: str, f: Callable[..., Any], argument: Any = "") -> tuple[list[Array], Structure]:
    """The leaves of `tree`, an `argument` of f under the transformation `what`, and its structure, if they are real."""
    leaves, structure = flatten(tree)
    for i, leaf in enumerate(leaves):
        value = leaf if type(leaf) is ndarray else primal(leaf)
        if (type(value) is ndarray and value.dtype.kind == "f") or is_real(value):
            continue
        hint = "Write 3.0 for 3, x.astype(float) for an integer array; leave labels and indices out of argnums."
        if not isinstance(value, (int, str, np.generic, np.ndarray, Fraction, Decimal)):
            hint = (
                "Convert it first: numpy.asarray(x) for an array of another library, such as a tensor of torch; a dict "
                "or a dataclass of arrays for another object that holds parameters."
            )
        elif isinstance(value, np.ma.MaskedArray) or (isinstance(value, np.ndarray) and type(value) is not np.ndarray):
            hint = "Write numpy.asarray(x) for a plain array."
        elif isinstance(value, (Fraction, Decimal)) or getattr(getattr(value, "dtype", None), "kind", None) == "O":
            hint = "Write refgrad.exact.asarray(x) for rational numbers."
        raise NoDerivative(
            f"{what}({name_of(f)}): argument {argument}{paths(tree)[i]}: expected real floating-point or exact "
            f"numbers, got {_describe(value)}. {hint}"
        )
    return leaves, structure


def _describe(value: Any) -> str:
    if hasattr(value, "dtype"):
        return f"{type(value).__name__} of dtype {value.dtype}"
    text = repr(value)
    return text if len(text) <= 80 and "\n" not in text else f"an object of type {type(value).__qualname__}"


def is_real(value: Any) -> bool:
    """Whether a plain value is of floating-point or exact numbers: what one can differentiate by."""
    if type(value) is float:
        return True
    if isinstance(value, (bool, int, str)) or (isinstance(value, np.ndarray) and type(value) is not np.ndarray):
        return False
    try:
        return backend.of(value).is_real(value)
    except NoDerivative:
        return False


def check_like(primals: Sequence[Array], vectors: Sequence[Array], what: str, tree: Tree) -> None:
    """Raise unless every vector, a leaf of `tree`, has the shape of its primal and its kind of numbers."""
    for i, (x, v) in enumerate(zip(primals, vectors, strict=True)):
        if type(x) is type(v) is ndarray and x.shape == v.shape and v.dtype.kind == "f":
            continue
        if shape_of(x) != shape_of(v):
            place = f"{what}{paths(tree)[i]}"
            raise ShapeError(f"{place}: expected shape {shape_of(x)}, that of the value; got {shape_of(v)}")
        if type(v) is not np.ndarray or type(x) is not np.ndarray or v.dtype.kind == "c":
            _check_kinds(primal(x), primal(v), f"{what}{paths(tree)[i]}")


def _check_kinds(x: Any, v: Any, place: str) -> None:
    tables = [backend.of(a) for a in (x, v)]
    if tables[0].exact and isinstance(v, int):
        return
    if tables[0].exact != tables[1].exact or not (is_real(v) or isinstance(v, int) or _kind(v) in "iub"):
        raise NoDerivative(f"{place}: expected {tables[0].name} numbers like the value, got {_describe(v)}")


def _kind(v: Any) -> str:
    return str(getattr(getattr(v, "dtype", None), "kind", "?"))


def memory_of(arrays: Sequence[Array]) -> dict[int, Any]:
    """What results may not share memory with, by id: `arrays`, and the elements of exact ones."""
    insides = [a.data if isinstance(a, ElementArray) else a for a in arrays]
    return {id(a): a for a in insides}


def as_own(g: Array, like: Array, taken: dict[int, Any]) -> Array:
    """`g` in the dtype of `like`, none of the objects in `taken` (by their id), nor a view."""
    if type(g) is ndarray and type(like) is ndarray and g.dtype is like.dtype:
        if g.base is not None or not g.flags.writeable or id(g) in taken:
            g = g.copy()
        taken[id(g)] = g
        return g
    dtype, given = getattr(like, "dtype", None), getattr(g, "dtype", None)
    if given is not dtype is not None and _kind(g) == "c" != _kind(like):
        raise NoDerivative(f"expected a real derivative, got one of dtype {g.dtype}, from a complex constant")
    if isinstance(g, Tracer):
        return g if dtype is None or given == dtype else PRIMITIVES["astype"](g, dtype=dtype)
    if dtype is not None:
        if not hasattr(g, "dtype"):  # a Python number came as tangent or cotangent
            g = zeros_like(like) + g
        if g.dtype != dtype:
            g = backend.of(g).astype(g, dtype)
    if isinstance(g, ElementArray):
        if g.data.base is not None or not g.data.flags.writeable or id(g.data) in taken:
            g = type(g)(g.data.copy())
        taken[id(g.data)] = g.data
    elif type(g) is np.ndarray and (g.base is not None or not g.flags.writeable or id(g) in taken):
        g = g.copy()
    taken[id(g)] = g
    return g
