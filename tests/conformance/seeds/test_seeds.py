"""Every formula is named as itself, and every right function accepted, on twenty seeds: nox -s seeds.

The truths of a seed are computed once, and all answers are judged against them in one process: the rounded answers of
all variants by the judge; those of all products of two first by their floats, all against all (`helpers.screen`), and
by the judge where these leave more than one name, and for some of the rest, which holds the screen to what the judge
says. Products have fewer problems, which are harder to name by, and those of a usual run where these are too few. Seed
after seed, so that what an interrupted session has shown holds for whole seeds.
"""

import contextlib
import random

import numpy as np
import pytest
from helpers.screen import unsettled
from helpers.subjects import FOLDER, Replayed, Rounded, answer, files, members, verdict

from refgrad.conformance.judging import sweep
from refgrad.conformance.judging.finding import exit_code
from refgrad.conformance.judging.referee import Referee
from refgrad.conformance.judging.run import Run
from refgrad.conformance.judging.verdict import find

pytestmark = [
    pytest.mark.seeds,
    pytest.mark.usefixtures("drawn_once"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # torch of itself, which in a child process is no error
]

SEEDS = range(20)
IN_FLOATS = (
    "maml_gradient", "fomaml_gradient", "reptile_update", "fisher_diagonal", "empirical_fisher_diagonal", "hvp",
)  # fmt: skip
"""Whose products are answered in float64: they lose no digits, or are differences, which are their rounding."""
PROBLEMS, OF_PRODUCTS = 50, 25
"""Of which twelve are wide, and all ends of all ranges among them; of a product, in each kind one half."""
FEW, JUDGED_ANYWAY = 9, 5
"""Of so few products each is judged; of more, so many that floats settle."""


def quick_answer(referee, problem, variant):
    """The numbers of a formula in float64, which is what a subject computes; exact ones where there are none."""
    with contextlib.suppress(Exception), np.errstate(all="ignore"):
        found = np.asarray(variant.answer.plain(*referee._floats(problem)), float).ravel()
        if np.isfinite(found).all():
            return found
    return answer(referee, problem, variant)


def usual_answer(referee, problem, variant):
    """The numbers of a formula; those of floats where these are far off, and no function could give the exact ones."""
    exactly, found = np.array(answer(referee, problem, variant), object), referee.rough(problem, variant)
    if found is None or found.size != exactly.size:
        return exactly
    with np.errstate(over="ignore"):
        gap = np.max(np.abs(exactly.astype(float) - found), initial=0.0)
    if gap <= 1e-3 * np.max(np.abs(found), initial=0.0):
        return exactly
    return found if referee.matches(problem, found, variant) else exactly


def alike(referee, problems, one, other):
    """Whether two formulas answer alike on every problem."""
    for problem in problems:
        a, b = referee.truth(problem, one), referee.truth(problem, other)
        if a is None or b is None:
            continue
        if np.any(abs(a.middle - b.middle) > 30 * referee.attainable(problem, one)):
            return False
    return True


def judgement(referee, variant, count, answered, kind=Rounded, name="formula"):
    """What the judge finds of a function that answers as `variant` does."""
    with contextlib.closing(kind(referee.contract, name, "numpy", "float64")) as subject:
        subject.formula = lambda problem: answered(referee, problem, variant)
        run = Run(subject, referee, count, referee.seed)
        run.sweep()
        return find(run)


def is_named(referee, problems, variant, found, known):
    """Whether a finding names a formula, or those alone that equal it on every problem."""
    names = [d.name for d in found.candidates]
    if variant.name in names or (exit_code(found.grade) == 0 and alike(referee, problems, variant, None)):
        return True
    return bool(names) and all(n in known and alike(referee, problems, variant, known[n]) for n in names)


@pytest.mark.parametrize("contract", members())
@pytest.mark.parametrize("seed", SEEDS)
def test_every_variant_and_every_product_is_named_as_itself(seed, contract):
    referee, wrong = Referee(contract, "float64", seed), {}
    products = contract.products() if contract.products else ()
    known = {v.name: v for v in (*contract.variants, *products)}
    several = OF_PRODUCTS if len(products) > FEW else PROBLEMS
    judged = products
    if len(products) > FEW:
        judged = unsettled(referee, list(sweep.problems(contract, several, seed)), products)
        settled = [v for v in products if v not in judged]
        judged += random.Random(seed).sample(settled, min(len(settled), JUDGED_ANYWAY))
    in_floats = quick_answer if contract.name in IN_FLOATS else usual_answer
    for variants, counts, answered in ((contract.variants, (PROBLEMS,), answer), (judged, (several, 100), in_floats)):
        for variant in variants:
            for count in counts:
                found = judgement(referee, variant, count, answered)
                problems = list(sweep.problems(contract, count, seed))
                if is_named(referee, problems, variant, found, known):
                    break
            else:
                wrong[variant.name] = (found.grade, found.summary[:200])
    assert wrong == {}


@pytest.mark.parametrize("contract", members())
def test_so_they_are_through_a_child_process(contract, tmp_path, monkeypatch):
    monkeypatch.setenv("REFGRAD_REPLAYED", str(tmp_path / "answer.json"))
    referee, wrong = Referee(contract, "float64", 20), {}
    products = contract.products() if contract.products else ()
    in_floats = quick_answer if contract.name in IN_FLOATS else usual_answer
    some = random.Random(20).sample(products, min(len(products), JUDGED_ANYWAY))
    known = {v.name: v for v in (*contract.variants, *products)}
    problems = list(sweep.problems(contract, PROBLEMS, 20))
    for variant in (*contract.variants, *some):
        answered = answer if variant in contract.variants else in_floats
        found = judgement(referee, variant, PROBLEMS, answered, Replayed, f"{FOLDER / 'replayed.py'}:subject")
        if not is_named(referee, problems, variant, found, known):
            wrong[variant.name] = (found.grade, found.summary[:200])
    assert wrong == {}


@pytest.mark.parametrize("path", files("right"))
@pytest.mark.parametrize("seed", SEEDS)
def test_a_right_function_conforms(seed, path):
    module, found = verdict(path, seed, 100)
    assert exit_code(found.grade) == 0, found
    assert getattr(module, "REFUSES", "") in found.refuses
