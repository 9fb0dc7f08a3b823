"""One run: the subject called on every problem of a sweep, each output judged, each accident noted."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import cycle, islice
from statistics import median
from typing import Any

import numpy as np

from refgrad.accuracy import LIMIT
from refgrad.conformance.judging import sweep
from refgrad.conformance.judging.certificate import Setting, relative
from refgrad.conformance.judging.groups import labels, shared_words
from refgrad.conformance.judging.numbers import fractions
from refgrad.conformance.judging.referee import Judgement, Referee
from refgrad.conformance.subject.outcome import FATAL, Outcome
from refgrad.conformance.subject.process import StopRun, Subject
from refgrad.contracts.contract import Problem
from refgrad.contracts.tools.answer import Variant

__all__ = ["DEVIATIONS", "ENOUGH", "MORE", "NOT_RUN", "Candidates", "Record", "Run", "Trouble"]

NOT_RUN = ("raised", *FATAL)
VARIED = 24
ENOUGH, ENOUGH_WIDE = 3, 6
SEPARATING = 3
SOON = 10
DEVIATIONS = 5
REPEATED = 6
"""Problems that are called again, twice each and in another order, when all others have been."""
CALLS = 600
"""Further calls, if they are quick, of a subject in a process of its own."""
MORE = 8
"""Times as many calls of a random subject where the mean of the first fails."""


@dataclass
class Record:
    """One problem, the output of the subject on it, and the judgement."""

    problem: Problem
    value: np.ndarray
    judgement: Judgement


@dataclass
class Candidates:
    """The variants that no output has spoken against yet, and the count of effective problems.

    A problem is effective if the truth differs from the remaining variants, or from most of them, by more than 50 times
    the attainable error: only such a problem can tell the contract from what else the subject may compute. Variants
    that the first problems leave are asked about on wide problems alone.
    """

    referee: Referee
    remaining: list[Variant] = field(default_factory=list)
    effective: int = 0
    seen: int = 0

    def __post_init__(self) -> None:
        self.remaining = list(self.referee.contract.variants)

    def see(self, record: Record) -> None:
        """Count a problem, and drop the variants that its output contradicts."""
        problem, referee = record.problem, self.referee
        passed = record.judgement.verdict == "passed" and not referee.slack.get(problem.key)
        differ, matching = {}, {}
        for v in self.remaining:
            if passed:  # what is far from the contract is not what is within its attainable error; all else may be
                differ[v.name] = referee.differs(problem, v)
                matching[v.name] = None if not referee.answers(problem, v) else not differ[v.name]
            else:
                matching[v.name] = referee.matches(problem, record.value, v)
        known = [v for v in self.remaining if matching[v.name] is not None]
        if record.judgement.verdict != "unknown":
            # what only a wide problem tells from the contract does not make all the others worthless
            told = len(self.remaining) < len(referee.contract.variants)
            asked = known if problem.kind == "wide" or self.seen < SOON or not told else []
            differing = sum(differ[v.name] if passed else referee.differs(problem, v) for v in asked)
            self.effective += 2 * differing >= len(asked)
            self.seen += 1
        self.remaining = [v for v in self.remaining if matching[v.name] is not False]


@dataclass(frozen=True)
class Trouble:
    """A problem on which no judgeable value came back."""

    problem: Problem
    outcome: Outcome


class Run:
    """One subject on one sweep, and what was gathered.

    Parameters
    ----------
    subject : Subject
    referee : Referee
    max_examples, seed : int
    vary, promise : dict or None
        For iterative subjects; see `refgrad.conformance.verification.verify`.
    progress : callable or None
    budget : float or None
        Seconds for the sweep and for what is made of it.
    stochastic : int
        Of a subject that draws random numbers: the calls on each problem whose mean is judged; 0 for all others.

    Attributes
    ----------
    records : list of Record
        Problems with a value. With `vary`, those at the last setting, or at the first one that led to trouble.
    troubles : list of Trouble
    candidates : Candidates
    settings : list of Setting
        With `vary`, the certificates at each setting.
    stopped : bool
        Whether three crashes or timeouts in a row ended the run.
    late : bool
        Whether the budget ended the run.
    stateful : str
        What a later call on an input of before gave, if it was not the same; else empty.
    mutated : set of str
        Arguments that the subject has changed.
    unvaried : int
        Problems of a random subject on which all calls gave the same numbers, and not the right ones: what it draws
        seldom was not drawn, and nothing is known of its mean.
    """

    def __init__(
        self,
        subject: Subject,
        referee: Referee,
        max_examples: int,
        seed: int,
        vary: Mapping[str, Sequence[float]] | None = None,
        promise: Mapping[str, float] | None = None,
        progress: Callable[[int, int], None] | None = None,
        budget: float | None = None,
        stochastic: int = 0,
    ) -> None:
        self.subject, self.referee, self.seed = subject, referee, seed
        self.vary, self.promise = dict(vary or {}), dict(promise or {})
        self.planned = min(max_examples, VARIED) if vary or stochastic else max_examples
        self.records: list[Record] = []
        self.troubles: list[Trouble] = []
        self.candidates = Candidates(referee)
        self.settings: list[Setting] = []
        self.stopped = self.late = False
        self.stateful, self.unvaried = "", 0
        self.mutated: set[str] = set()
        self.budget, self.stochastic = budget, stochastic
        self._begun = time.monotonic()
        self._deadline = None if budget is None else self._begun + budget
        self._progress = progress or (lambda done, planned: None)

    def sweep(self) -> None:
        """Run the planned problems; with few failures, look for more of them; at last, repeat some calls."""
        self._progress(0, self.planned)
        problems = list(sweep.problems(self.referee.contract, self.planned, self.seed, dtype=self.referee.dtype))
        if self.vary:
            self._settings(problems)
            return
        self._over(problems, len(problems))
        failing = [r.problem.kind for r in self.records if r.judgement.verdict == "failed"]
        kinds = tuple(sorted(set(failing)))
        # what a few wide problems have in common may be chance
        if 0 < len(failing) < (ENOUGH_WIDE if kinds == ("wide",) else ENOUGH):
            more = list(sweep.problems(self.referee.contract, self.planned, self.seed + 1, kinds, self.referee.dtype))
            self.planned += len(more)
            self._over(more, self.planned)
        elif not failing:
            self._separate()
        self._repeat()

    def out_of_time(self) -> bool:
        """Whether the budget is used up."""
        return self._deadline is not None and time.monotonic() > self._deadline

    def call(self, problem: Problem) -> Outcome:
        """One call; a value that fails the contract, or is not finite, must come again, as far as floats allow."""
        if self.stochastic:
            outcome = self._mean(problem, self.stochastic)
            if outcome.value is not None and self._fails(problem, outcome):  # what is drawn seldom takes more calls
                outcome = self._mean(problem, MORE * self.stochastic)
            return outcome
        outcome = self.subject.call(problem.inputs)
        self.mutated.update(outcome.mutated)
        if outcome.kind == "not_finite" or (outcome.value is not None and self._fails(problem, outcome)):
            again = self.subject.call(problem.inputs)
            if not self.same(problem, outcome, again):
                message = f"two calls on the same input gave {_shown(outcome)} and {_shown(again)}"
                return Outcome("nondeterministic", message, dtype=outcome.dtype)
        return outcome

    def same(self, problem: Problem, one: Outcome, other: Outcome) -> bool:
        """Whether two outcomes are of one kind, and values no further apart than rounding may put them."""
        if one.same_bits(other):
            return True
        if one.value is None or other.value is None or {one.kind, other.kind} != {"value"}:
            return False
        apart = np.abs(fractions(one.value) - fractions(other.value)).ravel()
        return max(apart, default=Fraction(0)) <= LIMIT * self.referee.attainable(problem)

    def _mean(self, problem: Problem, calls: int) -> Outcome:
        """The mean of some calls, each with another seed; five standard errors of it are no error."""
        values: list[np.ndarray] = []
        for seed in range(calls):
            outcome = self.subject.call(problem.inputs, seed=seed)
            if outcome.kind != "value" or outcome.value is None:
                return outcome
            values.append(outcome.value)
        varied = np.ptp(values, axis=0) > 0  # the standard deviation of equal numbers is not always 0 in floats
        spread = varied * np.std(values, axis=0, ddof=1) / np.sqrt(len(values))
        self.referee.slack[problem.key] = DEVIATIONS * Fraction(float(np.max(spread, initial=0.0)))
        return replace(outcome, value=np.mean(values, axis=0))

    def in_a_fresh_process(self, problem: Problem) -> bool:
        """Whether a failure is none where the subject has answered nothing before."""
        try:
            outcome = self.subject.call_fresh(problem.inputs)
        except StopRun:
            return False
        value = outcome.value if outcome.kind == "value" else None
        return value is not None and self.referee.judge(problem, value).verdict == "passed"

    def _repeat(self) -> None:
        """Call some problems again, the last first and each twice: a subject that keeps state answers otherwise.

        Quick subjects in a process of their own are called on for half a second, or a quarter of the time so far where
        the machine is busy, on answers that are not zero, for zeros may come of anything: what is wrong seldom, or
        late, may show then.
        """
        if self.stochastic:
            return
        records = [r for r in self.records if r.problem.kind != "wide"]
        chosen = records[:: max(1, len(records) // REPEATED)][:REPEATED]
        try:
            self._call_again((r for record in reversed(chosen) for r in (record, record)), math.inf)
            if self.subject.isolation != "none" and not self.stateful:
                telling = sorted((r for r in records if np.any(r.value)), key=lambda r: len(r.problem.key))
                calls = self.subject.calls
                seconds = max(0.5, (time.monotonic() - self._begun) / 4)
                self._call_again(islice(cycle(telling[:REPEATED]), CALLS), seconds)
                self.subject.calls = calls  # how many there was time for is no part of the report
        except StopRun:
            self.stopped = True

    def _call_again(self, records: Iterable[Record], seconds: float) -> None:
        """Compare further outputs with those of before, until one differs or the time is over."""
        end = time.monotonic() + seconds
        for record in records:
            if time.monotonic() > end or self.out_of_time():
                return
            first, later = Outcome("value", value=record.value), self.subject.call(record.problem.inputs)
            if not self.same(record.problem, first, later):
                self.stateful = f"the same input gave {_shown(first)} at first and {_shown(later)} after other calls"
                return

    def refusal(self) -> str | None:
        """The group of problems that the subject refuses: it raises on all of them, and on nothing else."""
        if not self.records or not self.troubles or any(t.outcome.kind != "raised" for t in self.troubles):
            return None
        raised = [t.problem for t in self.troubles]
        return shared_words(self.referee.contract, raised, [r.problem for r in self.records])

    def _separate(self) -> None:
        """Run further problems until no variant agrees with the contract on all of them, or there is no hope."""
        taken = None
        if self.troubles:
            if not self.refusal():
                return
            taken = {pair for r in self.records for pair in labels(self.referee.contract, r.problem)}
        for attempt in range(1, SEPARATING + 1):
            if not self.candidates.remaining or self.out_of_time() or not self.records:
                return
            count, seed = max(self.planned, VARIED), self.seed + attempt
            drawn = sweep.problems(self.referee.contract, count, seed, dtype=self.referee.dtype)
            if taken is not None:
                drawn = (p for p in drawn if labels(self.referee.contract, p) <= taken)
            alike = self.candidates.remaining
            more = [p for p in drawn if any(self.referee.differs(p, v) for v in alike)][:ENOUGH]
            self.planned += len(more)
            self._over(more, self.planned)

    def outcomes(self) -> dict[str, int]:
        """How many problems ended in which outcome."""
        counts = Counter(r.judgement.verdict for r in self.records)
        counts.update(t.outcome.kind for t in self.troubles)
        return dict(sorted(counts.items()))

    def errors(self) -> list[dict[str, Any]]:
        """One entry for each kind of trouble, with the first message."""
        first: dict[str, Trouble] = {}
        for trouble in self.troubles:
            first.setdefault(trouble.outcome.kind, trouble)
        counts = self.outcomes()
        return [{"outcome": k, "count": counts[k], "message": t.outcome.message} for k, t in first.items()]

    def _over(self, problems: Sequence[Problem], total: int) -> None:
        try:
            for problem in problems:
                if self.out_of_time():
                    self.late = True
                    return
                outcome = self.call(problem)
                if outcome.kind != "value" or outcome.value is None:
                    self.troubles.append(Trouble(problem, outcome))
                else:
                    record = Record(problem, outcome.value, self.referee.judge(problem, outcome.value))
                    if self.stochastic and record.judgement.verdict == "failed" and not self.referee.slack[problem.key]:
                        self.unvaried += 1
                    else:
                        self.records.append(record)
                        self.candidates.see(record)
                self._progress(len(self.records) + len(self.troubles) + self.unvaried, total)
        except StopRun:
            self.stopped = True

    def _settings(self, problems: Sequence[Problem]) -> None:
        ((knob, values),) = self.vary.items()
        short: list[Problem] = []  # of the truth at the first setting: the median is of these at every setting
        for value in values:  # in the order given, the most accurate last
            self.subject.params[knob] = value
            self.records, self.troubles = [], []
            self.candidates = Candidates(self.referee)
            self._over(problems, len(problems) * len(values))
            if self.records:
                gaps = {r.problem.key: gap for r, gap in zip(self.records, self.gaps(), strict=True)}
                short = short or [r.problem for r in self.records if gaps[r.problem.key] > 0]
                left = [gaps[p.key] for p in short if p.key in gaps] or [0.0]
                self.settings.append(Setting(value, median(left), max(gaps.values())))
            if self.stopped or self.late or self.troubles:  # which another setting does not undo
                return

    def gaps(self) -> list[float]:
        """The normalised certificate of every record; 0 where the error is within what may be attained."""
        return [
            0.0 if r.judgement.verdict == "passed" else relative(self.referee, r.problem, r.judgement.high, r.value)
            for r in self.records
        ]

    def _fails(self, problem: Problem, outcome: Outcome) -> bool:
        assert outcome.value is not None
        return self.referee.judge(problem, outcome.value).verdict == "failed"


def _shown(outcome: Outcome) -> str:
    """The numbers of an outcome, few enough to be read, or what it was in place of them."""
    if outcome.value is None:
        return outcome.message or outcome.kind
    numbers = [f"{v:.9g}" for v in outcome.value.ravel()[:6]]
    return f"[{', '.join(numbers)}{', ...' if outcome.value.size > 6 else ''}]"
