"""The contracts ``operator_derivative``: the first and second directional derivative of an operator, one by one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from refgrad.contracts.contract import Contract, Family, Framework, each_kind
from refgrad.contracts.operators import OPERATORS
from refgrad.contracts.operators.operator import Operator, variants
from refgrad.contracts.operators.problems import operator_inputs
from refgrad.contracts.operators.wide_problems import INFINITY, wide_problems
from refgrad.contracts.tools.layout import laid_out
from refgrad.contracts.tools.losses import EXACT_TABLE
from refgrad.errors import UsageError

__all__ = ["CONTRACTS"]

REFERENCES = (
    "Griewank and Walther 2008, Evaluating Derivatives, chapter 3",
    "Giles 2008, Collected matrix derivative results for forward and reverse mode algorithmic differentiation",
    "https://github.com/pytorch/pytorch/issues/198017",
)


def groups(operator: Operator, order: int) -> list[list[str]]:
    """The names of the inputs of a problem that make up x, u and v."""
    alone = len(operator.inputs) == 1
    directions = [[letter if alone else f"{letter}_{name}" for name in operator.inputs] for letter in "uv"[:order]]
    return [[*operator.inputs, *operator.fixed], *directions]


def signature(operator: Operator, order: int) -> str:
    """How the subject is called; several inputs come as a tuple."""
    written = [", ".join(names) if len(names) == 1 else f"({', '.join(names)})" for names in groups(operator, order)]
    return f"subject({', '.join(written)})"


class Infinity(float):
    """An infinity that Python reads back."""

    def __repr__(self) -> str:
        return f'float("{float(self)}")'


def with_infinities(inputs: Mapping[str, Any], framework: Framework) -> Any:
    """x with infinities of the sign of what stands in their places; in exact arithmetic with numbers that large."""
    x = list(inputs["x"])
    for place in inputs["infinite"]:
        sign = 1 if x[place] > 0 else -1
        x[place] = sign * INFINITY[inputs["op"]] if framework.xp is EXACT_TABLE else Infinity(sign * math.inf)
    return x


def arguments(inputs: Mapping[str, Any], framework: Framework) -> tuple[Any, ...]:
    """``(x, u)`` or ``(x, u, v)``; what has several inputs is a tuple of them."""
    operator = OPERATORS[inputs["op"]]
    values = {**inputs, "x": with_infinities(inputs, framework)} if "infinite" in inputs else inputs
    found = []
    for names in groups(operator, inputs["order"]):
        with np.errstate(over="ignore"):  # 1e150, if a float64 problem is tried in float32
            made = [(framework.labels if n in operator.fixed else framework.array)(values[n]) for n in names]
        arrays = [laid_out(framework, array, inputs.get("memory", "usual")) for array in made]
        found.append(arrays[0] if len(arrays) == 1 else tuple(arrays))
    return tuple(found)


def shape(inputs: Mapping[str, Any]) -> tuple[int, ...]:
    """The shape of the operator's output."""
    operator = OPERATORS[inputs["op"]]
    return operator.shape(*(np.shape(inputs[name]) for name in (*operator.inputs, *operator.fixed)))


def inputs_of(op: str, order: int, kind: str) -> Any:
    """The strategy of one kind of inputs, which say of which operator and order they are."""
    return operator_inputs(op, order, kind).map(lambda drawn: {"op": op, "order": order, **drawn})


def parameters(operator: Operator, order: int) -> dict[str, str]:
    """What x, u and v are, for people."""
    several = len(operator.inputs) + len(operator.fixed) > 1
    directions = "directions" if len(operator.inputs) > 1 else "a direction"
    found = {
        "x": (f"the tuple ({', '.join((*operator.inputs, *operator.fixed))})" if several else "the input")
        + f" of {operator.name}: {operator.formula}"
        + (f"; {', '.join(operator.fixed)} is int64 and does not move" if operator.fixed else "")
    }
    what = f"{directions} in which {' and '.join(operator.inputs)} {'move' if len(operator.inputs) > 1 else 'moves'}"
    kind = f", {operator.directions}" if operator.directions else ""
    return found | dict.fromkeys("uv"[:order], f"{what}, of the same shape{kind}")


def member(op: str, order: int) -> Contract:
    """The contract of one operator and one order.

    Raises
    ------
    UsageError
        If the operator is linear in what moves, so that nothing is to be learnt from the order.
    """
    operator = OPERATORS[op]
    if order not in operator.orders:
        raise UsageError(f"{op} is linear in {' and '.join(operator.inputs)}: expected order=1, got order={order}")
    what = ("first directional derivative D f(x)[u]", "second directional derivative D^2 f(x)[u, v]")[order - 1]
    return Contract(
        name="operator_derivative",
        version="1.0",
        summary=f"The {what} of {op}: {operator.formula}.",
        signature=signature(operator, order),
        returns=f"the {what}, an array of the shape of {op}",
        references=(*operator.references, *REFERENCES),
        problems=each_kind(partial(inputs_of, op, order)),
        arguments=arguments,
        quantity=operator.derivative(order),
        shape=shape,
        variants=variants(operator, order),
        wide=wide_problems(op, order),
        parameters=parameters(operator, order),
        options={"op": op, "order": order},
    )


EXAMPLE = """\
import numpy as np

def second_of_inv(x, u, v):  # op=inv, order=2
    X = np.linalg.inv(x)
    return X @ u @ X @ v @ X + X @ v @ X @ u @ X
"""

OPERATOR_DERIVATIVE = Family(
    name="operator_derivative",
    version="1.0",
    summary="The first or second directional derivative of an operator, chosen by the params op and order: "
    "D f(x)[u] = d/dt f(x + t u) at t = 0, and D^2 f(x)[u, v] = d/dt D f(x + t v)[u] at t = 0.",
    signature="subject(x, u), for order=2 subject(x, u, v)",
    returns="an array of the shape of f(x)",
    references=REFERENCES,
    options={"op": tuple(OPERATORS), "order": (1, 2)},
    member=member,
    members={f"op={o.name}": f"{o.formula}; {signature(o, max(o.orders))}" for o in OPERATORS.values()},
    parameters={
        "x": "the input of the operator; a tuple, if it has several",
        "u, v": "directions, like x; an integer input has none",
    },
    example=EXAMPLE,
)

CONTRACTS = (OPERATOR_DERIVATIVE,)
