"""``refgrad source``: what a person types, and what comes back."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from helpers.bits import same_bits

from refgrad import grad, hvp
from refgrad.cli import main
from refgrad.errors import UsageError
from refgrad.staging.specification import examples

FILE = """
import numpy as np
X = np.arange(32.0).reshape((4, 8)) / 16
def loss(W, b):
    h = np.tanh(X @ W + b)
    return np.mean(h * h)
def of_dict(p, steps):
    return sum(np.sum(np.log(p["w"]) * k) for k in range(steps)) + p["b"][0]
def constant():
    return 1.5
def branches(x):
    return x if x > 0 else -x
"""


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return f"{path}:"


def module(text):
    names = {}
    exec(text, names)
    return names


def test_a_function_its_gradient_and_its_hvp_are_printed(target, capsys):
    loss = module(FILE)["loss"]
    rng = np.random.default_rng(0)
    W, b, V = rng.normal(size=(8, 16)), rng.normal(size=16), rng.normal(size=(8, 16))
    expected = {
        "none": ("loss", lambda: loss(W, b), (W, b)),
        "grad": ("gradient_of_loss", lambda: grad(loss)(W, b), (W, b)),
        "hvp": ("hvp_of_loss", lambda: hvp(lambda W: loss(W, b), W, V), (W, b, V)),
    }
    for derivative, (name, value, args) in expected.items():
        assert main(["source", target + "loss", "f8[8,16] f8[16]", "--derivative", derivative]) == 0
        text = capsys.readouterr().out
        assert "refgrad" not in text.replace("Recorded by refgrad", "")
        assert same_bits(module(text)[name](*args), value())
        assert f"def {name}(W, b{', v' if derivative == 'hvp' else ''}):" in text


def test_arguments_may_be_one_word_or_several_or_none(target, capsys):
    assert main(["source", target + "loss", "f8[8,16]", "f8[16]"]) == 0
    several = capsys.readouterr().out
    assert main(["source", target + "loss", "f8[8,16] f8[16]"]) == 0
    assert several == capsys.readouterr().out
    assert main(["source", target + "constant"]) == 0
    assert "return 1.5" in capsys.readouterr().out
    assert main(["source", target + "constant", "--derivative", "hvp"]) == 2
    assert "missing 1 required" in capsys.readouterr().err


def test_containers_and_static_arguments_are_written_as_in_python(target, capsys):
    assert main(["source", target + "of_dict", "{w: f4[3], b: f8[1]} 2"]) == 0
    text = capsys.readouterr().out
    of_dict = module(text)["of_dict"]
    p = {"w": np.array([1, 2, 3], np.float32), "b": np.array([4.0])}
    assert of_dict(p, 2) == module(FILE)["of_dict"](p, 2)
    with pytest.raises(TypeError, match="other types"):
        of_dict(p, 3)


def test_arguments_are_described_in_a_few_characters():
    a, b, c, d, e, f, g = examples("f8[2,3]  f4[] (i8[4], b1[2]) [float] {x: f8[1], 'y z': 3} True 'sum'")
    assert (a.shape, a.dtype.name) == ((2, 3), "float64")
    assert (b.shape, b.dtype.name) == ((), "float32")
    assert [t.dtype.name for t in c] == ["int64", "bool"]
    assert type(d[0]) is float
    assert e["x"].shape == (1,)
    assert (e["y z"], f, g) == (3, True, "sum")
    (square,) = examples("f8[4,4]")
    assert np.linalg.cond(square) < 4
    assert len({*a.ravel()}) == 6


@pytest.mark.parametrize("word", ["f8", "w[3]", "f8[a]", "(f8[2]", "O[2]", "c16[2]", "f8[-1]", "f8[2.5]"])
def test_a_word_that_describes_nothing_is_a_usage_error(word):
    with pytest.raises(UsageError, match="expected arguments like"):
        examples(word)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("los", "f8[3]", "did you mean loss"),
        ("loss", "f8[8,16] f8[17]", "raised ValueError"),
        ("loss", "f8[8,16]", "raised TypeError"),
        ("branches", "f8[]", "decides what Python does next"),
        ("branches", "x", "expected arguments like"),
    ],
)
def test_what_cannot_be_printed_is_exit_2_with_the_reason(target, capsys, name, arguments, message):
    assert main(["source", target + name, arguments]) == 2
    out = capsys.readouterr()
    assert message in out.err
    assert out.out == ""


def test_the_command_prints_a_program_that_runs(target, tmp_path):
    printed = subprocess.run(
        [
            sys.executable,
            "-m",
            "refgrad",
            "source",
            target + "loss",
            "f8[8,16] f8[16]",
            "--derivative",
            "value_and_grad",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    (tmp_path / "exported.py").write_text(printed.stdout)
    code = "import sys; sys.modules['refgrad'] = None; import numpy as np, exported\n"
    code += "value, g = exported.value_and_gradient_of_loss(np.ones((8, 16)), np.ones(16)); print(g.shape)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "(8, 16)"
