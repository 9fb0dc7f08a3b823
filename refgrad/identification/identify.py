"""`identify`: the road from an output to a name.

The contract and its single deviations come first; if none of them fits, their products of two, a constant factor, and
a lower precision. What fits is named only if rounding leaves nothing else.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from refgrad import contracts
from refgrad.accuracy import LIMIT
from refgrad.conformance.judging.finding import as_params, declared_by, remedy
from refgrad.conformance.verification import chosen
from refgrad.contracts.continual.fisher_variants import in_batches
from refgrad.contracts.contract import Contract
from refgrad.errors import UsageError
from refgrad.identification.answer import Identification
from refgrad.identification.arguments import LIKE, NAMES, record
from refgrad.identification.checks import asymmetry, randomness
from refgrad.identification.ranking import Ranked, Ranking, same, sine
from refgrad.identification.recorded import UNITS, Recorded
from refgrad.identification.sampled import batch_sizes, sampled
from refgrad.identification.steps import by_signs, gradient_of

__all__ = ["identify"]

SHOWN, NEAR = 5, 0.1
_PATIENCE = 10.0
"""Seconds between lines on how far it is."""
Progress = Callable[[int, int], None]


def identify(
    output: Any = None,
    contract: str | Contract = "maml_gradient",
    *,
    params: Mapping[str, Any] | None = None,
    previous: Any = None,
    before: Any = None,
    after: Any = None,
    outer_lr: float | None = None,
    progress: Progress | None = None,
    **given: Any,
) -> Identification:
    """The formula that `output` was computed by, among all that a contract knows.

    Parameters
    ----------
    output : containers of arrays
        What the person's code gave: gradients in the containers of the parameters, a list of them in the same order as
        they lie in `.grad`, or one flat vector; torch, JAX or NumPy. Its precision is the coarser one of its own and
        that of the parameters.
    contract : str or Contract
        What it should be: a name in ``refgrad contracts``.
    params : dict, optional
        Conventions of the contract, such as ``{"reduction": "sum"}``.
    previous : containers, optional
        The gradient of the step before: whether it was left in `.grad` is asked too.
    before, after, outer_lr : optional
        In place of `output` and `theta` (or `x`, or `phi`): parameters before and after one step of gradient descent
        with the rate `outer_lr`, or the first step of Adam, which tells the signs of the gradient.
    progress : callable, optional
        ``progress(done, planned)``, in formulas. Without it, what takes long says so on standard error.
    **given : arguments
        What the contract's call takes, by name: ``loss, theta, tasks, lr, steps`` for ``maml_gradient``. Containers of
        parameters and batches are the person's own; ``loss(theta, batch)`` is a function of them in their framework.

    Raises
    ------
    UsageError
        If something is missing or has another shape; the message says what was expected.
    """
    name = getattr(contract, "name", contract)
    if isinstance(name, str) and name not in NAMES:
        contracts.get(name)  # which says what may be meant, if there is none of that name
        raise UsageError(f"identify knows {', '.join(sorted(NAMES))}; {name} has refgrad verify alone")
    asked, left = chosen(contract, params or {})
    if left:
        known = ", ".join(asked.conventions) or "none"
        raise UsageError(f"{name} has no convention {', '.join(left)}; it has {known}")
    noise, signs = 0.0, False
    if before is not None or after is not None:
        if before is None or after is None or output is not None or not outer_lr:
            raise UsageError("give output, or in its place all of before, after and outer_lr")
        output, noise, signs = gradient_of(before, after, outer_lr)
        start = LIKE.get(asked.name, "theta")
        given = ({start: before} if start in NAMES[asked.name] else {}) | given
    if output is None:
        others = [name for name in given if name not in NAMES[asked.name]]
        hint = f", and {', '.join(others)}, which is no argument" if others else ""
        raise UsageError(
            f"expected output, the gradient that your code gave, or before, after and outer_lr; got None{hint}"
        )
    recorded = record(asked, output, given)
    recorded.noise += noise * recorded.unit
    recorded.outer_lr = outer_lr or 0.0
    try:
        return _found(recorded, previous, signs, progress or _lines())
    finally:  # at once, for graphs lie in cycles, which Python counts as small
        for one in recorded.derivatives:
            one.forget()


def _found(recorded: Recorded, previous: Any, signs: bool, progress: Progress) -> Identification:
    """The finding for what has been recorded."""
    random = randomness(recorded)
    if random:
        advice = "Call model.eval(), or set the rate of dropout to zero, and record the output again."
        return _answer(recorded, Ranking(recorded), "inconclusive", "", random, advice)
    recorded.notes += asymmetry(recorded)
    if signs:
        return _of_signs(recorded, progress)
    answer = _identified(recorded, progress)
    if previous is None or answer.name:
        return answer
    recorded.output = recorded.output - recorded.layout.flat(previous, "previous")
    rest = _identified(recorded, progress)
    if not rest.name:
        return answer
    summary = f"{rest.summary}; the gradient of the step before was left in it"
    advice = "Call optimizer.zero_grad(), or set .grad to None, before each step."
    name = f"{rest.name}, not zeroed"
    return replace(rest, grade="variant:not-zeroed", name=name, summary=summary, advice=advice)


def _lines() -> Progress:
    """Progress in lines on standard error, the first after a while."""
    begun = said = time.monotonic()

    def progress(done: int, planned: int) -> None:
        nonlocal begun, said
        now = time.monotonic()
        if done == 0:
            begun = now
        elif now - said > _PATIENCE:
            said, left = now, (now - begun) / done * (planned - done)
            print(f"refgrad: {done} of {planned} formulas, about {left:.0f} s more", file=sys.stderr)

    return progress


def _of_signs(recorded: Recorded, progress: Progress) -> Identification:
    """The finding for the first step of Adam, of which a positive factor is nothing."""
    contract, ranking = recorded.contract, Ranking(recorded)
    ranked = by_signs(ranking, [recorded.own, *contract.variants], progress)
    if (not ranked or ranked[0][1]) and contract.products is not None:
        ranked = sorted(ranked + by_signs(ranking, contract.products(), progress), key=lambda r: r[1])
    recorded.notes.append(
        "every weight moved by outer_lr, as in the first step of Adam, which keeps the signs of a gradient alone: a "
        "positive factor, such as the number of tasks, leaves no trace; distances are shares of weights whose sign is "
        "another"
    )
    fits = [variant for variant, share, _ in ranked if not share]
    table = [
        {"name": v.name, "formula": v.formula, "meaning": v.meaning, "distance": share, "explained": None}
        for v, share, _ in ranked[:SHOWN]
    ]
    advice = "To be told more, give the gradients themselves, or a step of gradient descent."
    if not fits:
        sentence = "has the signs of no formula" + (f"; the nearest is {ranked[0][0].name}" if ranked else "")
        return replace(_answer(recorded, ranking, "wrong", "", sentence, advice), ranking=table)
    first = next((v for v in fits if v.name == contract.name), fits[0])
    count = next(count for variant, _, count in ranked if variant is first)
    value = ranking.value(first)
    alike = [v.name for v in fits if v is not first and sine(value, ranking.value(v)) < 1e-4]
    others = [v.name for v in fits if v is not first and v.name not in alike]
    if others:
        names = " or ".join([first.name, *others][:SHOWN])
        sentence = f"has the signs of {names}" + (f", and of {len(fits) - SHOWN} more" if len(fits) > SHOWN else "")
        return replace(_answer(recorded, ranking, "inconclusive", names, sentence, advice, alike), ranking=table)
    grade = "accurate" if first.name == contract.name else f"variant:{first.name}"
    advice = " ".join(filter(None, (_remedy(recorded, first.name), advice)))
    sentence = f"has the signs of {first.name} on all of {count:,} weights where rounding leaves one: {first.meaning}"
    return replace(_answer(recorded, ranking, grade, first.name, sentence, advice, alike), ranking=table)


def _identified(recorded: Recorded, progress: Progress) -> Identification:
    contract, ranking = recorded.contract, Ranking(recorded)
    known = {v.name: v for v in (*contract.variants, *recorded.settings)}
    fits = ranking.compare([recorded.own, *known.values()], progress)
    if not np.any(recorded.output) and any(r.name == contract.name and r.length == 0 for r in ranking.compared):
        return _answer(recorded, ranking, "inconclusive", "", "cannot be told: what was asked for is zero here too")
    turned = None if fits else ranking.through_kinks()
    if not fits and turned is None and contract.products is not None:
        pairs = (*contract.products(), *recorded.further())
        fits = ranking.compare(ranking.possible([v for v in pairs if v.name not in known]), progress)
        turned = None if fits else ranking.through_kinks()
    of_fisher = contract.name.endswith("fisher_diagonal")
    if not fits and turned is None and of_fisher:
        diagonal = contract.quantity.plain  # type: ignore[attr-defined]
        fits = ranking.compare([v for B in batch_sizes(recorded)[:4] for v in in_batches(diagonal, B)], progress)
    if fits:
        return _named(recorded, ranking, fits)
    if turned is not None:
        return _turned(recorded, ranking, turned)
    scaled = ranking.scaled()
    if scaled is not None:
        c, word, one, turned_too = scaled
        name = f"{word or f'{c:.9g}'} times {one.name}"
        number = f" (the factor is {c:.9g})" if word else ""
        advice = "Look for a sum in place of a mean, a weight of the loss, or gradients that add up: zero_grad()."
        if recorded.outer_lr:
            advice = f"Is outer_lr {recorded.outer_lr:g}? With {c * recorded.outer_lr:.6g} it is {one.name}. {advice}"
        advice = " ".join(filter(None, (_remedy(recorded, one.name), advice)))
        meaning = one.meaning[:1].lower() + one.meaning[1:]
        sentence = f"is {name}{number}{_ONLY_TURNED if turned_too else ''}: {meaning}"
        return _answer(recorded, ranking, "variant:scaled", name, sentence, advice)
    lower = ranking.in_lower_precision()
    if lower is not None:
        precision, one = lower
        grade = "inconclusive" if one.name == contract.name else f"variant:{one.name}"
        sentence = f"is {one.name} if it was computed in lower precision, such as {precision}; {one.meaning}"
        advice = (
            "Forbid lower precision, with torch.backends.cuda.matmul.allow_tf32 = False, say, and record the output "
            "again: a small mistake may look like it."
        )
        return _answer(recorded, ranking, grade, one.name, sentence, advice)
    if of_fisher:
        drawn = sampled(recorded)
        if drawn:
            said = ", or ".join(f"{one.name}: {one.meaning}" for one in drawn)
            sentence = f"may be {said}; errors are of the size that chance makes"
            advice = "To be told exactly, take batches in the order of X, or every label with its probability."
            return _answer(recorded, ranking, "inconclusive", " or ".join(d.name for d in drawn), sentence, advice)
    left_open = ranking.left_open([])
    if left_open:
        names, one = " or ".join(r.name for r in left_open), left_open[0]
        sentence = (
            f"may be {names}: {one.name} is off by {one.distance:.1e}, and moves as small as roundings of "
            f"{recorded.dtype} make up to {one.turned:.1e} where they turn decisions, such as those of ReLU"
        )
        return _answer(recorded, ranking, "inconclusive", names, sentence, _DOUBLE)
    nearest = next(iter(ranking.nearest(1)), None)
    if nearest is None:
        return _answer(recorded, ranking, "inconclusive", "", "cannot be told: no formula has a finite value here")
    count = len(ranking.compared)
    near = f"the nearest is {nearest.name}, off by {nearest.distance:.1e}"
    sentence = f"is none of the {count} formulas, {near if nearest.distance < NEAR else 'and none is near'}"
    usual = _USUAL.get(contract.name, _SAME)
    if recorded.outer_lr:
        usual = f"Between before and after: one step of plain gradient descent, without momentum or decay. {usual}"
    advice = f"{usual}\nrefgrad verify FILE.py:FUNCTION --contract {contract.name}"
    return _answer(recorded, ranking, "wrong", "", sentence, advice)


_DOUBLE = "To be sure, record the output in float64, as with model.double()."
_ONLY_TURNED = ", up to what rounding explains only where it turns decisions, such as those of ReLU and max-pooling"
_SAME = "Check that what is given is what your code used. Then judge your function itself:"
_TRAINED = (
    "Check that what is given is what your code used: parameters copied from before the step, the same batches, rate "
    "and mode of the model. What no formula has: gradients left from before (zero_grad; give previous=), an inner "
    "optimiser other than gradient descent, an inner loop over some parameters only. Then judge your function itself:"
)
_OF_BATCHES = (
    "Check that X and y are what your code used, all of them. Batches are told exactly if they come in the order of X, "
    "and in another order only if they are many. Then judge your function itself:"
)
_USUAL = dict.fromkeys(("fisher_diagonal", "empirical_fisher_diagonal"), _OF_BATCHES) | dict.fromkeys(
    ("maml_gradient", "fomaml_gradient", "reptile_update"), _TRAINED
)


def _named(recorded: Recorded, ranking: Ranking, fits: list[Ranked]) -> Identification:
    """The finding for formulas that fit: one, several that are one on these data, or several that rounding leaves."""
    contract = recorded.contract
    first = next((r for r in fits if r.name == contract.name), fits[0])
    tend = {v.name for v in recorded.settings} | {r.name for r in fits if r.name.startswith(("cg-", "neumann-"))}
    tend = tend if first.name == contract.name else set()  # to it, and have come near
    alike = [r.name for r in fits if r is not first and same(r, first) and r.name not in recorded.trivial]
    others = [r for r in (*fits, *ranking.left_open(fits)) if not same(r, first) and r.name not in tend]
    if others:
        names = " or ".join(dict.fromkeys([first.name, *(r.name for r in others)]))
        sentence = f"is {names}: rounding in {recorded.dtype} leaves them open"
        advice = " ".join(filter(None, (_apart(recorded), "" if recorded.unit <= UNITS["float64"] else _DOUBLE)))
        return _answer(recorded, ranking, "inconclusive", names, sentence, advice, alike)
    elsewhere = _outside(recorded, first)
    if elsewhere:
        return _answer(recorded, ranking, "wrong", "", f"is {first.name} on most weights, but not in {elsewhere}")
    if first.name == contract.name:
        advice = _apart(recorded) if alike else ""
        return _answer(recorded, ranking, "accurate", first.name, f"is {first.name}: {contract.returns}", advice, alike)
    advice = _remedy(recorded, first.name)
    if first.name.endswith("sum-over-tasks") and "reduction" in contract.conventions:
        advice += ' If the sum over tasks is yours, declare it: params={"reduction": "sum"}'
    if first.declare:
        advice = f"That is a convention; if it is yours, declare it: params={as_params(first.declare)}"
    sentence = f"is {first.name}, not {contract.name}: {first.meaning}"
    return _answer(recorded, ranking, f"variant:{first.name}", first.name, sentence, advice, alike)


def _turned(recorded: Recorded, ranking: Ranking, one: Ranked) -> Identification:
    """The finding for a formula that is near, as far as moves that turn decisions explain."""
    own = one.name == recorded.contract.name
    sentence = (
        f"is {one.name}{'' if own else f', not {recorded.contract.name}'}{_ONLY_TURNED}: it is off by "
        f"{one.distance:.1e}, and moves of {LIMIT} roundings make up to {one.turned:.1e}"
    )
    advice = "" if own else _remedy(recorded, one.name)
    advice = " ".join(filter(None, (advice, "A small mistake may look like it.", _DOUBLE)))
    alike = [r.name for r in ranking.compared if r is not one and same(r, one)]
    grade = "inconclusive" if own else f"variant:{one.name}"
    return _answer(recorded, ranking, grade, one.name, sentence, advice, alike)


def _remedy(recorded: Recorded, name: str) -> str:
    """What to do about a formula that is not what was asked for."""
    other = declared_by(recorded.contract.name, name)
    asked = f'If that is what it should be, ask for it: contract="{other}".' if other in NAMES else ""
    return " ".join(filter(None, (remedy(name, recorded.engine), asked)))


def _apart(recorded: Recorded) -> str:
    return f"To tell them apart, try {recorded.advice}." if recorded.advice else ""


def _outside(recorded: Recorded, first: Ranked) -> str:
    """The names of arrays in which a formula does not fit that has been compared on some weights of all."""
    if recorded.whole is None or first.variant is None or first.explained is None:
        return ""
    far = recorded.whole(getattr(first.variant.answer, "plain", first.variant.answer))
    allowed = 10 * first.explained * first.length * np.sqrt(len(far) / len(recorded.output))
    parts = zip(recorded.layout.names, recorded.layout.parts(far), strict=True)
    return ", ".join([name for name, part in parts if np.linalg.norm(part) > allowed][:3])


def _answer(
    recorded: Recorded,
    ranking: Ranking,
    grade: str,
    name: str,
    summary: str,
    advice: str = "",
    alike: list[str] | None = None,
) -> Identification:
    shown = ("name", "formula", "meaning", "distance", "explained")
    return Identification(
        contract=recorded.contract.name,
        grade=grade,
        name=name,
        summary=summary,
        alike=alike or [],
        ranking=[{key: getattr(one, key) for key in shown} for one in ranking.nearest(SHOWN)],
        dtype=recorded.dtype,
        engine=recorded.engine,
        said=recorded.said,
        advice=advice,
        notes=recorded.notes,
        compared=len(ranking.compared),
    )
