"""How far an output is from every formula, what rounding explains of that, and which formulas that leaves.

The distance of two vectors is ``|y - f| / max(|y|, |f|)`` in the Euclidean norm. A formula *fits* if the output is no
further than `LIMIT` times what rounding its arguments to the precision at hand moves its value, plus one rounding of
that. Formulas that are equal in float64 are one on these data.

Where a function has kinks (ReLU, max-pooling), rounding may turn a decision, which moves the value by far more than
its derivative says, and not every time. So what fits no formula is held against moves of `LIMIT` roundings as well; the
formula that these explain is told if the next one is 50 times further.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from refgrad.accuracy import LIMIT
from refgrad.contracts.tools.answer import Variant
from refgrad.errors import RefgradError
from refgrad.identification.recorded import UNITS, Recorded

__all__ = ["Ranked", "Ranking"]

NEAREST, PATTERNS = 10, 2
_PARTS = 64
SAME = 1e-9
"""As close as float64 leaves two formulas that are one; or two that no output in single precision can tell apart."""
SENSITIVE = 0.01
"""If rounding moves a formula by more of itself, nothing can be named by it."""
APART, FEW = 50, 4
"""Of lower precisions: how much further the next formula has to be, and a limit that makes up for their coarseness."""
MOVES = 6
"""Patterns of moves by `LIMIT` roundings, of which some may turn no decision."""
FAR = 3
"""So many times further than what rounding explains of any formula that is nearer, one is not looked at."""


@dataclass
class Ranked:
    """One formula beside the output.

    Attributes
    ----------
    name, formula, meaning, declare : str
    distance : float
        From 0 to 2; of the output and the formula.
    explained : float or None
        Of that distance, what rounding may be; None if it has not been measured, or is too much to name anything.
    sketch : array, shape (64,)
        Signed sums of parts of the value, which tell values apart that would take too much room.
    length : float
        ``|f|``.
    product : float
        ``<f, y>``.
    turned : float or None
        The distance that moves of `LIMIT` roundings make, where decisions may turn; None if it has not been measured.
    """

    name: str
    formula: str
    meaning: str
    distance: float
    explained: float | None = None
    declare: str = ""
    sketch: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False)
    length: float = 0.0
    product: float = 0.0
    turned: float | None = None
    variant: Variant | None = field(default=None, repr=False)

    @property
    def fits(self) -> bool:
        return self.explained is not None and self.distance <= self.explained


class Ranking:
    """The formulas that have been compared with an output, in the order in which they were."""

    def __init__(self, recorded: Recorded) -> None:
        self.recorded = recorded
        self.compared: list[Ranked] = []
        self.signs = np.random.default_rng(0).choice([-1.0, 1.0], -(-len(recorded.output) // _PARTS) * _PARTS)

    def compare(self, variants: Sequence[Variant], progress: Callable[[int, int], None]) -> list[Ranked]:
        """Compare further formulas, and return those of them that fit."""
        found = []
        for place, variant in enumerate(variants):
            progress(place, len(variants))
            value = self.value(variant)
            if value is not None:
                found.append(self._ranked(variant, value))
        self.compared += found
        measured: list[Ranked] = []
        for one in sorted(found, key=lambda r: r.distance):
            twin = next((r for r in measured if same(r, one)), None)
            if twin is not None:
                one.explained = twin.explained
                continue
            most = max((r.explained for r in measured if r.explained is not None), default=np.inf)
            if len(measured) == NEAREST or one.distance > FAR * most:
                break
            one.explained = self.explained(one, self.recorded.unit)
            measured.append(one)
        return [one for one in found if one.fits]

    def _ranked(self, variant: Variant, value: np.ndarray) -> Ranked:
        y = self.recorded.output
        sketch = np.append(value, np.zeros(len(self.signs) - len(value))) * self.signs
        return Ranked(
            variant.name,
            variant.formula,
            variant.meaning,
            distance(y, value),
            declare=variant.declare,
            sketch=sketch.reshape(_PARTS, -1).sum(1),
            length=_norm(value),
            product=float(value @ y),
            variant=variant,
        )

    def value(self, variant: Variant, unit: float = 0.0, pattern: int = 0) -> np.ndarray | None:
        """A formula's value, flat; None if it has none here."""
        plain: Any = getattr(variant.answer, "plain", variant.answer)
        try:
            with np.errstate(all="ignore"):
                found = np.asarray(plain(*self.recorded.arguments(unit, pattern)), float).ravel()
        except (RefgradError, np.linalg.LinAlgError, ZeroDivisionError, AttributeError):
            return None  # it does not apply, or asks of a function what only the contract's own problems have
        return found if found.shape == self.recorded.output.shape and np.isfinite(found).all() else None

    def explained(self, one: Ranked, unit: float) -> float | None:
        """The distance that rounding may make: in the arguments, in the formula's value, and in what came."""
        assert one.variant is not None
        size, value = max(one.length, _norm(self.recorded.output)), self.value(one.variant)
        moved = [self.value(one.variant, unit, pattern) for pattern in range(1, PATTERNS + 1)]
        if size == 0:
            return 0.0
        if value is None or any(m is None for m in moved):
            return None
        most = max(_norm(m - value) for m in moved if m is not None)
        if unit <= self.recorded.unit and most > SENSITIVE * size:
            return None
        return (LIMIT * (most + unit * np.sqrt(self.recorded.terms) * size) + self.recorded.noise) / size

    def through_kinks(self) -> Ranked | None:
        """The nearest formula if decisions that rounding turns explain its distance, and the next is 50 times further.

        A smooth formula moves by `LIMIT` roundings as by `LIMIT` times one, which has been held against it before.
        """
        nearest = self.nearest(2) if len(self.recorded.output) >= 8 else []
        if not nearest or any(one.distance < APART * nearest[0].distance for one in nearest[1:]):
            return None
        first = nearest[0]
        return first if first.distance <= min(SENSITIVE, self.decisions(first)) else None

    def decisions(self, one: Ranked) -> float:
        """The distance that moves of `LIMIT` roundings may make, or of fewer where those are no small moves."""
        unit = min(LIMIT * self.recorded.unit, SENSITIVE)
        if one.turned is None:
            one.turned = 0.0
            value = self.value(one.variant) if one.variant is not None else None
            if value is not None and one.variant is not None:
                moved = [self.value(one.variant, unit, pattern) for pattern in range(1, MOVES + 1)]
                one.turned = max((distance(m, value) for m in moved if m is not None), default=0.0)
        return one.turned

    def left_open(self, fits: Sequence[Ranked]) -> list[Ranked]:
        """Near formulas that the output's own precision does not rule out, though they do not fit.

        In float16 and bfloat16 a rounding is no small move, and a few patterns of them do not show all that it does to
        a function with kinks. So there a formula stays open that is nearer than one which fits, or no further than
        what moves explain.
        """
        if LIMIT * self.recorded.unit <= SENSITIVE or len(self.recorded.output) < 8:
            return []
        most = min((one.distance for one in fits), default=0.0)
        near = [one for one in self.nearest(NEAREST) if one not in fits]
        return [one for one in near if one.distance <= max(most, self.decisions(one))]

    def in_lower_precision(self) -> tuple[str, Ranked] | None:
        """A formula that fits in a lower precision than the output's, if the next one is 50 times further."""
        for name, unit in (("TF32", UNITS["float16"]), ("bfloat16", UNITS["bfloat16"])):
            if unit <= self.recorded.unit or not self.compared or len(self.recorded.output) < 8:
                continue
            first, *others = self.nearest(2)
            allowed = self.explained(first, unit)
            fits = allowed is not None and first.distance <= allowed * FEW / LIMIT < 0.5
            if fits and (not others or others[0].distance >= APART * first.distance):
                return name, first
        return None

    def parallel(self) -> list[Ranked]:
        """The formulas that are nearly a multiple of the output."""
        size = _norm(self.recorded.output)
        turned = [
            1 - (one.product / (one.length * size)) ** 2 if one.length * size and one.product else 1.0
            for one in self.compared
        ]
        return [one for one, squared in zip(self.compared, turned, strict=True) if squared <= SENSITIVE**2]

    def possible(self, products: Sequence[Variant]) -> Sequence[Variant]:
        """Those of the products that can fit: all, but if the output is a multiple of a formula, what makes multiples.

        Of those that are named by two formulas which have been compared, that is two that leave the contract's
        direction, or one with the direction and any other; what two others come to is said as the multiple that it is.
        """
        if self.scaled() is None:
            return products
        compared, parallel = ({one.name for one in some} for some in (self.compared, self.parallel()))
        need = all if self.recorded.contract.name in parallel else any
        parts = [v.name.split("-with-") for v in products]
        return [
            v
            for v, names in zip(products, parts, strict=True)
            if not compared.issuperset(names) or need(name in parallel for name in names)
        ]

    def scaled(self) -> tuple[float, str, Ranked, bool] | None:
        """The first formula that fits with a constant factor: the factor, what it is known as, and the formula.

        And whether it fits only where rounding turns decisions, by which the factor is off as well.
        """
        y, few = self.recorded.output, len(self.recorded.output) < 8
        for one in self.parallel():
            c = one.product / one.length**2
            value = self.value(one.variant) if one.variant is not None else None
            left = distance(y, c * value) if value is not None else 1.0
            if left > SENSITIVE:
                continue
            if one.explained is None:
                one.explained = self.explained(one, self.recorded.unit)
            allowed = one.explained or 0.0
            turned = left > allowed
            if turned:
                allowed = 0.0 if few else min(SENSITIVE, self.decisions(one))
                if left > allowed:
                    continue
                if abs(c - 1) <= allowed:
                    return None
            word = self.word(c, allowed)
            if word or not few:  # any number is a multiple of any other
                return c, word, one, turned
        return None

    def nearest(self, count: int) -> list[Ranked]:
        """The nearest formulas, of those that are one on these data the first."""
        found: list[Ranked] = []
        for one in sorted(self.compared, key=lambda r: r.distance):
            close = [r for r in found if abs(r.distance - one.distance) <= SAME]
            if len(found) == count and not close:
                break
            twin = next((r for r in close if same(r, one)), None)
            if twin is None:
                found.append(one)
            elif self.compared.index(one) < self.compared.index(twin):
                found[found.index(twin)] = one
        return found[:count]

    def word(self, c: float, tolerance: float) -> str:
        """What a constant is known as; empty if it is just a number."""
        known = {"2": 2.0, "1/2": 0.5, "-1": -1.0}
        for name, value in self.recorded.constants.items():
            known |= {name: value} | ({f"1 / {name}": 1 / value} if value else {})
        return next((name for name, value in known.items() if abs(c - value) <= tolerance * abs(value)), "")


def distance(y: np.ndarray, f: np.ndarray) -> float:
    """``|y - f| / max(|y|, |f|)``, 0 for two zeros."""
    size = max(_norm(y), _norm(f))
    return _norm(y - f) / size if size else 0.0


def sine(a: np.ndarray | None, b: np.ndarray | None) -> float:
    """Of the angle between two vectors; 1 if one of them is zero, or not there."""
    if a is None or b is None:
        return 1.0
    lengths = _norm(a) * _norm(b)
    return float(np.sqrt(max(0.0, 1 - (a @ b / lengths) ** 2))) if lengths else 1.0


def same(a: Ranked, b: Ranked) -> bool:
    """Whether two formulas are one on these data."""
    return _norm(a.sketch - b.sketch) <= SAME * max(a.length, b.length)


def _norm(x: np.ndarray) -> float:
    return float(np.linalg.norm(x))
