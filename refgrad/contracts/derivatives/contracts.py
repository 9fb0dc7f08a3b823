"""The contracts of derivatives of a function that is passed in: ``gradient`` and ``hvp``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from refgrad.contracts.contract import Contract, Failure, Framework, Problem
from refgrad.contracts.derivatives.function_variants import GRADIENT_VARIANTS, HVP_VARIANTS
from refgrad.contracts.derivatives.functions import LINKS, Form, Function, LeastSquares, LogSumExp, gradient, hvp
from refgrad.contracts.derivatives.problems import smooth_functions
from refgrad.contracts.regression import Dialect, expected_values, test_source

__all__ = ["CONTRACTS"]

KINDS = ("crisp", "rough", "ill_conditioned", "degenerate")


def function(inputs: Mapping[str, Any], framework: Framework) -> Function:
    """The function of a problem, its constants in the framework's arrays."""
    name, array = inputs["function"], framework.array
    if name == "form":
        return Form(framework.xp, array(inputs["Q"]), array(inputs["b"]), array(inputs["a"]))
    if name == "logsumexp":
        return LogSumExp(framework.xp, array(inputs["A"]), array(inputs["b"]))
    return LeastSquares(framework.xp, name, array(inputs["A"]), array(inputs["C"]), array(inputs["y"]))


def arguments(inputs: Mapping[str, Any], framework: Framework) -> tuple[Any, ...]:
    """``(f, x)``, and v where the problem has one."""
    vectors = [framework.array(inputs[name]) for name in ("x", "v") if name in inputs]
    return (function(inputs, framework), *vectors)


def shape(inputs: Mapping[str, Any]) -> tuple[int, ...]:
    """The shape of x."""
    return (len(inputs["x"]),)


def problem(kind: str, directed: bool, drawn: Mapping[str, Any]) -> Problem:
    """A problem, with its direction or without."""
    return Problem(kind, {k: v for k, v in drawn.items() if directed or k != "v"})


def problems(kind: str, directed: bool) -> Callable[[], Any]:
    """A function that returns the strategy of one kind of problem."""
    return lambda: smooth_functions(kind).map(partial(problem, kind, directed))


LINKED = {
    "linear": ("t", "1 + 0 * t", "0 * t"),
    "square": ("t * t", "2 * t", "2 + 0 * t"),
    "rational": ("1 / (1 + t * t)", "-2 * t / (1 + t * t)**2", "(6 * t * t - 2) / (1 + t * t)**3"),
    "tanh": ("{xp}.tanh(t)", "1 - {xp}.tanh(t)**2", "-2 * {xp}.tanh(t) * (1 - {xp}.tanh(t)**2)"),
}
"""phi, phi' and phi'' as source."""

LEAST_SQUARES = """\
def phi(t):
    return {phi}

def f(x):
    e = C @ phi(A @ x) - y
    return (e * e).sum() / 2
"""

LEAST_SQUARES_DERIVATIVES = """\
def slope(t):
    return {slope}

def grad(x):
    return A.T @ (slope(A @ x) * (C.T @ (C @ phi(A @ x) - y)))

def hvp(x, v):
    t, s = A @ x, A @ v
    e, bend = C @ phi(t) - y, {bend}
    return A.T @ (slope(t) * (C.T @ (C @ (slope(t) * s))) + bend * (C.T @ e) * s)
"""

LOG_SUM_EXP = """\
def f(x):
    z = A @ x + b
    return z.max() + {xp}.log({xp}.exp(z - z.max()).sum())
"""

LOG_SUM_EXP_DERIVATIVES = """\
def weights(x):
    e = np.exp(A @ x + b - (A @ x + b).max())
    return e / e.sum()

def grad(x):
    return A.T @ weights(x)

def hvp(x, v):
    p, s = weights(x), A @ v
    return A.T @ (p * (s - p @ s))
"""

FORM = """\
def f(x):
    return b @ x + x @ (Q @ x) / 2 + (a @ x)**3 / 6
"""

FORM_DERIVATIVES = """\
def grad(x):
    return b + (Q @ x + Q.T @ x) / 2 + a * (a @ x)**2 / 2

def hvp(x, v):
    return (Q @ v + Q.T @ v) / 2 + a * (a @ x) * (a @ v)
"""

SOURCES = {"form": (FORM, FORM_DERIVATIVES), "logsumexp": (LOG_SUM_EXP, LOG_SUM_EXP_DERIVATIVES)}


def definition(name: str, dialect: Dialect) -> str:
    """The source of f, and for NumPy of its derivatives, which the other frameworks take themselves."""
    f, derivatives = SOURCES.get(name, (LEAST_SQUARES, LEAST_SQUARES_DERIVATIVES))
    text = f if dialect.framework != "numpy" else f"{f}\n{derivatives}\nf.grad, f.hvp = grad, hvp"
    for key, expression in zip(("phi", "slope", "bend"), LINKED.get(name, ("", "", "")), strict=True):
        text = text.replace(f"{{{key}}}", expression)
    return text.replace("{xp}", dialect.module)


def regression(title: str, failure: Failure) -> str:
    """The source of a test that calls the subject with an inline function."""
    dialect, inputs = Dialect(failure.framework, failure.dtype), failure.problem.inputs
    vectors = [name for name in ("x", "v") if name in inputs]
    constants = [name for name in inputs if name not in ("function", *vectors)]
    body = [
        dialect.constructor(),
        *(f"{name} = array({inputs[name]!r})" for name in constants),
        definition(inputs["function"], dialect),
        *(f"{name} = {dialect.parameters(inputs[name])}" for name in vectors),
        f"result = subject(f, {', '.join(vectors)})",
        "VALUES",
        f"expected = {expected_values(failure.truth)!r}",
        "worst = max(abs(value - right) for value, right in zip(values, expected, strict=True))",
        f"assert worst <= {float(failure.tolerance)!r}, (values, expected)",
    ]
    return test_source(dialect, failure, title, body)


PARAMETERS = {
    "f": "f(x), one number, smooth, which the framework can differentiate: least squares |C phi(A x) - y|^2 / 2 with "
    f"phi {', '.join(LINKS)}; log-sum-exp of A x + b; or b.x + x.Q x / 2 + (a.x)^3 / 6. For subjects without autodiff "
    "f.grad(x) and f.hvp(x, v), shape (n,)",
    "x": "the point, a vector of shape (n,); for torch a leaf that requires a gradient",
}
DIRECTION = {"v": "the direction, a vector of shape (n,)"}

GRADIENT_EXAMPLE = """\
def gradient(f, x):
    return f.grad(x)
"""

HVP_EXAMPLE = """\
def product(f, x, v):
    return f.hvp(x, v)
"""

GRADIENT = Contract(
    name="gradient",
    version="1.0",
    summary="The gradient of a smooth function of a vector.",
    signature="subject(f, x)",
    returns="d f / d x, shape of x",
    references=("Griewank and Walther 2008, Evaluating Derivatives, chapter 3",),
    problems={kind: problems(kind, False) for kind in KINDS},
    arguments=arguments,
    oracle=gradient,
    shape=shape,
    variants=GRADIENT_VARIANTS,
    regression=partial(regression, "gradient"),
    parameters=PARAMETERS,
    example=GRADIENT_EXAMPLE,
)

HVP = Contract(
    name="hvp",
    version="1.0",
    summary="The Hessian of a smooth function of a vector, times a vector.",
    signature="subject(f, x, v)",
    returns="(d^2 f / d x^2) v, shape of x",
    references=("Pearlmutter 1994, Fast Exact Multiplication by the Hessian, Neural Computation 6",),
    problems={kind: problems(kind, True) for kind in KINDS},
    arguments=arguments,
    oracle=hvp,
    shape=shape,
    variants=HVP_VARIANTS,
    regression=partial(regression, "hvp"),
    parameters=PARAMETERS | DIRECTION,
    example=HVP_EXAMPLE,
)

CONTRACTS = (GRADIENT, HVP)
