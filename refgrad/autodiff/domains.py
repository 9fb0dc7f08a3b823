"""Where the arguments of a primitive may lie: plain data, from which the tests make strategies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from refgrad.typing import Shape

__all__ = [
    "Case", "Domain", "beyond", "case", "full_rank", "index", "inside", "invertible", "mask", "nonzero", "positive",
    "positive_definite", "real", "symmetric",
]  # fmt: skip


@dataclass(frozen=True)
class Domain:
    """Where one argument of a primitive may lie; plain data, from which the tests make a strategy."""

    kind: str
    shape: Shape
    high: int = 0


@dataclass(frozen=True)
class Case:
    """Domains of the arguments of one call, and its parameters."""

    args: tuple[Domain, ...]
    params: dict[str, Any] = field(default_factory=dict)


def real(*shape: int) -> Domain:
    """Any real numbers."""
    return Domain("real", shape)


def positive(*shape: int) -> Domain:
    """Positive numbers."""
    return Domain("positive", shape)


def nonzero(*shape: int) -> Domain:
    """Numbers other than zero."""
    return Domain("nonzero", shape)


def inside(*shape: int) -> Domain:
    """Numbers between -1 and 1, not close to either."""
    return Domain("inside", shape)


def beyond(*shape: int) -> Domain:
    """Numbers above 1, not close to it."""
    return Domain("beyond", shape)


def index(high: int, *shape: int) -> Domain:
    """Integers from 0 to high - 1."""
    return Domain("index", shape, high)


def mask(*shape: int) -> Domain:
    """Booleans."""
    return Domain("mask", shape)


def invertible(*shape: int) -> Domain:
    """Stacks of invertible matrices."""
    return Domain("invertible", shape)


def positive_definite(*shape: int) -> Domain:
    """Stacks of positive definite matrices with a rational Cholesky factor."""
    return Domain("positive_definite", shape)


def symmetric(*shape: int) -> Domain:
    """Stacks of symmetric matrices with different rational eigenvalues and rational unit eigenvectors."""
    return Domain("symmetric", shape)


def full_rank(*shape: int) -> Domain:
    """Stacks of ``Q R``, rational Q with orthonormal columns, R with a positive diagonal, or of their transposes."""
    return Domain("full_rank", shape)


def case(*args: Domain, **params: Any) -> Case:
    """A call with arguments from `args` and keyword parameters `params`."""
    return Case(args, params)
