"""Every page of docs/ with Python in it runs from top to bottom, and its asserts hold."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"```(?:python|\{code-cell\} python)\n(.*?)```", re.S)
FILES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
PAGES = {path.relative_to(DOCS).as_posix(): BLOCK.findall(path.read_text()) for path in FILES}


@pytest.mark.parametrize("page", [name for name, blocks in PAGES.items() if blocks])
def test_a_page_runs_and_asserts(page, tmp_path):
    program = "\n".join(PAGES[page])
    assert "assert" in program
    for other in ("torch", "jax"):
        if f"import {other}" in program:
            pytest.importorskip(other, reason=f"the page has a model of {other}; nox -s interop runs it")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES)
def test_the_links_of_a_page_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", (DOCS / page).read_text(), flags=re.S)
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert ((DOCS / page).parent / target).exists(), target


@pytest.mark.parametrize("page", [name for name in PAGES if name != "changelog.md"])
def test_the_files_that_a_page_names_exist(page):
    repository = DOCS.parent
    for path in re.findall(r"`((?:refgrad|tests|docs)/[\w/]*(?:\.\w+)?)`", (DOCS / page).read_text()):
        assert (repository / path).exists() or path == "refgrad/multitask/uniform.py", path
