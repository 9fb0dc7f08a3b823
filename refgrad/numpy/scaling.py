"""Multiplication by powers of two, which loses nothing."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from refgrad import backend
from refgrad.autodiff.core import primal, value_of
from refgrad.errors import InvalidInput
from refgrad.numpy.elementwise import asarray, float_limits
from refgrad.typing import Array


def ldexp(x: Any, n: Any) -> Array:
    """``x * 2**n`` for integers n, which have no derivative; exact but for overflow, and underflow to subnormals."""
    x, n = asarray(x), np.asarray(value_of(asarray(n)))
    if n.dtype.kind not in "iu":
        raise InvalidInput(f"ldexp: expected integers n, got dtype {n.dtype}; write x * exp2(n) for others")
    plain = primal(x)
    table = backend.of(plain)
    if table.exact:
        powers = [Fraction(2) ** k for k in n.ravel().tolist()]
        return x * table.xp.asarray(np.array([*powers, None], object)[:-1].reshape(n.shape))
    limits = float_limits(plain)
    n = np.clip(n.astype(int), -8 * limits.maxexp, 8 * limits.maxexp)
    while True:  # powers beyond the range of the dtype, one within it after another
        part = np.clip(n, limits.minexp, limits.maxexp - 1)
        factor = np.ldexp(limits.dtype.type(1), part)
        x = x * (factor if table is backend.NUMPY else table.xp.asarray(factor))
        n = n - part
        if not n.any():
            return x
