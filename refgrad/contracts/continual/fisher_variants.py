"""What is computed in place of a Fisher diagonal, exactly.

Every answer takes the contract's arguments ``(logits, theta, X, y)``. Both contracts know the same formulas: those that
deviate from the true diagonal in one choice, and those that deviate from the empirical one; each leaves out its own.

References
----------
Kunstner, Balles and Hennig 2019, arXiv 1905.12558; van de Ven 2025, arXiv 2502.11756.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

from refgrad.backend import of
from refgrad.contracts.continual.fisher import Diagonal, blocks
from refgrad.contracts.continual.logits import Logits
from refgrad.contracts.tools import axes
from refgrad.contracts.tools.answer import Variant
from refgrad.contracts.tools.axes import Choice
from refgrad.contracts.tools.terms import measured
from refgrad.typing import Array

__all__ = ["BATCHES", "in_batches", "products", "variants"]

KUNSTNER = "Kunstner, Balles and Hennig 2019, arXiv 1905.12558"
AVALANCHE = "ContinualAI/avalanche, training/plugins/ewc.py"
MAMMOTH = "aimagelab/mammoth, models/ewc_on.py"
VAN_DE_VEN = "GMvandeVen/continual-learning, models/cl/continual_learner.py"
BATCHES = {2: "two", 3: "three", 8: "eight", 32: "thirty-two"}
"""The sizes of batches that are known by name."""


def scores(name: str, meaning: str, label: str, weight: str | int = "", references: tuple[str, ...] = ()) -> Choice:
    """Scores at other labels than the contract's."""
    return Choice(name, "", meaning, {"label": label, "weight": weight}, references)


TRUE = scores(
    "true",
    "the true Fisher: the label is drawn from the model's own distribution",
    "model",
    references=(f"{KUNSTNER}, eq. (2)",),
)
EMPIRICAL = scores(
    "empirical",
    "the empirical Fisher: the label is the one in the data",
    "data",
    references=(f"{KUNSTNER}, eq. (3)", f"{AVALANCHE} with batches of one"),
)
ARGMAX = scores(
    "argmax-label",
    "the squared gradient at the label the model finds most likely",
    "argmax",
    references=("moskomule/ewc.pytorch, utils.py", "GT-RIPL/Continual-Learning-Benchmark, issue 7"),
)
NEXT = scores(
    "next-label", "the squared gradient at the label of the example after it: data and labels are shifted", "next"
)
OF_DATA = scores(
    "probability-weighted-data-label",
    "the one term of the sum over labels that belongs to the label of the data",
    "data",
    "p",
    (MAMMOTH,),
)
LABELS = (
    TRUE,
    EMPIRICAL,
    ARGMAX,
    NEXT,
    OF_DATA,
    scores("top-class-truncation", "the one term of the sum over labels that belongs to the most likely label",
           "argmax", "p", ("aimagelab/mammoth, second_order, fisher_mc_classes=1",)),
    scores("top-two-classes", "the terms of the sum over labels that belong to the two most likely ones", "model", 2),
    scores("top-three-classes", "the terms of the sum over labels that belong to the three most likely ones", "model",
           3),
    scores("uniform-labels", "the mean over all labels alike, not weighted by their probabilities", "model",
           "uniform"),
    scores("all-labels-unweighted", "the sum over all labels, not weighted by their probabilities", "model", "none"),
    scores("summed-log-probabilities", "the squared gradient of the sum of all log-probabilities", "sum",
           references=("db434/EWC, issue 1",)),
)  # fmt: skip
AVERAGED = scores("mean-log-probabilities", "the squared gradient of the mean of all log-probabilities", "mean")


def batched(name: str, meaning: str, *references: str, **changes: Any) -> Choice:
    """The square of a sum over examples."""
    return Choice(name, "", meaning, {"unit": "mean", "scale": "mean"} | changes, references)


BATCH_MEAN = batched(
    "batch-mean-squared",
    "the square of the mean gradient of all examples, where the mean of the squares is asked for",
    "facebookresearch/GradientEpisodicMemory, issue 7",
    "kuc2477/pytorch-ewc, issue 1",
    AVALANCHE,
    batch=0,
)
EVERYTHING = (
    BATCH_MEAN,
    batched("batch-mean-squared-over-n", "the square of the mean gradient of all examples, divided by their number",
            batch=0, scale="N"),
    batched("batch-sum-squared", "the square of the summed gradient of all examples",
            f"{AVALANCHE} with reduction='sum'", batch=0, unit="sum"),
    batched("batch-mean-squared-sum", "the square of the mean gradient of all examples, times their number", AVALANCHE,
            batch=0, unit="size"),
)  # fmt: skip


UNITS = {
    "batch-mean-squared": ("mean", "squared mean gradients"),
    "batch-mean-squared-times-size": ("size", "squared mean gradients times the number of examples in the batch"),
    "batch-sum-squared": ("sum", "squared summed gradients"),
}
OVER = {
    "": ("mean", "the mean over batches"),
    "-summed": ("sum", "the sum over batches"),
    "-over-n": ("N", "the sum over batches, divided by the number of examples,"),
    "-over-batches-minus-1": ("n-1", "the sum over batches, divided by one less than their number,"),
}


def batches(sizes: Mapping[int, str] = BATCHES) -> Iterator[Choice]:
    """Squares of batches, and what is done with them."""
    for (size, word), (name, (unit, what)), (suffix, (scale, how)) in product(
        sizes.items(), UNITS.items(), OVER.items()
    ):
        seen = (f"{AVALANCHE} with batches of {word}",) if unit == scale == "mean" else ()
        meaning = f"{how} of {word} examples of {what}"
        yield batched(f"{name}-by-{word}{suffix}", meaning, *seen, batch=size, unit=unit, scale=scale)
    for size, word in sizes.items():
        meaning = (
            f"the mean over full batches of {word} examples of squared mean gradients, a smaller last one left out"
        )
        yield batched(f"batch-mean-squared-by-{word}-last-dropped", meaning, batch=size, last=False)


def scales(own: bool, prefix: str = "") -> tuple[Choice, ...]:
    """Other scales than the mean over examples; those that may be declared say so under the contract that is `own`."""
    of_what = "the empirical Fisher" if prefix else "the true Fisher"
    references = {
        "n-1": (f"{VAN_DE_VEN}, estimate_fisher, labels='{'true' if prefix else 'all'}'",),
        "sum": (f"{'backpack, SumGradSquared' if prefix else 'backpack and curvlinops'} with reduction='sum'",),
        "N^2": ("backpack, SumGradSquared with reduction='mean'",) if prefix else (),
    }
    words = (
        ("n-over-n-minus-1", "n-1", "divided by N - 1 where N is asked for"),
        ("sum" if prefix else "sum-over-examples", "sum", "summed over examples where the mean is asked for"),
        ("over-n" if prefix else "over-n-squared", "N^2", "the mean over examples divided by N once more"),
        ("divided-by-classes", "NC", "divided by the number of classes as well"),
        ("mean" if prefix else "mean-over-examples", "mean", "the mean over examples"),
    )
    return tuple(
        Choice(
            f"{prefix}{name}",
            "",
            f"{of_what}, {how}",
            {"scale": scale},
            references.get(scale, ()),
            f"reduction={scale}" if own and scale in ("n-1", "sum", "mean") else "",
        )
        for name, scale, how in words
    )


def loaders(prefix: str = "") -> list[Choice]:
    """Sums over examples divided by what a loader of batches counts."""
    what = "the squared gradients of all examples, summed, divided by"
    return [
        Choice(f"{prefix}{name}-of-{word}", "", said.format(what, word), {"scale": (rule, size)})
        for size, word in BATCHES.items()
        for rule, name, said in (
            ("batches", "over-number-of-batches", "{} the number of batches of {}"),
            ("padded", "over-padded-batches", "{} the number of batches of {} times their full size"),
            ("means", "mean-of-batch-means", "the mean over batches of {1} of the mean over the examples of each"),
        )
    ]


PROBABILITY = Choice(
    "gradient-of-probability",
    "",
    "the squared gradient of the probability, where that of the log-probability is asked for",
    {"kind": "p"},
)
ABSOLUTE = Choice(
    "absolute-gradient",
    "",
    "the mean absolute gradient",
    {"kind": "abs"},
    ("the importance of Memory Aware Synapses, Aljundi et al. 2018, with the log-probability",),
)


def zero(logits: Logits, theta: Array, X: Array, y: Any) -> Array:
    """Zeros."""
    return 0 * theta


def uncoupled(logits: Logits, theta: Array, X: Array, y: Any) -> Array:
    """``mean_n sum_c p_nc (1 - p_nc) J_nc^2``."""
    total: Array = 0
    for block in blocks(logits, theta, X, len(y)):
        square = (block.p * (1 - block.p))[:, :, None] * block.J * block.J
        total = of(square).sum(square, (0, 1), False) + total
    return total / len(y)


EXPECTED = replace(ABSOLUTE, name="expected-absolute-gradient", meaning="the expected absolute gradient", references=())

OTHERS = (
    Variant("uncoupled-logits", "1/N sum_n sum_c p_nc (1 - p_nc) J_nc^2",
            "the squared derivatives of the logits weighted by the diagonal of their covariance: its other elements, "
            "by which a parameter acts on two logits at once, are left out", (), measured(uncoupled)),
    Variant("zero", "0", "the expectation of the score, or a graph cut before the parameters", (), measured(zero)),
)  # fmt: skip


def variants(own: Diagonal) -> tuple[Variant, ...]:
    """What deviates from the true diagonal or from the empirical one in a single choice, without what is `own`."""
    true, empirical = replace(own, label="model"), replace(own, label="data")
    few = [c for c in batches() if c.name in ("batch-mean-squared-by-two", "batch-mean-squared-by-three")]
    whole = [c for c in EVERYTHING if "scale" not in c.changes or c.changes["scale"] != "N"]
    squares = [*whole, *few, PROBABILITY, ABSOLUTE]
    known = [c for c in scales(own == true) if c.changes["scale"] in ("mean", "sum", "n-1")]
    of_labels = [c for c in scales(own == empirical, "empirical-") if c.changes["scale"] != "NC"]
    return _distinct(
        own,
        axes.singles(_formula, own, LABELS),
        axes.singles(_formula, true, known),
        axes.singles(_formula, empirical, [*of_labels, *squares]),
        OTHERS,
    )


def products(own: Diagonal) -> tuple[Variant, ...]:
    """What deviates in two choices; of batches, what is done with them is one choice with their size."""
    true, empirical = replace(own, label="model"), replace(own, label="data")
    whole = [*EVERYTHING, *batches()]
    means = [BATCH_MEAN, *(c for c in batches() if c.changes["unit"] == c.changes["scale"] == "mean")]
    everywhere = [*scales(False), *loaders()]
    at_labels = [*scales(False, "empirical-"), *loaders("empirical-")]
    return _distinct(
        own,
        variants(own),
        axes.singles(_formula, true, [AVERAGED, EXPECTED, *everywhere]),
        axes.singles(_formula, empirical, [*whole, *at_labels]),
        axes.products(_formula, true, [*LABELS, *scales(False)]),
        axes.products(_formula, true, [OF_DATA, ARGMAX, *loaders()]),
        axes.products(_formula, empirical, [ARGMAX, *whole]),
        axes.products(_formula, empirical, [ARGMAX, NEXT, PROBABILITY, ABSOLUTE, *means, *at_labels]),
    )[len(variants(own)) :]


def in_batches(own: Diagonal, size: int) -> tuple[Variant, ...]:
    """What deviates from the empirical diagonal, or from that at the likeliest label, in batches of any size."""
    squares = [*batches({size: str(size)})]
    pairs = axes.products(_formula, replace(own, label="data"), [ARGMAX, *squares])
    return _distinct(own, axes.singles(_formula, replace(own, label="data"), squares), pairs)


def _formula(recipe: Diagonal) -> Diagonal:
    return recipe


def _distinct(own: Diagonal, *groups: Iterable[Variant]) -> tuple[Variant, ...]:
    """The first variant of every formula but `own`; the formula states itself."""
    found: dict[Any, Variant] = {}
    for variant in (v for group in groups for v in group):
        formula = variant.answer.plain  # type: ignore[attr-defined]
        if formula != own:
            stated = replace(variant, formula=str(formula)) if isinstance(formula, Diagonal) else variant
            found.setdefault(formula, stated)
    return tuple(found.values())
