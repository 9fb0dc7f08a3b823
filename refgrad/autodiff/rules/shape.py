"""Primitives that move elements and leave them as they are.

They come in pairs of transposes, so the set is closed under differentiation: `broadcast_to` and `sum_to`, `slice_`
and `pad`, `concat` and slices, `reshape` and `transpose` with their own inverses. `flip` and `tri_mask` are their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refgrad.autodiff.core import Primitive, Unary
from refgrad.autodiff.domains import case, real
from refgrad.autodiff.primitive import sum_to_shape, zeros_like
from refgrad.backend import shape_of
from refgrad.typing import Array

__all__ = [
    "broadcast_to", "concat", "flip", "pad", "reshape", "slice_", "sum_to", "transpose", "tri_mask",
    "with_examples",
]  # fmt: skip

reshape: Primitive = Unary(
    "reshape",
    lambda xp, x, shape: xp.reshape(x, shape),
    jvp=lambda y, xs, ts, shape: reshape.apply(ts[0], shape=shape),
    vjp=lambda i, g, y, x, shape: reshape(g, shape=shape_of(x)),
    batch=lambda size, mapped, args, params: reshape(args[0], shape=(size, *params["shape"])),
    source="np.reshape({0}, {shape})",
    cases=(case(real(2, 3), shape=(3, 2)), case(real(2, 3), shape=(6,)), case(real(), shape=(1, 1))),
)


def inverse_permutation(axes: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that undoes `axes`."""
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


transpose: Primitive = Unary(
    "transpose",
    lambda xp, x, axes: xp.transpose(x, axes),
    jvp=lambda y, xs, ts, axes: transpose.apply(ts[0], axes=axes),
    vjp=lambda i, g, y, x, axes: transpose(g, axes=inverse_permutation(axes)),
    batch=lambda size, mapped, args, params: transpose(args[0], axes=(0, *(a + 1 for a in params["axes"]))),
    source="np.transpose({0}, {axes})",
    cases=(case(real(2, 3), axes=(1, 0)), case(real(2, 3, 4), axes=(2, 0, 1))),
)


def _broadcast_batch(size: int, mapped: Sequence[bool], args: Sequence[Any], params: dict[str, Any]) -> Array:
    (x,), shape = args, params["shape"]
    given = shape_of(x)[1:]
    spread = (size, *(1,) * (len(shape) - len(given)), *given)
    return broadcast_to(x if spread == shape_of(x) else reshape(x, shape=spread), shape=(size, *shape))


broadcast_to: Primitive = Unary(
    "broadcast_to",
    lambda xp, x, shape: xp.broadcast_to(x, shape),
    jvp=lambda y, xs, ts, shape: broadcast_to.apply(ts[0], shape=shape),
    vjp=lambda i, g, y, x, shape: sum_to(g, shape=shape_of(x)),
    batch=_broadcast_batch,
    source="broadcast_to({0}, {shape})",
    cases=(case(real(3), shape=(2, 3)), case(real(2, 1), shape=(2, 3)), case(real(), shape=(2,))),
)


def _sum_to_batch(size: int, mapped: Sequence[bool], args: Sequence[Any], params: dict[str, Any]) -> Array:
    (x,), shape = args, params["shape"]
    extra = len(shape_of(x)) - 1 - len(shape)
    whole = (size, *(1,) * extra, *shape)
    y = x if shape_of(x) == whole else sum_to(x, shape=whole)
    return reshape(y, shape=(size, *shape)) if extra else y


sum_to: Primitive = Unary(
    "sum_to",
    sum_to_shape,
    jvp=lambda y, xs, ts, shape: sum_to.apply(ts[0], shape=shape),
    vjp=lambda i, g, y, x, shape: broadcast_to(g, shape=shape_of(x)),
    batch=_sum_to_batch,
    source="sum_to({0}, {shape})",
    cases=(
        case(real(2, 3), shape=(3,)),
        case(real(2, 3), shape=(2, 1)),
        case(real(2, 3), shape=()),
        case(real(2), shape=(2,)),
    ),
)


slice_: Primitive = Unary(
    "slice",
    lambda x, index: x[index],
    jvp=lambda y, xs, ts, index: slice_(ts[0], index=index),
    vjp=lambda i, g, y, x, index: pad(g, shape=shape_of(x), index=index),
    batch=lambda size, mapped, args, params: slice_(args[0], index=(slice(None), *params["index"])),
    source="{0}[{index}]",
    cases=(
        case(real(4, 3), index=(slice(1, 3), slice(None))),
        case(real(5), index=(slice(None, None, -2),)),
        case(real(3, 2), index=(slice(0, 0), slice(1, 2))),
    ),
    needs_table=False,
)

pad: Primitive = Unary(
    "pad",
    lambda xp, x, shape, index: xp.pad(x, shape, index),
    jvp=lambda y, xs, ts, shape, index: pad(ts[0], shape=shape, index=index),
    vjp=lambda i, g, y, x, shape, index: slice_(g, index=index),
    batch=lambda size, mapped, args, params: pad(
        args[0], shape=(size, *params["shape"]), index=(slice(None), *params["index"])
    ),
    source="pad({0}, {shape}, {index})",
    cases=(
        case(real(2, 3), shape=(4, 3), index=(slice(1, 3), slice(None))),
        case(real(3), shape=(5,), index=(slice(None, None, -2),)),
    ),
)


def _concat_jvp(y: Array, xs: Sequence[Array], ts: Sequence[Array], axis: int) -> Array:
    # a part without a tangent takes part as zeros
    parts = [zeros_like(x) if t is None else t for x, t in zip(xs, ts, strict=True)]
    return concat(*parts, axis=axis)


def _concat_vjp(i: int, g: Array, y: Array, *xs: Array, axis: int) -> Array:
    start = sum(shape_of(x)[axis] for x in xs[:i])
    span = slice(start, start + shape_of(xs[i])[axis])
    everything = slice(None)
    return slice_(g, index=tuple(span if k == axis else everything for k in range(len(shape_of(g)))))


def with_examples(size: int, mapped: bool, x: Array) -> Array:
    """`x` with an example axis in front, if it has none."""
    return x if mapped else broadcast_to(x, shape=(size, *shape_of(x)))


def _concat_batch(size: int, mapped: Sequence[bool], args: Sequence[Any], params: dict[str, Any]) -> Array:
    parts = [with_examples(size, m, x) for m, x in zip(mapped, args, strict=True)]
    return concat(*parts, axis=params["axis"] + 1)


concat: Primitive = Primitive(
    "concat",
    lambda xp, *parts, axis: xp.concat(parts, axis),
    jvp=_concat_jvp,
    vjp=_concat_vjp,
    batch=_concat_batch,
    source="np.concatenate([{all}], axis={axis})",
    cases=(case(real(2, 3), real(1, 3), axis=0), case(real(2, 1), real(2, 2), real(2, 3), axis=1)),
)

flip: Primitive = Unary(
    "flip",
    lambda xp, x, axes: xp.flip(x, axes),
    jvp=lambda y, xs, ts, axes: flip(ts[0], axes=axes),
    vjp=lambda i, g, y, x, axes: flip(g, axes=axes),
    batch=lambda size, mapped, args, params: flip(args[0], axes=tuple(a + 1 for a in params["axes"])),
    source="np.flip({0}, {axes})",
    cases=(case(real(3), axes=(0,)), case(real(2, 3, 2), axes=(0, 2)), case(real(2, 3), axes=())),
)

tri_mask: Primitive = Unary(
    "tri_mask",
    lambda xp, x, part, k: xp.tri_mask(x, part, k),
    jvp=lambda y, xs, ts, part, k: tri_mask(ts[0], part=part, k=k),
    vjp=lambda i, g, y, x, part, k: tri_mask(g, part=part, k=k),
    batch=lambda size, mapped, args, params: tri_mask(args[0], **params),
    source="np.{part}({0}, {k})",
    cases=(
        case(real(3, 3), part="tril", k=0),
        case(real(2, 3, 2), part="tril", k=-1),
        case(real(2, 3), part="triu", k=1),
        case(real(3, 2), part="triu", k=-1),
    ),
)
