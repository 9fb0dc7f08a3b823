"""What can be said of failures that no formula explains: how far off, on which problems, and what fits a part."""

from __future__ import annotations

from collections.abc import Sequence

from refgrad.accuracy import LIMIT
from refgrad.conformance.judging.certificate import PLAUSIBLE, SCALES, Setting, keeps
from refgrad.conformance.judging.diagnosis import Diagnosis, Partial, partial
from refgrad.conformance.judging.factor import step_returned
from refgrad.conformance.judging.finding import Finding, certificate_of, relative_error
from refgrad.conformance.judging.groups import begins, where
from refgrad.conformance.judging.referee import MARGIN
from refgrad.conformance.judging.run import DEVIATIONS, ENOUGH, MORE, Record, Run
from refgrad.contracts.contract import Problem

__all__ = ["in_part", "unexplained"]


def unexplained(run: Run, failing: list[Record], fitting: list[Diagnosis]) -> Finding:
    """The finding where no formula explains all failures; `fitting` are those that passing problems speak against."""
    contract = run.referee.contract
    certificate = certificate_of(run)
    passing = [r for r in run.records if r.judgement.verdict == "passed"]
    share = f"{len(failing)} of {len(run.records)} problems"
    if contract.certificate in SCALES and not (run.vary or run.promise):
        left = Setting.of(0, run.gaps())
        if left.worst <= PLAUSIBLE and not begins(contract, _problems(failing), _problems(passing)):
            scale = SCALES[contract.certificate][0]
            return Finding(
                "inconclusive",
                f"not accurate on {share}, and no known formula fits; the {contract.certificate} / {scale} is "
                f"{left.worst:.2g} at worst, {left.median:.2g} in the median of these, as iteration leaves it",
                candidates=fitting,
                advice=(
                    "If it is iterative, name its knob, --vary max_iters=100,1000,10000, to have the rate measured, "
                    f"or state what it promises: --promise {contract.certificate}={keeps(left.worst)} would hold here."
                ),
            )
    if not run.stochastic and not any(r.judgement.clear for r in failing):
        return Finding(
            "borderline",
            f"misses the line of {LIMIT} times the attainable error on {share}, by less than a factor of {MARGIN}",
            candidates=fitting,
            certificate=certificate,
        )
    step = step_returned(run.referee, failing, run.out_of_time)
    if step is not None:
        rate, variant = step
        along = contract.name if variant is None else variant.name
        sign = "minus" if rate > 0 else "plus"
        sentence = f"returns parameters on {share}: theta {sign} {abs(rate):g} times {along}"
        return Finding("wrong", sentence, certificate=certificate, advice="Return the gradient, before the step.")
    if run.stochastic:
        return _too_coarse(run, failing, share)
    those = where(contract, _problems(failing), _problems(passing))
    largest = f"the largest relative error is {relative_error(run, failing):.2g}"
    some = partial(run.referee, run.records, contract.variants, run.out_of_time)
    if some is not None:
        return in_part(run, some)
    if fitting:
        first = fitting[0]
        sentence = (
            f"computes {first.name} on the {share} that fail, but {contract.name} on {first.contradicted} others "
            "where the two differ"
        )
        return Finding("wrong", sentence + those, None, fitting, certificate)
    sentence = (
        f"computes something else than {contract.name} on {share}{those}; no known formula fits them all; {largest}"
    )
    return Finding("wrong", sentence, certificate=certificate, advice=_BY_HAND)


_BY_HAND = (
    "The smallest failing input can be followed by hand. On a model of your own, refgrad.identify compares its "
    "gradient with every formula and says how far off each one is."
)


def in_part(run: Run, some: Partial) -> Finding:
    """The finding that a formula fits a part of the failures."""
    first = some.diagnosis
    article, group = ("the ", f" with {some.where}") if some.where else ("", "")
    sentence = (
        f"computes {first.name} on {article}{first.reproduces} of {first.failures} failing problems{group}, "
        f"and something else on the other {len(some.rest)}, where the largest relative error is "
        f"{relative_error(run, some.rest):.2g}"
    )
    return Finding("wrong", sentence, candidates=[first], certificate=certificate_of(run))


def _too_coarse(run: Run, failing: list[Record], share: str) -> Finding:
    """The finding on a random subject: which formulas its means allow. Which problems fail is chance, and not said."""
    name, referee = run.referee.contract.name, run.referee
    near = [
        v.name
        for v in run.candidates.remaining
        if sum(referee.matches(r.problem, r.value, v) is True for r in failing) >= min(ENOUGH, len(failing))
    ]
    sentence = f"the mean of {MORE * run.stochastic} calls is more than {DEVIATIONS} standard errors off on {share}"
    if near:
        sentence += f", and within {DEVIATIONS} of {', of '.join(near[:3])}, which is too coarse to name it"
    else:
        largest = relative_error(run, failing)
        sentence += f"; no known formula fits them all; the largest relative error is {largest:.2g}"
    clear = any(r.judgement.clear for r in failing)
    return Finding(
        "wrong" if clear else "inconclusive",
        f"computes something else than {name}: {sentence}" if clear else sentence,
        certificate=certificate_of(run),
        advice="" if clear and not near else f"Call it more often: --stochastic {10 * run.stochastic}",
    )


def _problems(records: Sequence[Record]) -> list[Problem]:
    return [r.problem for r in records]
