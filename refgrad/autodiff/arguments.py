"""What the transformations do with their inputs and outputs: check, wrap, unwrap, and hand over arrays of one's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refgrad import backend
from refgrad.autodiff.trace import PRIMITIVES, Tracer, primal
from refgrad.backend import shape_of
from refgrad.errors import NoDerivative, ShapeError
from refgrad.tree import Structure, flatten, paths
from refgrad.typing import Array, Tree

__all__ = ["check_like", "name_of", "owned", "real_leaves", "select"]


def name_of(f: Callable[..., Any]) -> str:
    """How messages call `f`."""
    return getattr(f, "__qualname__", None) or repr(f)


def select(args: tuple[Any, ...], argnums: int | tuple[int, ...], what: str) -> tuple[int, ...]:
    """The places that `argnums` names, counted from 0; negative ones count from the end."""
    if isinstance(argnums, bool) or not isinstance(argnums, (int, tuple, list)):
        raise NoDerivative(f"{what}: expected argnums to be an int or a tuple of ints, got {argnums!r}")
    places = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for place in places:
        if not -len(args) <= place < len(args):
            raise NoDerivative(
                f"{what}: argnums {argnums!r} asks for argument {place}, but the function was called with {len(args)} "
                "positional arguments; keyword arguments are never differentiated"
            )
    return tuple(place % len(args) for place in places)


def real_leaves(tree: Tree, what: str) -> tuple[list[Array], Structure]:
    """The leaves of `tree` and its structure; raises if one of them is not real."""
    leaves, structure = flatten(tree)
    for i, leaf in enumerate(leaves):
        value = leaf if type(leaf) is np.ndarray else primal(leaf)
        if type(value) is np.ndarray:
            if value.dtype.kind == "f":
                continue
        elif type(value) is float or (type(value) is not int and _is_real(value)):
            continue
        place = paths(tree)[i]
        given = f"{type(value).__name__} of dtype {value.dtype}" if hasattr(value, "dtype") else repr(value)
        raise NoDerivative(
            f"{what}{place}: expected real floating-point or exact numbers, got {given}. Write 3.0 for 3, "
            "x.astype(float) for an integer array; leave labels and indices out of argnums."
        )
    return leaves, structure


def _is_real(value: Any) -> bool:
    if isinstance(value, (bool, str)):
        return False
    return backend.lookup(type(value)).is_real(value)


def check_like(primals: Sequence[Array], vectors: Sequence[Array], what: str, tree: Tree) -> None:
    """Raise unless every vector, a leaf of `tree`, has the shape of its primal."""
    for i, (x, v) in enumerate(zip(primals, vectors, strict=True)):
        if shape_of(x) != shape_of(v):
            place = f"{what}{paths(tree)[i]}"
            raise ShapeError(f"{place}: expected shape {shape_of(x)}, that of the value; got {shape_of(v)}")


def owned(g: Array, like: Array, taken: list[Any]) -> Array:
    """`g` in the dtype of `like`, sharing memory with nothing in `taken`, nor a read-only view."""
    dtype = getattr(like, "dtype", None)
    if isinstance(g, Tracer):
        return g if dtype is None or g.dtype == dtype else PRIMITIVES["astype"](g, dtype=dtype)
    if dtype is not None and g.dtype != dtype:
        g = backend.of(g).astype(g, dtype)
    if type(g) is np.ndarray and (g.base is not None or not g.flags.writeable or any(g is t for t in taken)):
        g = g.copy()
    taken.append(g)
    return g
