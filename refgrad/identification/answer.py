"""What an output has been found to be, as data and in words."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from refgrad.conformance.judging.finding import exit_code

__all__ = ["Identification"]

_WIDTH = 100


@dataclass(frozen=True)
class Identification:
    """The formula that an output was computed by.

    Attributes
    ----------
    contract : str
        What was asked for.
    grade : str
        ``"accurate"``: the contract; ``"variant:NAME"``: another formula; ``"wrong"``: none that is known;
        ``"inconclusive"``: several that rounding leaves.
    name : str
        Of the formula, or of several joined by " or "; empty if none fits.
    summary : str
        The finding in one sentence.
    alike : list of str
        Other formulas with the same value on these data.
    ranking : list of dict
        The nearest formulas: ``name``, ``formula``, ``meaning``, ``distance``, and ``explained``, what rounding may
        be of it, or None where that was not measured.
    dtype, engine : str
    said : list of str
        What was compared: how many weights, tasks, steps.
    advice : str
        What to do next.
    notes : list of str
        What else was seen.
    compared : int
        How many formulas have been computed.
    """

    contract: str
    grade: str
    name: str
    summary: str
    alike: list[str]
    ranking: list[dict[str, Any]]
    dtype: str
    engine: str
    said: list[str]
    advice: str = ""
    notes: list[str] = field(default_factory=list)
    compared: int = 0

    @property
    def exit_code(self) -> int:
        """0 for the contract, 1 for anything else, 4 where it cannot be told; as of `refgrad.verify`."""
        return exit_code(self.grade)

    def to_json(self, path: str | Path) -> None:
        """Write it as JSON."""
        Path(path).write_text(
            json.dumps(asdict(self) | {"exit_code": self.exit_code}, indent=2) + "\n", encoding="utf-8"
        )

    def raise_for_failure(self) -> None:
        """Raise an AssertionError that shows this, unless it is what was asked for."""
        if self.exit_code:
            raise AssertionError(f"{self.grade}: {self.summary}\n\n{self}")

    def __str__(self) -> str:
        lines = [f"{self.contract}: {', '.join(self.said)}, {self.engine} {self.dtype}", ""]
        lines += _wrapped(f"  {self.grade}   (exit {self.exit_code})") + _wrapped(self.summary, "    ")
        if self.alike:
            lines += _wrapped(f"On these data one formula with {_few(self.alike)}.", "    ")
        lines += ["", f"  Nearest of {self.compared} formulas"] if self.compared else []
        width = max((len(row["name"]) for row in self.ranking), default=0)
        for row in self.ranking:
            rounding = "" if row["explained"] is None else f"   rounding explains {row['explained']:.1e}"
            lines.append(f"    {row['name']:<{width}}   off by {row['distance']:.1e}{rounding}")
        if self.notes:
            lines += ["", "  Noted", *(line for note in self.notes for line in _wrapped(note, "    "))]
        if self.advice:
            lines += ["", "  Next", *(line for part in self.advice.split("\n") for line in _wrapped(part, "    "))]
        return "\n".join(lines)


def _few(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _wrapped(words: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        words, _WIDTH, initial_indent=indent, subsequent_indent=indent or "    ", break_on_hyphens=False
    )
