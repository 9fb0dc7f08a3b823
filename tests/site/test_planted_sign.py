"""A page is run against the library that there is: a sign changed in one rule, and the site is not built."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.look
pytest.importorskip("sphinx", reason="the site is built by Sphinx: nox -s docs")
ROOT = Path(__file__).parents[2]

SIGNS = {
    "none": ("elementwise.py", "", ""),
    "exp": ("elementwise.py", "t * y], source=\"np.exp", "-t * y], source=\"np.exp"),
    "sub": ("elementwise.py", "lambda t, y, a, b: -t]", "lambda t, y, a, b: t]"),
    "matmul": ("matrix.py", "unbroadcast(matmul.apply(g,", "unbroadcast(-matmul.apply(g,"),
}  # fmt: skip


@pytest.mark.parametrize("rule", SIGNS)
def test_a_changed_sign_in_a_rule_fails_the_build(rule, tmp_path):
    shutil.copytree(ROOT / "refgrad", tmp_path / "refgrad", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "docs" / "_ext", tmp_path / "docs" / "_ext")
    shutil.copytree(ROOT / "docs" / "_static", tmp_path / "docs" / "_static")
    (tmp_path / "docs" / "tour").mkdir()
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    for name in ("conf.py", "tour/rules.md"):
        shutil.copy(ROOT / "docs" / name, tmp_path / "docs" / name)
    (tmp_path / "docs" / "index.md").write_text("# One page\n\n```{toctree}\ntour/rules\n```\n")
    name, right, wrong = SIGNS[rule]
    file = tmp_path / "refgrad" / "autodiff" / "rules" / name
    text = file.read_text()
    assert not right or text.count(right) == 1
    file.write_text(text.replace(right, wrong) if right else text)
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", str(tmp_path / "docs"), str(tmp_path / "site")],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        check=False,
    )
    assert (done.returncode != 0) == (rule != "none"), done.stderr
    assert ("ExecutionError" in done.stderr and "tour/rules.md" in done.stderr) == (rule != "none"), done.stderr
