"""Sums of products over named axes, ``einsum``, in full: every spelling of NumPy's, brought into one normal form.

The normal form is that of the primitive (`refgrad.autodiff.rules.einsum`): two operands, every letter once in each. On
the way there a repeated letter becomes a diagonal, an axis of length 1 that meets a longer one is dropped, a letter
of one operand alone is summed, and several operands are taken two at a time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_letters
from typing import Any, NamedTuple

import numpy as np

from refgrad.autodiff.core import primal
from refgrad.autodiff.rules import einsum as rules
from refgrad.autodiff.rules import elementwise
from refgrad.backend import shape_of
from refgrad.errors import InvalidInput, ShapeError
from refgrad.numpy.conversion import asarray
from refgrad.numpy.diagonals import diagonal
from refgrad.numpy.reductions import sum
from refgrad.numpy.shapes import reshape, transpose
from refgrad.typing import Array

__all__ = ["einsum"]


class Term(NamedTuple):
    """An operand and the letters of its axes."""

    names: str
    array: Array


def einsum(subscripts: Any, *operands: Any, optimize: Any = False) -> Array:
    """Sums of products over named axes: ``einsum("ij,jk->ik", a, b)[i, k] = sum over j of a[i, j] b[j, k]``.

    Parameters
    ----------
    subscripts : str
        As NumPy's: a letter for each axis of each operand, ``...`` for any axes before, between or after them, and
        the letters of the result behind ``->``; without that, those that occur once, in alphabetical order. NumPy's
        other spelling, ``einsum(a, [0, 1], b, [1, 2], [0, 2])``, is understood too.
    *operands : arrays
        Of any shapes that fit. An axis of length 1 is repeated as often as its letter asks for elsewhere.
    optimize : bool, str or list
        In which order more than two operands are multiplied: from left to right if False, else as
        `numpy.einsum_path` finds with this setting, or as a path of its form says.

    Returns
    -------
    array
        With one axis for each letter of the result.

    Raises
    ------
    InvalidInput
        If the subscripts are not well formed, or not as many as the operands.
    ShapeError
        If they do not fit the shapes, or a letter has two lengths neither of which is 1.

    Examples
    --------
    >>> import numpy as np
    >>> import refgrad.numpy as rnp
    >>> a = np.arange(6.0).reshape(2, 3)
    >>> bool((rnp.einsum("ij,kj->ik", a, a) == a @ a.T).all())
    True
    """
    if not isinstance(subscripts, str):
        subscripts, given = _with_letters((subscripts, *operands))
        return einsum(subscripts, *given, optimize=optimize)
    arrays = _floating([asarray(x) for x in operands])
    inputs, output = _parse(subscripts, [len(shape_of(x)) for x in arrays])
    terms = _simplify([Term(names, x) for names, x in zip(inputs, arrays, strict=True)], output)
    for group in _path(terms, output, optimize):
        picked = [terms[k] for k in group]
        terms = [term for k, term in enumerate(terms) if k not in group]
        merged = picked[0]
        for k, term in enumerate(picked[1:], 2):
            others = [other.names for other in (*picked[k:], *terms)]
            merged = _product(merged, term, others, output)
        terms.append(merged)
    names, y = terms[0]
    return y if names == output else transpose(y, [names.index(c) for c in output])


def _parse(subscripts: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """The letters of each operand and of the result, with letters in place of every ``...``."""
    text = subscripts.replace(" ", "")
    inputs, arrow, output = text.partition("->")
    given = inputs.split(",")
    if not all(re.fullmatch(r"[A-Za-z]*(\.\.\.)?[A-Za-z]*", part) for part in (*given, output)):
        raise InvalidInput(
            f"einsum: expected letters, commas, at most one ... in each part, and ->; got {subscripts!r}"
        )
    if len(given) != len(ranks):
        raise InvalidInput(f"einsum: {subscripts!r} has {len(given)} parts for {len(ranks)} operands")
    extra = [rank - len(part.replace("...", "")) for part, rank in zip(given, ranks, strict=True)]
    for part, rank, more in zip(given, ranks, extra, strict=True):
        if more < 0 or (more > 0 and "..." not in part):
            raise ShapeError(f"einsum: {part!r} in {subscripts!r} does not fit an operand with {rank} axes")
    hidden = max((more for part, more in zip(given, extra, strict=True) if "..." in part), default=0)
    unused = [c for c in ascii_letters if c not in text][:hidden]
    if len(unused) < hidden:
        raise InvalidInput(f"einsum: {subscripts!r} leaves too few of the 52 letters for the axes of ...")
    wild = "".join(unused)
    # the axes of ... are aligned at their end, as in broadcasting
    named = [part.replace("...", wild[hidden - more :]) for part, more in zip(given, extra, strict=True)]
    if not arrow:
        letters = inputs.replace("...", "").replace(",", "")
        return named, wild + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    if hidden and "..." not in output:
        raise ShapeError(f"einsum: the result of {subscripts!r} has no ... for the axes of ... of the operands")
    result = output.replace("...", wild)
    if len(set(result)) != len(result) or not set(result) <= set("".join(named)):
        raise InvalidInput(f"einsum: expected each letter of the result once, and in an operand; got {subscripts!r}")
    return named, result


def _simplify(terms: Sequence[Term], output: str) -> list[Term]:
    """The operands without repeated letters, without axes of length 1 that are to be repeated, without lone letters."""
    terms = [_without_repetition(term) for term in terms]
    length: dict[str, int] = {}
    for names, x in terms:
        for c, n in zip(names, shape_of(x), strict=True):
            known = length.setdefault(c, n)
            if known == 1:
                length[c] = n
            elif n not in (1, known):
                raise ShapeError(f"einsum: the axis {c!r} has length {known} in one operand and {n} in another")
    for k, (names, x) in enumerate(terms):
        keep = [(c, n) for c, n in zip(names, shape_of(x), strict=True) if n == length[c]]
        if len(keep) < len(names):
            terms[k] = Term("".join(c for c, _ in keep), reshape(x, [n for _, n in keep]))
    for k, (names, x) in enumerate(terms):
        elsewhere = output + "".join(term.names for j, term in enumerate(terms) if j != k)
        lone = tuple(i for i, c in enumerate(names) if c not in elsewhere)
        if lone:
            terms[k] = Term("".join(c for c in names if c in elsewhere), sum(x, lone))
    return terms


def _without_repetition(term: Term) -> Term:
    names, x = term
    for c in sorted(set(names)):
        while names.count(c) > 1:
            first = names.index(c)
            second = names.index(c, first + 1)
            if shape_of(x)[first] != shape_of(x)[second]:
                raise ShapeError(f"einsum: the axis {c!r} occurs twice in an operand of shape {shape_of(term.array)}")
            x = diagonal(x, 0, first, second)
            names = names[:first] + names[first + 1 : second] + names[second + 1 :] + c
    return Term(names, x)


def _path(terms: Sequence[Term], output: str, optimize: Any) -> list[tuple[int, ...]]:
    """Which terms are multiplied with one another, step by step; each product goes to the end of the list."""
    if optimize is False or len(terms) < 3:
        return [tuple(range(len(terms)))]
    # only the shapes matter, so these take no memory
    shapes = [np.broadcast_to(np.empty(()), shape_of(x)) for _, x in terms]
    subscripts = ",".join(names for names, _ in terms) + "->" + output
    return [tuple(step) for step in np.einsum_path(subscripts, *shapes, optimize=optimize)[0][1:]]


def _product(a: Term, b: Term, others: Sequence[str], output: str) -> Term:
    """The product of two terms, summed over the letters that neither the `others` nor the result have."""
    every = a.names + "".join(c for c in b.names if c not in a.names)
    names = "".join(c for c in every if c in output or any(c in other for other in others)) if others else output
    if not a.names or not b.names or (a.names == b.names and len(names) == len(every)):
        return Term(a.names or b.names, a.array * b.array)
    return Term(names, rules.einsum(a.array, b.array, subscripts=f"{a.names},{b.names}->{names}"))


def _with_letters(given: Sequence[Any]) -> tuple[str, list[Any]]:
    """Subscripts and operands of ``einsum(a, [0, 1], b, [1, 2], [0, 2])``."""
    operands, lists = list(given[: len(given) - len(given) % 2 : 2]), list(given[1::2])

    def letters(axes: Any) -> str:
        return "".join("..." if n is Ellipsis else ascii_letters[n] for n in axes)

    try:
        subscripts = ",".join(letters(axes) for axes in lists)
        return (subscripts + "->" + letters(given[-1]) if len(given) % 2 else subscripts), operands
    except (TypeError, IndexError):
        raise InvalidInput(
            "einsum: expected subscripts such as 'ij,jk->ik' first, or arrays and lists of ints below 52 in turn"
        ) from None


def _floating(arrays: list[Array]) -> list[Array]:
    """Integers and booleans beside floats in the dtype that NumPy gives the product, so that sums of them fit it."""
    dtypes = [getattr(x, "dtype", None) for x in map(primal, arrays)]
    if not any(isinstance(d, np.dtype) and d.kind == "f" for d in dtypes):
        return arrays
    wide = np.result_type(*(d for d in dtypes if isinstance(d, np.dtype)))
    narrow = [isinstance(d, np.dtype) and d.kind in "biu" for d in dtypes]
    return [elementwise.astype(x, dtype=wide) if n else x for x, n in zip(arrays, narrow, strict=True)]
