"""The grade of an iterative subject, by its certificate alone."""

from __future__ import annotations

import numpy as np

from refgrad.conformance.judging.certificate import falls, relative, shrinks
from refgrad.conformance.judging.finding import Finding, certificate_of
from refgrad.conformance.judging.run import Run
from refgrad.contracts.tools.answer import Variant

__all__ = ["judged_by_certificate"]


def judged_by_certificate(run: Run) -> Finding | None:
    """Whether a promise holds, or the certificate falls at a rate; None if neither can be said."""
    certificate = certificate_of(run)
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
        if kept and not run.stopped:  # what it does in place of a value is said by who asks
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
        for problem in problems:
            truth, apart = referee.truth(problem, variant), referee.apart(problem, variant)
            if truth is not None and relative(referee, problem, apart, np.array(truth.middle, object)) > bound:
                return True
        return False

    problems = [r.problem for r in run.records]
    return 2 * sum(map(breaks, variants)) >= len(variants)
