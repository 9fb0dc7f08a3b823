"""Containers of arrays as vectors: inner product, scaled sum, and one long vector."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from refgrad.backend import of, shape_of
from refgrad.errors import ShapeError
from refgrad.tree.containers import Structure, flatten, map
from refgrad.typing import Array, Scalar, Shape, Tree

__all__ = ["axpy", "dot", "ravel"]


def dot(x: Tree, y: Tree) -> Scalar:
    """The inner product of two containers of one structure, summed over all their elements.

    Parameters
    ----------
    x, y : trees of one structure

    Raises
    ------
    ShapeError
        If they have two structures.
    """
    xs, structure = flatten(x)
    ys, other = flatten(y)
    if structure != other:
        raise ShapeError(f"expected two containers of one structure, {structure!r}; got {other!r}")
    total: Scalar = 0
    for i, (a, b) in enumerate(zip(xs, ys, strict=True)):
        product = a * b
        term = _namespace([product]).sum(product)
        total = total + term if i else term
    return total


def axpy(a: Scalar, x: Tree, y: Tree) -> Tree:
    """``a * x + y``, leaf by leaf.

    Parameters
    ----------
    a : number or array, shape ()
    x, y : trees of one structure
    """
    return map(lambda u, v: a * u + v, x, y)


def ravel(tree: Tree) -> tuple[Array, Callable[[Array], Tree]]:
    """All leaves as one vector of shape (n,), and the function that undoes it, also for traced vectors.

    Parameters
    ----------
    tree : tree

    Raises
    ------
    ShapeError
        If there is no leaf.
    """
    leaves, structure = flatten(tree)
    if not leaves:
        raise ShapeError("expected a container with at least one array, got one without")
    xp = _namespace(leaves)
    shapes = [shape_of(leaf) for leaf in leaves]
    parts = [xp.reshape(leaf, (math.prod(shape),)) for leaf, shape in zip(leaves, shapes, strict=True)]
    return parts[0] if len(parts) == 1 else xp.concat(parts), partial(_unravel, structure, shapes)


def _unravel(structure: Structure, shapes: Sequence[Shape], vector: Array) -> Tree:
    xp = _namespace([vector])
    if len(shapes) == 1:  # as of most functions of a vector; the derivative of a slice is a copy
        return structure.unflatten([xp.reshape(vector, shapes[0])])
    pieces, start = [], 0
    for shape in shapes:
        size = math.prod(shape)
        pieces.append(xp.reshape(vector[start : start + size], shape))
        start += size
    return structure.unflatten(pieces)


def _namespace(leaves: Sequence[Array]) -> Any:
    """The namespace that serves all leaves: that of a traced or exact one if there is any, else NumPy or CuPy."""
    for leaf in leaves:
        if not isinstance(leaf, (np.ndarray, np.generic, int, float)):
            return leaf.__array_namespace__() if hasattr(leaf, "__array_namespace__") else of(leaf).xp
    return np
