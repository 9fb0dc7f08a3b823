"""Attention.

References
----------
.. [vaswani2017] A. Vaswani et al., Attention is all you need, NeurIPS 2017, eq. (1).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.autodiff.rules import elementwise
from refgrad.backend import shape_of
from refgrad.errors import InvalidInput, ShapeError
from refgrad.numpy.conversion import asarray
from refgrad.numpy.creation import number_like
from refgrad.numpy.elementwise import exp, sqrt, where
from refgrad.numpy.indexing import beside
from refgrad.numpy.products import matmul
from refgrad.numpy.reductions import max, min, softmax, sum
from refgrad.numpy.shapes import matrix_transpose
from refgrad.typing import Array, Shape


def dot_product_attention(
    queries: Any, keys: Any, values: Any, *, mask: Any = None, causal: bool = False, scale: Any = None
) -> Array:
    """``softmax(scale * queries @ keys.mT) @ values``, the softmax over the keys [vaswani2017]_, eq. (1).

    Parameters
    ----------
    queries : array, shape (..., T, d)
    keys : array, shape (..., S, d)
    values : array, shape (..., S, e)
    mask : array of booleans, broadcast to shape (..., T, S), optional
        True where a query may attend to a key.
    causal : bool
        Whether query i attends to the keys j <= i only.
    scale : number, optional
        ``1 / sqrt(d)`` if none is given.

    Returns
    -------
    array, shape (..., T, e)
        Zeros for a query that may attend to nothing, with derivative 0.

    Raises
    ------
    ShapeError
        If the shapes do not fit one another.
    InvalidInput
        If the mask is of floats: elsewhere such numbers are added to the scores, so that 0 leaves a key in.
    """
    q, k, v = asarray(queries), asarray(keys), asarray(values)
    dims = shape_of(q), shape_of(k), shape_of(v)
    masked = () if mask is None else shape_of(asarray(mask))
    if not _fit(*dims, masked):
        raise ShapeError(
            "dot_product_attention: expected shapes (..., T, d), (..., S, d), (..., S, e) and a mask that is broadcast "
            f"to (..., T, S), got {dims[0]}, {dims[1]}, {dims[2]} and {None if mask is None else masked}"
        )
    if mask is not None and getattr(getattr(asarray(mask), "dtype", None), "kind", "b") not in "biu":
        raise InvalidInput(
            "dot_product_attention: expected a mask of booleans, True where a query may attend to a key; got one of "
            f"{asarray(mask).dtype}. Of numbers to be added to the scores, 0 or -inf, write mask == 0."
        )
    scores = matmul(q, matrix_transpose(k))
    scores = scores / sqrt(number_like(q, shape_of(q)[-1])) if scale is None else scores * scale
    if causal:
        earlier = beside(np.tri(*shape_of(scores)[-2:], dtype=bool), scores)
        mask = earlier if mask is None else where(beside(asarray(mask), scores), earlier, False)
    weights = softmax(scores, -1) if mask is None else _masked_softmax(scores, beside(asarray(mask), scores))
    return matmul(weights, v)


def _fit(q: Shape, k: Shape, v: Shape, mask: Shape) -> bool:
    if any(len(dims) < 2 for dims in (q, k, v)) or q[-1] != k[-1] or k[-2] != v[-2]:
        return False
    try:
        np.broadcast_shapes((*q[:-1], 1), (*k[:-2], 1, k[-2]), (*v[:-2], 1, 1), mask)
    except ValueError:
        return False
    return True


def _masked_softmax(x: Array, mask: Array) -> Array:
    """The softmax over the last axis of those elements where `mask` holds; 0 elsewhere, and where it holds nowhere."""
    lowest = min(elementwise.stop_gradient(x), -1, keepdims=True)
    # a softmax does not depend on what is subtracted, so neither does its derivative
    top = max(elementwise.stop_gradient(where(mask, x, lowest)), -1, keepdims=True)
    # an element that is left out may be far above the top: it must not overflow before it is left out
    e = where(mask, exp(where(mask, x - top, 0)), 0)
    total = sum(e, -1, keepdims=True)
    return e / where(total == 0, 1, total)
