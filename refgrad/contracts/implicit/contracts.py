"""The contracts of bilevel problems: ``hypergradient``, ``neumann_hypergradient`` and ``unrolled_hypergradient``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from refgrad.contracts.contract import Contract, Framework, each_kind
from refgrad.contracts.implicit import quantities, wide_problems
from refgrad.contracts.implicit.bilevel_variants import HYPERGRADIENT_VARIANTS, hypergradient_products
from refgrad.contracts.implicit.losses import Inner, Outer
from refgrad.contracts.implicit.neumann_variants import SERIES, neumann_choices
from refgrad.contracts.implicit.problems import bilevel_series, bilevel_steps, without_series
from refgrad.contracts.implicit.recipe import at_solution
from refgrad.contracts.implicit.unrolled import UNROLLED_VARIANTS, unrolled_products
from refgrad.contracts.tools import axes
from refgrad.contracts.tools.terms import measured

__all__ = ["CONTRACTS"]


def losses(inputs: Mapping[str, Any], framework: Framework) -> tuple[Inner, Outer]:
    """The inner and the outer loss of a problem, their constants in the framework's arrays."""
    outer = Outer(*(framework.array(inputs[name]) for name in "QtRPq"))
    return wide_problems.inner_loss(inputs, framework.array), outer


def solved(inputs: Mapping[str, Any], framework: Framework) -> tuple[Any, ...]:
    """``(inner, outer, w, phi)``."""
    return (*losses(inputs, framework), framework.array(inputs["w"]), framework.array(inputs["phi"]))


def with_series(inputs: Mapping[str, Any], framework: Framework) -> tuple[Any, ...]:
    """``(inner, outer, w, phi, lr, terms)``."""
    return (*solved(inputs, framework), framework.scalar(inputs["lr"]), int(inputs["terms"]))


def with_steps(inputs: Mapping[str, Any], framework: Framework) -> tuple[Any, ...]:
    """``(inner, outer, w0, phi, lr, steps)``."""
    start, phi = framework.array(inputs["w0"]), framework.array(inputs["phi"])
    return (*losses(inputs, framework), start, phi, framework.scalar(inputs["lr"]), int(inputs["steps"]))


def shape(inputs: Mapping[str, Any]) -> tuple[int, ...]:
    """The shape of phi."""
    return (len(inputs["phi"]),)


LOSSES = {
    "inner": "inner(w, phi), one number, smooth, which the framework can differentiate: a quadratic loss with "
    "penalties that phi weighs, or squares of a linear network of two layers. It is stationary in w at "
    "the solution, where its Hessian H is invertible but not always positive definite. For subjects "
    "without autodiff inner.grad(w, phi), shape (n,), inner.hvp(w, phi, v), shape (n,), and "
    "inner.mixed(w, phi, u), shape (m,), which is B^T u",
    "outer": "outer(w, phi), one number, quadratic. For subjects without autodiff outer.grad_w(w, phi), shape "
    "(n,), and outer.grad_phi(w, phi), shape (m,), the direct term",
}
PHI = {"phi": "the outer variables, a vector of shape (m,); for torch a leaf that requires a gradient"}
POINT = {"w": "the inner solution, a vector of shape (n,); for torch a leaf that requires a gradient"} | PHI

EXAMPLE = """\
import numpy as np


def hypergradient(inner, outer, w, phi):
    H = np.stack([inner.hvp(w, phi, e) for e in np.eye(len(w))])
    u = np.linalg.solve(H, outer.grad_w(w, phi))
    return outer.grad_phi(w, phi) - inner.mixed(w, phi, u)
"""

NEUMANN_EXAMPLE = """\
def neumann(inner, outer, w, phi, lr, terms):
    v = outer.grad_w(w, phi)
    total = 0 * v
    for _ in range(terms + 1):
        total = total + v
        v = v - lr * inner.hvp(w, phi, v)
    return outer.grad_phi(w, phi) - inner.mixed(w, phi, lr * total)
"""

UNROLLED_EXAMPLE = """\
def unrolled(inner, outer, w0, phi, lr, steps):
    path = [w0]
    for _ in range(steps):
        path.append(path[-1] - lr * inner.grad(path[-1], phi))
    w = path.pop()
    a, total = outer.grad_w(w, phi), outer.grad_phi(w, phi)
    while path:  # the last step is gone back over first
        w = path.pop()
        total = total - lr * inner.mixed(w, phi, a)
        a = a - lr * inner.hvp(w, phi, a)
    return total
"""

LORRAINE = "Lorraine, Vicol and Duvenaud 2020, Optimizing millions of hyperparameters, arXiv 1911.02590"

HYPERGRADIENT = Contract(
    name="hypergradient",
    version="1.0",
    summary="The derivative by phi of the outer loss at the inner solution, through the solution and directly.",
    signature="subject(inner, outer, w, phi)",
    returns="d outer / d phi - B^T H^-1 d outer / d w at (w, phi), shape of phi",
    references=(f"{LORRAINE}, theorem 1", "Pedregosa 2016, arXiv 1602.02355", "Bengio 2000, Neural Computation 12"),
    problems=each_kind(without_series),
    arguments=solved,
    quantity=quantities.hypergradient,
    shape=shape,
    variants=HYPERGRADIENT_VARIANTS,
    parameters=LOSSES | POINT,
    example=EXAMPLE,
    wide=wide_problems.HYPERGRADIENTS,
    products=hypergradient_products,
)


def neumann(count: str = "powers") -> Contract:
    """The contract whose `terms` is the last power of the series, or the number of its terms."""
    base = replace(SERIES, extra=0 if count == "powers" else -1)
    choices = neumann_choices(base)
    last = "terms" if count == "powers" else "terms - 1"
    return Contract(
        name="neumann_hypergradient",
        version="1.0",
        summary="The hypergradient with a truncated Neumann series in place of the inverse Hessian.",
        signature="subject(inner, outer, w, phi, lr, terms)",
        returns=f"d outer / d phi - B^T lr sum_j (I - lr H)^j d outer / d w, j = 0 .. {last}, shape of phi",
        references=(f"{LORRAINE}, section 4 and algorithm 3",),
        problems=each_kind(bilevel_series),
        arguments=with_series,
        quantity=quantities.neumann_hypergradient if count == "powers" else measured(at_solution(base)),
        shape=shape,
        variants=axes.singles(at_solution, base, choices),
        parameters=LOSSES
        | POINT
        | {
            "lr": "the step, a Python float of any sign, or zero",
            "terms": "the last power of the series, which has one term more, an int of at least 0; the number of terms "
            "with --param count=terms",
        },
        example=NEUMANN_EXAMPLE if count == "powers" else NEUMANN_EXAMPLE.replace("terms + 1", "terms"),
        options={} if count == "powers" else {"count": count},
        wide=wide_problems.NEUMANN,
        products=lambda: axes.products(at_solution, base, choices),
        conventions={"count": ("powers", "terms")},
        declared=neumann,
    )


UNROLLED_HYPERGRADIENT = Contract(
    name="unrolled_hypergradient",
    version="1.0",
    summary="The derivative by phi of the outer loss after `steps` steps of gradient descent on the inner loss from "
    "w0, through the steps and directly; w0 does not depend on phi.",
    signature="subject(inner, outer, w0, phi, lr, steps)",
    returns="d outer(w_steps(phi), phi) / d phi, shape of phi",
    references=(
        "Maclaurin, Duvenaud and Adams 2015, arXiv 1502.03492, algorithm 2",
        "Franceschi, Donini, Frasconi and Pontil 2017, arXiv 1703.01785, section 3",
    ),
    problems=each_kind(bilevel_steps),
    arguments=with_steps,
    quantity=quantities.unrolled_hypergradient,
    shape=shape,
    variants=UNROLLED_VARIANTS,
    parameters=LOSSES
    | {"w0": "where the steps start, a vector of shape (n,); for torch a leaf that requires a gradient"}
    | PHI
    | {
        "lr": "the length of a step, a Python float of any sign, or zero",
        "steps": "the number of steps, an int of at least 0",
    },
    example=UNROLLED_EXAMPLE,
    wide=wide_problems.UNROLLED,
    products=unrolled_products,
)

CONTRACTS = (HYPERGRADIENT, neumann(), UNROLLED_HYPERGRADIENT)
