"""Every formula is named as itself, and every right function accepted, on twenty seeds: nox -s seeds.

The truths of a seed are computed once; the rounded answers of all variants and of all products of two are judged
against them in one process.
"""

import numpy as np
import pytest
from helpers.subjects import Rounded, answer, files, members, verdict

from refgrad.conformance.judging import sweep
from refgrad.conformance.judging.finding import exit_code
from refgrad.conformance.judging.referee import Referee
from refgrad.conformance.judging.run import Run
from refgrad.conformance.judging.verdict import find

pytestmark = [pytest.mark.seeds, pytest.mark.usefixtures("drawn_once")]

SEEDS = range(20)


def alike(referee, problems, one, other):
    """Whether two formulas answer alike on every problem."""
    for problem in problems:
        a, b = referee.truth(problem, one), referee.truth(problem, other)
        if a is None or b is None:
            continue
        if np.any(abs(a.middle - b.middle) > 30 * referee.attainable(problem, one)):
            return False
    return True


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("contract", members())
def test_every_variant_and_every_product_is_named_as_itself(contract, seed):
    referee = Referee(contract, "float64", seed)
    problems = list(sweep.problems(contract, 100, seed))
    wrong = {}
    for variant in (*contract.variants, *(contract.products() if contract.products else ())):
        subject = Rounded(contract, "formula", "numpy", "float64")
        subject.formula = lambda problem, variant=variant: answer(referee, problem, variant)
        run = Run(subject, referee, 100, seed)
        run.sweep()
        found = find(run)
        names = [d.name for d in found.candidates]
        if variant.name in names or (exit_code(found.grade) == 0 and alike(referee, problems, variant, None)):
            continue
        known = {v.name: v for v in (*contract.variants, *(contract.products() if contract.products else ()))}
        if names and all(n in known and alike(referee, problems, variant, known[n]) for n in names):
            continue
        wrong[variant.name] = (found.grade, found.summary[:200])
    assert wrong == {}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("path", files("right"))
def test_a_right_function_conforms(path, seed):
    _, found = verdict(path, seed, 100)
    assert exit_code(found.grade) == 0, found
