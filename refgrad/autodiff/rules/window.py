"""Sliding windows, and the transpose, which adds windows back where they overlap.

Along one axis of length n, windows of w elements that start every s elements and take every d-th element

    y[p, q] = x[s p + d q],    p = 0 ... (n - d (w - 1) - 1) // s,    q = 0 ... w - 1

and the transpose is ``x[j] = sum of y[p, q] over s p + d q = j`` (im2col and col2im). Both are linear and each other's
derivative, so convolution and pooling are contractions and maxima of windows, with no rules of their own.
"""

from __future__ import annotations

from refgrad.autodiff.core import Primitive, Unary
from refgrad.autodiff.domains import case, real
from refgrad.backend import shape_of

__all__ = ["fold", "windows"]

windows: Primitive = Unary(
    "windows",
    lambda xp, x, shape, strides, dilation: xp.windows(x, shape, strides, dilation),
    jvp=lambda y, xs, ts, **given: windows(ts[0], **given),
    vjp=lambda i, g, y, x, shape, strides, dilation: fold(
        g, size=shape_of(x)[-len(shape) :], strides=strides, dilation=dilation
    ),
    batch=lambda size, mapped, args, given: windows(args[0], **given),
    source="windows({0}, {shape}, {strides}, {dilation})",
    cases=(
        case(real(5), shape=(2,), strides=(1,), dilation=(1,)),
        case(real(2, 6), shape=(2,), strides=(3,), dilation=(2,)),
        case(real(2, 4, 5), shape=(2, 3), strides=(2, 1), dilation=(1, 2)),
        case(real(3, 3), shape=(3, 1), strides=(1, 2), dilation=(1, 1)),
    ),
)

fold: Primitive = Unary(
    "fold",
    lambda xp, g, size, strides, dilation: xp.fold(g, size, strides, dilation),
    jvp=lambda y, xs, ts, **given: fold(ts[0], **given),
    vjp=lambda i, c, y, g, size, strides, dilation: windows(
        c, shape=shape_of(g)[-len(size) :], strides=strides, dilation=dilation
    ),
    batch=lambda size, mapped, args, given: fold(args[0], **given),
    source="fold({0}, {size}, {strides}, {dilation})",
    cases=(
        case(real(4, 2), size=(5,), strides=(1,), dilation=(1,)),
        case(real(2, 2, 2), size=(6,), strides=(3,), dilation=(2,)),
        case(real(2, 1, 2, 3), size=(4, 5), strides=(2, 1), dilation=(1, 2)),
    ),
)
