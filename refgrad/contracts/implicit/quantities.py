"""The quantities of the contracts: a hypergradient, exact, by a Neumann series, and through unrolled steps.

References
----------
Bengio 2000, Gradient-based optimization of hyperparameters; Pedregosa 2016, arXiv 1602.02355; Lorraine, Vicol and
Duvenaud 2020, arXiv 1911.02590, theorems 1 and 2; Maclaurin, Duvenaud and Adams 2015, arXiv 1502.03492.
"""

from __future__ import annotations

from refgrad.contracts.implicit.bilevel_variants import EXACT
from refgrad.contracts.implicit.neumann_variants import SERIES
from refgrad.contracts.implicit.recipe import at_solution
from refgrad.contracts.implicit.unrolled import UNROLLED, unrolled
from refgrad.contracts.tools.terms import measured

__all__ = ["hypergradient", "neumann_hypergradient", "unrolled_hypergradient"]

hypergradient = measured(at_solution(EXACT))
"""``(inner, outer, w, phi)``: ``d - B^T H^{-1} g`` at the solution w."""

neumann_hypergradient = measured(at_solution(SERIES))
"""``(inner, outer, w, phi, lr, terms)``: ``d - B^T lr sum_{j=0..terms} (I - lr H)^j g`` at the solution w."""

unrolled_hypergradient = measured(unrolled(UNROLLED))
"""``(inner, outer, w0, phi, lr, steps)``: ``d outer(w_steps(phi), phi) / dphi``, shape (m,), w0 held fixed."""
