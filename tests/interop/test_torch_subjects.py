"""Code written for torch, judged from the command line, as its authors would do it."""

import json
from pathlib import Path

import numpy as np
import pytest

from refgrad.cli import main
from refgrad.conformance import verify
from refgrad.conformance.subject import frameworks

pytestmark = pytest.mark.interop
torch = pytest.importorskip("torch")
SUBJECTS = Path(__file__).parent / "subjects"


@pytest.fixture
def judged(tmp_path):
    def report(file, name, contract, *options):
        out = tmp_path / "report.json"
        code = main(["verify", f"{SUBJECTS / file}:{name}", "--contract", contract, "--json", str(out), *options])
        found = json.loads(out.read_text())
        assert found["exit_code"] == code
        return found

    return report


def test_a_maml_without_create_graph_computes_fomaml(judged):
    report = judged("torch_maml.py", "first_order", "maml_gradient", "--backend", "torch")
    assert (report["exit_code"], report["diagnosis"]) == (1, "fomaml")
    assert "fomaml_gradient" in report["advice"]


def test_a_solver_of_numpy_arrays_beside_torch_is_told_to_ask_for_them(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = [
        "import numpy as np", "import torch  # for something else", "", "def solver(J):",
        "    if len(J) == 2:", "        return J[:, 0] * 0 + 0.5", "    return np.ones(len(J)) @ J",
    ]  # fmt: skip
    Path("solvers.py").write_text("\n".join(lines))
    assert main(["verify", "solvers.py:solver", "--contract", "min_norm", "--max-examples", "40"]) == 1
    assert "--backend numpy gives it NumPy's" in capsys.readouterr().out


def test_the_same_file_conforms_where_fomaml_is_the_declared_contract(judged):
    report = judged("torch_maml.py", "first_order", "fomaml_gradient", "--backend", "torch")
    assert (report["exit_code"], report["grade"]) == (0, "accurate")


@pytest.mark.parametrize("name", ["second_order", "through_a_module"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_maml_with_create_graph_is_accurate(judged, name, dtype):
    report = judged("torch_maml.py", name, "maml_gradient", "--dtype", dtype)
    assert (report["exit_code"], report["grade"]) in ((0, "accurate"), (0, "exact"))
    assert report["environment"]["backend"] == "torch"
    assert report["environment"]["dtype"] == dtype


def test_hessians_in_the_wrong_order_are_named(judged):
    report = judged("torch_maml.py", "reversed_product", "maml_gradient", "--backend", "torch")
    assert (report["exit_code"], report["diagnosis"]) == (1, "reversed-product")


def test_torchjd_mgda_converges_at_a_measured_rate(judged):
    pytest.importorskip("torchjd")
    report = judged("torchjd_mgda.py", "weights", "min_norm", "--vary", "max_iters=100,1000,10000")
    assert (report["exit_code"], report["grade"]) == (0, "converging")
    assert -2 < report["certificate"]["rate"]["worst"] < -0.5
    assert len(report["certificate"]["settings"]) == 3


def test_torchjd_mgda_without_a_knob_is_undecided(judged):
    pytest.importorskip("torchjd")
    report = judged("torchjd_mgda.py", "weights", "min_norm")
    assert report["exit_code"] == 4
    assert "--vary" in report["advice"]


@pytest.mark.parametrize(("name", "code"), [("second_order", 0), ("first_order", 1)])
def test_jax_code_is_judged_in_double_precision(judged, name, code):
    pytest.importorskip("jax")
    # JAX compiles for each shape anew
    report = judged("jax_maml.py", name, "maml_gradient", "--max-examples", "20", "--timeout", "60")
    assert (report["exit_code"], report["environment"]["backend"]) == (code, "jax")


def test_a_torch_closure_gets_torch_tensors_in_this_process():
    def fomaml(loss, theta, tasks, lr, steps):
        assert isinstance(theta, torch.Tensor)
        assert theta.requires_grad
        assert not tasks[0][0][0].requires_grad
        with torch.no_grad():
            total = torch.zeros_like(theta)
            for support, query in tasks:
                fast = theta
                for _ in range(steps):
                    fast = fast - lr * loss.grad(fast, support)
                total += loss.grad(fast, query)
            return total / len(tasks)

    assert verify(fomaml, "fomaml_gradient", max_examples=10).exit_code == 0


def test_the_regression_test_of_a_torch_subject_fails_until_it_is_mended(judged, monkeypatch):
    report = judged("torch_maml.py", "first_order", "maml_gradient", "--max-examples", "20")
    names: dict = {}
    monkeypatch.syspath_prepend(str(SUBJECTS))
    exec(report["regression_test"], names)
    (test,) = [value for name, value in names.items() if name.startswith("test_")]
    with pytest.raises(AssertionError):
        test()
    mended = {}
    exec(report["regression_test"].replace("first_order", "second_order"), mended)
    next(value for name, value in mended.items() if name.startswith("test_"))()


@pytest.mark.parametrize(
    ("tensor", "dtype"),
    [
        (lambda: torch.ones(2, requires_grad=True) * 2, "float32"),
        (lambda: torch.full((2,), 2.0, dtype=torch.bfloat16), "bfloat16"),
        (lambda: torch.full((2,), 2.0, dtype=torch.float64).to_sparse(), "float64"),
        (lambda: torch.full((2, 2), 2.0).T[0], "float32"),
        (lambda: [torch.tensor(2.0), torch.tensor(2.0)], "float32"),
        (lambda: torch.nn.Parameter(torch.full((2,), 2.0)), "float32"),
    ],
)
def test_every_kind_of_tensor_comes_back_as_its_numbers(tensor, dtype):
    array, name = frameworks.to_numpy(tensor(), "value")
    assert name == dtype
    assert np.array_equal(array, [2.0, 2.0])
