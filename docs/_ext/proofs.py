"""Under every labelled formula the lines that evaluate it and the tests that prove it, as links into their files.

``{theorems}`` is the table of all of them. A label that lacks one of the three is a warning, and fails the build.
"""

from collections.abc import Iterator
from typing import Any

from docutils import nodes
from labels import ROOT, Label, labels
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

LOG = logging.getLogger(__name__)


def page_of(path: str) -> str:
    """The page of the site that shows a file."""
    return "sources/" + path.removesuffix(".py")


def link(app: Sphinx, docname: str, path: str, line: int, text: str) -> nodes.reference:
    """A reference from a page to a line of a file."""
    target = app.builder.get_relative_uri(docname, page_of(path)) + f"#L-{line}"
    return nodes.reference("", "", nodes.literal(text=text), internal=True, refuri=target)


def evidence(app: Sphinx, docname: str, label: Label) -> nodes.paragraph:
    """The sentence on where a formula is computed and proved."""
    paragraph = nodes.paragraph(classes=["evidence"])
    paragraph += nodes.Text("computed at ")
    for place, (path, line) in enumerate(label.lines):
        paragraph += nodes.Text(", " if place else "")
        paragraph += link(app, docname, path, line, f"{path}:{line}")
    paragraph += nodes.Text(" · proved by ")
    for place, (path, line, name) in enumerate(label.tests):
        paragraph += nodes.Text(", " if place else "")
        paragraph += link(app, docname, path, line, name)
    return paragraph


class Theorems(SphinxDirective):
    """The table of every labelled formula; filled in when all pages have been read."""

    def run(self) -> list[nodes.Node]:
        return [nodes.container(classes=["theorems"])]


def resolve(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Add the evidence under each formula."""
    known = labels()
    for formula in list(doctree.findall(nodes.math_block)):
        name = formula.get("label")
        if name in known:
            parent = formula.parent
            parent.insert(parent.index(formula) + 1, evidence(app, docname, known[name]))
    for container in doctree.findall(nodes.container):
        if "theorems" in container["classes"]:
            for label in known.values():
                entry = nodes.definition_list_item()
                term = nodes.term()
                term += equation(app, docname, label.name)
                entry += [term, nodes.definition("", evidence(app, docname, label))]
                container += nodes.definition_list("", entry)


def equation(app: Sphinx, docname: str, name: str) -> nodes.Node:
    """A reference to a formula by its label."""
    node = pending_xref(refdomain="math", reftype="eq", reftarget=name, refdoc=docname)
    found = app.env.domains["math"].resolve_xref(
        app.env, docname, app.builder, "eq", name, node, nodes.literal(text=name)
    )
    result = nodes.inline("", "", nodes.strong(text=name), nodes.Text("  "))
    if found is not None:
        result += found
    return result


def check(app: Sphinx, env: Any) -> None:
    """Warn of every label that is alone, and of formulas that stand on no page."""
    shown = env.domains["math"].equations
    for label in labels().values():
        for word in label.lacks():
            LOG.warning("the label %s lacks %s", label.name, word)
        if label.name not in shown:
            LOG.warning("the formula %s stands on no page", label.name)


def sources(app: Sphinx) -> Iterator[tuple[str, dict[str, str], str]]:
    """The pages of files: the package, and the tests that prove a formula."""
    proving = {path for label in labels().values() for path, *_ in label.tests}
    package = {p.relative_to(ROOT).as_posix() for p in (ROOT / "refgrad").rglob("*.py")}
    for path in sorted(proving | package):
        formatter = HtmlFormatter(linenos="inline", lineanchors="L", anchorlinenos=True)
        body = highlight((ROOT / path).read_text(), PythonLexer(), formatter)
        yield page_of(path), {"title": path, "body": f"<h1>{path}</h1>{body}"}, "page.html"


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("theorems", Theorems)
    app.connect("doctree-resolved", resolve)
    app.connect("env-check-consistency", check)
    app.connect("html-collect-pages", sources)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
