"""The contracts of derivatives of a function that is passed in: ``gradient`` and ``hvp``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from refgrad.contracts.contract import Contract, Framework, each_kind
from refgrad.contracts.derivatives.function_variants import DIFFERENCES, GRADIENT_VARIANTS, HVP_VARIANTS
from refgrad.contracts.derivatives.functions import LINKS, gradient, hvp
from refgrad.contracts.derivatives.problems import WIDE_DIRECTIONS, WIDE_POINTS, function, smooth_functions
from refgrad.contracts.tools.layout import laid_out

__all__ = ["CONTRACTS"]


def arguments(inputs: Mapping[str, Any], framework: Framework) -> tuple[Any, ...]:
    """``(f, x)``, and v where the problem has one."""
    made = [framework.array(inputs[name]) for name in ("x", "v") if name in inputs]
    vectors = [laid_out(framework, array, inputs.get("memory", "usual")) for array in made]
    return (function(inputs, framework), *vectors)


def shape(inputs: Mapping[str, Any]) -> tuple[int, ...]:
    """The shape of x."""
    return (len(inputs["x"]),)


def undirected(kind: str) -> Any:
    """Functions and points, without the directions."""
    return smooth_functions(kind).map(lambda inputs: {k: v for k, v in inputs.items() if k != "v"})


PARAMETERS = {
    "f": "f(x), one number, smooth, which the framework can differentiate: least squares |C phi(A x) - y|^2 / 2 with "
    f"phi {', '.join(LINKS)}; two layers |phi(X W^T) w - y|^2 / 2, x = (W, w) by rows; log-sum-exp of A x + b; "
    "or b.x + x.Q x / 2 + (a.x)^3 / 6. For subjects without autodiff "
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
    problems=each_kind(undirected),
    arguments=arguments,
    quantity=gradient,
    shape=shape,
    variants=GRADIENT_VARIANTS,
    wide=WIDE_POINTS,
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
    problems=each_kind(smooth_functions),
    arguments=arguments,
    quantity=hvp,
    shape=shape,
    variants=HVP_VARIANTS,
    wide=WIDE_DIRECTIONS,
    products=lambda: DIFFERENCES[:2],  # what forward ones lose is what single precision loses
    parameters=PARAMETERS | DIRECTION,
    example=HVP_EXAMPLE,
)

CONTRACTS = (GRADIENT, HVP)
