"""What the reference lists, and what docstrings say of it: parameters, results, shapes."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import re
from pathlib import Path
from typing import NamedTuple

from numpydoc.docscrape import NumpyDocString

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
AS_IN = re.compile(r"as in `([\w.]+)`")
SHAPE = re.compile(r"\bshape \(([^()]*(?:\([^()]*\)[^()]*)*)\)")


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
    """The attributes that a dataclass or a namedtuple is made of; None for any other class."""
    if dataclasses.is_dataclass(value):
        return [f.name for f in dataclasses.fields(value)]
    return list(value._fields) if issubclass(value, tuple) else None


def shapes(text):
    """The lengths that a text states as ``shape (p, q)``, as lists of words, in order."""
    return [[word for word in re.split(r",\s*(?![^(]*\))", inside) if word] for inside in SHAPE.findall(text)]
