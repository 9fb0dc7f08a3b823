"""Bilevel problems whose hypergradient is known in closed form, and what is computed in its place.

A problem has an inner and an outer loss, the inner solution, the hypergradient, and at any point all first and second
derivatives by hand: quadratic losses (`QuadraticBilevel`, with the small `probe`), ridge regression with one penalty or
many (`Ridge`), auxiliary tasks (`AuxiliaryTasks`), two models of one number whose solution is a logarithm
(`LogisticIntercept`, `PoissonIntercept`), and problems made to have a chosen solution, for any loss (`Manufactured`).

>>> from refgrad import exact
>>> from refgrad.contracts.implicit import HYPERGRADIENT_VARIANTS, probe
>>> problem, w, phi = probe()
>>> problem.hypergradient(phi).value
ExactArray([-4/5, -4/5, -6/5])
>>> next(variant for variant in HYPERGRADIENT_VARIANTS if variant.name == "identity").answer(problem, phi).value
ExactArray([0, 6, -8])
"""

from __future__ import annotations

from refgrad.contracts.implicit.auxiliary import AuxiliaryTasks
from refgrad.contracts.implicit.bilevel import QuadraticBilevel, probe
from refgrad.contracts.implicit.bilevel_variants import HYPERGRADIENT_VARIANTS, neumann_hypergradient
from refgrad.contracts.implicit.intercepts import LogisticIntercept, PoissonIntercept
from refgrad.contracts.implicit.manufactured import Manufactured, QuadraticMap
from refgrad.contracts.implicit.problem import Bilevel, Derivatives
from refgrad.contracts.implicit.ridge import Ridge

__all__ = [
    "HYPERGRADIENT_VARIANTS", "AuxiliaryTasks", "Bilevel", "Derivatives", "LogisticIntercept", "Manufactured",
    "PoissonIntercept", "QuadraticBilevel", "QuadraticMap", "Ridge", "neumann_hypergradient", "probe",
]  # fmt: skip
