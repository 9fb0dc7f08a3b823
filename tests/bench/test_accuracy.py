"""The accuracy of every elementwise rule on a finer grid than that of the test: the worst errors of each."""

from __future__ import annotations

import numpy as np
import pytest
from bench.measure import summarise
from helpers.accuracy_grid import CASES, LIMIT, worst

pytestmark = pytest.mark.bench
pytest.importorskip("flint", reason="certified enclosures need python-flint")


def test_the_table_of_worst_errors():
    print(
        f"\nworst error in attainable errors{'':<6}float64: value, slope, curvature   float32: value, slope, curvature"
    )
    largest = 0.0
    for name, case in CASES.items():
        figures = [figure for dtype in (np.float64, np.float32) for figure, _ in worst(case, dtype, 2).values()]
        print(f"  {name:<24}" + "".join(f"{figure:>12.3g}" for figure in figures))
        largest = max(largest, *figures)
    summarise("elementwise rules, worst error", largest, "attainable errors", f"<= {LIMIT}")
