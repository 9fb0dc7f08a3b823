"""What the reference lists, and what docstrings say of it: parameters, results, shapes."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import itertools
import re
from pathlib import Path
from typing import NamedTuple

from numpydoc.docscrape import NumpyDocString

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
AS_IN = re.compile(r"as in `([\w.]+)`")


class Entry(NamedTuple):
    """A parameter, an attribute or a result, by its docstring."""

    name: str
    type: str
    text: str


def packages():
    """The modules of which the reference lists everything."""
    pages = sorted(REFERENCE.glob("*.md"))
    return [line.split()[-1] for page in pages for line in page.read_text().splitlines() if "automodule::" in line]


@functools.cache
def public():
    """Functions and classes of the reference by their full names, each once; what is another library's is left out."""
    found = {}
    for package in packages():
        module = importlib.import_module(package)
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            own = (getattr(value, "__module__", None) or "").startswith("refgrad")
            if own and (inspect.isfunction(value) or inspect.isclass(value)):
                found.setdefault(id(value), (f"{package}.{name}", value))
    return dict(found.values())


def parsed(value):
    return NumpyDocString(inspect.getdoc(value) or "")


def entries(value, section):
    """The entries of a section; ``x, y : type`` are two of one type."""
    return [Entry(name, p.type, " ".join(p.desc)) for p in parsed(value)[section] for name in p.name.split(", ")]


def parameters(value):
    """Those of the signature, ours where NumPy's stands before it, as numpydoc writes them."""
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    signature = inspect.signature(getattr(value, "ours", value))
    return [stars.get(p.kind, "") + p.name for p in signature.parameters.values()]


def fields(value):
    """What a dataclass or a namedtuple is made of or computes late, without words of its own; None elsewhere."""
    if dataclasses.is_dataclass(value):
        members = vars(value).items()
        late = [
            name for name, member in members if isinstance(member, functools.cached_property) and not member.__doc__
        ]
        return [name for name in (*(f.name for f in dataclasses.fields(value)), *late) if not name.startswith("_")]
    return list(value._fields) if issubclass(value, tuple) else None


def shapes(text):
    """The lengths that a text states as ``shape (p, q)``, or as ``shape (p,) or (p, q)``, as lists of words."""
    found = []
    for stated in re.finditer(r"\bshape (?=\()", text):
        rest = text[stated.end() :]
        while rest.startswith("("):
            lengths, rest = split(rest)
            found.append(lengths)
            rest = rest.removeprefix(" or ")
    return found


def split(text):
    """The lengths in the parentheses with which a text begins, and what is left of it."""
    words, depth = [""], 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return [word.strip() for word in words if word.strip()], text[place + 1 :]
        if letter == "," and depth == 1:
            words.append("")
        elif place:
            words[-1] += letter
    raise ValueError(f"expected as many ')' as '(', got {text!r}")


def entry_of(value, name):
    """What is said of a parameter, where its entry refers to, if it refers."""
    found = next((e for e in entries(value, "Parameters") if e.name == name), Entry(name, "", ""))
    refers = AS_IN.search(found.type)
    others = [f for full, f in public().items() if refers and full.endswith(f".{refers[1]}")]
    return entry_of(others[0], name) if others else found


def results(value):
    """For each array that comes back, the shapes that are stated: in a section, else in the summary."""
    stated = [(e.name, shapes_of(value, e.type), e.text) for e in entries(value, "Returns")]
    if not stated:
        summary = re.search(r", (shape \(.*)", " ".join(parsed(value)["Summary"]))
        stated = [("", shapes(summary[1])[:1], "")] if summary else []
    return stated if any(found for _, found, _ in stated) else []


def shapes_of(value, type_):
    """Those of a type, which may be ``shape of x``, a parameter."""
    other = re.search(r"\bshape of (\w+)", type_)
    return shapes(entry_of(value, other[1]).type if other else type_)


def symbols(lengths):
    """The letters in some lengths, in order: of ``min(m, n)`` there are two."""
    words = [word for length in lengths for word in re.findall(r"[A-Za-z_]\w*|\.\.\.", length)]
    return [word for word in words if word != "min"]


def shape_at(lengths, sizes):
    """The shape that some lengths are at the sizes of their letters; ``...`` are any axes."""
    parts = [sizes["..."] if length == "..." else (eval(length, {"min": min}, sizes),) for length in lengths]
    return tuple(itertools.chain.from_iterable(parts))
