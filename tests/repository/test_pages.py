"""Every page of docs/ with Python in it runs from top to bottom, and its asserts hold."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {page.name: re.findall(r"```python\n(.*?)```", page.read_text(), re.S) for page in sorted(DOCS.glob("*.md"))}


@pytest.mark.parametrize("page", [name for name, blocks in PAGES.items() if blocks])
def test_a_page_runs_and_asserts(page, tmp_path):
    program = "\n".join(PAGES[page])
    assert "assert" in program
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES)
def test_the_links_of_a_page_lead_somewhere(page):
    text = (DOCS / page).read_text()
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (DOCS / target).exists(), target


@pytest.mark.parametrize("page", [name for name in PAGES if name != "changelog.md"])
def test_the_files_that_a_page_names_exist(page):
    repository = DOCS.parent
    for path in re.findall(r"`((?:refgrad|tests|docs)/[\w/]*(?:\.\w+)?)`", (DOCS / page).read_text()):
        assert (repository / path).exists() or path == "refgrad/multitask/uniform.py", path
