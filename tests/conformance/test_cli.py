"""The command line, in this process and as ``python -m refgrad``."""

import json
import subprocess
import sys
from importlib.util import find_spec
from xml.etree import ElementTree

import pytest

from refgrad import contracts
from refgrad.cli import main

FIRST_ORDER = "refgrad.conformance.demo.first_order_maml:maml"
SECOND_ORDER = "refgrad.conformance.demo.second_order_maml:maml"


def test_verify_exits_with_the_reports_code_and_writes_it(tmp_path, capsys):
    out = tmp_path / "out.json"
    code = main(["verify", FIRST_ORDER, "--contract", "maml_gradient", "--json", str(out), "--max-examples", "20"])
    found = json.loads(out.read_text())
    assert (code, found["exit_code"], found["diagnosis"]) == (1, 1, "fomaml")
    text = capsys.readouterr().out
    assert "variant:fomaml   (exit 1)" in text
    assert "For second order, differentiate through the inner steps." in text
    assert "--contract fomaml_gradient" in text


@pytest.mark.parametrize(
    ("target", "contract", "code", "kind"),
    [
        (FIRST_ORDER, "fomaml_gradient", 0, None),
        (FIRST_ORDER, "maml_gradient", 1, "failure"),
        ("no.such:f", "hvp", 3, "error"),
    ],
)
def test_a_verdict_is_a_test_of_junit(target, contract, code, kind, tmp_path):
    out = tmp_path / "out.xml"
    assert main(["verify", target, "--contract", contract, "--junit", str(out), "--max-examples", "20"]) == code
    (case,) = ElementTree.parse(out).getroot().iter("testcase")
    assert (case.get("classname"), case.get("name")) == (target, contract)
    assert [child.tag for child in case] == [*([kind] if kind else []), "system-out"]


@pytest.mark.parametrize(("target", "contract"), [(FIRST_ORDER, "fomaml_gradient"), (SECOND_ORDER, "maml_gradient")])
def test_the_same_file_conforms_to_the_contract_that_it_computes(target, contract):
    assert main(["verify", target, "--contract", contract, "--max-examples", "20"]) == 0


def test_a_file_is_a_target_and_its_siblings_can_be_imported(tmp_path, monkeypatch):
    (tmp_path / "neighbour.py").write_text("from refgrad.conformance.demo.first_order_maml import maml\n")
    (tmp_path / "mine.py").write_text("from neighbour import maml\n\n\ndef meta(*a):\n    return maml(*a)\n")
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out.json"
    options = ["--contract", "maml_gradient", "--max-examples", "20", "--json", str(out)]
    assert main(["verify", "mine.py:meta", *options]) == 1
    assert "from mine import meta" in json.loads(out.read_text())["regression_test"]
    assert {p.name for p in tmp_path.iterdir()} <= {"neighbour.py", "mine.py", "out.json", "__pycache__"}


RECORDED = """
import numpy as np

def recorded():
    theta, star, fisher = np.ones(3), np.array([0.5, 2.0, 0.0]), np.array([1.0, 2.0, 5.0])
    given = {"theta": theta, "theta_star": star, "fisher": fisher, "lam": 3.0}
    return {"output": 3 * np.sum(fisher * (theta - star) ** 2), "contract": "ewc_penalty"} | given

def nothing():
    return None

def fails():
    return 1 / 0
"""


def test_identify_names_the_formula_of_what_a_function_returns(tmp_path, capsys):
    file, answer = tmp_path / "mine.py", tmp_path / "answer.json"
    file.write_text(RECORDED)
    answer.write_text("from before")
    assert main(["identify", f"{file}::recorded", "--json", str(answer)]) == 1
    assert "variant:missing-half   (exit 1)" in capsys.readouterr().out
    assert json.loads(answer.read_text())["name"] == "missing-half"
    assert main(["identify", f"{file}:nothing", "--json", str(answer)]) == 2
    assert "to return a dict of arguments; got NoneType" in capsys.readouterr().err
    assert not answer.exists()
    assert main(["identify", f"{file}:fails"]) == 3
    assert "ZeroDivisionError: division by zero" in capsys.readouterr().err
    assert main(["identify", str(file)]) == 2
    assert "Add :NAME" in capsys.readouterr().err
    assert main(["identify", f"{file}:record"]) == 2
    assert "did you mean recorded" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mine.py", "--contract", "maml_gradient"], "path/file.py:callable"),
        (["a:b", "--contract", "maml_gradien"], "did you mean maml_gradient"),
        (["a:b", "--contract", "maml"], "did you mean fomaml_gradient or imaml_gradient or maml_gradient?"),
        (["a:b", "--contract", "maml_gradient", "--param", "reducton=sum"], "did you mean reduction?"),
        (
            ["a:b", "--contract", "maml_gradient", "--promise", "gap=1e-3"],
            "leave out --promise gap, in Python promise=",
        ),
        (["a:b", "--contract", "maml_gradient", "--promise", "gap=1e-3"], "no certificate"),
        (["a:b", "--contract", "min_norm", "--vary", "steps=1,2"], "at least 3 settings"),
    ],
)
def test_usage_errors_exit_with_2_and_say_what_to_write(words, message, capsys):
    assert main(["verify", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["verify", "a:b"],
        ["verify", "a:b", "--contract", "min_norm", "--param", "steps"],
        ["verify", "a:b", "--contract", "min_norm", "--vary", "steps=a,b"],
        ["verify", "a:b", "--contract", "min_norm", "--promise", "gap=small"],
        ["verify", "a:b", "--contract", "min_norm", "--dtype", "float16"],
        ["solve"],
        [],
    ],
)
def test_what_cannot_be_parsed_exits_with_2(words):
    with pytest.raises(SystemExit) as exit_info:
        main(words)
    assert exit_info.value.code == 2


def test_a_subject_that_does_not_exist_exits_with_3_and_leaves_a_report(tmp_path):
    out = tmp_path / "out.json"
    target = "refgrad.conformance.demo.first_order_maml:mmal"
    assert main(["verify", target, "--contract", "maml_gradient", "--json", str(out)]) == 3
    assert "did you mean maml?" in json.loads(out.read_text())["summary"]


def test_a_report_that_cannot_be_written_is_a_usage_error(capsys):
    words = ["verify", SECOND_ORDER, "--contract", "maml_gradient", "--max-examples", "2", "--json", "no/such/folder/f"]
    assert main(words) == 2
    assert "cannot write" in capsys.readouterr().err


def test_contracts_lists_all_and_shows_one(capsys):
    assert main(["contracts"]) == 0
    listed = capsys.readouterr().out
    assert main(["contracts", "maml_gradient"]) == 0
    shown = capsys.readouterr().out
    assert "maml_gradient" in listed
    assert "min_norm" in listed
    assert "subject(loss, theta, tasks, lr, steps)" in shown
    assert "reversed-product" in shown
    assert main(["contracts", "maml"]) == 2


def test_the_demo_sees_what_it_should():
    run = subprocess.run([sys.executable, "-m", "refgrad", "demo"], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    for grade in ("accurate", "variant:fomaml", "variant:clamp-0.999", "variant:batch-mean-squared"):
        assert grade in run.stdout
    assert run.stdout.count("Smallest failing input") == 3
    assert run.stdout.index("144 weights" if find_spec("torch") is None else "195 weights") < run.stdout.index("--- 1.")


def test_the_demo_fails_if_it_does_not_see_what_it_should(monkeypatch):
    from rich.console import Console

    from refgrad.conformance import demo

    wrong = demo.Case("Right, said to be wrong", "second_order_maml", "maml", "maml_gradient", ("variant:fomaml",))
    monkeypatch.setattr(demo, "CASES", (wrong,))
    with open("/dev/null", "w") as nowhere:
        assert demo.main(Console(file=nowhere)) == 1


def without(missing, command):
    code = f"import sys; sys.modules[{missing!r}] = None; from refgrad.cli import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=False)


VERIFY = ["verify", SECOND_ORDER, "--contract", "maml_gradient", "--max-examples", "30"]
FISHER = ["verify", "refgrad.continual:fisher_diagonal", "--contract", "fisher_diagonal"]


def test_a_contract_whose_truth_is_rational_needs_no_python_flint():
    run = without("flint", VERIFY)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "accurate" in run.stdout


@pytest.mark.parametrize(
    ("missing", "command"),
    [
        ("hypothesis", ["demo"]),
        ("hypothesis", VERIFY),
        ("rich", ["demo"]),
        ("rich", VERIFY),
        ("flint", ["demo"]),
        ("flint", FISHER),
    ],
)
def test_a_missing_extra_is_named(missing, command):
    run = without(missing, command)
    assert run.returncode == 2, run.stdout + run.stderr
    assert "pip install 'refgrad[" in run.stderr
    assert "Traceback" not in run.stderr


def test_the_colours_of_a_terminal_change_nothing_in_the_words(judged):
    import io

    from rich.console import Console

    from refgrad.conformance.report.terminal import show, text

    report = judged("cube", max_examples=20)
    terminal = Console(file=io.StringIO(), force_terminal=True, width=200, color_system="truecolor")
    with terminal.capture() as captured:
        show(report, terminal)
    from rich.text import Text

    plain = Text.from_ansi(captured.get()).plain
    words = {w for w in text(report).split() if w.isalnum()}
    assert words <= {w for w in plain.split() if w.isalnum()}
    assert "\x1b[" in captured.get()


def test_a_reader_that_goes_away_early_is_no_error():
    process = subprocess.Popen(
        [sys.executable, "-m", "refgrad", "contracts", "maml_gradient"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(30) == 141


NAMES = ("grad", "array", "sum", "values")


def test_a_regression_test_works_whatever_the_function_is_called(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wrong = "def NAME(f, x):\n    return 3 * f.grad(x)\n"
    right = contracts.get("gradient").example.replace("def gradient", "def NAME")
    for name in NAMES:
        (tmp_path / f"of_{name}.py").write_text(wrong.replace("NAME", name))
        words = ["--contract", "gradient", "--json", "out.json", "--max-examples", "10"]
        main(["verify", f"of_{name}.py:{name}", *words])
        test = json.loads((tmp_path / "out.json").read_text())["regression_test"]
        (tmp_path / f"test_{name}.py").write_text(test)
    command = [sys.executable, "-m", "pytest", "-q", ".", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert f"{len(NAMES)} failed in" in done.stdout, done.stdout
    for name in NAMES:
        (tmp_path / f"of_{name}.py").write_text(right.replace("NAME", name))
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert f"{len(NAMES)} passed in" in done.stdout, done.stdout


def test_a_report_that_could_not_be_written_is_refused_before_anything_runs(tmp_path, capsys):
    code = main(["verify", "nowhere:nothing", "--contract", "min_norm", "--json", str(tmp_path / "no" / "o.json")])
    assert code == 2
    assert "--json" in capsys.readouterr().err


def test_one_option_for_one_argument(capsys):
    words = ["--param", "n=1", "--vary", "n=1,2,3"]
    assert main(["verify", "nowhere:nothing", "--contract", "min_norm", *words]) == 2
    assert "both set n" in capsys.readouterr().err


def test_a_wrong_signature_is_answered_with_the_right_one(tmp_path, capsys):
    (tmp_path / "two.py").write_text("def two(a, b):\n    return a\n")
    assert main(["verify", f"{tmp_path / 'two.py'}:two", "--contract", "maml_gradient"]) == 3
    out = capsys.readouterr().out
    assert "subject(loss, theta, tasks, lr, steps)" in out
    assert "refgrad contracts maml_gradient" in out
    assert "Regression test" not in out


def test_a_defect_of_the_kit_is_not_taken_for_a_verdict(monkeypatch, capsys):
    from refgrad.conformance import verification

    monkeypatch.setattr(verification, "find", lambda run: 1 / 0)
    assert main(["verify", "numpy:sum", "--contract", "min_norm", "--max-examples", "1"]) == 70
    assert "defect of refgrad" in capsys.readouterr().err
