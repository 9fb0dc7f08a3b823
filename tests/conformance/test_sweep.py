"""Where the problems come from."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import refgrad
from refgrad.conformance.judging import sweep
from refgrad.contracts.contract import Problem


def test_equal_seeds_give_equal_problems_and_other_seeds_others(square):
    first, again, other = (list(sweep.problems(square, 40, seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_problems_do_not_depend_on_the_modules_that_happen_to_be_imported(square, tmp_path, monkeypatch):
    before = list(sweep.problems(square, 60, 0))
    (tmp_path / "full_of_numbers.py").write_text("a = [1, 2, 3, -1, 2.5, 3.75, 0.5]\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import full_of_numbers

    assert full_of_numbers.a
    assert list(sweep.problems(square, 60, 0)) == before
    del sys.modules["full_of_numbers"]


def test_nothing_is_written_to_the_working_directory(tmp_path):
    (tmp_path / "local.py").write_text("def maml(*arguments):\n    return 17\n")
    code = "import sys, local; from refgrad.cli import main; sys.exit(main(sys.argv[1:]))"
    words = ["verify", "local.py:maml", "--contract", "maml_gradient", "--max-examples", "5"]
    path = os.pathsep.join([str(tmp_path), *sys.path])
    environment = os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run([sys.executable, "-c", code, *words], cwd=tmp_path, env=environment, check=False)
    assert run.returncode == 3  # it never calls the loss
    assert [p.name for p in tmp_path.iterdir()] == ["local.py"]


def test_the_child_process_uses_the_same_copy_of_refgrad(tmp_path):
    shutil.copytree(Path(refgrad.__file__).parent, tmp_path / "refgrad", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "where.py").write_text(
        "import refgrad\n\n\ndef maml(*arguments):\n    raise LookupError(refgrad.__file__)\n"
    )
    words = ["verify", "where.py:maml", "--contract", "maml_gradient", "--max-examples", "1"]
    run = subprocess.run(
        [sys.executable, "-m", "refgrad", *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 3, run.stderr
    assert str(tmp_path / "refgrad") in "".join(line.strip() for line in run.stdout.splitlines())


def test_crisp_problems_come_first_and_every_kind_has_its_share(square):
    kinds = [p.kind for p in sweep.problems(square, 40, 0)]
    assert kinds == sorted(kinds)
    assert kinds.count("crisp") == 25
    assert kinds.count("rough") == 15


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_problems_are_as_few_as_asked_for(square, count):
    assert len(list(sweep.problems(square, count, 0))) == count


def test_shrinking_ends_at_the_smallest_problem(square):
    found = sweep.smallest(square, "crisp", lambda p: max(p.inputs["x"]) >= 2, 0)
    assert found == Problem("crisp", {"x": [2.0]})


def test_shrinking_asks_a_bounded_number_of_times(square):
    asked = []

    def fails(problem):
        asked.append(problem)
        return len(asked) > 30

    sweep.smallest(square, "rough", fails, 0)
    assert len(asked) <= 400


def test_what_never_fails_has_no_smallest_problem(square):
    assert sweep.smallest(square, "crisp", lambda p: False, 0) is None
