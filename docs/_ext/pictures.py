"""Pictures that cells have drawn, set into the page as SVG: black becomes the colour of the page's text.

So one picture serves the light page and the dark one; its words can be selected, and are the page's for a reader who
listens. The kernel is told to draw SVG without a background by a configuration file that is written here.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

KERNEL = """
c.InlineBackend.figure_formats = {"svg"}
c.InlineBackend.rc = {
    "figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none",
    "svg.fonttype": "none", "svg.hashsalt": "refgrad",
}
"""


def configure(app: Sphinx) -> None:
    """Tell the kernels where their configuration is."""
    folder = Path(app.outdir).parent / "ipython"
    (folder / "profile_default").mkdir(parents=True, exist_ok=True)
    (folder / "profile_default" / "ipython_kernel_config.py").write_text(KERNEL)
    os.environ["IPYTHONDIR"] = str(folder.resolve())


def inline(text: str, prefix: str, words: str) -> str:
    """The SVG of a file as part of a page, with names of its own."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r'(href="#|url\(#)', rf"\1{prefix}-", text)
    text = re.sub(r"#000000\b|(?<=: )black\b", "currentColor", text)
    return text.replace("<svg", f'<svg class="picture" role="img" aria-label="{words}" fill="currentColor"', 1)


def replace(app: Sphinx, doctree: nodes.document, name: str) -> None:
    """Every SVG that a cell of the page has drawn, in place of the reference to its file."""
    for image in list(doctree.findall(nodes.image)):
        path = Path(app.srcdir) / image["uri"]
        if path.suffix == ".svg" and "jupyter_execute" in path.parts:
            text = path.read_text()
            prefix = "p" + hashlib.sha256(text.encode()).hexdigest()[:8]
            heading = image.parent
            while heading is not None and not isinstance(heading, nodes.section):
                heading = heading.parent
            words = "Picture: " + (heading[0].astext() if heading is not None else name)
            image.replace_self(nodes.raw("", inline(text, prefix, words), format="html"))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", configure)
    app.connect("doctree-resolved", replace)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
