"""Where the lines of ``equivalent.toml`` stand now: run ``python tests/mutants/relocate.py`` after a move.

An entry whose definition is no longer in its file gets the one file of the package that has it. What is found nowhere,
or in several files, is printed, for a person to decide; then the exit code is 1.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LIST = Path(__file__).parent / "equivalent.toml"

Entry = dict[str, Any]


def entries() -> list[Entry]:
    """The mutants that do what the original does, as they are listed."""
    return tomllib.loads(LIST.read_text())["mutant"]


@cache
def definitions(path: Path) -> dict[str, str]:
    """The text of a file by the names of its functions and classes, ``""`` being the whole; equal names together."""
    text = path.read_text()
    found = {"": text}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            lines = text.splitlines()[node.lineno - 1 : node.end_lineno]
            found[node.name] = "\n".join([found.get(node.name, ""), *lines])
    return found


def has(path: Path, entry: Entry) -> bool:
    """Whether a file has the line of an entry, in the definition that the entry names."""
    return path.exists() and entry["before"] in definitions(path).get(entry["within"], "")


def lost() -> list[Entry]:
    """The entries whose lines are not where they say."""
    return [entry for entry in entries() if not has(ROOT / entry["file"], entry)]


def main() -> int:
    """Rewrite the list; the number of entries that need a person, at most 1."""
    files = sorted((ROOT / "refgrad").rglob("*.py"))
    parts = re.split(r"(?<=\n)(?=\[\[mutant\]\])", LIST.read_text())
    undecided = 0
    for place, entry in enumerate(entries(), start=1):  # what comes before the first is the list's own comment
        if has(ROOT / entry["file"], entry):
            continue
        found = [str(path.relative_to(ROOT)) for path in files if has(path, entry)]
        if len(found) == 1:
            parts[place] = parts[place].replace(f'file = "{entry["file"]}"', f'file = "{found[0]}"')
        else:
            undecided += 1
            print(f"{entry['file']}, in {entry['within'] or 'the module'}: {entry['before']}\n  found in {found}")
    LIST.write_text("".join(parts))
    return min(undecided, 1)


if __name__ == "__main__":
    sys.exit(main())
