"""One output, with everything that it was computed from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from refgrad.contracts.contract import Contract
from refgrad.contracts.tools.answer import Variant
from refgrad.identification.engines import Derivatives
from refgrad.identification.layout import Layout

__all__ = ["UNITS", "Recorded"]

UNITS = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}


@dataclass
class Recorded:
    """One output with everything that it was computed from.

    Attributes
    ----------
    contract : Contract
    output : array, shape (n,)
        What came, in float64.
    layout : Layout
        Of the output.
    arguments : callable
        ``arguments(unit, pattern)``: those of the formulas; with a unit every number a unit roundoff away.
    dtype, engine : str
    said : list of str
        What the person gave, in words: weights, tasks, steps.
    noise : float
        What rounding may do to the output beside what the formulas show, in the Euclidean norm.
    constants : dict of str to float
        Numbers that people's code multiplies by.
    settings : tuple of Variant
        Approximations that tend to the contract, by their counts.
    further : callable
        Without arguments: formulas with the person's own numbers that are tried when no other one fits.
    terms : int
        Numbers that are added up one after another, each with a rounding.
    notes : list of str
    whole : callable or None
        ``whole(formula)``: a formula on all weights, where `arguments` are of some of them.
    derivatives : list of Derivatives
    advice : str
        What would tell formulas apart that are one on these data.
    trivial : set of str
        Formulas that are the contract by definition, as the last three steps of three.
    outer_lr : float
        The rate of the step that the output was taken from; 0 if it was given itself.
    """

    contract: Contract
    output: np.ndarray
    layout: Layout
    arguments: Callable[[float, int], tuple[Any, ...]]
    dtype: str
    engine: str
    said: list[str]
    noise: float = 0.0
    constants: dict[str, float] = field(default_factory=dict)
    settings: tuple[Variant, ...] = ()
    further: Callable[[], Sequence[Variant]] = tuple
    terms: int = 1
    notes: list[str] = field(default_factory=list)
    whole: Callable[[Any], np.ndarray] | None = None
    derivatives: Sequence[Derivatives] = ()
    advice: str = ""
    trivial: set[str] = field(default_factory=set)
    outer_lr: float = 0.0

    @property
    def own(self) -> Variant:
        """The formula of the contract itself."""
        contract = self.contract
        return Variant(contract.name, contract.returns, contract.summary, contract.references, contract.quantity)

    @property
    def unit(self) -> float:
        """The unit roundoff of `dtype`."""
        return UNITS[self.dtype]
