"""Which known formula a subject computes, told from the outputs that fail the contract.

On easy problems most formulas agree, so a match counts as evidence only where the variant's answer is clearly apart
from the contract's, and a variant is named only if it reproduces every failure and no output speaks against it.
Problems on which the subject raised or gave no array are evidence neither way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from refgrad.accuracy import LIMIT
from refgrad.conformance.judging.referee import Referee, fractions
from refgrad.conformance.judging.run import Record
from refgrad.contracts.tools.answer import Variant

__all__ = ["Diagnosis", "constant_factor", "diagnose"]

ENOUGH = 3


@dataclass(frozen=True)
class Diagnosis:
    """A formula that the outputs fit.

    Attributes
    ----------
    name, formula, meaning : str
    references : tuple of str
    reproduces : int
        Failing problems on which the output is the variant's answer.
    failures : int
        Failing problems.
    silent : int
        Failing problems on which the variant has no answer.
    contradicted : int
        Passing problems on which the two formulas differ and the output is the contract's.
    variant : Variant or None
        None for a constant factor.
    """

    name: str
    formula: str
    meaning: str
    references: tuple[str, ...]
    reproduces: int
    failures: int
    silent: int = 0
    contradicted: int = 0
    variant: Variant | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain data for the report."""
        names = ("name", "formula", "meaning", "reproduces", "failures", "silent", "contradicted")
        return {name: getattr(self, name) for name in names} | {"references": list(self.references)}


def diagnose(referee: Referee, records: Sequence[Record], among: Sequence[Variant]) -> list[Diagnosis]:
    """The variants that reproduce every failure, at least three of them (or all, if there are fewer).

    Parameters
    ----------
    referee : Referee
    records : list of Record
        All problems that gave a value.
    among : list of Variant
        Those to try.

    Returns
    -------
    list of Diagnosis
        Those that explain the most: a formula for two tasks gives way to one that fits all failures.
    """
    failing = [r for r in records if r.judgement.verdict == "failed"]
    passing = [r for r in records if r.judgement.verdict == "passed"]
    found = []
    for variant in among:
        evidence, silent = 0, 0
        for record in failing:
            matching = referee.matches(record.problem, record.value, variant)
            if matching is False:
                break
            silent += matching is None
            evidence += bool(matching) and referee.differs(record.problem, variant)
        else:
            if evidence >= min(ENOUGH, max(1, len(failing))):
                against = sum(referee.matches(r.problem, r.value, variant) is False for r in passing)
                found.append(
                    Diagnosis(
                        variant.name,
                        variant.formula,
                        variant.meaning,
                        variant.references,
                        evidence,
                        len(failing),
                        silent,
                        against,
                        variant,
                    )
                )
    fewest = min((d.silent for d in found), default=0)
    return [d for d in found if d.silent == fewest]


def constant_factor(referee: Referee, records: Sequence[Record]) -> Diagnosis | None:
    """The constant c, if every output is c times the truth: a missing or extra factor that has no name."""
    values = [r for r in records if r.judgement.verdict != "unknown" and referee.contract.error is None]
    failing = [r for r in values if r.judgement.verdict == "failed"]
    truths = [referee.truth(r.problem) for r in failing]
    if len(failing) < ENOUGH or any(t is None for t in truths):
        return None
    largest = [(max(abs(m) for m in t.middle), r, t) for r, t in zip(failing, truths, strict=True) if t is not None]
    _, record, truth = max(largest, key=lambda item: item[0])
    i = int(np.argmax([abs(float(m)) for m in truth.middle]))
    if not truth.middle[i]:
        return None
    measured = fractions(record.value).ravel()[i] / truth.middle[i]
    factor = measured.limit_denominator(64)
    slack = LIMIT * referee.attainable(record.problem) / abs(truth.middle[i])
    if abs(factor - measured) > (1 + abs(factor)) * slack:
        factor = measured
    if factor in (0, 1) or not all(_fits_scaled(referee, r, factor) for r in values):
        return None
    number = str(factor) if factor.denominator <= 64 else f"{float(factor):.6g}"
    return Diagnosis(
        "scaled",
        f"{number} * f",
        f"computes {number} times what the contract says, on every problem",
        (),
        len(failing),
        len(failing),
    )


def _fits_scaled(referee: Referee, record: Record, factor: Fraction) -> bool:
    truth = referee.truth(record.problem)
    if truth is None:
        return False
    y = fractions(record.value).ravel()
    error = max((abs(v - factor * m) for v, m in zip(y, truth.middle, strict=True)), default=Fraction(0))
    return error <= LIMIT * (1 + abs(factor)) * referee.attainable(record.problem)
