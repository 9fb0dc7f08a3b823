"""What judges, withheld from what is judged: who imports the oracle agrees with it, whatever he would compute himself.

Modules of the judge are inert stand-ins, so that a file that also holds a contract or a test imports as ever. Whoever
calls something of them in a call of the subject is told so. `refgrad.exact` is arithmetic and stays: `refgrad.linalg`
needs it. A subject that searches the garbage collector or the frames of its callers finds the oracle all the same;
this keeps accidents apart, and is no sandbox.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import refgrad
from refgrad.errors import UsageError

__all__ = ["Veil"]

JUDGE = ("refgrad.conformance", "refgrad.contracts", "refgrad.theory")
_NAMES = tuple(name.partition(".")[2] for name in JUDGE)
SUBJECTS = "refgrad.conformance.demo"
"""Functions to be judged that happen to live there."""


class Veil:
    """The modules of the judge, out of reach of whatever is imported from now on.

    Attributes
    ----------
    inert : bool
        Whether calling a stand-in does nothing; else it raises `UsageError`.
    """

    def __init__(self) -> None:
        self.inert = True
        self._real = _taken()
        sys.meta_path.insert(0, self)  # type: ignore[arg-type]

    @contextlib.contextmanager
    def lifted(self) -> Iterator[None]:
        """For the judge's own work in this process: the modules as they are."""
        stand_ins = _taken()
        sys.modules.update(self._real)
        with contextlib.suppress(ValueError):  # the subject has removed it
            sys.meta_path.remove(self)  # type: ignore[arg-type]
        try:
            yield
        finally:
            sys.meta_path.insert(0, self)  # type: ignore[arg-type]
            self._real.update(_taken())
            sys.modules.update(stand_ins)

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        """The specification of a stand-in; None for whatever is not withheld."""
        if not _withheld(name):
            return None
        spec = ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]
        spec.submodule_search_locations = list(getattr(self._real.get(name), "__path__", ()))
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return StandIn(spec.name, self)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to run."""


class StandIn(ModuleType):
    """A module of the judge, or anything in it, as a subject sees it."""

    def __init__(self, name: str, veil: Veil) -> None:
        super().__init__(name)
        self.__dict__["_veil"] = veil

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"{self.__name__} is withheld; it has no {name!r}")
        return StandIn(f"{self.__name__}.{name}", self._veil)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._veil.inert:
            return self
        raise UsageError(
            f"{self.__name__} judges this function and is withheld from it: compute the result without "
            f"{', '.join(JUDGE[:-1])} and {JUDGE[-1]}"
        )


def _withheld(name: str) -> bool:
    return name.startswith("refgrad.") and name.split(".")[1] in _NAMES and not name.startswith(SUBJECTS)


def _taken() -> dict[str, ModuleType]:
    """The modules that are withheld, no longer imported."""
    for name in _NAMES:
        vars(refgrad).pop(name, None)
    return {name: sys.modules.pop(name) for name in list(sys.modules) if _withheld(name)}
