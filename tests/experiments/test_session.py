"""Experiments in parts: what is done is kept, and the same command goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from refgrad import experiments
from refgrad.cli import main
from refgrad.errors import UsageError
from refgrad.experiments.session import Experiment, run

CALLS = []


def compute(settings, part):
    CALLS.append(part)
    if part == settings.get("stops at"):
        raise KeyboardInterrupt
    return {"squared": int(part) ** 2}


class Drawn:
    def savefig(self, path, dpi):
        path.write_text("drawn")


TOY = Experiment(
    name="toy",
    summary="squares",
    settings=lambda quick, seed: {"parts": ["1", "2"] if quick else ["1", "2", "3"], "seed": seed},
    parts=lambda settings: settings["parts"],
    compute=compute,
    table=lambda settings, results: str(sum(result["squared"] for result in results.values())),
    draw=lambda settings, results: Drawn(),
)


@pytest.fixture(autouse=True)
def _no_calls():
    CALLS.clear()


def test_what_is_done_is_not_run_again(tmp_path):
    stopped = replace(TOY, compute=lambda settings, part: compute({"stops at": "3"}, part))
    with pytest.raises(KeyboardInterrupt):
        run(stopped, out=tmp_path)
    kept = json.loads((tmp_path / "results.json").read_text())
    assert list(kept["parts"]) == ["1", "2"]
    CALLS.clear()
    seen = []
    results = run(TOY, out=tmp_path, progress=lambda done, planned: seen.append((done, planned)))
    assert CALLS == ["3"]
    assert results == {"1": {"squared": 1}, "2": {"squared": 4}, "3": {"squared": 9}}
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert (tmp_path / "toy.svg").exists()
    assert set(kept["environment"]) == {"python", "refgrad", "numpy", "scipy"}


def test_a_folder_of_another_run_is_not_touched(tmp_path):
    run(TOY, out=tmp_path)
    before = (tmp_path / "results.json").read_text()
    for other, options in ((TOY, {"seed": 1}), (TOY, {"quick": True}), (replace(TOY, name="another"), {})):
        with pytest.raises(UsageError, match="is of another run, toy"):
            run(other, out=tmp_path, **options)
    assert (tmp_path / "results.json").read_text() == before


def test_a_folder_that_cannot_be_used_is_told(tmp_path):
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(UsageError, match="cannot read"):
        run(TOY, out=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        run(TOY, out=tmp_path / "file" / "folder")


def test_an_experiment_that_there_is_not_is_told(capsys):
    with pytest.raises(UsageError, match="no experiment 'squares'; there are auxilearn"):
        experiments.get("squares")
    with pytest.raises(SystemExit):
        main(["run", "squares"])
    assert "auxilearn" in capsys.readouterr().err


SMALL = """\
import sys
from dataclasses import replace
from refgrad.cli import main
from refgrad.experiments import auxilearn

whole = auxilearn.settings
small = lambda quick, seed: whole(quick, seed) | {"seeds": [seed, seed + 1], "rounds": 3, "unlabelled": 60}
auxilearn.EXPERIMENT = replace(auxilearn.EXPERIMENT, settings=small)
sys.exit(main(sys.argv[1:]))
"""


def test_the_command_goes_on_after_a_kill_and_shows_a_table_and_pictures(tmp_path):
    pytest.importorskip("sklearn")
    (tmp_path / "small.py").write_text(SMALL)
    command = [sys.executable, str(tmp_path / "small.py"), "run", "auxilearn", "--out", "out"]
    file = tmp_path / "out" / "results.json"
    first = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    limit = time.monotonic() + 120
    while not (file.exists() and json.loads(file.read_text())["parts"]) and time.monotonic() < limit:
        time.sleep(0.02)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    before = json.loads(file.read_text())["parts"]
    assert before
    second = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=300)
    after = json.loads(file.read_text())
    assert len(after["parts"]) == 8
    assert {part: after["parts"][part] for part in before} == before
    assert "single task" in second.stdout
    assert "on" in second.stdout.splitlines()[-3]
    assert {path.name for path in file.parent.iterdir()} == {"results.json", "auxilearn.svg", "auxilearn.png"}
    paths = [result["phi"] for part, result in after["parts"].items() if part.startswith("AuxiLearn")]
    assert all(len(path) == 4 and path[0] == [1, 1, 1] and path[-1][2] < 1 for path in paths)


def test_an_interrupt_says_that_the_same_command_goes_on(tmp_path, monkeypatch, capsys):
    stopped = replace(TOY, compute=lambda settings, part: compute({"stops at": "2"}, part))
    monkeypatch.setattr(experiments, "get", lambda name: stopped)
    assert main(["run", "auxilearn", "--out", str(tmp_path)]) == 130
    assert f"what is done is in {tmp_path}, and the same command goes on" in capsys.readouterr().err
