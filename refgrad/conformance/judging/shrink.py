"""The smallest input that shows a finding, and the test that keeps it from coming back.

Shrinking under the bare threshold would end just above it, so what is kept while shrinking is a *clear* failure with
the *same* diagnosis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from refgrad.accuracy import LIMIT
from refgrad.conformance.judging import sweep
from refgrad.conformance.judging.certificate import breaks, size
from refgrad.conformance.judging.finding import Finding, exit_code
from refgrad.conformance.judging.referee import Judgement, Truth
from refgrad.conformance.judging.run import Record, Run
from refgrad.conformance.subject import targets
from refgrad.conformance.subject.outcome import FATAL, Outcome
from refgrad.conformance.subject.process import StopRun
from refgrad.contracts.contract import Failure, Problem
from refgrad.contracts.regression import regression, shows
from refgrad.contracts.tools.answer import Variant

__all__ = ["counterexample", "likely", "regression_test"]

NO_NUMBERS = ("graph_cut", "not_an_array", "wrong_dtype", "wrong_shape")
"""Outcomes whose example should not be one with the answer zero, for that looks like what was not computed."""


def counterexample(run: Run, finding: Finding) -> dict[str, Any] | None:
    """The smallest failing input, what came and what is exact; None where nothing failed.

    The keys are ``kind, inputs, outcome, message, got, got_hex, expected, error, attainable, measure, ratio, field,
    dtype``; numbers that are not known are None.
    """
    failing = [r.problem for r in run.records if r.judgement.verdict == "failed"]
    if failing and _breaks_promise(run, finding):
        breaking = [r.problem for r in run.records if _breaks(run, r.problem, r.value)]
        problem = _shrunk(run, breaking, lambda p: _breaks(run, p, run.subject.call(p.inputs).value))
    elif failing and exit_code(finding.grade) != 0:
        clear = [r.problem for r in run.records if r.judgement.clear]
        problem = _shrunk(run, clear, lambda p: _same_failure(run, finding, p)) if clear else _worst(run)
    elif run.troubles:
        kind = run.troubles[0].outcome.kind
        seen = [t.problem for t in run.troubles if t.outcome.kind == kind]
        if kind in (*FATAL, "nondeterministic"):  # each further call would cost a process, or prove nothing
            problem = min(seen, key=_size)
            return _describe(run, problem, next(t.outcome for t in run.troubles if t.problem is problem))
        bucket = _bucket(run.troubles[0].outcome)
        telling = kind in NO_NUMBERS
        problem = _shrunk(
            run, seen, lambda p: (not telling or _tells(run, p)) and _bucket(run.subject.call(p.inputs)) == bucket
        )
    else:
        return None
    try:
        return _describe(run, problem, run.subject.call(problem.inputs))
    except StopRun:
        return None


def likely(run: Run, failing: Sequence[Record], among: Sequence[Variant]) -> Sequence[Variant]:
    """Those of many formulas that floats leave open on a small failure.

    Where only wide problems fail, to rule out hundreds of formulas on one of these takes far longer than to find a
    small one among them first.
    """
    if not among or run.stochastic or any(r.problem.kind != "wide" for r in failing):
        return among
    clear = [r.problem for r in failing if r.judgement.clear]
    if not clear:
        return among
    problem = _shrunk(run, clear, lambda p: _fails_clearly(run, p) is not None)
    value = _fails_clearly(run, problem)
    return among if value is None else [v for v in among if run.referee.plausible(problem, value, v)]


def regression_test(run: Run, finding: Finding, example: Mapping[str, Any]) -> str | None:
    """Source of a test that calls the subject on the smallest failing input, without refgrad."""
    contract, subject = run.referee.contract, run.subject
    if subject.isolation == "none" or example["got"] is None:
        return None
    if finding.grade == "inconclusive":  # no line is known that the subject should meet
        return None
    problem = Problem(example["kind"], example["inputs"])
    truth = run.referee.truth(problem)
    if truth is None:
        return None
    line, name = targets.import_statement(subject.name)
    place, _, first = line.rpartition(" import ")
    # under a name of its own, since it may be called grad, loss or sum
    line = f"{place} import {first} as imported"
    function = ".".join(["imported", *name.split(".")[1:]])
    keywords = "".join(f", {k}={v!r}" for k, v in subject.params.items())
    line += f"\n\n\ndef subject(*arguments):\n    return {function}(*arguments{keywords})"
    comment = f"{contract.name}/{contract.version}, seed {run.seed}: {finding.summary}."
    tolerance = float(LIMIT * run.referee.attainable(problem))
    if _breaks_promise(run, finding):
        if contract.certify is not None:  # which a test without refgrad cannot evaluate
            return None
        tolerance = run.promise[str(contract.certificate)] * float(size(run.referee, problem))
    got = np.ravel(example["got"]).tolist()
    field = contract.result_field if example["field"] else None
    came = example["dtype"] if example["outcome"] == "wrong_dtype" else None
    failure = Failure(
        line, name, subject.framework, subject.dtype, problem, truth, tolerance, got, comment, field, came
    )
    return regression(contract, failure) if shows(contract, failure) else None


def _shrunk(run: Run, seen: list[Problem], predicate: Callable[[Problem], bool]) -> Problem:
    """The smallest problem for which `predicate` holds, of the simplest kind that was seen to fail."""
    kind = next(k for k in sweep.KINDS if any(p.kind == k for p in seen))

    def guarded(problem: Problem) -> bool:
        try:
            return not run.out_of_time() and predicate(problem)
        except StopRun:
            return False

    found = sweep.smallest(run.referee.contract, kind, guarded, run.seed, run.referee.dtype)
    return found if found is not None else min((p for p in seen if p.kind == kind), key=_size)


def _breaks_promise(run: Run, finding: Finding) -> bool:
    if not run.promise or finding.grade != "wrong" or finding.certificate is None:
        return False
    return any(_breaks(run, r.problem, r.value) for r in run.records)


def _breaks(run: Run, problem: Problem, value: np.ndarray | None) -> bool:
    if value is None:
        return False
    judgement = run.referee.judge(problem, value)
    if judgement.verdict == "passed":
        return False
    return breaks(run.referee, problem, judgement.high, run.promise, value)


def _fails_clearly(run: Run, problem: Problem) -> np.ndarray | None:
    """The output, if it fails clearly."""
    outcome = run.subject.call(problem.inputs)
    value = outcome.value if outcome.kind == "value" else None
    return value if value is not None and run.referee.judge(problem, value).clear else None


def _same_failure(run: Run, finding: Finding, problem: Problem) -> bool:
    referee, value = run.referee, _fails_clearly(run, problem)
    if value is None:
        return False
    named = [d.variant for d in finding.candidates if d.variant is not None and d.contradicted == 0]
    if not finding.grade.startswith("variant:") or not named:
        return True
    return all(referee.matches(problem, value, v) and referee.differs(problem, v) for v in named)


def _tells(run: Run, problem: Problem) -> bool:
    """Whether the answer is not zero, which would look like what is returned where nothing is computed."""
    truth = run.referee.truth(problem)
    return truth is None or any(truth.middle)


def _worst(run: Run) -> Problem:
    failing = [r for r in run.records if r.judgement.verdict == "failed"]
    return max(failing, key=lambda r: run.referee.ratio(r.problem, r.judgement)).problem


def _bucket(outcome: Outcome) -> tuple[str, str]:
    """Outcomes that count as the same: equal kinds, and for exceptions equal types."""
    return outcome.kind, outcome.message.partition(":")[0] if outcome.kind == "raised" else ""


def _size(problem: Problem) -> tuple[int, str]:
    text = problem.key
    return len(text), text


def _describe(run: Run, problem: Problem, outcome: Outcome) -> dict[str, Any]:
    referee = run.referee
    truth = referee.truth(problem)
    judged = outcome.value is not None and outcome.kind == "value"
    judgement = referee.judge(problem, outcome.value) if judged else Judgement("unknown")  # type: ignore[arg-type]
    finite = outcome.value is not None and bool(np.isfinite(outcome.value).all())
    return {
        "kind": problem.kind,
        "inputs": problem.inputs,
        "outcome": outcome.kind,
        "message": outcome.message,
        "got": outcome.value.tolist() if finite else None,  # type: ignore[union-attr]
        "got_hex": [float(v).hex() for v in outcome.value.ravel()] if outcome.value is not None else None,
        "expected": _exactly(truth) if truth is not None else None,
        "error": float(judgement.high) if judged else None,
        "attainable": float(referee.attainable(problem)) if judged else None,
        "measure": referee.contract.certificate or "error",
        "ratio": _finite(referee.ratio(problem, judgement)) if judged else None,
        "field": outcome.field,
        "dtype": outcome.dtype,
    }


def _exactly(truth: Truth) -> list[str]:
    """The components of the truth: fractions where it is rational and short, else 17 digits that are certified."""
    return [_number(low, high) for low, high in zip(truth.low, truth.high, strict=True)]


def _number(low: Fraction, high: Fraction) -> str:
    if low == high and len(str(low)) <= 24:
        return str(low)
    return f"{float((low + high) / 2):.17g}"


def _finite(value: float) -> float | None:
    return value if value < float("inf") else None
