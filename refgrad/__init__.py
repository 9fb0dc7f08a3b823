"""refgrad: what does a gradient-based learning algorithm actually compute?

A reference engine for algorithms that differentiate through learning: implicit hypergradients, multi-task gradients,
Fisher information and elastic weight consolidation, MAML and its relatives. It verifies other implementations,
against exact arithmetic and by name; it is a library of its own; and it is meant to be read.

====================  =================================================================================
`refgrad.identify`    what your own model's gradient was computed by: its formula, by name
`refgrad.verify`      what somebody's function computes; also ``refgrad verify`` on the command line
`refgrad.grad` ...    derivatives of plain NumPy code: grad, vjp, jvp, hvp, hessian, vmap, checkpoint, ...
`refgrad.stage`       a function and its derivatives as straight-line NumPy; `refgrad.source` prints it
`refgrad.numpy`       NumPy's functions for traced, exact and GPU arrays alike
`refgrad.exact`       rational numbers and certified enclosures as arrays
`refgrad.implicit`    hypergradients by the implicit function theorem, AuxiLearn
`refgrad.multitask`   the min-norm point of several gradients (MGDA)
`refgrad.continual`   Fisher information and the EWC penalty
`refgrad.meta`        MAML, first-order MAML, Reptile
`refgrad.models`      small networks and optimisers; `refgrad.data` and `refgrad.experiments` for real runs
`refgrad.contracts`   the same quantities derived by hand, independent of all of the above, and known variants
`refgrad.theory`      what is true of them in closed form
`refgrad.plot`        pictures of all of it
====================  =================================================================================

``import refgrad`` brings the derivatives and `refgrad.numpy`; what else there is, is imported when it is first used.

>>> import numpy as np
>>> import refgrad
>>> float(refgrad.grad(lambda x: np.sum(x**3))(np.array([2.0]))[0])
12.0
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    **dict.fromkeys(
        (
            "check_derivatives",
            "checkpoint",
            "custom_rule",
            "debug",
            "grad",
            "grad_and_hvp",
            "hessian",
            "hvp",
            "jacfwd",
            "jacrev",
            "jvp",
            "linearize",
            "per_example_grad",
            "stop_gradient",
            "value_and_grad",
            "value_of",
            "vjp",
            "vmap",
        ),
        "refgrad.autodiff",
    ),
    **dict.fromkeys(("source", "stage"), "refgrad.staging"),
    **dict.fromkeys(("verify", "assert_conforms", "Report"), "refgrad.conformance"),
    **dict.fromkeys(("identify", "torch_logits", "torch_loss", "Identification"), "refgrad.identification"),
    "register_contract": "refgrad.contracts",
}
_MODULES = (
    "autodiff", "backend", "conformance", "continual", "contracts", "data", "errors", "exact", "experiments",
    "identification", "implicit", "linalg", "meta", "models", "multitask", "numpy", "plot", "staging", "strategies",
    "theory", "tree", "typing",
)  # fmt: skip

__all__ = [*_HOMES, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"refgrad.{name}")
    else:
        raise AttributeError(f"module 'refgrad' has no attribute {name!r}")
    globals()[name] = value
    return value


# at once, in the thread that imports refgrad: threads that first entered here and at numpy would wait for each other
from refgrad import autodiff  # noqa: E402, F401


def __dir__() -> list[str]:
    return sorted(__all__)
