"""Answers derived by hand, for the engine and for others' code to be judged by; nothing here uses the engine.

Each oracle takes exact arrays (or balls, where a softmax enters) and returns an `Answer`: the value, and the size of
the terms that add up to it. Beside each stand its variants, known different formulas with names and references. An
exact solve is checked by multiplying back. There is one folder for each family, whose names are its own:

* `refgrad.oracles.implicit`: bilevel problems with their hypergradients in closed form;
* `refgrad.oracles.multitask`: the min-norm point of several gradients, and what MGDA-UB makes of a shared encoder;
* `refgrad.oracles.continual`: Fisher information of many models, and elastic weight consolidation of quadratic tasks;
* `refgrad.oracles.operators`: two directional derivatives of 22 operators, and what is taken for them;
* `refgrad.oracles.meta`: MAML and its relatives by recursion, on quadratic tasks in closed form, as Taylor series.

The names below are those that the contracts use.

>>> from refgrad import exact, oracles
>>> oracles.direction(exact.asarray([[2, 0], [-1, 1]])).value
ExactArray([1/5, 3/5])
"""

from __future__ import annotations

from refgrad.oracles.answer import Answer, NotApplicable, Variant
from refgrad.oracles.continual import (
    empirical_fisher_diagonal,
    ewc_gradient,
    ewc_penalty,
    fisher_diagonal,
    gaussian_fisher_diagonal,
)
from refgrad.oracles.implicit import QuadraticBilevel, neumann_hypergradient, probe
from refgrad.oracles.logits import LinearLogits, SquaredUnitLogits
from refgrad.oracles.losses import EXACT_TABLE, Quadratic, Quartic, Table
from refgrad.oracles.meta import fomaml_gradient, maml_gradient, reptile_update
from refgrad.oracles.multitask import direction, gap, infeasibility, min_norm, shortfall, squared_norm
from refgrad.oracles.solve import checked_solve

__all__ = [
    "EXACT_TABLE",
    "Answer",
    "LinearLogits",
    "NotApplicable",
    "Quadratic",
    "QuadraticBilevel",
    "Quartic",
    "SquaredUnitLogits",
    "Table",
    "Variant",
    "checked_solve",
    "direction",
    "empirical_fisher_diagonal",
    "ewc_gradient",
    "ewc_penalty",
    "fisher_diagonal",
    "fomaml_gradient",
    "gap",
    "gaussian_fisher_diagonal",
    "infeasibility",
    "maml_gradient",
    "min_norm",
    "neumann_hypergradient",
    "probe",
    "reptile_update",
    "shortfall",
    "squared_norm",
]
