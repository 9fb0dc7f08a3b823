"""The pages of docs/ whose model is one of torch or JAX run from top to bottom, and their asserts hold."""

from __future__ import annotations

import subprocess
import sys

import pytest
from repository.test_pages import PAGES

pytestmark = pytest.mark.interop
WITH_A_MODEL = {
    name: other
    for name, blocks in PAGES.items()
    for other in ("torch", "jax")
    if any(f"import {other}" in block for block in blocks)
}


@pytest.mark.parametrize("page", WITH_A_MODEL)
def test_a_page_with_a_model_runs_and_asserts(page, tmp_path):
    pytest.importorskip(WITH_A_MODEL[page], reason=f"the page has a model of {WITH_A_MODEL[page]}")
    program = "\n".join(PAGES[page])
    assert "assert" in program
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
