"""The README's code runs and gives what stands beside it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

import refgrad
from refgrad import exact

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), re.S)


def test_the_lines_on_importing_give_what_their_comments_say():
    (block,) = [b for b in BLOCKS if "import refgrad" in b and "import torch" not in b]
    commented = re.findall(r"^(refgrad\.grad.*?)\s+# (.*)$", block, re.M)
    assert len(commented) == 2
    namespace = {}
    exec(block, namespace)
    for expression, result in commented:
        assert repr(eval(expression, namespace)) == result
    assert namespace["min_norm"](np.array([[1.0, 0.0], [-1.0, 2.0]])).gap == 0.0


def test_the_lines_on_exact_arithmetic_give_what_their_comments_say():
    (block,) = [b for b in BLOCKS if "exact.attainable" in b]
    namespace = {"np": np, "exact": exact}
    exec(block, namespace)
    ratios = [eval(line.split("#")[0], namespace) for line in block.splitlines() if line.startswith("float(")]
    assert repr(namespace["truth"]) == re.search(r"# (Enclosure.*)", block).group(1)
    assert f"{float(namespace['unit']):.1e}" == re.search(r"may leave here: (.*)", block).group(1)
    assert ratios[0] < 1
    assert 1e5 < ratios[1] < 1e6


def test_the_file_names_of_the_reading_list_exist():
    for path in re.findall(r"\]\(((?:refgrad|docs)/[^)]*)\)", README.read_text()):
        assert (README.parent / path).exists(), path


def test_the_source_of_a_gradient_ends_as_printed(capsys):
    (block,) = [b for b in BLOCKS if "refgrad.source" in b]
    exec(block, {"np": np, "refgrad": refgrad})
    (shown,) = re.findall(r"ends in\n\n```\n(.*?)```", README.read_text(), re.S)
    assert capsys.readouterr().out.rstrip("\n").endswith(shown.rstrip("\n"))
