"""The contracts of multi-task gradient descent: ``min_norm`` and ``mgda_direction``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from refgrad import exact
from refgrad.conformance.contract import Contract, Framework, Problem
from refgrad.conformance.contracts.source import Dialect, expected_values, test_source
from refgrad.oracles.answer import Answer
from refgrad.oracles.min_norm import direction, min_norm, shortfall, squared_norm
from refgrad.oracles.min_norm_variants import DIRECTION_VARIANTS, VARIANTS
from refgrad.strategies import task_gradients
from refgrad.typing import Array

__all__ = ["MGDA_DIRECTION", "MIN_NORM"]

KINDS = ("crisp", "rough", "ill_conditioned", "degenerate")


def arguments(inputs: Mapping[str, Any], framework: Framework) -> tuple[Any, ...]:
    """``(J,)``, of shape (K, n)."""
    return (framework.array(inputs["J"]),)


def problems(kind: str) -> Callable[[], Any]:
    """A function that returns the strategy of one kind of problem."""
    return lambda: task_gradients(kind).map(partial(Problem, kind))


def error(arguments: tuple[Any, ...], output: Array) -> Array:
    """The duality gap of the weights, plus what they lack of being non-negative with sum 1."""
    return shortfall(arguments[0], output)


def unit(arguments: tuple[Any, ...]) -> Answer:
    """The squared norm at the optimum, at the scale of the largest squared norm of a row."""
    return squared_norm(arguments[0])


def min_norm_regression(
    import_line: str,
    name: str,
    framework: str,
    dtype: str,
    problem: Problem,
    enclosure: Any,
    tolerance: Any,
    got: Sequence[float] | None,
    comment: str,
    field: str | None = None,
) -> str:
    """The source of a test on ``|J^T a|^2``, since the weights need not be unique; `tolerance` is on that number."""
    dialect = Dialect(framework, dtype)
    J = problem.inputs["J"]
    best = float(exact.to_fractions(squared_norm(exact.asarray(J)).value))
    body = [
        dialect.constructor(),
        f"J = {J!r}",
        f"result = {name}(array(J))",
        "VALUES",
        f"assert abs(sum(values) - 1) <= {16 * len(J) * dialect.unit!r}, values",
        f"assert min(values) >= {-16 * dialect.unit!r}, values",
        "direction = [sum(a * g for a, g in zip(values, column, strict=True)) for column in zip(*J, strict=True)]",
        "squared_norm = sum(d * d for d in direction)",
        f"best = {best!r}",
        f"assert squared_norm - best <= {float(tolerance)!r}, (values, squared_norm)",
    ]
    return test_source(dialect, import_line, name, "min_norm_weights", body, comment, got, field)


def direction_regression(
    import_line: str,
    name: str,
    framework: str,
    dtype: str,
    problem: Problem,
    enclosure: Any,
    tolerance: Any,
    got: Sequence[float] | None,
    comment: str,
    field: str | None = None,
) -> str:
    """The source of a test that compares the direction with the exact one."""
    dialect = Dialect(framework, dtype)
    body = [
        dialect.constructor(),
        f"J = {problem.inputs['J']!r}",
        f"result = {name}(array(J))",
        "VALUES",
        f"expected = {expected_values(enclosure)!r}",
        "worst = max(abs(value - right) for value, right in zip(values, expected, strict=True))",
        f"assert worst <= {float(tolerance)!r}, (values, expected)",
    ]
    return test_source(dialect, import_line, name, "mgda_direction", body, comment, got, field)


REFERENCES = (
    "Desideri 2012, Multiple-gradient descent algorithm (MGDA), Comptes Rendus Mathematique 350",
    "Sener and Koltun 2018, Multi-Task Learning as Multi-Objective Optimization, arXiv 1810.04650, eq. (3)",
    "Wolfe 1976, Finding the nearest point in a polytope, Mathematical Programming 11",
)

MIN_NORM = Contract(
    name="min_norm",
    version="1.0",
    summary="Weights a >= 0 with sum 1 that minimise |J^T a|^2. They need not be unique: judged by the duality gap "
    "|v|^2 - min_k <v, g_k>, v = J^T a, and by a >= 0 and sum a = 1.",
    signature="subject(J)",
    returns="weights, shape (K,), for J of shape (K, n), one row for each task",
    references=REFERENCES,
    problems={kind: problems(kind) for kind in KINDS},
    arguments=arguments,
    oracle=min_norm,
    shape=lambda inputs: (len(inputs["J"]),),
    variants=VARIANTS,
    result_field="weights",
    error=error,
    unit=unit,
    certificate="gap",
    regression=min_norm_regression,
)

MGDA_DIRECTION = Contract(
    name="mgda_direction",
    version="1.0",
    summary="The shortest vector J^T a in the convex hull of the rows of J; the descent step is theta - lr d.",
    signature="subject(J)",
    returns="d = J^T a, shape (n,), for J of shape (K, n), one row for each task",
    references=REFERENCES,
    problems={kind: problems(kind) for kind in KINDS},
    arguments=arguments,
    oracle=direction,
    shape=lambda inputs: (len(inputs["J"][0]),),
    variants=DIRECTION_VARIANTS,
    result_field="direction",
    regression=direction_regression,
)
