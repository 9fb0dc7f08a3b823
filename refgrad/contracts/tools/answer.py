"""What a quantity answers, and what a variant is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from refgrad.errors import NotApplicable
from refgrad.typing import Array

__all__ = ["Answer", "NotApplicable", "Variant"]


@dataclass(frozen=True)
class Answer:
    """The true value, and the size of what was added up to get it.

    Attributes
    ----------
    value : array
        Exact, or balls.
    magnitude : array, shape of value
        The sum of the absolute values of the terms whose sum is `value`: the scale at which one rounding acts.
    """

    value: Array
    magnitude: Array


@dataclass(frozen=True)
class Variant:
    """A known different formula.

    Attributes
    ----------
    name : str
        In lower case with hyphens, as it stands in a diagnosis.
    formula : str
        What it computes, in the notation of the documentation.
    meaning : str
        One sentence that completes "this computes ...".
    references : tuple of str
        Where it was seen, or where it is the method itself.
    answer : callable
        Takes the contract's arguments, as exact arrays, and returns an `Answer` or raises `NotApplicable`.
    declare : str
        For a convention that may be declared: the options of the command line that do, such as
        ``--param reduction=sum``.
    """

    name: str
    formula: str
    meaning: str
    references: tuple[str, ...]
    answer: Callable[..., Answer]
    declare: str = ""
