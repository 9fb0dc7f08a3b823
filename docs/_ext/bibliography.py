"""The sources that docstrings cite, on one page: ``{bibliography}`` lists them, and leads back to who cites them.

A docstring ends in its ``References``, for people who read the file; on the site these stand here instead.
"""

import re
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from labels import ROOT
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

ENTRY = re.compile(r"^ *\.\. \[(\w+)\] (.+(?:\n(?: {3,}\S.*))*)", re.MULTILINE)


def entries() -> dict[str, str]:
    """Each key with its source, by name and year."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "refgrad").rglob("*.py")):
        for key, text in ENTRY.findall(path.read_text()):
            found.setdefault(key, " ".join(text.split()).removesuffix('"""').strip())
    return dict(sorted(found.items()))


class Bibliography(SphinxDirective):
    """All entries as citations."""

    def run(self) -> list[nodes.Node]:
        lines = StringList([f".. [{key}] {text}" for key, text in entries().items()], "docstrings")
        container = nodes.container(classes=["bibliography"])
        self.state.nested_parse(lines, 0, container)
        return [container]


def without_references(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Cut the last section of a docstring, if it is its references."""
    for place, line in enumerate(lines):
        if line.strip() == "References" and place + 1 < len(lines) and set(lines[place + 1].strip()) == {"-"}:
            del lines[place:]
            return


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("bibliography", Bibliography)
    app.connect("autodoc-process-docstring", without_references, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
