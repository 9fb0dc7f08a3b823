"""A factor on what the contract says, or on what a variant says: a number, or made of a size of the problem.

Sums for means and learning rates left out change a formula by N, 1/N, N/(N - 1) or 1/lr, whatever the formula is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import numpy as np

from refgrad.accuracy import LIMIT
from refgrad.conformance.judging.diagnosis import Diagnosis, failures
from refgrad.conformance.judging.groups import properties
from refgrad.conformance.judging.numbers import fractions
from refgrad.conformance.judging.referee import Referee
from refgrad.conformance.judging.run import ENOUGH, Record
from refgrad.contracts.contract import Contract, Problem
from refgrad.contracts.tools.answer import Variant

__all__ = ["constant_factor", "step_returned"]

Factor = Callable[[Problem], Fraction | None]

OF_SIZE: dict[str, Callable[[Fraction], Fraction]] = {
    "{}": lambda n: n,
    "1/{}": lambda n: 1 / n,
    "{0}/({0} - 1)": lambda n: n / (n - 1),
    "({0} - 1)/{0}": lambda n: (n - 1) / n,
    "{}^2": lambda n: n * n,
    "1/{}^2": lambda n: 1 / (n * n),
    "{}/2": lambda n: n / 2,
    "2/{}": lambda n: 2 / n,
}
"""What a factor may be of a size; one that is divided by zero is none."""


def constant_factor(referee: Referee, records: Sequence[Record], stop: Callable[[], bool]) -> Diagnosis | None:
    """The factor, if every output is that times what the contract says, or times what a variant says.

    Parameters
    ----------
    referee : Referee
    records : list of Record
        All problems that gave a value; those that passed have to fit as well.
    stop : callable
        Whether to try no more.
    """
    values = [r for r in records if r.judgement.verdict != "unknown"]
    failing = failures(values)
    if referee.contract.error is not None or len(failing) < ENOUGH:
        return None
    for variant in (None, *referee.contract.variants):
        if stop():
            return None
        found = scaled(referee, values, failing, variant)
        if found is not None:
            return found
    return None


def scaled(
    referee: Referee, values: Sequence[Record], failing: Sequence[Record], variant: Variant | None
) -> Diagnosis | None:
    """The factor on one formula."""
    if variant is not None and not _parallel(referee, failing, variant):
        return None
    nonzero = (r for r in failing if ratio(referee, r, variant) is not None)
    first = next(nonzero, None)
    if first is None or not fits(referee, first, variant, ratio(referee, first, variant)):
        return None
    measured = [(r.problem, c) for r in failing for c in (ratio(referee, r, variant),) if c is not None]
    for name, factor in candidates(referee.contract, measured) if len(measured) >= ENOUGH else ():
        fitting = [fits(referee, r, variant, factor(r.problem)) for r in values]
        if False in fitting or (variant is None and None in fitting):
            continue
        if variant is None:
            meaning = f"computes {name} times what the contract says, on every problem"
            return Diagnosis("scaled", f"{name} * f", meaning, (), len(failing), len(failing))
        called, formula = f"{name} times {variant.name}", f"{name} * ({variant.formula})"
        meaning = f"computes {called}, not {referee.contract.name}: {variant.meaning}"
        return Diagnosis(called, formula, meaning, variant.references, len(failing), len(failing))
    return None


def _parallel(referee: Referee, failing: Sequence[Record], variant: Variant) -> bool:
    """Whether floats leave open that the first outputs are multiples of what a variant gives."""
    for record in failing[:ENOUGH]:
        found, y = referee.rough(record.problem, variant), record.value.ravel()
        if found is None or found.size != y.size or not found.any():
            continue
        i = int(np.argmax(np.abs(found)))
        if np.max(np.abs(y - y[i] / found[i] * found)) > 1e-3 * np.max(np.abs(y)):
            return False
    return True


def candidates(contract: Contract, measured: Sequence[tuple[Problem, Fraction]]) -> Iterator[tuple[str, Factor]]:
    """Names and values of factors that are the measured ratio on the first problem and on the one furthest from it."""
    problem, here = measured[0]
    other, there = max(measured[1:], key=lambda item: abs(item[1] - here))
    if near(there, here):
        simple = here.limit_denominator(64)
        number = simple if near(simple, here) else here
        if number not in (0, 1):
            yield (str(simple) if number is simple else f"{float(here):.6g}"), lambda problem: number
        return
    for size in sizes(contract, problem):
        for text, of_size in OF_SIZE.items():
            factor = of(contract, size, of_size)
            found = factor(problem), factor(other)
            if None not in found and near(found[0], here) and near(found[1], there):  # type: ignore[arg-type]
                yield text.format(size), factor


def of(contract: Contract, size: str, of_size: Callable[[Fraction], Fraction]) -> Factor:
    """A factor made of one size, None where the problem has it not, or not as one number."""

    def factor(problem: Problem) -> Fraction | None:
        n = sizes(contract, problem).get(size)
        try:
            return None if n is None else of_size(n)
        except ZeroDivisionError:
            return None

    return factor


def near(a: Fraction, b: Fraction) -> bool:
    """Whether two ratios of floats may be equal."""
    return abs(a - b) * 10**4 <= abs(b)


def sizes(contract: Contract, problem: Problem) -> dict[str, Fraction]:
    """The numbers that a factor may be made of: the sizes of a problem, and its inputs that are one number."""
    found = {n: values[0] for n, values in properties(contract, problem).items() if len(set(values)) == 1}
    numbers = {**found, **problem.inputs}
    return {n: Fraction(v) for n, v in numbers.items() if isinstance(v, (int, float))}


def ratio(referee: Referee, record: Record, variant: Variant | None) -> Fraction | None:
    """The output by the answer, in the answer's largest component."""
    truth = referee.truth(record.problem, variant)
    if truth is None or not truth.low.size or truth.low.size != record.value.size:
        return None
    middle = truth.middle
    i = int(np.argmax([abs(float(m)) for m in middle]))
    return fractions(record.value).ravel()[i] / middle[i] if middle[i] else None


def fits(referee: Referee, record: Record, variant: Variant | None, factor: Fraction | None) -> bool | None:
    """Whether an output is the answer times a factor; None where there is no answer."""
    truth = referee.truth(record.problem, variant)
    if truth is None:
        return None
    if factor is None or truth.low.size != record.value.size:
        return False
    y = fractions(record.value).ravel()
    error = max((abs(v - factor * m) for v, m in zip(y, truth.middle, strict=True)), default=Fraction(0))
    return error <= LIMIT * (1 + abs(factor)) * referee.attainable(record.problem, variant)


def step_returned(
    referee: Referee, records: Sequence[Record], stop: Callable[[], bool]
) -> tuple[float, Variant | None] | None:
    """The rate and the formula, None for the contract's own, if every output is `theta` minus a rate times that."""
    failing = [r for r in failures(records) if np.size(r.problem.inputs.get("theta", ())) == r.value.size]
    if len(failing) < ENOUGH or referee.contract.error is not None:
        return None
    for variant in (None, *referee.contract.variants):
        if stop():
            return None
        rates: list[float] = []
        for record in failing:
            with np.errstate(all="ignore"):  # what leaves the range is no step
                rate = _rate(referee, record, variant)
            if rate is not None:
                rates.append(rate)
            if rate == 0 or len(set(rates)) > 1:
                break
        else:
            if len(rates) >= ENOUGH:
                return rates[0], variant
    return None


def _rate(referee: Referee, record: Record, variant: Variant | None) -> float | None:
    """The rate to six digits; 0 where an output is no step along the answer, None where nothing can be told."""
    if variant is not None:
        answer = referee.rough(record.problem, variant)
    else:
        truth = referee.truth(record.problem)
        answer = truth.middle.astype(float) if truth is not None else None
    if answer is None or answer.size != record.value.size:
        return None
    theta = np.ravel(record.problem.inputs["theta"]).astype(float)
    moved = theta - record.value.ravel()
    size, rounding = np.max(np.abs(answer), initial=0.0), 2.0**-40 * np.max(np.abs(theta), initial=0.0)
    if size == 0:
        return None if np.max(np.abs(moved), initial=0.0) <= rounding else 0.0
    i = int(np.argmax(np.abs(answer)))
    rate = moved[i] / answer[i]
    if not np.max(np.abs(moved - rate * answer)) <= 1e-6 * abs(rate) * size + rounding:
        return 0.0
    return None if rounding > 1e-7 * abs(rate) * size else float(f"{rate:.6g}")
