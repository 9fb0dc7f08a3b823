"""The variants of hypergradients on the problems that have closed forms, with any step and number of terms."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from refgrad import exact
from refgrad.contracts.implicit.bilevel_variants import CHOICES, EXACT
from refgrad.contracts.implicit.recipe import formula
from refgrad.contracts.tools import measured

NEED_LOSSES = ("penalty-missing-in-hessian", "gauss-newton")
"""Formulas that know more of an inner loss than its derivatives."""


def variants(plain=False):
    """For each name, ``answer(problem, phi, lr=1/16, terms=3)`` at the inner solution of a `Bilevel` problem.

    If plain, the value alone: the magnitude of a solve asks for a matrix that float64 can tell from a singular one.
    """
    return {choice.name: variant(choice, plain) for choice in CHOICES if choice.name not in NEED_LOSSES}


def variant(choice, plain):
    recipe = replace(EXACT, **choice.changes)
    if recipe.lr == (1, 16):
        recipe = replace(recipe, lr=None, terms=None)
    elif choice.name == "neumann-lr-one":
        recipe = replace(recipe, terms=None)

    def answer(problem, phi, lr=Fraction(1, 16), terms=3):
        def value(problem, w, phi, lr):
            return formula(recipe, problem.derivatives, w, phi, lr, terms)

        compute = value if plain else measured(value)
        return compute(problem, problem.solution(phi), phi, exact.asarray(lr))

    return answer


def part(name):
    """``answer(problem, w, phi)``: one of the derivatives at a point, with its magnitude."""
    return measured(lambda problem, w, phi: getattr(problem.derivatives(w, phi), name))
