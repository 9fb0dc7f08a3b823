"""Which tests run which lines, from one run of all tests; and from that, which tests may notice a mutant.

``-p mutants.record --record FILE`` writes the record of a run: it is a pytest plugin.
"""

from __future__ import annotations

import ast
import itertools
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import coverage
import pytest
from mutants.population import Mutant

PACKAGE = Path("refgrad/autodiff")


@dataclass(frozen=True)
class Record:
    """The seconds of each test, and for each line of a file the tests that run it; ``""`` is the import."""

    seconds: dict[str, float]
    lines: dict[str, dict[int, list[str]]]

    @classmethod
    def read(cls, path: Path) -> Record:
        stored = json.loads(path.read_text())
        names = ["", *stored["seconds"]]
        lines = {
            file: {int(line): [names[n] for n in tests] for line, tests in runs.items()}
            for file, runs in stored["lines"].items()
        }
        return cls(stored["seconds"], lines)

    def write(self, path: Path) -> None:
        number = {name: n for n, name in enumerate(["", *self.seconds])}
        lines = {
            file: {line: [number[test] for test in tests] for line, tests in runs.items()}
            for file, runs in self.lines.items()
        }
        path.write_text(json.dumps({"seconds": self.seconds, "lines": lines}))

    def reached(self, file: str, lines: range) -> set[str]:
        """The tests that run one of the lines, and ``""`` if the import does."""
        runs = self.lines.get(file, {})
        return set(itertools.chain.from_iterable(runs.get(line, ()) for line in lines))

    def rounds(self, mutant: Mutant, at_once: float) -> list[tuple[list[str], float]]:
        """The tests that a mutant is to meet, and their seconds: the first of those of its lines, the others, and all.

        The tests of a line are those that run it; if none does, because the import evaluates it, those that run another
        part of the statement (the rules of a primitive, the body of a function), and else the first of those that run
        any of the file. The most likely to notice a change come first, as many as take the seconds `at_once`.
        """
        file, first, last = str(mutant.spec.module_path), mutant.spec.start_pos[0], mutant.spec.end_pos[0]
        whole = range(1, 1 + max(self.lines.get(file) or {0: []}))
        for lines in (range(first, last + 1), _statement(file, first), whole):
            found = self.reached(file, lines) - {""}
            if found:
                break
        mine = self._in_turn(found)
        sums = list(itertools.accumulate(self.seconds[test] for test in mine))
        soon = [test for test, s in zip(mine, sums, strict=True) if s <= at_once] or mine[:1]
        others = [] if lines is whole else mine[len(soon) :]
        everything = [*mine, *(test for test in self.seconds if test not in found)]
        return [(tests, sum(self.seconds[test] for test in tests)) for tests in (soon, others, everything)]

    def _in_turn(self, tests: set[str]) -> list[str]:
        """The quickest of each test function first, then the second of each: what differs goes before what repeats."""
        turn: Counter[str] = Counter()
        ranked = []
        for test in sorted(tests, key=lambda t: (self.seconds[t], t)):
            function = test.partition("[")[0]
            ranked.append((turn[function], self.seconds[test], test))
            turn[function] += 1
        return [test for _, _, test in sorted(ranked)]


def _statement(file: str, line: int) -> range:
    """The lines of the innermost statement around a line."""
    statements = [n for n in ast.walk(ast.parse(Path(file).read_text())) if isinstance(n, ast.stmt)]
    above = [min(d.lineno for d in (*getattr(s, "decorator_list", ()), s)) for s in statements]
    around = [range(a, (s.end_lineno or s.lineno) + 1) for a, s in zip(above, statements, strict=True)]
    return min((lines for lines in around if line in lines), key=len)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", type=Path, required=True)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Recorder(config.getoption("--record")))


class _Recorder:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.seconds: dict[str, float] = {}
        self.coverage = coverage.Coverage(data_file=None, source=[str(PACKAGE)])
        self.coverage.set_option("run:core", "ctrace")  # the one that knows of contexts on all versions of Python
        self.coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.coverage.switch_context(item.nodeid)
        start = time.perf_counter()
        result = yield
        self.seconds[item.nodeid] = time.perf_counter() - start
        return result

    def pytest_sessionfinish(self) -> None:
        self.coverage.stop()
        data = self.coverage.get_data()
        lines = {str(Path(f).relative_to(Path.cwd())): data.contexts_by_lineno(f) for f in data.measured_files()}
        Record(self.seconds, lines).write(self.path)
        data.close()
