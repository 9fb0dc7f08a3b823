"""Gradient descent, with momentum, and Adam, as pure functions: parameters and state in, parameters and state out.

The steps are those of ``torch.optim`` with its default settings; they can be differentiated, by lr and momentum too:

1. settings may be traced values, or rationals;
2. the state is handed over, not kept, so that a step can be taken again;
3. where Adam's second moment is 0, so is the first, and the derivative of their quotient is that of the first moment by
   epsilon; the derivative of the root there, which is infinite, is never asked for (PyTorch gives NaN).

References
----------
.. [kingma2015] D. P. Kingma, J. Ba, Adam: a method for stochastic optimization, ICLR 2015, algorithm 1.
.. [sutskever2013] I. Sutskever, J. Martens, G. Dahl, G. Hinton, On the importance of initialization and momentum in
   deep learning, ICML 2013, section 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from refgrad.autodiff.core import primal
from refgrad.errors import InvalidInput
from refgrad.numpy import sqrt, where
from refgrad.tree import axpy, map
from refgrad.typing import Array, Scalar, Tree

__all__ = ["SGD", "Adam", "AdamState", "Optimizer"]


class Optimizer(Protocol):
    """What takes steps from one set of parameters to the next."""

    def init(self, params: Tree) -> Any:
        """The state before the first step."""

    def step(self, params: Tree, gradient: Tree, state: Any) -> tuple[Tree, Any]:
        """The parameters and the state after a step."""


@dataclass(frozen=True)
class SGD:
    """``v = momentum v + g``, ``theta = theta - lr v``, with ``g`` the gradient plus ``weight_decay theta``.

    Attributes
    ----------
    lr : number
    momentum : number
        0 for plain descent, which has no state.
    nesterov : bool
        Whether the step is ``g + momentum v`` in place of v, as PyTorch does it after [sutskever2013]_.
    weight_decay : number
    """

    lr: Scalar
    momentum: Scalar = 0
    nesterov: bool = False
    weight_decay: Scalar = 0

    def __post_init__(self) -> None:
        _check(self, ("lr", "momentum", "weight_decay"))
        if self.nesterov and not self._moves:
            raise InvalidInput("SGD: nesterov needs a momentum")

    @property
    def _moves(self) -> bool:
        return not (isinstance(self.momentum, (int, float)) and self.momentum == 0)

    def init(self, params: Tree) -> Tree:
        """v = 0; of plain descent None."""
        return map(lambda leaf: 0 * leaf, params) if self._moves else None

    def step(self, params: Tree, gradient: Tree, state: Tree) -> tuple[Tree, Tree]:
        """The parameters and v after a step."""
        direction = _decayed(self.weight_decay, params, gradient)
        if self._moves:
            state = axpy(self.momentum, state, direction)
            direction = axpy(self.momentum, state, direction) if self.nesterov else state
        return map(lambda p, d: p - self.lr * d, params, direction), state


@dataclass(frozen=True)
class AdamState:
    """What Adam keeps.

    Attributes
    ----------
    steps : int
    first, second : trees, as the parameters
        Running means of the gradients and their squares, not corrected.
    """

    steps: int
    first: Tree
    second: Tree


@dataclass(frozen=True)
class Adam:
    """``theta = theta - lr m / (sqrt(v) + epsilon)`` with corrected means m of gradients, v of squares [kingma2015]_.

    Attributes
    ----------
    lr : number
    b1, b2 : numbers
        How much of the means is kept in a step.
    epsilon : number
        Added to the root.
    weight_decay : number
        Its multiple of the parameters is added to the gradient (not the decoupled decay of AdamW).
    """

    lr: Scalar = 1e-3
    b1: Scalar = 0.9
    b2: Scalar = 0.999
    epsilon: Scalar = 1e-8
    weight_decay: Scalar = 0

    def __post_init__(self) -> None:
        _check(self, ("lr", "b1", "b2", "epsilon", "weight_decay"))

    def init(self, params: Tree) -> AdamState:
        """Means of 0."""
        zero = map(lambda leaf: 0 * leaf, params)
        return AdamState(0, zero, zero)

    def step(self, params: Tree, gradient: Tree, state: AdamState) -> tuple[Tree, AdamState]:
        """The parameters and the means after a step."""
        t = state.steps + 1
        g = _decayed(self.weight_decay, params, gradient)
        m = map(lambda m, g: self.b1 * m + (1 - self.b1) * g, state.first, g)
        v = map(lambda v, g: self.b2 * v + (1 - self.b2) * g * g, state.second, g)
        at = self.lr / (1 - self.b1**t)
        size = (1 - self.b2**t) ** 0.5
        following = map(lambda p, m, v: p - at * (m / (_root(v) / size + self.epsilon)), params, m, v)
        return following, AdamState(t, m, v)


def _root(v: Array) -> Array:
    zero = v == 0
    return where(zero, 0 * v, sqrt(where(zero, 1 + 0 * v, v)))


def _decayed(decay: Scalar, params: Tree, gradient: Tree) -> Tree:
    return gradient if isinstance(decay, (int, float)) and decay == 0 else axpy(decay, params, gradient)


def _check(optimizer: Any, names: tuple[str, ...]) -> None:
    for name in names:
        value = primal(getattr(optimizer, name))
        if not np.all(value >= 0):  # NaN too
            raise InvalidInput(f"{type(optimizer).__name__}: expected {name} of at least 0, got {value}")
