"""PyTorch's operators in every composition of its two modes: the right ones are accurate, the wrong ones come by name.

The wrong ones are those of https://github.com/pytorch/pytorch/issues/198017 in version 2.13, and three that the sweeps
found beside them: the forward derivative of det is 0 at singular matrices, reverse over forward of cumprod is NaN at
zeros, and forward over reverse of logcumsumexp inherits the error of its forward rule.
"""

from __future__ import annotations

import pytest
from helpers.modes import FIRST, SECOND, Modes

from refgrad import verify
from refgrad.contracts.operators import OPERATORS

pytestmark = pytest.mark.interop
torch = pytest.importorskip("torch")
EPS = 2.0**-10

FUNCTIONS = {
    "tanh": torch.tanh,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "ldexp": torch.ldexp,
    "prod": torch.prod,
    "cumprod": lambda x: torch.cumprod(x, 0),
    "norm": torch.linalg.vector_norm,
    "logsumexp": lambda x: torch.logsumexp(x, 0),
    "logcumsumexp": lambda x: torch.logcumsumexp(x, 0),
    "softmax": lambda x: torch.softmax(x, 0),
    "log_softmax": lambda x: torch.log_softmax(x, 0),
    "matmul": torch.matmul,
    "det": torch.linalg.det,
    "logdet": torch.logdet,
    "inv": torch.linalg.inv,
    "solve": torch.linalg.solve,
    "cholesky": torch.linalg.cholesky,
    "cholesky_inverse": torch.cholesky_inverse,
    "cholesky_solve": torch.cholesky_solve,
    "layer_norm": lambda x: torch.nn.functional.layer_norm(x, (x.shape[-1],), eps=EPS),
    "batch_norm": lambda x: torch.nn.functional.batch_norm(x, None, None, training=True, eps=EPS),
}

WRONG = {
    ("ldexp", "f"): "variant:integer-power",
    ("ldexp", "r"): "variant:integer-power",
    ("cumprod", "f"): "wrong",  # infinite where the product leaves the range and its derivative does not
    ("cumprod", "ff"): "variant:first-zero-frozen",
    ("cumprod", "rf"): "wrong",
    ("norm", "f"): "wrong",
    ("norm", "r"): "wrong",
    ("norm", "ff"): "wrong",
    ("norm", "fr"): "wrong",
    ("norm", "rf"): "wrong",
    ("norm", "rr"): "wrong",
    ("logcumsumexp", "f"): "variant:epsilon-in-denominator",
    ("logcumsumexp", "ff"): "variant:epsilon-in-denominator",
    ("logcumsumexp", "rf"): "variant:epsilon-in-denominator",
    ("logcumsumexp", "fr"): "wrong",
    ("det", "f"): "variant:zero-where-singular",
    ("det", "ff"): "variant:saved-factors",
    ("det", "rf"): "variant:saved-factors",
    ("det", "fr"): "wrong",
    ("det", "rr"): "wrong",
    ("logdet", "ff"): "variant:saved-factors",
    ("logdet", "rf"): "variant:saved-factors",
    ("solve", "ff"): "variant:saved-factors",
    ("solve", "rf"): "variant:saved-factors",
    ("cholesky_inverse", "f"): "variant:factors-out-of-order",
    ("cholesky_inverse", "ff"): "variant:factors-out-of-order",
    ("cholesky_inverse", "fr"): "wrong",
    ("cholesky_inverse", "rf"): "wrong",
    ("cholesky_solve", "f"): "variant:read-as-vectors",
    ("cholesky_solve", "ff"): "wrong",
    ("cholesky_solve", "fr"): "wrong",
    ("cholesky_solve", "rf"): "wrong",
    ("layer_norm", "ff"): "variant:saved-statistics",
    ("layer_norm", "rf"): "variant:saved-statistics",
    ("batch_norm", "ff"): "variant:saved-statistics",
    ("batch_norm", "rf"): "variant:saved-statistics",
}
"""By operator and modes, from the outside in: f is forward, r reverse."""

MODES = Modes(
    torch.func.jvp,
    lambda f, argnums: torch.func.grad(f, argnums=argnums),
    lambda a, b: (a * b).sum(),
    lambda parts, shape: torch.stack(parts).reshape(shape),
    lambda y: tuple(y.shape),
)


def cases():
    return [(name, m) for name, o in OPERATORS.items() for m in (*FIRST, *SECOND) if len(m) in o.orders]


def test_every_operator_and_no_other_verdict_is_listed():
    assert set(FUNCTIONS) == set(OPERATORS)
    assert set(WRONG) <= set(cases())


USUAL = ("r", "fr")
"""What people compose; every other composition is as right or as wrong, and is among the seeds."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "modes"),
    [pytest.param(*c, marks=() if c[1] in USUAL or c in WRONG else pytest.mark.seeds) for c in cases()],
)
def test_an_operator_of_torch_is_accurate_or_wrong_by_name(name, modes):
    subject = MODES.subject(FUNCTIONS[name], modes, len(OPERATORS[name].fixed))
    params = {"op": name, "order": len(modes)}
    examples = 40 if (name, modes) in WRONG else 24
    report = verify(subject, "operator_derivative", backend="torch", params=params, max_examples=examples)
    if (name, modes) not in WRONG:
        assert report.grade in ("accurate", "exact"), str(report)
        return
    print(f"{report.summary}\n{report.counterexample['inputs']}")
    if name == "det" and (report.grade, report.candidates != []) == ("wrong", True):
        # whether rounding leaves a pivot of a singular matrix at zero depends on the threads of the factorisation
        assert WRONG[name, modes] == f"variant:{report.candidates[0]['name']}", str(report)
    else:
        assert report.grade == WRONG[name, modes], str(report)
    assert report.exit_code == 1
    assert report.counterexample["inputs"]["op"] == name
