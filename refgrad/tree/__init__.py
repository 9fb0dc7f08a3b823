"""Nested containers of arrays: dicts, lists, tuples, namedtuples and dataclasses.

`flatten` lists the arrays of a container and remembers its shape; `map`, `ravel`, `dot` and `axpy` work leaf by leaf.

>>> from refgrad import tree
>>> leaves, structure = tree.flatten({"w": [1, 2], "b": 3})
>>> leaves
[3, 1, 2]
>>> structure.unflatten([30, 10, 20])
{'w': [10, 20], 'b': 30}
"""

from __future__ import annotations

from refgrad.tree.algebra import axpy, dot, ravel
from refgrad.tree.containers import Structure, flatten, map, paths

__all__ = ["Structure", "axpy", "dot", "flatten", "map", "paths", "ravel"]
