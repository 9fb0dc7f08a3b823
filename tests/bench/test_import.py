"""What the first use of refgrad costs beyond ``import numpy``."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest
from bench.measure import summarise

pytestmark = pytest.mark.bench


def milliseconds(statement):
    """The CPU time of a new interpreter that runs `statement`."""
    used = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    start = used()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return (used() - start) * 1e3


def test_what_importing_costs():
    statements = ["import numpy", "import refgrad; refgrad.grad", "import refgrad.numpy"]
    rounds = [[milliseconds(s) for s in statements] for _ in range(9)]
    best = dict(zip(statements, map(min, zip(*rounds, strict=True)), strict=True))
    print("\nimport, milliseconds, and beyond import numpy")
    for statement, ms in best.items():
        print(f"  {statement:<32}{ms:>8.0f}{ms - best['import numpy']:>+8.0f}")
    summarise("import and refgrad.grad", best[statements[1]] - best["import numpy"], "ms beyond import numpy", "<= 60")
    modules = "import sys, refgrad; refgrad.grad, refgrad.numpy; sys.exit('scipy' in sys.modules)"
    summarise("SciPy imported with them", subprocess.run([sys.executable, "-c", modules]).returncode, "", "<= 0")
