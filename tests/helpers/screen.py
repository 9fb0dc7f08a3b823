"""Which products of two need the referee: of the others floats show that the judge names nothing else.

The judge rules a product out by its answer in floats (`Referee.plausible`), one formula and one problem at a time. Here
the answers of all formulas stand side by side, and each is held against all others at once. A product is settled if at
least three problems on which it clearly fails leave no formula open but itself and those that equal it everywhere.
Whatever is less clear than that is for the judge.
"""

import numpy as np

from refgrad.conformance.judging.referee import DIVERGED, MARGIN
from refgrad.conformance.judging.run import ENOUGH

TRUSTED = 1e-5
"""Moving every input by 2^-30 may move an answer by so much of itself: rounding moves it 2^20 times less."""
ALIKE = 1e-9
ROWS = 64


def unsettled(referee, problems, products):
    """The products that floats do not settle, in order."""
    contract = referee.contract
    formulas = [*contract.variants, *products]
    first = len(contract.variants)
    count = len(formulas)
    fails = np.zeros(count, int)
    open_ = np.ones((len(products), count), bool)
    alike = np.ones((len(products), count), bool)
    for problem in problems:
        truth = referee.truth(problem)
        if truth is None:
            continue
        right = truth.middle.astype(float)
        answers, moved, silent = _answers(referee, problem, formulas, right.size)
        size = np.max(np.abs(answers), axis=1, initial=0.0)
        known = np.isfinite(size) & (size <= DIVERGED)
        trusted = known & (moved <= TRUSTED * size)
        failing = trusted & _fails(referee, problem, answers, right)
        fails += failing
        clear = known & (moved <= 1e-3 * size)
        for start in range(first, count, ROWS):
            rows = slice(start, min(start + ROWS, count))
            with np.errstate(invalid="ignore", over="ignore"):
                gap = np.max(np.abs(answers[rows, None] - answers[None]), axis=2, initial=0.0)
                larger = np.maximum(size[rows, None], size[None])
                apart = gap > 1.01e-3 * larger + 2**17 * float(referee.floor(problem))
                same = gap <= ALIKE * larger
            here = slice(rows.start - first, rows.stop - first)
            # one that is silent where another answers gives way to it
            open_[here] &= ~(failing[rows, None] & (clear[None] & apart | silent[None]))
            # where neither has an answer, the one has what the other has
            alike[here] &= (same & trusted[rows, None] & trusted[None]) | ~(known[rows, None] | known[None])
    left = (open_ & ~alike).sum(axis=1) - [not alike[i, first + i] for i in range(len(products))]
    settled = (fails[first:] >= ENOUGH) & (left == 0)
    return [product for product, done in zip(products, settled, strict=True) if not done]


def _answers(referee, problem, formulas, size):
    """All answers to a problem, how far a small move of the inputs moves them, and which formulas have none."""
    answers, moved = np.full((len(formulas), size), np.nan), np.full(len(formulas), np.inf)
    silent = np.zeros(len(formulas), bool)
    for i, formula in enumerate(formulas):
        found = referee.rough(problem, formula)
        if found is not None and found.size == size:
            answers[i], moved[i] = found, referee._moves(problem, formula, found)
        elif found is None:
            exactly = referee.truth(problem, formula)
            silent[i] = exactly is None
            if exactly is not None and exactly.low.size == size:
                answers[i], moved[i] = exactly.middle.astype(float), 0.0
    return answers, moved, silent


def _fails(referee, problem, answers, right):
    """Where an answer is so far from right that the judge sees it fail, and by more than rounding."""
    if referee.contract.error is not None:
        shape = referee.contract.shape(problem.inputs)
        each = (np.isfinite(a).all() and referee.judge(problem, a.reshape(shape)) for a in answers)
        return np.array([bool(judged) and judged.clear for judged in each])
    with np.errstate(invalid="ignore"):
        gap = np.max(np.abs(answers - right), axis=1, initial=0.0)
    size = np.maximum(np.max(np.abs(answers), axis=1, initial=0.0), np.max(np.abs(right), initial=0.0))
    return (gap > 0.01 * size) & (gap > 100 * MARGIN * float(referee.attainable(problem)))
