"""What is computed in place of a Fisher diagonal, exactly.

Every answer takes the contract's arguments ``(logits, theta, X, y)``. Both contracts know the same formulas; each
leaves out its own.

References
----------
Kunstner, Balles and Hennig 2019, arXiv 1905.12558; van de Ven 2025, arXiv 2502.11756.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from refgrad.backend import of
from refgrad.contracts.continual.fisher import Scores, mean_square, scores
from refgrad.contracts.continual.logits import Logits
from refgrad.contracts.tools.answer import Answer, NotApplicable, Variant
from refgrad.typing import Array

__all__ = ["EMPIRICAL_FISHER_VARIANTS", "FISHER_VARIANTS"]

Formula = Callable[[Scores], Answer]


def times(formula: Formula, factor: Callable[[int], Fraction]) -> Formula:
    """A formula times a function of the number of examples."""

    def scaled(found: Scores) -> Answer:
        answer, c = formula(found), factor(found.s.shape[0])
        return Answer(c * answer.value, c * answer.magnitude)

    return scaled


def over_n_minus_one(n: int) -> Fraction:
    """``N / (N - 1)``, of which one example has none."""
    if n == 1:
        raise NotApplicable("N / (N - 1) needs two examples")
    return Fraction(n, n - 1)


def true(found: Scores) -> Answer:
    """``mean_n sum_c p_nc s_nc^2``."""
    return found.weighted(found.p)


def empirical(found: Scores) -> Answer:
    """``mean_n s_{n, y_n}^2``."""
    return mean_square(found, lambda f: f.y)


def most_likely(found: Scores) -> Any:
    """The class with the largest logit of each example, shape (N,)."""
    return of(found.z).argmax(found.z, 1)  # of the logits: a tie between balls of probabilities is never decided


def argmax_label(found: Scores) -> Answer:
    """``mean_n s_{n, c_n}^2`` with ``c_n`` the most likely class."""
    return mean_square(found, most_likely)


def batches_squared(size: int | None) -> Formula:
    """The mean over batches of the squared mean gradient of the batch; the last one may be smaller."""

    def formula(found: Scores) -> Answer:
        s, terms = found.of_labels(found.y)
        count = s.shape[0]
        if count == 1:
            raise NotApplicable("one example is its own batch")
        starts = range(0, count, size or count)
        pieces = [slice(start, min(count, start + (size or count))) for start in starts]
        answers = [squared_mean(s[piece], terms[piece]) for piece in pieces]
        value, magnitude = answers[0]
        for more, larger in answers[1:]:
            value, magnitude = value + more, magnitude + larger
        return Answer(value / len(pieces), magnitude / len(pieces))

    return formula


def squared_mean(s: Array, terms: Array) -> tuple[Array, Array]:
    """``(mean_n s_n)^2`` and the square of the mean of its terms."""
    xp, count = of(s), s.shape[0]
    mean, size = xp.sum(s, (0,), False) / count, xp.sum(terms, (0,), False) / count
    return mean * mean, size * size


def label_weighted(found: Scores) -> Answer:
    """``mean_n p_{n, y_n} s_{n, y_n}^2``: one term of the sum over classes."""
    return found.weighted(found.p * hits(found, found.y))


def top_class(found: Scores) -> Answer:
    """``mean_n p_{n, c_n} s_{n, c_n}^2`` with ``c_n`` the most likely class."""
    return found.weighted(found.p * hits(found, most_likely(found)))


def gradient_of_probability(found: Scores) -> Answer:
    """``mean_n (d p_{n, y_n} / d theta)^2``."""
    return found.weighted(found.p * found.p * hits(found, found.y))


def hits(found: Scores, labels: Any) -> Any:
    """One-hot labels as integers, shape (N, C)."""
    return (np.asarray(labels)[:, None] == np.arange(found.p.shape[1])).astype(int)


def uniform_labels(found: Scores) -> Answer:
    """``mean_n sum_c s_nc^2 / C``."""
    return found.weighted(0 * found.p + Fraction(1, found.p.shape[1]))


def all_labels(found: Scores) -> Answer:
    """``mean_n sum_c s_nc^2``."""
    return found.weighted(0 * found.p + 1)


def absolute_gradient(found: Scores) -> Answer:
    """``mean_n |s_{n, y_n}|``."""
    s, terms = found.of_labels(found.y)
    count = s.shape[0]
    return Answer(of(s).sum(abs(s), (0,), False) / count, of(s).sum(terms, (0,), False) / count)


def summed_log_probabilities(found: Scores) -> Answer:
    """``mean_n (sum_c s_nc)^2``."""
    s, terms = (of(x).sum(x, (1,), False) for x in (found.s, found.terms))
    count = s.shape[0]
    return Answer(of(s).sum(s * s, (0,), False) / count, of(s).sum(terms * terms, (0,), False) / count)


def zero(found: Scores) -> Answer:
    """Zeros."""
    none = 0 * found.s[0, 0]
    return Answer(none, none)


KUNSTNER = "Kunstner, Balles and Hennig 2019, arXiv 1905.12558"
AVALANCHE = "ContinualAI/avalanche, training/plugins/ewc.py"
MAMMOTH = "aimagelab/mammoth, models/ewc_on.py"
VAN_DE_VEN = "GMvandeVen/continual-learning, models/cl/continual_learner.py"

TRUE = (
    "true",
    "1/N sum_n sum_c p_nc s_nc^2",
    "the true Fisher: the label is drawn from the model's own distribution",
    (f"{KUNSTNER}, eq. (2)",),
    true,
)
EMPIRICAL = (
    "empirical",
    "1/N sum_n s_{n, y_n}^2",
    "the empirical Fisher: the label is the one in the data",
    (f"{KUNSTNER}, eq. (3)", f"{AVALANCHE} with batches of one"),
    empirical,
)
SHARED: tuple[tuple[str, str, str, tuple[str, ...], Formula], ...] = (
    (
        "batch-mean-squared",
        "(1/N sum_n s_{n, y_n})^2",
        "the square of the mean gradient of all examples, where the mean of the squares is asked for",
        ("facebookresearch/GradientEpisodicMemory, issue 7", "kuc2477/pytorch-ewc, issue 1", AVALANCHE),
        batches_squared(None),
    ),
    (
        "batch-mean-squared-by-two",
        "mean over batches of 2 of (mean_n s_{n, y_n})^2",
        "the mean over batches of two examples of the squared mean gradient of the batch",
        (f"{AVALANCHE} with batches of two",),
        batches_squared(2),
    ),
    (
        "batch-sum-squared",
        "(sum_n s_{n, y_n})^2",
        "the square of the summed gradient of all examples",
        (f"{AVALANCHE} with reduction='sum'",),
        times(batches_squared(None), lambda n: Fraction(n * n)),
    ),
    (
        "batch-mean-squared-sum",
        "N (1/N sum_n s_{n, y_n})^2",
        "the square of the mean gradient of all examples, times their number",
        (AVALANCHE,),
        times(batches_squared(None), Fraction),
    ),
    (
        "argmax-label",
        "1/N sum_n s_{n, argmax p_n}^2",
        "the squared gradient at the label the model finds most likely",
        ("moskomule/ewc.pytorch, utils.py", "GT-RIPL/Continual-Learning-Benchmark, issue 7"),
        argmax_label,
    ),
    (
        "n-over-n-minus-1",
        "1/(N - 1) sum_n sum_c p_nc s_nc^2",
        "the true Fisher divided by N - 1 where N is asked for",
        (f"{VAN_DE_VEN}, estimate_fisher, labels='all'",),
        times(true, over_n_minus_one),
    ),
    (
        "empirical-n-over-n-minus-1",
        "1/(N - 1) sum_n s_{n, y_n}^2",
        "the empirical Fisher divided by N - 1 where N is asked for",
        (f"{VAN_DE_VEN}, estimate_fisher, labels='true'",),
        times(empirical, over_n_minus_one),
    ),
    (
        "sum-over-examples",
        "sum_n sum_c p_nc s_nc^2",
        "the true Fisher summed over examples where the mean is asked for",
        ("backpack and curvlinops with reduction='sum'",),
        times(true, Fraction),
    ),
    (
        "empirical-sum",
        "sum_n s_{n, y_n}^2",
        "the empirical Fisher summed over examples where the mean is asked for",
        ("backpack, SumGradSquared with reduction='sum'",),
        times(empirical, Fraction),
    ),
    (
        "empirical-over-n",
        "sum_n (s_{n, y_n} / N)^2",
        "the sum of squared gradients that were each divided by N",
        ("backpack, SumGradSquared with reduction='mean'",),
        times(empirical, lambda n: Fraction(1, n)),
    ),
    (
        "probability-weighted-data-label",
        "1/N sum_n p_{n, y_n} s_{n, y_n}^2",
        "the one term of the sum over labels that belongs to the label of the data",
        (MAMMOTH,),
        label_weighted,
    ),
    (
        "top-class-truncation",
        "1/N sum_n p_{n, c_n} s_{n, c_n}^2, c_n = argmax_c p_nc",
        "the one term of the sum over labels that belongs to the most likely label",
        ("aimagelab/mammoth, second_order, fisher_mc_classes=1",),
        top_class,
    ),
    (
        "gradient-of-probability",
        "1/N sum_n (p_{n, y_n} s_{n, y_n})^2",
        "the squared gradient of the probability, where that of the log-probability is asked for",
        (),
        gradient_of_probability,
    ),
    (
        "uniform-labels",
        "1/N sum_n 1/C sum_c s_nc^2",
        "the mean over all labels alike, not weighted by their probabilities",
        (),
        uniform_labels,
    ),
    (
        "all-labels-unweighted",
        "1/N sum_n sum_c s_nc^2",
        "the sum over all labels, not weighted by their probabilities",
        (),
        all_labels,
    ),
    (
        "absolute-gradient",
        "1/N sum_n |s_{n, y_n}|",
        "the mean absolute gradient",
        ("the importance of Memory Aware Synapses, Aljundi et al. 2018, with the log-probability",),
        absolute_gradient,
    ),
    (
        "summed-log-probabilities",
        "1/N sum_n (sum_c s_nc)^2",
        "the squared gradient of the sum of all log-probabilities",
        ("db434/EWC, issue 1",),
        summed_log_probabilities,
    ),
    ("zero", "0", "zero: the expectation of the score, or a graph cut before the parameters", (), zero),
)


def variant(name: str, formula: str, meaning: str, references: tuple[str, ...], compute: Formula) -> Variant:
    """A `Variant` whose answer is a formula of the scores."""

    def answer(logits: Logits, theta: Array, X: Array, y: Any) -> Answer:
        return compute(scores(logits, theta, X, y))

    return Variant(name, formula, meaning, references, answer)


FISHER_VARIANTS: tuple[Variant, ...] = (variant(*EMPIRICAL), *(variant(*entry) for entry in SHARED))
EMPIRICAL_FISHER_VARIANTS: tuple[Variant, ...] = (variant(*TRUE), *(variant(*entry) for entry in SHARED))
