"""Contracts: what a function may be verified against, one folder a family.

A family's folder holds the quantity by its definition, the variants that are computed in its place, the problems that
tell them apart, and, in ``contracts.py``, the contracts that join the three. Nothing here uses the engine.

>>> from refgrad import contracts
>>> contracts.get("maml_gradient").signature
'subject(loss, theta, tasks, lr, steps)'
>>> [name for name in contracts.contracts() if "fisher" in name]
['empirical_fisher_diagonal', 'fisher_diagonal']

Read `contract`, then a family, such as `refgrad.contracts.multitask`: ``min_norm``, ``min_norm_variants``,
``problems``, ``contracts``.
"""

from __future__ import annotations

from refgrad.contracts.contract import Contract, Failure, Family, Framework, Problem, each_kind
from refgrad.contracts.registry import contracts, get, register_contract

__all__ = [
    "Contract", "Failure", "Family", "Framework", "Problem", "contracts", "each_kind", "get", "register_contract",
]  # fmt: skip
