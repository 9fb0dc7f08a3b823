"""What a run found, as data: the same report goes to the terminal, to JSON and to the caller."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Report"]


@dataclass(frozen=True)
class Report:
    """The result of verifying one subject against one contract.

    Attributes
    ----------
    target, contract, contract_version : str
        What was verified, against what.
    grade : str
        ``exact``, ``accurate``, ``converging``, ``variant:NAME``, ``wrong``, ``unstable``, ``borderline``,
        ``inconclusive``, ``not-run`` or ``nothing-ran``.
    exit_code : int
        0 conforms, 1 does not, 3 could not be run, 4 undecided, 5 nothing ran.
    diagnosis : str or None
        The name of the formula that the subject computes instead; names joined by " or " if several fit.
    summary : str
        The finding in one sentence.
    candidates : list of dict
        Formula, meaning, references and evidence of each formula that fits the failures.
    planned, ran, effective : int
        Problems planned, problems on which the subject was called, and those among them that could have told the
        contract from the variants.
    outcomes : dict of str to int
        How many problems ended in ``passed``, ``failed``, ``raised``, ``timeout``, ``crashed``, ``not_finite``,
        ``wrong_shape``, ``wrong_dtype``, ``not_an_array``, ``nondeterministic``, ``unknown``.
    errors : list of dict
        For each kind of outcome that is no value: an example of its message, and its count.
    numbers : dict
        ``worst_ratio`` (error in units of the attainable error), its ``limit``, and ``calls`` of the subject.
    certificate : dict or None
        For iterative subjects: the normalised gaps by setting, the measured rate, the promise.
    counterexample : dict or None
        The smallest failing input with what came and what is exact.
    regression_test : str or None
        Source of a test that runs without refgrad.
    advice : str
        What to do next.
    seed : int
    isolation : str
        ``"process"``, or ``"none"`` for a function that only the calling process can reach.
    environment : dict
        Backend, dtype, and versions.
    """

    target: str
    contract: str
    contract_version: str
    grade: str
    exit_code: int
    summary: str
    planned: int
    ran: int
    effective: int
    seed: int
    isolation: str
    diagnosis: str | None = None
    candidates: list[dict[str, Any]] = field(default_factory=list)
    outcomes: Mapping[str, int] = field(default_factory=dict)
    errors: list[dict[str, Any]] = field(default_factory=list)
    numbers: Mapping[str, Any] = field(default_factory=dict)
    certificate: Mapping[str, Any] | None = None
    counterexample: Mapping[str, Any] | None = None
    regression_test: str | None = None
    advice: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, equal for equal runs: it holds no times."""
        return asdict(self)

    def to_json(self, path: str | Path) -> None:
        """Write the report as JSON."""
        text = json.dumps(_finite(self.as_dict()), indent=2, allow_nan=False)
        Path(path).write_text(text + "\n", encoding="utf-8")

    def raise_for_failure(self) -> None:
        """Raise an AssertionError that shows the report, unless the subject conforms."""
        if self.exit_code != 0:
            raise AssertionError(f"{self.grade}: {self.summary}\n\n{self}")

    def __str__(self) -> str:
        from refgrad.conformance.report.terminal import text

        return text(self)


def _finite(value: Any) -> Any:
    """Plain data with infinities and NaN as strings, for which JSON has no numbers."""
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
