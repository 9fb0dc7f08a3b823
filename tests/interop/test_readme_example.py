"""The README's torch example gets the answers that the README says it gets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from refgrad import verify

pytestmark = pytest.mark.interop
README = Path(__file__).parents[2] / "README.md"


def blocks(containing):
    return [b for b in re.findall(r"```python\n(.*?)```", README.read_text(), re.S) if containing in b]


def test_the_second_derivative_of_det_is_judged_as_the_readme_says(tmp_path):
    pytest.importorskip("torch")
    (example,) = blocks("def second")
    (tmp_path / "my_det.py").write_text(example)
    params = {"op": "det", "order": 2}
    report = verify(f"{tmp_path / 'my_det.py'}:second", "operator_derivative", params=params, max_examples=40)
    assert (report.grade, report.environment["backend"]) == ("variant:saved-factors", "torch")


@pytest.mark.parametrize(
    ("inner", "contract", "grade"),
    [
        ("fast.values())", "maml_gradient", "variant:fomaml"),
        ("fast.values())", "fomaml_gradient", "accurate"),
        ("fast.values(), create_graph=True)", "maml_gradient", "accurate"),
    ],
)
def test_the_torch_example_is_judged_as_the_readme_says(tmp_path, inner, contract, grade):
    pytest.importorskip("torch")
    (example,) = blocks("class Model")
    assert example.count("fast.values())\n") == 1
    (tmp_path / "my_maml.py").write_text(example.replace("fast.values())\n", inner + "\n"))
    report = verify(f"{tmp_path / 'my_maml.py'}:maml", contract)
    assert report.grade == grade
    assert report.environment["backend"] == "torch"
