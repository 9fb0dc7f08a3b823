"""Which known formula a subject computes, told from the outputs that fail the contract.

On easy problems most formulas agree, so a match counts as evidence only where the variant's answer is clearly apart
from the contract's, and a variant is named only if it reproduces every failure and no output speaks against it.
Problems on which the subject raised or gave no array are evidence neither way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from refgrad.accuracy import LIMIT
from refgrad.conformance.judging.groups import in_common
from refgrad.conformance.judging.referee import Referee
from refgrad.conformance.judging.run import ENOUGH, Record
from refgrad.contracts.tools.answer import Variant

__all__ = ["Diagnosis", "Partial", "diagnose", "failures", "mostly_failing", "partial"]

FULL_MANTISSAS = ("rough", "ill_conditioned", "wide")


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


def diagnose(
    referee: Referee, records: Sequence[Record], among: Sequence[Variant], stop: Callable[[], bool]
) -> list[Diagnosis]:
    """The variants that reproduce every failure, at least three of them (or all, if there are fewer).

    Parameters
    ----------
    referee : Referee
    records : list of Record
        All problems that gave a value.
    among : list of Variant
        Those to try.
    stop : callable
        Whether to try no more.

    Returns
    -------
    list of Diagnosis
        Those that explain the most: a formula for two tasks gives way to one that fits all failures, if nothing speaks
        against that.
    """
    failing = failures(records)
    passing = [r for r in records if r.judgement.verdict == "passed"]
    found = []
    for variant in among:
        if stop():
            break
        evidence, silent = 0, 0
        for record in failing:
            matching = referee.matches(record.problem, record.value, variant)
            if matching is False:
                break
            silent += matching is None
            evidence += bool(matching) and referee.differs(record.problem, variant)
        else:
            enough = evidence >= min(ENOUGH, max(1, len(failing)))
            if enough and (mostly_failing(records) or not _is_noisy(referee, failing, variant)):
                against = sum(referee.matches(r.problem, r.value, variant) is False for r in passing)
                found.append(_diagnosis(variant, evidence, len(failing), silent, against))
    fewest = min((d.silent for d in found if d.contradicted == 0), default=len(failing))
    return [d for d in found if d.silent <= fewest]


@dataclass(frozen=True)
class Partial:
    """A formula that fits some of the failures, which have something in common.

    Attributes
    ----------
    diagnosis : Diagnosis
        With the number of failures that it reproduces.
    where : str
        What these have in common and the other failures have not; empty if they are at least half of all failures, and
        have nothing in common.
    rest : list of Record
        The other failures.
    """

    diagnosis: Diagnosis
    where: str
    rest: list[Record]


def partial(
    referee: Referee, records: Sequence[Record], among: Sequence[Variant], stop: Callable[[], bool]
) -> Partial | None:
    """The variant that fits the most failures, if these have something in common or are at least half of them."""
    failing = failures(records)
    passing = [r for r in records if r.judgement.verdict == "passed"]
    best: Partial | None = None
    for variant in among:
        if stop():
            break
        likely = [r for r in failing if referee.plausible(r.problem, r.value, variant)]
        fits = [r for r in likely if referee.matches(r.problem, r.value, variant)]
        if sum(referee.differs(r.problem, variant) for r in fits) < ENOUGH:
            continue
        if not mostly_failing(records) and _is_noisy(referee, fits, variant):
            continue
        rest = [r for r in failing if not any(r is f for f in fits)]
        where = in_common(referee.contract, [r.problem for r in fits], [r.problem for r in rest]) or ""
        # of one that fits more, the others may be special cases: the sum over one example is the mean
        if rest and (best is None or (len(rest), not where) < (len(best.rest), not best.where)):
            against = sum(referee.matches(r.problem, r.value, variant) is False for r in passing)
            best = Partial(_diagnosis(variant, len(fits), len(failing), 0, against), where, rest)
    return best if best is not None and (best.where or len(best.rest) <= len(failing) / 2) else None


def mostly_failing(records: Sequence[Record]) -> bool:
    """Whether most problems fail whose numbers have full mantissas, as all do where a method loses digits."""
    full = [r.judgement.verdict == "failed" for r in records if r.problem.kind in FULL_MANTISSAS]
    return 2 * sum(full) >= len(full)


def _is_noisy(referee: Referee, failing: Sequence[Record], variant: Variant) -> bool:
    """Whether most errors are no larger than rounding in a variant, such as a difference of gradients, may be.

    A variant of the contract's own is named all the same: where it jumps, all that is near is within its rounding.
    """
    if variant in referee.contract.variants:
        return False
    few = failing[: 2 * ENOUGH]
    within = [r.judgement.low <= LIMIT * referee.attainable(r.problem, variant) for r in few]
    return 2 * sum(within) > len(within)


def failures(records: Sequence[Record]) -> list[Record]:
    """The failures, those that are cheap to judge first."""
    return sorted((r for r in records if r.judgement.verdict == "failed"), key=lambda r: len(r.problem.key))


def _diagnosis(variant: Variant, evidence: int, failures: int, silent: int, against: int) -> Diagnosis:
    return Diagnosis(
        variant.name, variant.formula, variant.meaning, variant.references, evidence, failures, silent, against, variant
    )
