"""The pages of docs/ whose model is one of torch run from top to bottom, and their asserts hold."""

from __future__ import annotations

import subprocess
import sys

import pytest
from repository.test_pages import PAGES

pytestmark = pytest.mark.interop
WITH_TORCH = [name for name, blocks in PAGES.items() if any("import torch" in block for block in blocks)]


@pytest.mark.parametrize("page", WITH_TORCH)
def test_a_page_with_torch_runs_and_asserts(page, tmp_path):
    pytest.importorskip("torch", reason="the page has a model of torch")
    program = "\n".join(PAGES[page])
    assert "assert" in program
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
