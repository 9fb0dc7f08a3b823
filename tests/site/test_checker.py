"""The look at the built site finds each planted fault, and none on a page without one."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.look
pytest.importorskip("playwright", reason="the look at the site needs Playwright: nox -s look")
FOLDER = Path(__file__).parents[2] / "docs" / "_ext"
SITE = FOLDER.parent / "_build" / "html"


@pytest.fixture(scope="module")
def checker():
    spec = importlib.util.spec_from_file_location("check_site", FOLDER / "check_site.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    if not Path(module.CHROMIUM).exists():
        pytest.skip(f"no Chromium at {module.CHROMIUM}; Debian's package chromium brings it, or set CHROMIUM")
    return module


PAGE = """<!doctype html><html><head><meta charset="utf-8"><link rel="icon" href="data:,">
<script>window.MathJax = {{options: {{processHtmlClass: "math"}}}}</script>{head}</head>
<body><article><h1 id="top">A page</h1>{body}<a href="other.html#there">on</a></article></body></html>"""
OTHER = PAGE.format(head="", body='<p id="there">here</p><a href="other.html#there">again</a>')
MATHJAX = '<script src="tex-svg-full.js"></script>'
FORMULA = '<div class="math">\\[\\frac{1}{2} x^2\\]</div>'

FAULTS = {
    "a broken image": ("", '<img src="nowhere.png">', "broken image"),
    "a dead link": ("", '<a href="nowhere.html">to</a>', "dead link to nowhere.html"),
    "a dead anchor": ("", '<a href="other.html#nowhere">to</a>', "dead anchor other.html#nowhere"),
    "raw TeX": ("", "<p>where $$ \\theta $$ is</p>", "raw TeX"),
    "a formula without MathJax": ("", FORMULA, "not typeset"),
    "a formula that MathJax refuses": (MATHJAX, '<div class="math">\\[\\frac{1}\\]</div>', "bad TeX"),
    "a formula wider than its column": (MATHJAX, f'<div class="math">\\[{"x + " * 200}x\\]</div>', "formula wider"),
    "an error of a script": ("<script>throw new Error('planted')</script>", "", "planted"),
    "an error on the console": ("<script>console.error('planted')</script>", "", "console: planted"),
    "a request to another server": ('<script src="https://example.org/a.js"></script>', "", "asks another server"),
    "sideways scrolling": ("", '<div style="width: 700px">wide</div>', "scrolls sideways"),
}


def written(folder, head, body):
    (folder / "index.html").write_text(PAGE.format(head=head, body=body))
    (folder / "other.html").write_text(OTHER)
    script = SITE / "_static" / "tex-svg-full.js"
    if "tex-svg" in head:
        (folder / script.name).write_bytes(script.read_bytes())
    return folder


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(checker, tmp_path, name):
    head, body, words = FAULTS[name]
    found = checker.faults_of(written(tmp_path, head, body))
    assert any(words in fault for fault in found), found
    assert all(fault.startswith("index.html") for fault in found), found


def test_a_page_without_faults_has_none(checker, tmp_path):
    assert checker.faults_of(written(tmp_path, MATHJAX, FORMULA)) == []


def test_pictures_are_left_of_both_widths_in_both_schemes(checker, tmp_path):
    site, pictures = written(tmp_path, "", ""), tmp_path / "pictures"
    pictures.mkdir()
    assert checker.faults_of(site, pictures) == []
    names = {f"{page}.{width}.{scheme}.png" for page in ("index", "other") for width in ("wide", "narrow")
             for scheme in ("light", "dark")}  # fmt: skip
    assert {p.name for p in pictures.iterdir()} == names


def test_every_public_name_has_an_entry_and_every_entry_a_name():
    from sphinx.util.inventory import InventoryFile

    with (SITE / "objects.inv").open("rb") as file:
        inventory = InventoryFile.load(file, "", lambda base, uri: uri)
    kinds = ("py:function", "py:class", "py:exception", "py:data")
    entries = {name for kind in kinds for name in inventory.get(kind, {})}
    public = {name: value for module in packages() for name, value in names_of(module).items()}
    shown = {id(public[name]) for name in entries if name in public}
    lacking = [name for name, value in public.items() if name not in entries and id(value) not in shown]
    assert lacking == []
    values = {id(value) for value in public.values()}
    assert sorted(name for name in entries - set(public) if id(found_at(name)) not in values) == []


def found_at(name):
    """An object by its full name; Sphinx lists a class where it is defined as well."""
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(module), last)


def packages():
    pages = (FOLDER.parent / "reference").glob("*.md")
    return [line.split()[-1] for page in pages for line in page.read_text().splitlines() if "automodule::" in line]


def names_of(module):
    found = importlib.import_module(module)
    values = {f"{module}.{name}": getattr(found, name) for name in getattr(found, "__all__", [])}
    return {name: value for name, value in values.items() if type(value).__name__ != "module"}
