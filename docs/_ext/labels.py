"""Formula, line and test, joined by one label: read from the text of the files, without importing any.

A formula carries ``:label: name`` in a docstring, the line that evaluates it ends in ``# eq: name``, and a test that
proves it is marked ``@pytest.mark.proves("name")``. The site shows the three together; a test of the repository holds
that none of them is alone.
"""

import ast
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass
class Label:
    """Where a formula stands, is evaluated, and is proved: files relative to the root, lines counted from 1."""

    name: str
    formulas: list[tuple[str, int]] = field(default_factory=list)
    lines: list[tuple[str, int]] = field(default_factory=list)
    tests: list[tuple[str, int, str]] = field(default_factory=list)

    def lacks(self) -> list[str]:
        """What of the three is missing, in words."""
        parts = {"a formula": self.formulas, "a line `# eq:`": self.lines, "a test that proves it": self.tests}
        return [word for word, found in parts.items() if not found]


@cache
def labels(root: Path = ROOT) -> dict[str, Label]:
    """Every label of the package, in the order in which the formulas stand."""
    found: dict[str, Label] = {}
    at = lambda name: found.setdefault(name, Label(name))
    for path in sorted((root / "refgrad").rglob("*.py")):
        place = path.relative_to(root).as_posix()
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for name in re.findall(r":label: ([\w-]+)", line):
                at(name).formulas.append((place, number))
            for name in re.findall(r"# eq: ([\w-]+)", line):
                at(name).lines.append((place, number))
    for path in sorted((root / "tests").rglob("test_*.py")):
        if "pytest.mark.proves" not in path.read_text():
            continue
        place = path.relative_to(root).as_posix()
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef):
                for name in _proved(function):
                    at(name).tests.append((place, function.lineno, function.name))
    return found


def _proved(function: ast.FunctionDef) -> list[str]:
    marks = [
        m for m in function.decorator_list if isinstance(m, ast.Call) and ast.unparse(m.func) == "pytest.mark.proves"
    ]
    return [a.value for m in marks for a in m.args if isinstance(a, ast.Constant)]
