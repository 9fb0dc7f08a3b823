"""What the first use of refgrad costs beyond ``import numpy``."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest
from bench.measure import summarise

pytestmark = pytest.mark.bench


def milliseconds(statement, folder):
    """The CPU time of a new interpreter that runs `statement`, with bytecode in `folder`."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    used = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    start = used()
    subprocess.run(
        [sys.executable, "-c", statement], check=True, env=environment | {"PYTHONPYCACHEPREFIX": str(folder)}
    )
    return (used() - start) * 1e3


def test_what_importing_costs(tmp_path):
    statements = ["pass", "import numpy", "import refgrad; refgrad.grad", "import refgrad.numpy"]
    rounds = [[milliseconds(s, tmp_path) for s in statements] for _ in range(9)]
    best = dict(zip(statements, map(min, zip(*rounds, strict=True)), strict=True))
    numpys = best["import numpy"] - best["pass"]
    print("\nimport, milliseconds, and beyond import numpy")
    for statement, ms in best.items():
        print(f"  {statement:<32}{ms:>8.0f}{ms - best['import numpy']:>+8.0f}")
    beyond = best[statements[2]] - best["import numpy"]
    summarise("import and refgrad.grad, beyond import numpy", beyond / numpys, "x import numpy", "<= 0.4")
    modules = "import sys, refgrad; refgrad.grad, refgrad.numpy; sys.exit('scipy' in sys.modules)"
    summarise("SciPy imported with them", subprocess.run([sys.executable, "-c", modules]).returncode, "", "<= 0")
