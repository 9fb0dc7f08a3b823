"""Taking containers apart into their arrays and putting them together again.

Dict entries are taken in sorted order of their keys, so that two dicts with the same keys have the same leaves in
the same order; the rebuilt dict keeps the order of the original. None is a container without leaves.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np

from refgrad.errors import ShapeError
from refgrad.typing import Array, Tree

__all__ = ["Structure", "flatten", "map", "paths"]


class Structure:
    """What is left of a container when its leaves are taken out. Made by `flatten`."""

    __slots__ = ("children", "flat", "keys", "kind", "size", "template")

    def __init__(self, kind: str, template: Any, keys: tuple[Any, ...], children: tuple[Structure, ...]) -> None:
        self.kind, self.template, self.keys, self.children = kind, template, keys, children
        self.size: int = 1 if kind == "leaf" else sum(child.size for child in children)
        self.flat = template is tuple and all(child is LEAF for child in children)

    def unflatten(self, leaves: Sequence[Array]) -> Tree:
        """The container with `leaves`, in the order of `flatten`."""
        if len(leaves) != self.size:
            raise ShapeError(f"expected {self.size} leaves for {self!r}, got {len(leaves)}")
        return tuple(leaves) if self.flat else self._build(iter(leaves))

    def _build(self, leaves: Iterator[Array]) -> Tree:
        if self.kind == "leaf":
            return next(leaves)
        if self.kind == "none":
            return None
        values = [child._build(leaves) for child in self.children]
        if self.kind == "dict":
            built = dict(zip(self.keys, values, strict=True))
            ordered = {key: built[key] for key in self.template[1]}
            if self.template[0] is dict:
                return ordered
            filled = copy.copy(self.template[2])  # an empty one, which keeps what else the type holds
            filled.update(ordered)
            return filled
        if self.kind == "namedtuple":
            return self.template(*values)
        if self.kind == "dataclass":
            return dataclasses.replace(self.template, **dict(zip(self.keys, values, strict=True)))
        return self.template(values)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Structure)
            and self.kind == other.kind
            and self.keys == other.keys
            and self._type() is other._type()
            and self.children == other.children
        )

    def __hash__(self) -> int:
        return hash((self.kind, self.keys, self.children))

    def _type(self) -> Any:
        if self.kind == "dict":
            return self.template[0]
        return type(self.template) if self.kind == "dataclass" else self.template

    def __repr__(self) -> str:
        if self.kind in ("leaf", "none"):
            return "*" if self.kind == "leaf" else "None"
        if self.kind in ("list", "tuple"):
            inside = ", ".join(repr(c) for c in self.children)
            return f"[{inside}]" if self.kind == "list" else f"({inside})"
        inside = ", ".join(f"{k}={c!r}" for k, c in zip(self.keys, self.children, strict=True))
        return f"{self._type().__name__}({inside})"


LEAF = Structure("leaf", None, (), ())
_LEAF_TYPES: set[type] = {np.ndarray}  # whether a value is a leaf depends on its type alone


def flatten(tree: Tree) -> tuple[list[Array], Structure]:
    """The leaves of `tree` in order, and its structure.

    Parameters
    ----------
    tree : tree
    """
    if type(tree) in _LEAF_TYPES:
        return [tree], LEAF
    leaves: list[Array] = []
    return leaves, _collect(tree, leaves)


def _entries(tree: Tree) -> tuple[str, Any, tuple[Any, ...], Sequence[Any]] | None:
    """Kind, template, keys and values of a container; None for a leaf."""
    if isinstance(tree, dict):
        keys = tuple(sorted(tree, key=lambda key: (type(key).__name__, key)))
        return "dict", (type(tree), tuple(tree), _empty_like(tree)), keys, [tree[key] for key in keys]
    if isinstance(tree, tuple):
        fields = getattr(type(tree), "_fields", None)
        return ("tuple", type(tree), (), tree) if fields is None else ("namedtuple", type(tree), fields, tree)
    if isinstance(tree, list):
        return "list", type(tree), (), tree
    if tree is None:
        return "none", None, (), ()
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        fields = tuple(f.name for f in dataclasses.fields(tree) if f.init)
        return "dataclass", tree, fields, [getattr(tree, name) for name in fields]
    return None


def _empty_like(mapping: dict[Any, Any]) -> dict[Any, Any] | None:
    if type(mapping) is dict:
        return None
    empty = copy.copy(mapping)
    empty.clear()
    return empty


@cache
def _flat(n: int) -> Structure:
    """The structure of a tuple of n leaves."""
    return Structure("tuple", tuple, (), (LEAF,) * n)


def _collect(tree: Tree, leaves: list[Array]) -> Structure:
    if type(tree) is tuple and _LEAF_TYPES.issuperset([type(value) for value in tree]):
        leaves.extend(tree)
        return _flat(len(tree))
    entries = None if type(tree) in _LEAF_TYPES else _entries(tree)
    if entries is None:
        _LEAF_TYPES.add(type(tree))
        leaves.append(tree)
        return LEAF
    kind, template, keys, values = entries
    return Structure(kind, template, keys, tuple(_collect(value, leaves) for value in values))


def map(function: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    """`function` applied to the leaves of `tree` and of `others`, in the containers of `tree`.

    Parameters
    ----------
    function : callable
    tree, *others : trees of one structure

    Raises
    ------
    ShapeError
        If there are two structures.
    """
    leaves, structure = flatten(tree)
    columns = [leaves]
    for other in others:
        more, its_structure = flatten(other)
        if its_structure != structure:
            raise ShapeError(f"expected containers of one structure, {structure!r}; got {its_structure!r}")
        columns.append(more)
    return structure.unflatten([function(*row) for row in zip(*columns, strict=True)])


def paths(tree: Tree, prefix: str = "") -> list[str]:
    """Where each leaf is, as one would write it: ``['w'][0]``; in the order of `flatten`.

    Parameters
    ----------
    tree : tree
    prefix : str
        What is written before each.
    """
    entries = _entries(tree)
    if entries is None:
        return [prefix]
    kind, _, keys, values = entries
    names = keys if keys else range(len(values))
    marks = [f".{name}" if kind in ("namedtuple", "dataclass") else f"[{name!r}]" for name in names]
    return [path for mark, value in zip(marks, values, strict=True) for path in paths(value, prefix + mark)]
