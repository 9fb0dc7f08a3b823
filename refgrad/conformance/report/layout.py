"""Problems as a mathematician would write them: matrices in brackets, fractions as fractions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

__all__ = ["display", "layout", "number"]

_WIDTH = 100


def layout(inputs: Mapping[str, Any]) -> list[str]:
    """The lines that show the inputs of a problem, arrays of one group side by side."""
    lines: list[str] = []
    row: list[list[str]] = []
    for name, value in inputs.items():
        if _is_array(value):
            row = _append(lines, row, _label(name, display(value)))
        else:
            lines += _join(row)
            row = []
            lines += _nest(name, value)
    return lines + _join(row)


def display(value: Any) -> list[str]:
    """One array as lines: a number, a row in brackets, a bracketed matrix, or matrices one below the other."""
    if not isinstance(value, (list, tuple)):
        return [number(value)]
    if all(not isinstance(v, (list, tuple)) for v in value):
        return ["[" + ", ".join(number(v) for v in value) + "]"]
    if all(isinstance(v, (list, tuple)) and all(not isinstance(x, (list, tuple)) for x in v) for v in value):
        return _matrix(value)
    return [line for part in value for line in display(part)]


def number(value: Any) -> str:
    """An int, a short dyadic fraction as ``p/q``, or else the shortest decimal of the float."""
    if isinstance(value, (bool, str)) or value is None:
        return str(value)
    if isinstance(value, float) and value != value:
        return "nan"
    try:
        q = Fraction(value)
    except (OverflowError, ValueError):
        return str(value)
    if q.denominator <= 1024 and abs(q.numerator) < 10**6:
        return str(q)
    return f"{float(value):.9g}"


def _matrix(rows: Sequence[Sequence[Any]]) -> list[str]:
    cells = [[number(v) for v in row] for row in rows]
    widths = [max(len(row[j]) for row in cells) for j in range(len(cells[0]))] if cells else []
    lines = ["  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in cells]
    if len(lines) <= 1:
        return [f"[{line}]" for line in lines] or ["[]"]
    left, right = ("⎡", *"⎢" * (len(lines) - 2), "⎣"), ("⎤", *"⎥" * (len(lines) - 2), "⎦")
    return [f"{a} {line} {b}" for a, line, b in zip(left, lines, right, strict=True)]


def _nest(name: str, value: Any) -> list[str]:
    """A container of arrays; pairs (X, y) and (support, query) get their names."""
    if isinstance(value, Mapping):
        parts = {f"{name}.{k}": v for k, v in value.items()}
    elif len(value) == 2 and all(_is_array(v) for v in value):
        row: list[list[str]] = []
        lines: list[str] = []
        for label, part in zip(("X", "y"), value, strict=True):
            row = _append(lines, row, _label(label, display(part)))
        block = lines + _join(row)
        head = f"{name}: "
        return [(head if i == 0 else " " * len(head)) + line for i, line in enumerate(block)]
    elif name.startswith("task ") and len(value) == 2:
        parts = dict(zip((f"{name} support", f"{name} query  "), value, strict=True))
    else:
        stem = "task" if name == "tasks" else name
        parts = {f"{stem} {i + 1}": v for i, v in enumerate(value)}
    return [line for k, v in parts.items() for line in (_label(k, display(v)) if _is_array(v) else _nest(k, v))]


def _is_array(value: Any) -> bool:
    """Whether nested lists form one array: numbers only, every level of one length and depth."""
    return _shape(value) is not None and len(_shape(value) or ()) <= 2


def _shape(value: Any) -> tuple[int, ...] | None:
    if isinstance(value, Mapping):
        return None
    if not isinstance(value, (list, tuple)):
        return ()
    shapes = {_shape(v) for v in value}
    if None in shapes or len(shapes) > 1:
        return None
    return (len(value), *(shapes.pop() if shapes else ()))  # type: ignore[misc]


def _label(name: str, lines: list[str]) -> list[str]:
    head = f"{name} = "
    return [(head if i == 0 else " " * len(head)) + line for i, line in enumerate(lines)]


def _append(lines: list[str], row: list[list[str]], block: list[str]) -> list[list[str]]:
    if row and len(_join([*row, block])[0]) > _WIDTH:
        lines += _join(row)
        return [block]
    return [*row, block]


def _join(blocks: list[list[str]]) -> list[str]:
    """Blocks side by side."""
    if not blocks:
        return []
    height = max(len(b) for b in blocks)
    widths = [max(map(len, b)) for b in blocks]
    padded = [[*b, *[""] * (height - len(b))] for b in blocks]
    return ["   ".join(b[i].ljust(w) for b, w in zip(padded, widths, strict=True)).rstrip() for i in range(height)]
