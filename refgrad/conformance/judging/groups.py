"""What some problems have in common that others have not, in words: ``steps >= 4``, ``sizes unequal``.

The properties are those that the contract's wide problems are made by and that any problem can be asked for; see
`refgrad.contracts.wide`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refgrad.contracts.contract import Contract, Problem

__all__ = ["begins", "in_common", "labels", "properties", "shared_words", "where"]


def properties(contract: Contract, problem: Problem) -> dict[str, tuple[Any, ...]]:
    """The properties of one problem, each a tuple of numbers or of words."""
    if contract.wide is None:
        return {}
    measured = contract.wide.measure(problem.inputs)
    return {name: value if isinstance(value, tuple) else (value,) for name, value in measured.items()}


def labels(contract: Contract, problem: Problem) -> set[tuple[str, str]]:
    """The properties that are words, such as the loss of a problem, and whether its sizes are equal."""
    found = properties(contract, problem)
    return {(name, value) for name, values in found.items() for value in values if isinstance(value, str)}


def in_common(contract: Contract, members: Sequence[Problem], others: Sequence[Problem]) -> str | None:
    """What all `members` have and none of the `others`, two properties at most; None if there is none, or nobody else.

    One number comes before words, these before all numbers from a bound on.
    """
    inside, outside = ([properties(contract, p) for p in group] for group in (members, others))
    if not inside or not outside:
        return None
    names = [name for name in inside[0] if all(name in found for found in (*inside, *outside))]
    found = [words for name in names for words in (_common(name, inside, outside),) if words is not None]
    return " and ".join(words for _, words in sorted(found, key=lambda pair: pair[0])[:2]) or None


def where(contract: Contract, members: Sequence[Problem], others: Sequence[Problem]) -> str:
    """The end of a sentence on `members`: what they have in common, if that says something; else nothing.

    Others may have it too, if they are not more: a function that ignores steps beyond the fourth is right where the
    learning rate is zero.
    """
    words = in_common(contract, members, others)
    if words is not None:
        return f", those with {words}"
    inside, outside = ([properties(contract, p) for p in group] for group in (members, others))
    if not inside or not outside:
        return ""
    found = []
    for name in inside[0].keys() - {"memory"}:  # which of a few failures is alike by chance
        have = [p for p in outside if p.get(name)]
        without = [p for p in have if _common(name, inside, [p])]
        left = len(have) - len(without)
        shared = _common(name, inside, without) if without else None
        if shared is not None and left <= len(inside):
            found.append((left, *shared))
    return f", all of them with {min(found)[2]}" if found else ""


def begins(contract: Contract, members: Sequence[Problem], others: Sequence[Problem]) -> bool:
    """Whether some size tells `members` as the larger ones, though several of the `others` are larger than two.

    No iteration is exact for four and leaves a rest for five; for two, many are.
    """
    inside, outside = ([properties(contract, p) for p in group] for group in (members, others))
    for name, values in inside[0].items() if inside else ():
        if isinstance(values[0], str) or any(not p.get(name) for p in (*inside, *outside)):
            continue
        here, there = ([max(p[name]) for p in group] for group in (inside, outside))
        if there and min(here) > max(there) and sum(n > 2 for n in there) >= 3:
            return True
    return False


def shared_words(contract: Contract, members: Sequence[Problem], others: Sequence[Problem]) -> str | None:
    """As `in_common`, of groups that a contract names, such as unequal sizes, and of sizes that are 1 or 0."""
    inside, outside = ([properties(contract, p) for p in group] for group in (members, others))
    if not inside or not outside:
        return None
    names = [name for name, values in inside[0].items() if values and (isinstance(values[0], str) or max(values) <= 1)]
    names = [name for name in names if name != "memory"]  # how an input lies in memory is no group of problems
    found = [_common(name, inside, outside) for name in names if all(p.get(name) for p in (*inside, *outside))]
    return next((pair[1] for pair in found if pair is not None), None)


def _common(
    name: str, inside: Sequence[dict[str, tuple[Any, ...]]], outside: Sequence[dict[str, tuple[Any, ...]]]
) -> tuple[int, str] | None:
    """A rank, the lower the plainer, and the words for a property that tells all of `inside` from `outside`."""
    if any(not p.get(name) for p in (*inside, *outside)):
        return None
    if isinstance(inside[0][name][0], str):
        words = {word for p in inside for word in p[name]}
        if any(words & set(p[name]) for p in outside):
            return None
        return 1, f"{name} {' or '.join(sorted(words))}"
    here, there = ([max(p[name]) for p in group] for group in (inside, outside))
    if len(set(here)) == 1 and here[0] not in there and float(here[0]).is_integer():  # a size, no measurement
        return 0, f"{name} = {here[0]:g}"
    if min(here) > max(there):
        return 2, f"{name} >= {min(here):g}"
    if max(here) < min(there):
        return 2, f"{name} <= {max(here):g}"
    return None
