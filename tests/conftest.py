"""Without python-flint, a test that needs balls is skipped, with what refgrad itself says then; all others run."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib.util import find_spec

import pytest

from refgrad.errors import MissingExtra


@contextmanager
def skipped_without_python_flint():
    try:
        yield
    except MissingExtra as error:
        if find_spec("flint") is not None or "refgrad[exact]" not in str(error):
            raise
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def _forget_modules_of_temporary_folders():
    """A module that a test has written is not found by the next test that writes one of that name."""
    before = set(sys.modules)
    yield
    for name in sys.modules.keys() - before:
        if "pytest-of-" in (getattr(sys.modules[name], "__file__", None) or ""):
            del sys.modules[name]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    with skipped_without_python_flint():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    with skipped_without_python_flint():
        return (yield)
