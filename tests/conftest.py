"""Without python-flint, a test that needs balls is skipped, with what refgrad itself says then; all others run."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from refgrad.errors import MissingExtra


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    try:
        return (yield)
    except MissingExtra as error:
        if find_spec("flint") is not None or "refgrad[exact]" not in str(error):
            raise
        pytest.skip(str(error))
