"""The grade of a finished run, with its sentence.

Tried in this order, the first that fits: a named variant, the contract in single precision, the product of two
variants, the certificate of an iterative subject, a constant factor, rounding, a variant in single precision, an error
too small to call, a formula on a part of the problems, and at last just: something else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from refgrad.accuracy import LIMIT
from refgrad.backend.exact.array import TABLES
from refgrad.conformance.judging.diagnosis import diagnose, partial
from refgrad.conformance.judging.factor import constant_factor
from refgrad.conformance.judging.finding import Finding, certificate_of, exit_code, named
from refgrad.conformance.judging.groups import where
from refgrad.conformance.judging.iterative import judged_by_certificate
from refgrad.conformance.judging.precision import (
    in_single_precision,
    rounding_driven,
    two_precisions,
    variant_in_single_precision,
)
from refgrad.conformance.judging.run import DEVIATIONS, ENOUGH, MORE, NOT_RUN, Record, Run
from refgrad.conformance.judging.shrink import likely
from refgrad.conformance.judging.unexplained import in_part, unexplained
from refgrad.contracts.tools.answer import Variant

__all__ = ["find"]

_SELDOM = 8
"""If no more than one problem in so many fails, a random subject may have drawn too seldom what counts there."""
_FEW = 8
"""Formulas that are few enough to be tried on every failure."""


def find(run: Run, strict: bool = False) -> Finding:
    """The finding of a run that has been swept; `strict` makes a failure of what the subject refuses to take."""
    failing = [r for r in run.records if r.judgement.verdict == "failed"]
    ran = len(run.records) + len(run.troubles)
    if run.unvaried and not any(run.referee.slack.values()):
        return Finding(
            "wrong",
            "every call on the same input gave the same numbers, and not the right ones on "
            f"{run.unvaried} of {ran + run.unvaried} problems",
            advice="Seed no generator inside, so that each call draws anew; without one, leave out --stochastic.",
        )
    if ran == 0:
        why = (
            f"the budget of {run.budget:g} seconds was over before the first problem"
            if run.late
            else "no problem was run"
        )
        return Finding("nothing-ran", f"{why}, so nothing is known", advice="Raise --budget or --max-examples.")
    if not run.records and all(t.outcome.kind in NOT_RUN for t in run.troubles):
        return _not_run(run, ran)
    unused = run.subject.unused()
    if unused and (failing or not run.records) and not _returns_zero(run):  # which is a name of its own
        names = " and ".join(f"`{name}`" for name in unused)
        return Finding(
            "not-run",
            f"your function never called the {names} that it was given, so its numbers are of another function",
            advice=f"Compute with the {names} among the arguments in place of your own.",
        )
    random = any(t.outcome.kind == "nondeterministic" for t in run.troubles)
    if run.stateful and not random:
        return Finding("wrong", f"keeps state between calls: {run.stateful}", advice=_STATE)
    if run.stochastic and 0 < len(failing) < max(ENOUGH, len(run.records) / _SELDOM):
        return Finding(
            "inconclusive",
            f"on {len(failing)} of {len(run.records)} problems the mean of {MORE * run.stochastic} calls is more than "
            f"{DEVIATIONS} standard errors off, which may be what is drawn too seldom to be seen",
            advice="Raise --stochastic.",
        )
    refused = None if strict else run.refusal()
    if failing and not random:  # which fit no formula
        found = _failing(run, failing)
        if found.grade == "wrong" and found.diagnosis is None and not run.stochastic:
            alone = next((r for r in failing[:2] if run.in_a_fresh_process(r.problem)), None)
            if alone is not None:
                said = "keeps state between calls: where it failed, it is right when it is called for the first time"
                return Finding("wrong", said, advice=_STATE)
        if not run.troubles or refused:
            return _also(found, refused)
        accidents = _accidents(run, ran)
        if exit_code(found.grade) == 1:
            advice = "\n".join(filter(None, (found.advice, _advice(run))))
            return _also(replace(found, advice=advice), None, f"; it also {accidents}")
        return replace(found, grade="wrong", summary=f"{accidents}; where it returns, {found.summary}")
    if run.troubles and not refused:
        return Finding("wrong", _accidents(run, ran), advice=_advice(run))
    return _also(_passing(run, refused), refused)


def _also(found: Finding, refused: str | None, more: str = "") -> Finding:
    """A finding whose sentence ends with what else there is to say."""
    words = f"; refuses: {refused}" if refused else more
    return replace(found, summary=found.summary + words, refuses=refused or "")


def _returns_zero(run: Run) -> bool:
    """Whether every output is zero, as it is where a graph has been cut."""
    return bool(run.records) and not run.troubles and not any(np.any(r.value) for r in run.records)


_STATE = "Look for gradients that add up in `.grad`, a cache by shape or identity, a generator, buffers that move."


def _not_run(run: Run, ran: int) -> Finding:
    ending = "; three in a row ended the run" if run.stopped else ""
    first = run.troubles[0].outcome
    contract, command = run.referee.contract, f"refgrad contracts {run.referee.contract.name}"
    advice = f"It is called as {contract.signature}; what each argument is:\n{command}"
    if run.subject.framework != "numpy":
        advice += f"\nIt was given arrays of {run.subject.framework}; --backend numpy gives it others."
    return Finding(
        "not-run",
        f"it gave no result on any of {ran} problems: {first.message}{ending}",
        advice=advice if first.kind == "raised" else "",
    )


def _passing(run: Run, refused: str | None) -> Finding:
    contract = run.referee.contract
    unknown = sum(r.judgement.verdict == "unknown" for r in run.records)
    if run.late:
        return Finding(
            "inconclusive",
            f"nothing failed on {len(run.records)} of {run.planned} problems, and then the budget of {run.budget:g} "
            "seconds was over",
            advice="Raise --budget, or ask for fewer problems with --max-examples.",
        )
    if run.candidates.effective == 0:
        return Finding(
            "inconclusive",
            "no problem told the contract from the other formulas",
            advice="Raise --max-examples or change --seed.",
        )
    alike = [v.name for v in run.candidates.remaining]
    if alike and "ball" not in TABLES and contract.wide is not None:
        sentence = f"computes {contract.name}, as accurately as floats allow, on small problems"
        advice = f"Wide problems need python-flint; without them nothing told it from {', '.join(alike)}:\n"
        return Finding("accurate", sentence, advice=advice + "pip install 'refgrad[verify,exact]'")
    if alike and refused and not unknown:
        sentence = f"computes {contract.name}, as accurately as floats allow, on what it takes, where it is one with "
        return Finding("accurate", sentence + ", ".join(alike), certificate=certificate_of(run))
    if alike:
        return Finding(
            "inconclusive",
            f"no output told {contract.name} from {' and '.join(alike)}",
            advice="Raise --max-examples or change --seed.",
        )
    if unknown:
        return Finding(
            "inconclusive", f"on {unknown} problems the truth could not be enclosed tightly enough to decide"
        )
    certificate = certificate_of(run)
    if run.stochastic:
        sentence = f"the mean of {run.stochastic} calls is {contract.name}, within {DEVIATIONS} standard errors"
        if run.unvaried:
            sentence += f"; on {run.unvaried} problems all calls gave the same numbers, and nothing is known"
        return Finding("accurate", sentence, certificate=certificate)
    if all(r.judgement.rounded for r in run.records):
        return Finding("exact", f"computes {contract.name}, correctly rounded", certificate=certificate)
    return Finding("accurate", f"computes {contract.name}, as accurately as floats allow", certificate=certificate)


def _accidents(run: Run, ran: int) -> str:
    """What happened in place of a value, on how many problems, and what these have in common."""
    words = {
        "raised": "raises",
        "timeout": "does not return",
        "crashed": "kills its process",
        "not_finite": "returns NaN or infinity",
        "wrong_shape": "returns the wrong shape",
        "wrong_dtype": "returns the wrong dtype",
        "not_an_array": "returns no array",
        "nondeterministic": "returns different numbers for the same input",
        "graph_cut": "returns no gradient",
        "bad_reply": "sends what is no answer",
    }
    kinds = {t.outcome.kind: None for t in run.troubles}
    what = " and ".join(words.get(k, k.replace("_", " ")) for k in kinds)
    ending = "; three in a row ended the run" if run.stopped else ""
    those = where(run.referee.contract, [t.problem for t in run.troubles], [r.problem for r in run.records])
    return f"{what} on {len(run.troubles)} of {ran} problems{those}: {run.troubles[0].outcome.message}{ending}"


def _advice(run: Run) -> str:
    """What to do about the first accident."""
    first = run.troubles[0].outcome
    if first.kind == "wrong_dtype" and first.dtype == "float32" and run.subject.dtype == "float64":
        return "If it is meant to compute in single precision, judge it so: --dtype float32."
    if first.kind == "raised" and run.subject.framework != "numpy" and "ndarray" in first.message:
        return f"It was given arrays of {run.subject.framework}; --backend numpy gives it NumPy's."
    if first.kind == "graph_cut":
        return "Look for .data, .detach(), torch.no_grad(), a copy made with torch.tensor, and create_graph=False."
    return ""


def _failing(run: Run, failing: list[Record]) -> Finding:
    contract = run.referee.contract
    fitting = diagnose(run.referee, run.records, contract.variants, run.out_of_time)
    fit = [d for d in fitting if d.contradicted == 0]
    if fit:
        return named(run, fit)
    single = in_single_precision(run, failing)
    if single is not None:
        return single
    pairs: Sequence[Variant] = ()
    if contract.products is not None and not run.out_of_time():
        pairs = likely(run, failing, contract.products())
    fit = [d for d in diagnose(run.referee, run.records, pairs, run.out_of_time) if d.contradicted == 0]
    if fit:
        return named(run, fit)
    if contract.certificate and (run.vary or run.promise):
        found = judged_by_certificate(run)
        if found is not None:
            return found
    scaled = constant_factor(run.referee, run.records, run.out_of_time)
    if scaled is not None:
        return Finding("variant:scaled", scaled.meaning, scaled.name, [scaled], certificate_of(run))
    most = partial(run.referee, run.records, pairs, run.out_of_time) if len(pairs) <= _FEW else None
    if most is not None and len(most.rest) <= len(failing) / 5:  # a difference of gradients, say, where its step fits
        return in_part(run, most)
    if rounding_driven(two_precisions(run, failing)):
        return Finding(
            "unstable",
            f"computes {contract.name} by the right formula, but rounding costs more than {LIMIT} times what it must: "
            "the error falls with the precision",
            candidates=fitting,
            advice="Look for a cancellation, a squared condition number or an explicit inverse.",
        )
    single = variant_in_single_precision(run, failing, pairs)
    return single if single is not None else unexplained(run, failing, fitting)
