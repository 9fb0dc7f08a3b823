"""What stands in single backticks in a docstring: a link if it names something, else text as it would be typed.

A public name leads to its entry, a module or a file to its text. A dotted name of refgrad that is neither is a mistake.
"""

from typing import Any

from docutils import nodes
from labels import ROOT
from proofs import page_of
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxRole

LOG = logging.getLogger(__name__)


class Name(SphinxRole):
    """The role of single backticks."""

    def run(self) -> tuple[list[nodes.Node], list[Any]]:
        context = {key: self.env.ref_context.get(key) for key in ("py:module", "py:class")}
        node = pending_xref(
            self.rawtext,
            refdomain="py",
            reftype="obj",
            reftarget=self.text,
            refdoc=self.env.docname,
            name=True,
            **context,
        )
        node += nodes.literal(self.text, self.text, classes=["xref"])
        return [node], []


def to_text(app: Sphinx, env: Any, node: pending_xref, content: nodes.TextElement) -> nodes.Element | None:
    """A link to the text of a module, seen from the module that names it."""
    if not node.get("name"):
        return None
    name, module = node["reftarget"], node.get("py:module") or ""
    packages = [module.rsplit(".", up)[0] if up else module for up in range(module.count(".") + 1)]
    for full in (name, *(f"{package}.{name}" for package in packages)):
        stem = full.replace(".", "/")
        above = stem.rpartition("/")[0]  # of what a module defines
        for path in (f"{stem}.py", f"{stem}/__init__.py", f"{above}.py", f"{above}/__init__.py"):
            if stem.startswith("refgrad/") and path != "refgrad/__init__.py" and (ROOT / path).is_file():
                target = app.builder.get_relative_uri(node["refdoc"], page_of(path))
                return nodes.reference("", "", content, internal=True, refuri=target)
    if name.startswith("refgrad."):
        LOG.warning("%s is no public name and no file", name, location=node)
    return content


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_role("name", Name())
    app.connect("missing-reference", to_text)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
