"""MathJax as one file of the site's own, so that no page asks another server for anything."""

from importlib.metadata import distribution
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util.fileutil import copy_asset_file

NAME = "tex-svg-full.js"


def copy(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        source = distribution("sphinx-mathjax-offline").locate_file(f"sphinx-mathjax-offline/static/mathjax/{NAME}")
        copy_asset_file(str(source), str(Path(app.outdir) / "_static"))


def setup(app: Sphinx) -> dict[str, bool]:
    app.setup_extension("sphinx.ext.mathjax")
    app.config.mathjax_path = NAME
    app.connect("build-finished", copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
