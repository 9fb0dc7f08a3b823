"""The verification kit: what does a function compute, judged by exact arithmetic, and told by name.

>>> from refgrad.conformance import verify
>>> report = verify("refgrad.conformance.demo.first_order_maml:maml", "maml_gradient", max_examples=20)
>>> report.grade, report.exit_code
('variant:fomaml', 1)

A contract (`refgrad.contracts`) states as data what a function should compute; `verify` runs the function in a child
process on a sweep of problems, compares every output with the exact truth in units of the attainable error, and names
the formula that explains the failures. Read `verification` from top to bottom, then `subject`, `judging`, `report`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refgrad.conformance.report.report import Report
    from refgrad.conformance.verification import assert_conforms, verify

__all__ = ["Report", "assert_conforms", "verify"]


def __getattr__(name: str) -> Any:
    """When it is first asked for: the process of a subject needs nothing of the judge."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from refgrad.conformance import verification

    return getattr(verification, name)
