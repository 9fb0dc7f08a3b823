"""A limit for rational numbers, which a step on a quartic loss, or through two layers, makes three times as long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from refgrad import exact
from refgrad.contracts.tools.answer import Answer, Variant
from refgrad.contracts.tools.terms import Measured
from refgrad.errors import NotRational
from refgrad.typing import Array

__all__ = ["affordable"]

LONGEST = 6


class Affordable(Measured):
    """A formula whose truth comes from balls where its chain of steps is too long for rational numbers.

    Parameters
    ----------
    plain : callable
        A function of ``(loss, theta, tasks, lr, last)``.
    length : callable
        The length of the chain, from ``(tasks, last)``.
    """

    def __init__(self, plain: Callable[..., Array], length: Callable[[Sequence[Any], Any], int]) -> None:
        super().__init__(plain)
        self.length = length

    def __call__(self, loss: Any, theta: Array, tasks: Any, lr: Any, last: Any) -> Answer:
        if isinstance(theta, exact.ExactArray) and self.length(tasks, last) > LONGEST:
            raise NotRational("the chain of inner steps through all tasks is too long for rational numbers")
        return super().__call__(loss, theta, tasks, lr, last)


def affordable(
    variants: Sequence[Variant], chained: Sequence[str], length: Callable[[Sequence[Any], Any], int]
) -> tuple[Variant, ...]:
    """The variants; those with one of the names `chained`, whose tasks go on where others ended, with the limit."""

    def limited(variant: Variant) -> Variant:
        assert isinstance(variant.answer, Measured)
        return replace(variant, answer=Affordable(variant.answer.plain, length))

    return tuple(limited(v) if any(name in v.name for name in chained) else v for v in variants)
