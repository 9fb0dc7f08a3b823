"""Deviations along axes: what people's code does differently, one choice at a time, and two at a time.

A *recipe* is a frozen dataclass with one field for each axis; its defaults are the contract's own choices. One function
computes any recipe. A `Choice` sets one field to something else (or several, if they only make sense together), and has
the name under which that is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

from refgrad.contracts.tools.answer import Variant
from refgrad.contracts.tools.terms import measured
from refgrad.typing import Array

__all__ = ["Choice", "products", "singles"]

Formula = Callable[..., Array]


@dataclass(frozen=True)
class Choice:
    """One deviation.

    Attributes
    ----------
    name, formula, meaning, references
        As for `Variant`.
    changes : dict
        Fields of the recipe, and what they are in place of the contract's choice.
    declare : str
        For a convention: what to give as ``--param`` if that is what is meant, such as ``reduction=sum``.
    """

    name: str
    formula: str
    meaning: str
    changes: Mapping[str, Any]
    references: tuple[str, ...] = field(default=())
    declare: str = ""


def singles(compute: Callable[[Any], Formula], base: Any, choices: Sequence[Choice]) -> tuple[Variant, ...]:
    """The variants that deviate from the recipe `base` in one choice.

    Parameters
    ----------
    compute : callable
        ``compute(recipe)``: the formula, a function of the contract's arguments in plain arithmetic.
    base : recipe
    choices : list of Choice
        Those that change nothing of `base` are left out.
    """
    return tuple(_variant(compute, base, (choice,)) for choice in _proper(base, choices))


def products(compute: Callable[[Any], Formula], base: Any, choices: Sequence[Choice]) -> tuple[Variant, ...]:
    """The variants that deviate in two choices on different axes, named ``a-with-b``."""
    pairs = combinations(_proper(base, choices), 2)
    return tuple(_variant(compute, base, pair) for pair in pairs if not set(pair[0].changes) & set(pair[1].changes))


def _proper(base: Any, choices: Sequence[Choice]) -> list[Choice]:
    return [c for c in choices if any(getattr(base, name) != value for name, value in c.changes.items())]


def _variant(compute: Callable[[Any], Formula], base: Any, chosen: tuple[Choice, ...]) -> Variant:
    changes: dict[str, Any] = {}
    for choice in chosen:
        changes |= choice.changes
    return Variant(
        name="-with-".join(c.name for c in chosen),
        formula="; ".join(c.formula for c in chosen),
        meaning="; and ".join(c.meaning for c in chosen),
        references=tuple(reference for c in chosen for reference in c.references),
        answer=measured(compute(replace(base, **changes))),
        declare=" ".join(f"--param {c.declare}" for c in chosen if c.declare) if all(c.declare for c in chosen) else "",
    )
