"""What a contract says, as text for people: the call, an example to begin from, references, variants or members."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from refgrad.contracts.contract import Contract, Family

__all__ = ["describe"]


def describe(contract: Contract | Family) -> None:
    """Print what a contract says, what a subject gets, one to begin from, and the variants or the members."""
    alone = isinstance(contract, Contract)
    options = contract.options if alone else dict.fromkeys(contract.options, "...")
    stated = "".join(f" --param {name}={value}" for name, value in options.items())
    print(f"{contract.name}/{contract.version}{stated}\n")
    _paragraph(contract.summary)
    print(f"\n  call     {contract.signature}, always positionally")
    _paragraph(f"returns  {contract.returns}", hanging=" " * 9)
    for name, meaning in contract.parameters.items():
        _paragraph(f"{name:8} {meaning}", hanging=" " * 9)
    if isinstance(contract, Contract) and contract.certificate:
        _paragraph(f"iterative subjects are judged by their {contract.certificate}: see --vary and --promise")
    if isinstance(contract, Contract):
        for name, allowed in contract.conventions.items():
            _paragraph(f"--param {name}=... declares a convention: {' or '.join(map(str, allowed))}", hanging=" " * 9)
        if contract.wide is not None:
            covered = ", ".join(_range(name, values) for name, values in contract.wide.ranges.items())
            _paragraph(f"covers   {covered}", hanging=" " * 9)
    if contract.example:
        print("\n  A NumPy function that conforms, to begin from\n")
        print(textwrap.indent(contract.example, "    "))
        function = contract.example.rpartition("def ")[2].partition("(")[0]
        print(f"  refgrad verify my_file.py:{function} --contract {contract.name}{stated}")
    print("\n  References")
    for reference in contract.references:
        _paragraph(reference, "    ", "  ")
    if isinstance(contract, Contract):
        print("\n  Variants, which are told apart by name")
        for variant in contract.variants:
            print(f"    {variant.name}: {variant.formula}")
            _paragraph(variant.meaning, " " * 6)
        return
    print(f"\n  Choices; refgrad contracts {contract.name}{stated} shows one in full")
    for choice, meaning in contract.members.items():
        _paragraph(f"{choice}: {meaning}", "    ", "  ")


def _range(name: str, values: Sequence[Any]) -> str:
    """One property of a contract's problems, and what a pass covers of it."""
    words = f"{values[0]} to {values[-1]}" if isinstance(values, range) else ", ".join(map(str, values))
    return f"{name.replace('_', ' ')} {words}"


def _paragraph(text: str, indent: str = "  ", hanging: str = "") -> None:
    print(textwrap.fill(text, 110, initial_indent=indent, subsequent_indent=indent + hanging))
