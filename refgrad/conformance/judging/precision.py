"""Rounding told from method: an error that falls with the precision, and single precision inside double."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from statistics import median
from typing import Any

import numpy as np

from refgrad.conformance.judging import sweep
from refgrad.conformance.judging.diagnosis import diagnose, mostly_failing
from refgrad.conformance.judging.finding import Finding, named
from refgrad.conformance.judging.numbers import quotient
from refgrad.conformance.judging.run import Record, Run
from refgrad.conformance.subject.process import StopRun
from refgrad.contracts.tools.answer import Variant

__all__ = ["in_single_precision", "rounding_driven", "two_precisions", "variant_in_single_precision"]

_PRECISION_PROBLEMS = 12

_ROUNDING = 2.0**20  # between 1, where the method errs, and 2**29, where rounding does


_SINGLE = 0.005  # of what single precision may leave off; what is much better is no single precision


def two_precisions(run: Run, failing: Sequence[Record]) -> list[tuple[Any, Any]]:
    """Errors in float32 and in float64 of the same failing problems."""
    chosen = sorted(failing, key=lambda r: r.problem.kind != "rough")[:_PRECISION_PROBLEMS]
    pairs = []
    try:
        for record in chosen:
            if run.out_of_time():
                break
            problem, errors = sweep.rounded(record.problem, "float32"), []
            if "inf" in problem.key.lower():  # beyond the range of float32
                continue
            for dtype in ("float32", "float64"):
                outcome = run.subject.call(problem.inputs, dtype=dtype)
                if outcome.kind != "value" or outcome.value is None:
                    break
                judgement = run.referee.judge(problem, outcome.value)
                if dtype == run.referee.dtype and judgement.verdict != "failed":  # this call does not show the failure
                    break
                errors.append(judgement.high)
            if len(errors) == 2:
                pairs.append((errors[0], errors[1]))
    except StopRun:
        pass
    return pairs


def rounding_driven(errors: list[tuple[Fraction, Fraction]]) -> bool:
    """Whether errors fall with the unit roundoff, from pairs (error in float32, error in float64).

    Where rounding rules, their quotient is near 2**29; where the method does, near 1.
    """
    quotients = [quotient(single, double) for single, double in errors if single or double]
    return bool(quotients) and median(quotients) >= _ROUNDING and min(quotients) >= 2**10


def in_single_precision(run: Run, failing: Sequence[Record]) -> Finding | None:
    """The finding that the contract's own formula was computed with the numbers of float32.

    Every failure is then within what float32 may leave off, and by far not better.
    """
    if not _may_be_single(run, failing):
        return None
    loose, ratios = run.referee.loose, []
    for record in failing:
        judgement = loose.judge(record.problem, record.value)
        if judgement.verdict != "passed":
            return None
        ratios.append(loose.ratio(record.problem, judgement))
    if median(ratios) < _SINGLE or rounding_driven(two_precisions(run, failing)):
        return None
    sentence = f"computes {run.referee.contract.name}, in single precision"
    return Finding("variant:single-precision", sentence, "single-precision", advice=_ADVICE)


def variant_in_single_precision(run: Run, failing: Sequence[Record], pairs: Sequence[Variant]) -> Finding | None:
    """The finding that a variant, or one of the products `pairs`, was computed with the numbers of float32."""
    if not _may_be_single(run, failing):
        return None
    loose = run.referee.loose
    records = [
        r if r.judgement.verdict == "passed" else replace(r, judgement=loose.judge(r.problem, r.value))
        for r in run.records
    ]
    for among in (run.referee.contract.variants, pairs):
        fit = [d for d in diagnose(loose, records, among, run.out_of_time) if d.contradicted == 0]
        if fit:
            found = named(run, fit)
            return replace(found, summary=f"{found.summary}, in single precision", advice=found.advice or _ADVICE)
    return None


def _may_be_single(run: Run, failing: Sequence[Record]) -> bool:
    """Whether most problems fail whose numbers float32 cannot hold, and most of those outputs are float32 numbers."""
    if run.referee.dtype != "float64" or run.referee.contract.error is not None or not mostly_failing(run.records):
        return False
    with np.errstate(over="ignore"):
        held = [np.array_equal(r.value.astype(np.float32).astype(float), r.value) for r in failing]
    return 2 * sum(held) >= len(held)


_ADVICE = "If single precision is what it is meant to use, judge it so: --dtype float32."
