"""Derivatives that are wrong beyond some size, scale or layout only: none of them is accepted."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from refgrad import verify

FOLDER = Path(__file__).parent / "subjects" / "wrong"
FILES = [path for name in ("gradient", "hvp", "operator_derivative") for path in sorted((FOLDER / name).glob("*.py"))]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_derivative_that_is_wrong_beyond_a_size_is_not_accepted(path):
    spec = importlib.util.spec_from_file_location("wrong", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    params = getattr(module, "PARAMS", {})
    report = verify(lambda *a: module.subject(*a), path.parent.name, backend="numpy", params=params)
    assert report.exit_code == 1, str(report)
