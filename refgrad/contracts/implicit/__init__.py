"""Bilevel problems whose hypergradient is known in closed form, and what is computed in its place.

A problem has an inner and an outer loss, the inner solution, the hypergradient, and at any point all first and second
derivatives by hand: quadratic losses (`QuadraticBilevel`, with the small `probe`), ridge regression with one penalty or
many (`Ridge`), auxiliary tasks (`AuxiliaryTasks`), two models of one number whose solution is a logarithm
(`LogisticIntercept`, `PoissonIntercept`), and problems made to have a chosen solution, for any loss (`Manufactured`).
The contracts hand a subject an inner loss (`Penalised`, `TwoLayers`) and an `Outer` one.

>>> from refgrad import exact
>>> from refgrad.contracts.implicit import probe
>>> problem, w, phi = probe()
>>> problem.hypergradient(phi).value
ExactArray([-4/5, -4/5, -6/5])
"""

from __future__ import annotations

from refgrad.contracts.implicit.auxiliary import AuxiliaryTasks
from refgrad.contracts.implicit.bilevel import QuadraticBilevel, probe
from refgrad.contracts.implicit.bilevel_variants import HYPERGRADIENT_VARIANTS
from refgrad.contracts.implicit.intercepts import LogisticIntercept, PoissonIntercept
from refgrad.contracts.implicit.losses import Outer, Penalised, TwoLayers
from refgrad.contracts.implicit.manufactured import Manufactured, QuadraticMap
from refgrad.contracts.implicit.problem import Bilevel, Derivatives
from refgrad.contracts.implicit.quantities import hypergradient, neumann_hypergradient, unrolled_hypergradient
from refgrad.contracts.implicit.ridge import Ridge

__all__ = [
    "HYPERGRADIENT_VARIANTS", "AuxiliaryTasks", "Bilevel", "Derivatives", "LogisticIntercept", "Manufactured", "Outer",
    "Penalised", "PoissonIntercept", "QuadraticBilevel", "QuadraticMap", "Ridge", "TwoLayers", "hypergradient",
    "neumann_hypergradient", "probe", "unrolled_hypergradient",
]  # fmt: skip
