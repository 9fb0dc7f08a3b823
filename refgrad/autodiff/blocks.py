"""How many examples fit into memory at once."""

from __future__ import annotations

import math
from collections.abc import Iterator

from refgrad.autodiff.core import primal
from refgrad.backend import shape_of
from refgrad.tree import flatten
from refgrad.typing import Tree

__all__ = ["BLOCK", "nbytes", "spans"]

BLOCK = 2**24
"""Bytes of the largest array of a block; a few of them exist at the same time, 64 MB in all."""


def spans(count: int, size: int) -> Iterator[slice]:
    """`count` examples of `size` bytes each in blocks of at most `BLOCK` bytes, or of one example."""
    step = max(1, BLOCK // max(size, 1))
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def nbytes(tree: Tree) -> int:
    """The bytes of all arrays in `tree`; an exact number counts as 64."""
    return sum(
        math.prod(shape_of(leaf)) * int(getattr(getattr(primal(leaf), "dtype", None), "itemsize", 64))
        for leaf in flatten(tree)[0]
    )
