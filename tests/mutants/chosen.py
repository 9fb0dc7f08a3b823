"""A pytest plugin: ``--chosen FILE`` runs the tests that the file names, one to a line, in its order."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--chosen", type=Path, required=True)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    place = {name: n for n, name in enumerate(config.getoption("--chosen").read_text().splitlines())}
    known = sorted((item for item in items if item.nodeid in place), key=lambda item: place[item.nodeid])
    items[:] = known or items  # a mutant that renames its tests meets all of the files, not none
