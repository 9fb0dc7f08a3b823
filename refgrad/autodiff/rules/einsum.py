"""Sums of products of two arrays over named axes, in a normal form that is closed under differentiation.

``ij,jk->ik`` means ``y[i, k] = sum over j of a[i, j] b[j, k]``. In normal form there are two operands, no letter occurs
twice in one of them or in the result, every letter occurs in at least two of the three, and it has one length wherever
it occurs. Then the result is linear in each operand, and the cotangent of one of them is the same kind of sum with the
roles exchanged: ``abar[i, j] = sum over k of ybar[i, k] b[j, k]``. `refgrad.numpy.einsum` brings everything else
(diagonals, lone letters, lengths of 1, one or many operands) into this form.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_letters
from typing import Any

from refgrad.autodiff.core import Primitive
from refgrad.autodiff.domains import case, real
from refgrad.errors import ShapeError
from refgrad.typing import Array

__all__ = ["einsum"]


def _parts(subscripts: str) -> tuple[str, str, str]:
    inputs, out = subscripts.split("->")
    left, right = inputs.split(",")
    return left, right, out


def _jvp(y: Array, xs: Sequence[Array], ts: Sequence[Array], subscripts: str) -> Array:
    (a, b), (da, db) = xs, ts
    if db is None:
        return einsum(da, b, subscripts=subscripts)
    moved = einsum(a, db, subscripts=subscripts)
    return moved if da is None else einsum(da, b, subscripts=subscripts) + moved


def _vjp(i: int, g: Array, y: Array, a: Array, b: Array, subscripts: str) -> Array:
    left, right, out = _parts(subscripts)
    if i == 0:
        return einsum(g, b, subscripts=f"{out},{right}->{left}")
    return einsum(a, g, subscripts=f"{left},{out}->{right}")


def _batch(size: int, mapped: Sequence[bool], args: Sequence[Any], params: dict[str, Any]) -> Array:
    unused = [c for c in ascii_letters if c not in params["subscripts"]]
    if not unused:
        raise ShapeError(f"einsum inside vmap: {params['subscripts']!r} leaves none of the 52 letters for the examples")
    example = unused[0]
    left, right, out = _parts(params["subscripts"])
    first, second = (example if m else "" for m in mapped)
    return einsum(*args, subscripts=f"{first}{left},{second}{right}->{example}{out}")


einsum: Primitive = Primitive(
    "einsum",
    lambda xp, a, b, subscripts: xp.einsum(subscripts, a, b),
    jvp=_jvp,
    vjp=_vjp,
    batch=_batch,
    source="np.einsum({subscripts!r}, {0}, {1}, optimize=True)",
    cases=(
        case(real(2, 3), real(3, 2), subscripts="ij,jk->ik"),
        case(real(3), real(3), subscripts="i,i->"),
        case(real(2, 3, 2), real(2, 3), subscripts="bij,bi->jb"),
        case(real(2), real(3), subscripts="i,j->ji"),
        case(real(2, 3), real(3, 2), subscripts="ij,ji->ij"),
        case(real(), real(2), subscripts=",i->i"),
        case(real(2, 1, 2), real(2, 2), subscripts="iaj,ji->a"),
    ),
)
