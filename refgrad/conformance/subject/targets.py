"""The function a target names: ``package.module:callable`` or ``path/file.py:callable``."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from refgrad.errors import SubjectNotFound, UsageError

__all__ = ["import_statement", "load", "reference", "split"]


def split(target: str) -> tuple[str, str]:
    """The module or file, and the dotted name inside it.

    Raises
    ------
    UsageError
        If `target` has no colon, or nothing on one side of it.
    """
    place, colon, name = target.replace("::", ":").rpartition(":")  # pytest's spelling too
    if not (colon and place and name):
        raise UsageError(
            f"expected a target like package.module:callable or path/file.py:callable, got {target!r}"
            + ("; which function of it is meant? Add :NAME" if target.endswith(".py") else "")
        )
    return place, name


def load(target: str) -> Callable[..., Any]:
    """The callable named by `target`. Importing it runs its module.

    Raises
    ------
    SubjectNotFound
        If there is no such file, module or name; names that are close are suggested. Whatever the module
        itself raises while it is imported passes through.
    """
    place, name = split(target)
    module = _from_file(Path(place)) if place.endswith(".py") else _from_name(place)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            names = [n for n in vars(found) if not n.startswith("__")] if hasattr(found, "__dict__") else []
            raise SubjectNotFound(f"{place} has no {name!r}{_close(part, names)}")
        found = getattr(found, part)
    if not callable(found):
        raise SubjectNotFound(f"expected a function at {target}, found {type(found).__name__}, which cannot be called")
    return found  # type: ignore[no-any-return]


def reference(function: Any) -> str | None:
    """``module:qualname`` if another process finds `function` under it; None for closures, lambdas and scripts."""
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not module or not name or module == "__main__" or "<" in name or module not in sys.modules:
        return None
    found: Any = sys.modules[module]
    for part in name.split("."):
        found = getattr(found, part, None)
    return f"{module}:{name}" if found is function and _is_importable(module) else None


def _is_importable(name: str) -> bool:
    """Whether another process would find a module by its name: that this one has it may be pytest's doing."""
    parent = name.rpartition(".")[0]
    path = getattr(sys.modules.get(parent), "__path__", None)
    if parent and (path is None or not _is_importable(parent)):
        return False
    specs = (finder.find_spec(name, path) for finder in sys.meta_path)
    spec = next((found for found in specs if found is not None), None)
    return spec is not None and (not spec.has_location or spec.origin == getattr(sys.modules[name], "__file__", ""))


def import_statement(target: str) -> tuple[str, str]:
    """The line that imports the subject in a test of its own, and the name it has there."""
    place, name = split(target)
    first = name.partition(".")[0]
    if not place.endswith(".py"):
        return f"from {place} import {first}", name
    path = Path(place)
    line = f"from {path.stem} import {first}"
    if path.parent != Path("."):
        line = f"import sys\n\nsys.path.insert(0, {path.parent.as_posix()!r})\n{line}"
    return line, name


def _from_file(path: Path) -> Any:
    if not path.is_file():
        folder = path.parent
        near = [p.name for p in folder.glob("*.py")] if folder.is_dir() else []
        raise SubjectNotFound(f"there is no file {path}{_close(path.name, near)}")
    name = path.stem if path.stem not in sys.modules else f"subject_{path.stem}"
    beside = str(path.parent.resolve())
    if beside not in sys.path:
        sys.path.append(beside)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise SubjectNotFound(f"{path} cannot be imported as a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _from_name(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if not (name == missing or name.startswith(missing + ".")):
            raise
        parent, _, last = missing.rpartition(".")
        raise SubjectNotFound(f"there is no module {missing!r}{_close(last, _siblings(parent))}") from error


def _siblings(package: str) -> list[str]:
    import pkgutil

    path = getattr(sys.modules.get(package), "__path__", None) if package else None
    return [m.name for m in pkgutil.iter_modules(path)]


def _close(name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(close)}?" if close else ""
