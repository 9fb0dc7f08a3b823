"""Linear systems whose solution is checked by multiplying back, and whether numbers may be zero."""

from __future__ import annotations

import numpy as np

from refgrad.backend import of
from refgrad.errors import Inconclusive
from refgrad.exact import bounds
from refgrad.typing import Array

__all__ = ["checked_inverse", "checked_solve", "may_vanish"]


def checked_solve(a: Array, b: Array) -> Array:
    """The solution x of ``a @ x = b``, with ``a @ x`` compared with ``b``: equal, or for balls not apart.

    Parameters
    ----------
    a : array, shape (n, n)
    b : array, shape (n,) or (n, k)

    Raises
    ------
    SingularMatrix
        If there is no unique solution.
    Inconclusive
        If the solution does not satisfy the system; then the solver is at fault.
    """
    xp = of(a, b)
    x = xp.solve(a, b) if b.ndim == 2 else xp.solve(a, b[:, None])[:, 0]
    if xp.exact and not may_vanish(a @ x - b):  # floats and terms are no truth that needs a check
        raise Inconclusive(f"the solution of a system of order {len(b)} does not satisfy it when multiplied back")
    return x


def checked_inverse(a: Array) -> Array:
    """The inverse of a matrix or of every matrix of a stack, with ``a @ x`` compared with the identity.

    Parameters
    ----------
    a : array, shape (..., n, n)

    Raises
    ------
    SingularMatrix
        If there is none.
    Inconclusive
        If the product is not the identity; then the solver is at fault.
    """
    xp = of(a)
    identity = xp.onehot(np.arange(a.shape[-1]), a.shape[-1], a)
    x = xp.solve(a, identity)
    if xp.exact and not may_vanish(a @ x - identity):
        raise Inconclusive(f"the inverse of a matrix of order {a.shape[-1]} is none when multiplied back")
    return x


def may_vanish(x: Array) -> bool:
    """Whether no element of `x` is certainly different from zero: all are zero, or balls that contain it."""
    low, high = bounds(getattr(x, "value", x))  # of terms their values
    return all(below <= 0 <= above for below, above in zip(low.flat, high.flat, strict=True))
