"""The README's torch examples get the answers that the README says they get."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from refgrad import verify

pytestmark = pytest.mark.interop
README = Path(__file__).parents[2] / "README.md"


def blocks(containing):
    return [b for b in re.findall(r"```python\n(.*?)```", README.read_text(), re.S) if containing in b]


@pytest.mark.parametrize(
    ("inner", "name"), [("fast.values())", "fomaml"), ("fast.values(), create_graph=True)", "maml_gradient")]
)
def test_the_first_example_is_named_as_the_readme_says(inner, name, capsys):
    pytest.importorskip("torch").set_num_threads(1)  # tests run beside one another
    (example,) = blocks("refgrad.identify")
    assert example.count("fast.values())\n") == 1
    exec(example.replace("fast.values())\n", inner + "\n"), {})
    printed = capsys.readouterr().out.splitlines()
    (shown,) = re.findall(r"It prints\n\n```\n(.*?)```", README.read_text(), re.S)
    assert any(f"is {name}" in line for line in printed)
    if name == "fomaml":  # distances are of one machine
        told = [line for line in shown.splitlines() if line.strip(" .") and "off by" not in line]
        assert [line for line in printed if line in told] == told


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
