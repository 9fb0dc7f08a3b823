"""How the site is built: see `nox -s docs`."""

import sys
from importlib.metadata import version as installed
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

project = "refgrad"
copyright = "the authors of refgrad"
version = release = installed("refgrad")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "numpydoc",
    "mathjax_local",
    "proofs",
    "names",
    "bibliography",
    "pictures",
]
exclude_patterns = ["_build", "_ext"]
default_role = "name"
nitpicky = True
nitpick_ignore = [("py:class", "collections.abc.Callable")]
suppress_warnings = ["ref.citation"]  # of sources that only modules without a page of their own cite

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "force"  # a cache trusts the page, not the library
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_execution_show_tb = True
nb_output_stderr = "remove"  # progress, on a busy machine

autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["refgrad.css"]
html_title = "refgrad"
html_copy_source = False
html_show_sourcelink = False
