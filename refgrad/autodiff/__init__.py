"""The engine: derivatives of functions on arrays, to any order, by level-tagged tracing.

>>> import numpy as np
>>> from refgrad.autodiff import grad, hvp
>>> f = lambda x: np.sum(np.tanh(x) ** 2)
>>> x = np.array([0.5, -1.0])
>>> bool(np.allclose(grad(f)(x), 2 * np.tanh(x) * (1 - np.tanh(x) ** 2)))
True

Plain NumPy code is differentiable unchanged; `refgrad.numpy` has the same functions for every array library. How it
works stands in `core` (levels, traced values, primitives), `rules`, `forward` and `reverse` (the two modes).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from refgrad.autodiff import rules
from refgrad.autodiff.batch import per_example_grad, vmap
from refgrad.autodiff.checkpoint import checkpoint
from refgrad.autodiff.core import value_of
from refgrad.autodiff.forward import jvp
from refgrad.autodiff.linearize import linearize
from refgrad.autodiff.reverse import grad, value_and_grad, vjp
from refgrad.autodiff.second_order import grad_and_hvp, hessian, hvp, jacfwd, jacrev
from refgrad.autodiff.stop_gradient import stop_gradient

if TYPE_CHECKING:
    from refgrad.autodiff.check import check_derivatives
    from refgrad.autodiff.custom import custom_rule
    from refgrad.autodiff.debugging import debug

__all__ = [
    "check_derivatives", "checkpoint", "custom_rule", "debug", "grad", "grad_and_hvp", "hessian", "hvp", "jacfwd",
    "jacrev", "jvp", "linearize", "per_example_grad", "rules", "stop_gradient", "value_and_grad", "value_of", "vjp",
    "vmap",
]  # fmt: skip

# imported when first used: a third of what the engine would take to import
_ON_DEMAND = {"check_derivatives": "check", "custom_rule": "custom", "debug": "debugging"}


def __getattr__(name: str) -> Any:
    if name not in _ON_DEMAND:
        raise AttributeError(f"module 'refgrad.autodiff' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"refgrad.autodiff.{_ON_DEMAND[name]}"), name)
    globals()[name] = value
    return value


# the one arrow that runs up: NumPy's face for traced values, which needs all of the above
from refgrad.numpy import methods as _methods  # noqa: E402, F401
