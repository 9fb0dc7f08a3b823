"""What a run found, as data and as text."""

from __future__ import annotations

from refgrad.conformance.report.report import Report

__all__ = ["Report"]
