"""A grade with its reasons, and the sentence for formulas that have a name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from refgrad import contracts
from refgrad.conformance.judging.certificate import SCALES, Setting, rate
from refgrad.conformance.judging.diagnosis import Diagnosis
from refgrad.conformance.judging.numbers import fractions, quotient
from refgrad.conformance.judging.run import Record, Run

__all__ = [
    "EXIT_CODES",
    "Finding",
    "as_params",
    "certificate_of",
    "declared_by",
    "exit_code",
    "named",
    "relative_error",
    "remedy",
]

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
    "interrupted": 130,
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
    refuses: str = ""


def exit_code(grade: str) -> int:
    """The exit code that belongs to a grade."""
    return EXIT_CODES[grade.partition(":")[0]]


def named(run: Run, fitting: list[Diagnosis]) -> Finding:
    """The finding for formulas that fit every failure and that nothing speaks against."""
    names = " or ".join(d.name for d in fitting)
    first = fitting[0]
    few = f" on the {first.reproduces} of {first.failures} failing problems where that is defined"
    where = few if first.silent > first.reproduces else ""
    sentence = f"computes {names}{where}, not {run.referee.contract.name}: {first.meaning.rstrip('.')}"
    if len(fitting) > 1:
        sentence = f"computes {names}, which agree on every failing problem, not {run.referee.contract.name}"
    declare = first.variant.declare if first.variant is not None else ""
    second_order = remedy(first.name, run.subject.framework)
    if second_order:
        advice = "\n".join(part for part in (second_order, _declarer(run, first.name)) if part)
    elif declare:
        asked = _asked(run, run.referee.contract.name, declare)
        advice = f"That is a convention; if it is yours, declare it:\n{asked}"
    else:
        advice = _declarer(run, first.name)
    return Finding(f"variant:{first.name}", sentence, names, fitting, certificate_of(run), advice)


def remedy(variant: str, framework: str) -> str:
    """What to write in place of what a formula shows, in the framework at hand; empty where nothing is known."""
    if variant.startswith("fomaml"):
        return _SECOND_ORDER.get(framework, "")
    return next((advice for part, advice in _OTHERWISE.items() if part in variant), "")


_EACH = "Square the gradient of each example, not that of a batch: a loss for every example, or vmap."
_OTHERWISE = {
    "batch-mean-squared": _EACH,
    "batch-sum-squared": _EACH,
    "argmax-label": "For the model's own Fisher, weigh each label with its probability, or draw labels from the model.",
    "support-loss-in-outer": "Take the outer loss on the query set.",
    "one-step-fewer": "Count the inner steps: the last one is not taken.",
    "reptile-direction": "That is Reptile's: theta minus the adapted parameters; it is judged by reptile_update.",
    "sets-exchanged": "Adapt on the support set, and take the outer loss on the query set.",
    "query-size": "Divide by the number of tasks, whatever their sizes are.",
}
_SECOND_ORDER = {
    "torch": "For second order, create_graph=True in the inner torch.autograd.grad, and no .detach() or .data.",
    "jax": "For second order, no jax.lax.stop_gradient in the inner step.",
    "numpy": "For second order, differentiate through the inner steps.",
}


def _declarer(run: Run, variant: str) -> str:
    """The command that asks for a variant, if there is a contract of it."""
    name = declared_by(run.referee.contract.name, variant)
    return f"If that is what it should compute:\n{_asked(run, name)}" if name else ""


def _asked(run: Run, contract: str, declare: str = "") -> str:
    """How to ask again: by a command, or in Python where the function is not to be had by its file."""
    if run.subject.isolation != "none":
        return f"refgrad verify {run.subject.name} --contract {contract} {declare}".rstrip()
    params = f", params={as_params(declare)}" if declare else ""
    return f'refgrad.verify({run.subject.name.rpartition(".<locals>.")[2]}, "{contract}"{params})'


def as_params(declare: str) -> str:
    """The conventions that options of the command declare, as the dict that Python takes."""
    return "{" + ", ".join(f'"{name}": "{value}"' for name, value in re.findall(r"([\w.]+)=(\S+)", declare)) + "}"


def declared_by(contract: str, variant: str) -> str:
    """The name of the contract whose own formula a variant of another one is, if there is one."""
    stem = variant.replace("-", "_")
    others = (name for name in contracts.contracts() if name != contract)
    return next((name for name in others if name == stem or name.startswith(stem + "_")), "")


def certificate_of(run: Run) -> dict[str, Any] | None:
    """The certificates of a run of an iterative subject, for the report; None if nothing was asked about them."""
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


def relative_error(run: Run, failing: Sequence[Record]) -> float:
    """The largest of ``max_i |y_i - f_i| / S`` over some failures, S the largest sum of absolute terms of f_i."""
    worst = 0.0
    for record in failing:
        truth = run.referee.truth(record.problem)
        if truth is not None:
            _, high = truth.distance(fractions(record.value).ravel())
            worst = max(worst, quotient(high, truth.magnitude))
    return worst
