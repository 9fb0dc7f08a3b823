"""The registry of contracts: what a function may be verified against, by name.

A folder beside this file that has a module ``contracts`` is a family, and that module lists its contracts in
``CONTRACTS``. The folders are looked through when a name is first asked for.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from functools import cache
from importlib.util import find_spec

from refgrad.contracts.contract import Contract, Family
from refgrad.errors import UsageError

__all__ = ["contracts", "get", "register_contract"]

REGISTERED: dict[str, Contract | Family] = {}


def register_contract(contract: Contract | Family) -> None:
    """Make `contract`, or a family of them, known by its name.

    Parameters
    ----------
    contract : Contract or Family

    Raises
    ------
    UsageError
        If another contract already has the name.
    """
    known = contracts().get(contract.name, contract)
    if known is not contract:
        raise UsageError(
            f"expected a new name for the contract, got {contract.name!r}, which is taken (version {known.version}); "
            "choose another name"
        )
    REGISTERED[contract.name] = contract


def contracts() -> dict[str, Contract | Family]:
    """All contracts and families by name, in alphabetical order."""
    return dict(sorted({**_built_in(), **REGISTERED}.items()))


def get(name: str) -> Contract | Family:
    """The contract or family called `name`.

    Parameters
    ----------
    name : str

    Raises
    ------
    UsageError
        If there is none; the message lists close matches.
    """
    known = contracts()
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, n=3) or [k for k in known if name and name in k]
    hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(known)}"
    raise UsageError(f"expected the name of a contract, got {name!r}; {hint}")


@cache
def _built_in() -> dict[str, Contract | Family]:
    """The contracts of the folders beside this file."""
    importlib.import_module("refgrad.strategies")  # which says what to install where Hypothesis is missing
    package = __name__.rpartition(".")[0]
    beside = pkgutil.iter_modules(importlib.import_module(package).__path__)
    names = [f"{package}.{found.name}.contracts" for found in beside if found.ispkg]
    modules = [importlib.import_module(name) for name in names if find_spec(name) is not None]
    return {contract.name: contract for module in modules for contract in module.CONTRACTS}
