"""Which known formula a subject computes, told from the outputs that fail the contract.

On easy problems most formulas agree, so a match counts as evidence only where the variant's answer is clearly apart
from the contract's, and a variant is named only if it reproduces every failure and no output speaks against it.
Problems on which the subject raised or gave no array are evidence neither way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from refgrad.conformance.judging.grading import LIMIT, MARGIN, Judgement, matches
from refgrad.conformance.judging.referee import Judge, fractions
from refgrad.contracts.contract import Problem
from refgrad.contracts.tools.answer import Variant

__all__ = ["Candidates", "Diagnosis", "Record", "constant_factor", "diagnose"]

ENOUGH = 3


@dataclass
class Record:
    """One problem, the output of the subject on it, and the judgement."""

    problem: Problem
    value: np.ndarray
    judgement: Judgement


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


@dataclass
class Candidates:
    """The variants that no output has spoken against yet, and the count of effective problems.

    A problem is effective if the truth differs from every remaining variant by more than 50 times the attainable
    error: only such a problem can tell the contract from what else the subject may compute.
    """

    referee: Judge
    dtype: str
    remaining: list[Variant] = field(default_factory=list)
    effective: int = 0

    def __post_init__(self) -> None:
        self.remaining = list(self.referee.contract.variants)

    def see(self, record: Record) -> None:
        """Count a problem, and drop the variants that its output contradicts."""
        problem = record.problem
        known = [v for v in self.remaining if self.referee.variant(problem, v) is not None]
        if record.judgement.verdict != "unknown" and all(differs(self.referee, problem, v, self.dtype) for v in known):
            self.effective += 1
        contradicted = [v for v in known if matches(self.referee, problem, record.value, v, self.dtype) is False]
        self.remaining = [v for v in self.remaining if v not in contradicted]


def differs(referee: Judge, problem: Problem, variant: Variant, dtype: str) -> bool:
    """Whether a variant's answer is wrong by more than 50 times the attainable error."""
    apart = referee.apart(problem, variant)
    if apart <= MARGIN * referee.floor(problem, dtype):
        return False
    return apart > MARGIN * referee.attainable(problem, dtype)


def diagnose(referee: Judge, records: Sequence[Record], dtype: str, among: Sequence[Variant]) -> list[Diagnosis]:
    """The variants that reproduce every failure, at least three of them (or all, if there are fewer).

    Parameters
    ----------
    referee : Judge
    records : list of Record
        All problems that gave a value.
    dtype : str
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
            matching = matches(referee, record.problem, record.value, variant, dtype)
            if matching is False:
                break
            silent += matching is None
            evidence += bool(matching) and differs(referee, record.problem, variant, dtype)
        else:
            if evidence >= min(ENOUGH, max(1, len(failing))):
                against = sum(matches(referee, r.problem, r.value, variant, dtype) is False for r in passing)
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


def constant_factor(referee: Judge, records: Sequence[Record], dtype: str) -> Diagnosis | None:
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
    slack = LIMIT * referee.attainable(record.problem, dtype) / abs(truth.middle[i])
    if abs(factor - measured) > (1 + abs(factor)) * slack:
        factor = measured
    if factor in (0, 1) or not all(_scaled(referee, r, factor, dtype) for r in values):
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


def _scaled(referee: Judge, record: Record, factor: Fraction, dtype: str) -> bool:
    truth = referee.truth(record.problem)
    if truth is None:
        return False
    y = fractions(record.value).ravel()
    error = max((abs(v - factor * m) for v, m in zip(y, truth.middle, strict=True)), default=Fraction(0))
    return error <= LIMIT * (1 + abs(factor)) * referee.attainable(record.problem, dtype)
