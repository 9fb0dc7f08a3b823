"""The registry of contracts: what a function may be verified against, by name.

>>> from refgrad.conformance import contracts
>>> contracts.get("maml_gradient").signature
'subject(loss, theta, tasks, lr, steps)'
"""

from __future__ import annotations

import difflib

from refgrad.conformance.contract import Contract, Family
from refgrad.conformance.contracts.continual import EMPIRICAL_FISHER_DIAGONAL, FISHER_DIAGONAL
from refgrad.conformance.contracts.derivatives import GRADIENT, HVP
from refgrad.conformance.contracts.meta import FOMAML_GRADIENT, MAML_GRADIENT
from refgrad.conformance.contracts.multitask import MGDA_DIRECTION, MIN_NORM
from refgrad.conformance.contracts.operators import OPERATOR_DERIVATIVE
from refgrad.errors import UsageError

__all__ = ["contracts", "get", "register_contract"]

REGISTRY: dict[str, Contract | Family] = {}


def register_contract(contract: Contract | Family) -> None:
    """Make `contract`, or a family of them, known by its name.

    Raises
    ------
    UsageError
        If another contract already has the name.
    """
    if REGISTRY.get(contract.name, contract) is not contract:
        raise UsageError(
            f"expected a new name for the contract, got {contract.name!r}, which is taken (version "
            f"{REGISTRY[contract.name].version}); choose another name"
        )
    REGISTRY[contract.name] = contract


def contracts() -> dict[str, Contract | Family]:
    """All contracts and families by name, in alphabetical order."""
    return dict(sorted(REGISTRY.items()))


def get(name: str) -> Contract | Family:
    """The contract or family called `name`.

    Raises
    ------
    UsageError
        If there is none; the message lists close matches.
    """
    if name in REGISTRY:
        return REGISTRY[name]
    close = difflib.get_close_matches(name, REGISTRY, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(sorted(REGISTRY))}"
    raise UsageError(f"expected the name of a contract, got {name!r}; {hint}")


for known in (
    MAML_GRADIENT,
    FOMAML_GRADIENT,
    MIN_NORM,
    MGDA_DIRECTION,
    FISHER_DIAGONAL,
    EMPIRICAL_FISHER_DIAGONAL,
    GRADIENT,
    HVP,
    OPERATOR_DERIVATIVE,
):
    register_contract(known)
