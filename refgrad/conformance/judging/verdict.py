"""The grade of a finished run, with its sentence.

Tried in this order, the first that fits: a named variant, the certificate of an iterative subject, a constant
factor, rounding, an error too small to call, and at last just: something else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from statistics import median
from typing import Any

from refgrad import contracts
from refgrad.accuracy import LIMIT
from refgrad.conformance.judging.certificate import PLAUSIBLE, SCALES, Setting, falls, rate, relative, shrinks
from refgrad.conformance.judging.diagnosis import Diagnosis, constant_factor, diagnose
from refgrad.conformance.judging.referee import MARGIN, fractions, quotient
from refgrad.conformance.judging.run import NOT_RUN, Record, Run
from refgrad.conformance.subject.process import StopRun
from refgrad.contracts.tools.answer import Variant

__all__ = ["EXIT_CODES", "Finding", "exit_code", "find", "rounding_driven"]

_PRECISION_PROBLEMS = 12
_ROUNDING = 2.0**20  # between 1, where the method errs, and 2**29, where rounding does

EXIT_CODES = {
    "exact": 0,
    "accurate": 0,
    "converging": 0,
    "variant": 1,
    "wrong": 1,
    "unstable": 1,
    "not-run": 3,
    "borderline": 4,
    "inconclusive": 4,
    "nothing-ran": 5,
}
"""The exit code of each grade; ``variant:NAME`` counts as ``variant``. 2 is a usage error, which has no grade."""


@dataclass(frozen=True)
class Finding:
    """A grade with its reasons; the fields are those of `Report`."""

    grade: str
    summary: str
    diagnosis: str | None = None
    candidates: list[Diagnosis] = field(default_factory=list)
    certificate: dict[str, Any] | None = None
    advice: str = ""


def exit_code(grade: str) -> int:
    """The exit code that belongs to a grade."""
    return EXIT_CODES[grade.partition(":")[0]]


def find(run: Run) -> Finding:
    """The finding of a run that has been swept."""
    failing = [r for r in run.records if r.judgement.verdict == "failed"]
    ran = len(run.records) + len(run.troubles)
    if ran == 0:
        return Finding("nothing-ran", "no problem was run, so nothing is known", advice="Raise --max-examples.")
    if not run.records and all(t.outcome.kind in NOT_RUN for t in run.troubles):
        ending = "; three in a row ended the run" if run.stopped else ""
        first = run.troubles[0].outcome
        contract, command = run.referee.contract, f"refgrad contracts {run.referee.contract.name}"
        advice = f"It is called as {contract.signature}; what each argument is:\n{command}"
        return Finding(
            "not-run",
            f"it gave no result on any of {ran} problems: {first.message}{ending}",
            advice=advice if first.kind == "raised" else "",
        )
    if failing and not any(t.outcome.kind == "nondeterministic" for t in run.troubles):  # which fit no formula
        return _failing(run, failing)
    if run.troubles:
        return _trouble(run, ran)
    return _passing(run)


def _passing(run: Run) -> Finding:
    contract = run.referee.contract
    unknown = sum(r.judgement.verdict == "unknown" for r in run.records)
    if run.candidates.effective == 0:
        return Finding(
            "inconclusive",
            "no problem told the contract from the other formulas",
            advice="Raise --max-examples or change --seed.",
        )
    alike = [v.name for v in run.candidates.remaining]
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
    certificate = _certificate(run)
    if all(r.judgement.rounded for r in run.records):
        return Finding("exact", f"computes {contract.name}, correctly rounded", certificate=certificate)
    return Finding("accurate", f"computes {contract.name}, as accurately as floats allow", certificate=certificate)


def _trouble(run: Run, ran: int) -> Finding:
    first = run.troubles[0]
    words = {
        "raised": "raises",
        "timeout": "does not return",
        "crashed": "kills its process",
        "not_finite": "returns NaN or infinity",
        "wrong_shape": "returns the wrong shape",
        "wrong_dtype": "returns the wrong dtype",
        "not_an_array": "returns no array",
        "nondeterministic": "returns different numbers for the same input",
    }
    kinds = {t.outcome.kind: None for t in run.troubles}
    what = " and ".join(words[k] for k in kinds)
    ending = "; three in a row ended the run" if run.stopped else ""
    return Finding("wrong", f"{what} on {len(run.troubles)} of {ran} problems: {first.outcome.message}{ending}")


def _failing(run: Run, failing: list[Record]) -> Finding:
    contract = run.referee.contract
    fitting = diagnose(run.referee, run.records, contract.variants)
    named = [d for d in fitting if d.contradicted == 0]
    if named:
        return _name(run, named)
    if contract.certificate and (run.vary or run.promise):
        found = _judged_by_certificate(run)
        if found is not None:
            return found
    scaled = constant_factor(run.referee, run.records)
    if scaled is not None:
        return Finding("variant:scaled", scaled.meaning, "scaled", [scaled], _certificate(run))
    errors = _two_precisions(run, failing)
    if rounding_driven(errors):
        return Finding(
            "unstable",
            f"computes {contract.name} by the right formula, but rounding costs more than {LIMIT} times what it must: "
            "the error falls with the precision",
            candidates=fitting,
            advice="Look for a cancellation, a squared condition number or an explicit inverse.",
        )
    return _no_explanation(run, failing, fitting)


def _name(run: Run, named: list[Diagnosis]) -> Finding:
    names = " or ".join(d.name for d in named)
    first = named[0]
    few = f" on the {first.reproduces} of {first.failures} failing problems where that is defined"
    where = few if first.silent > first.reproduces else ""
    sentence = f"computes {names}{where}, not {run.referee.contract.name}: {first.meaning.rstrip('.')}"
    if len(named) > 1:
        sentence = f"computes {names}, which agree on every failing problem, not {run.referee.contract.name}"
    return Finding(f"variant:{first.name}", sentence, names, named, _certificate(run), _declarer(run, first.name))


def _declarer(run: Run, variant: str) -> str:
    """The contract that declares the variant, if there is one."""
    stem = variant.replace("-", "_")
    for name in contracts.contracts():
        if name != run.referee.contract.name and (name == stem or name.startswith(stem + "_")):
            return f"If that is what it should compute:\nrefgrad verify {run.subject.name} --contract {name}"
    return ""


def _certificate(run: Run) -> dict[str, Any] | None:
    contract = run.referee.contract
    if contract.certificate not in SCALES or not run.records or not (run.vary or run.promise):
        return None
    left = Setting.of(0, run.gaps())
    return {
        "name": contract.certificate,
        "scale": SCALES[contract.certificate][0],
        "knob": next(iter(run.vary), None),
        "settings": [{"value": s.value, "median": s.median, "worst": s.worst} for s in run.settings],
        "rate": rate(run.settings) if run.settings else None,
        "median": left.median,
        "worst": left.worst,
        "promise": run.promise.get(contract.certificate),
    }


def _judged_by_certificate(run: Run) -> Finding | None:
    certificate = _certificate(run)
    assert certificate is not None
    name, scale = certificate["name"], certificate["scale"]
    complete = not run.troubles and not run.stopped
    if run.promise:
        bound = run.promise[name]
        kept = certificate["worst"] <= bound
        words = f"the promise {name} <= {bound:g} ({name} / {scale})"
        if kept and complete and not _tells(run, bound):
            return Finding(
                "inconclusive",
                f"{words} holds, but most other formulas keep it too: it is too wide to tell anything",
                certificate=certificate,
                advice="State a smaller promise.",
            )
        if kept and complete:
            return Finding("converging", f"{words} holds: worst {certificate['worst']:.2g}", certificate=certificate)
        if not kept:
            return Finding("wrong", f"{words} does not hold: worst {certificate['worst']:.2g}", certificate=certificate)
    if run.vary and complete and falls(run.settings):
        exponent = certificate["rate"]["worst"]
        how = f"like {certificate['knob']}^{exponent:.2f}" if exponent is not None else "to what may be attained"
        last = run.settings[-1]
        return Finding(
            "converging",
            f"worst {name} / {scale} falls {how}; it is {last.worst:.2g} at {certificate['knob']} = {last.value:g}",
            certificate=certificate,
        )
    if run.vary and complete and shrinks(run.settings):
        return Finding(
            "inconclusive",
            f"worst {name} / {scale} falls with {certificate['knob']}, but too slowly to tell where it ends",
            certificate=certificate,
            advice="Vary it over a wider range.",
        )
    return None


def _tells(run: Run, bound: float) -> bool:
    """Whether at least half of the variants break the promise on some problem, so that keeping it says something."""
    referee, variants = run.referee, run.referee.contract.variants

    def breaks(variant: Variant) -> bool:
        shares = (relative(referee, p, referee.apart(p, variant)) for p in problems)
        return any(share > bound for share in shares)

    problems = [r.problem for r in run.records]
    return 2 * sum(map(breaks, variants)) >= len(variants)


def _two_precisions(run: Run, failing: Sequence[Record]) -> list[tuple[Any, Any]]:
    """Errors in float32 and in float64 of the same failing problems."""
    chosen = sorted(failing, key=lambda r: r.problem.kind != "rough")[:_PRECISION_PROBLEMS]
    pairs = []
    try:
        for record in chosen:
            errors = []
            for dtype in ("float32", "float64"):
                outcome = run.subject.call(record.problem.inputs, dtype=dtype)
                if outcome.kind != "value" or outcome.value is None:
                    break
                bounds = run.referee.error(record.problem, fractions(outcome.value))
                errors.append(bounds[1] if bounds is not None else None)
            if len(errors) == 2 and None not in errors:
                pairs.append((errors[0], errors[1]))
    except StopRun:
        pass
    return pairs


def _no_explanation(run: Run, failing: list[Record], fitting: list[Diagnosis]) -> Finding:
    contract = run.referee.contract
    certificate = _certificate(run)
    share = f"{len(failing)} of {len(run.records)} problems"
    if contract.certificate in SCALES and not (run.vary or run.promise):
        left = Setting.of(0, run.gaps())
        if left.worst <= PLAUSIBLE:
            scale = SCALES[contract.certificate][0]
            return Finding(
                "inconclusive",
                f"not accurate on {share}, and no known formula fits; the {contract.certificate} / {scale} is "
                f"{left.worst:.2g} at worst, {left.median:.2g} in the median of these, as iteration leaves it",
                candidates=fitting,
                advice=(
                    "If it is iterative, name its knob, --vary max_iters=100,1000,10000, to have the rate measured, "
                    f"or state what it promises, --promise {contract.certificate}=1e-3."
                ),
            )
    if not any(r.judgement.clear for r in failing):
        return Finding(
            "borderline",
            f"misses the line of {LIMIT} times the attainable error on {share}, by less than a factor of {MARGIN}",
            candidates=fitting,
            certificate=certificate,
        )
    if fitting:
        first = fitting[0]
        sentence = (
            f"computes {first.name} on the {share} that fail, but {contract.name} on {first.contradicted} others "
            "where the two differ"
        )
        return Finding("wrong", sentence, candidates=fitting, certificate=certificate)
    sentence = f"computes something else than {contract.name} on {share}; no known variant fits them all"
    return Finding("wrong", sentence, certificate=certificate)


def rounding_driven(errors: list[tuple[Fraction, Fraction]]) -> bool:
    """Whether errors fall with the unit roundoff, from pairs (error in float32, error in float64).

    Where rounding rules, their quotient is near 2**29; where the method does, near 1.
    """
    quotients = [quotient(single, double) for single, double in errors if single or double]
    return bool(quotients) and median(quotients) >= _ROUNDING and min(quotients) >= 2**10
