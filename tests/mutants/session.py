"""The share of the mutants of `refgrad.autodiff` that the tests of the engine and of staging kill, by a sample.

Run by ``nox -s mutants``; ``nox -s mutants -- --sample 30`` is a short look, ``--sample 0`` takes them all. A mutant is
killed when a test fails or the run takes much longer than without it. The session fails if fewer than
`--at-least` per cent are killed.

By the record of one run without a mutant, a mutant meets the first of the tests that run its lines, for `AT_ONCE`
seconds; if it passes, all that run its lines; and if it passes these, all tests. The last step takes most of the time
and seldom kills: what the import evaluates or a process of its own runs is all that it can see. ``--lines-only`` leaves
it out, and then the share is a lower bound.

What is known to do the same as the original stands in ``equivalent.toml``, each entry with its reason, and is taken
out of the population before the sample is drawn.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from cosmic_ray.mutating import mutate_and_test
from mutants.population import Mutant, mutants
from mutants.record import PACKAGE, Record
from mutants.relocate import ROOT, entries, lost

TESTS = ["tests/autodiff", "tests/staging"]  # a program consists of what the rules do
OPTIONS = ["-x", "-q", "--no-header", "--tb=no", "-p", "no:cacheprovider", "-p", "mutants.quickly"]
AT_ONCE = 10.0
ROUNDS = ["the first tests of their lines", "others of their lines", "the rest"]
MEMORY = 8 * 2**30


def pytest_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pytest", *OPTIONS, *arguments]


def enter_a_copy(parent: str) -> None:
    """Make a copy of the project of this process's own, and work in it."""
    folder = Path(tempfile.mkdtemp(dir=parent))
    without = shutil.ignore_patterns("__pycache__", ".*")
    for name in ("refgrad", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=without)
    shutil.copy(ROOT / "pyproject.toml", folder)
    os.chdir(folder)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), str(folder / "tests")])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    # the runs with a mutant write no compiled files, so those of the originals are written here
    subprocess.run(pytest_command("--collect-only", *TESTS), stdout=subprocess.DEVNULL, check=True)


def without_a_mutant() -> Record:
    """Which tests run which lines, and that they pass and are those of the copy; in a copy of the project."""
    found = subprocess.check_output([sys.executable, "-c", "import refgrad; print(refgrad.__file__)"], text=True)
    if Path(found.strip()) != Path.cwd() / "refgrad" / "__init__.py":
        raise RuntimeError(f"expected the copy in {Path.cwd()} to be tried, found {found}")
    command = pytest_command("-p", "mutants.record", "--record", "record.json", *TESTS)
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        raise RuntimeError(f"the tests fail without any mutant:\n{run.stdout}{run.stderr}")
    return Record.read(Path("record.json"))


def passes(mutant: Mutant, tests: list[str], seconds: float) -> bool:
    """Whether the tests, which take that long without a mutant, pass on one; in a copy of the project."""
    Path("chosen.txt").write_text("\n".join(tests))
    files = sorted({test.partition("::")[0] for test in tests})
    command = shlex.join(pytest_command("-p", "mutants.chosen", "--chosen", "chosen.txt", *files))
    result = mutate_and_test([mutant.spec], command, 30 + 4 * seconds)
    if result.test_outcome is None or result.test_outcome.value == "incompetent":
        raise RuntimeError(f"{mutant.place}: the mutant could not be tried.\n{result.output}")
    return not result.is_killed


def outcome(mutant: Mutant, rounds: list[tuple[list[str], float]]) -> int:
    """The round of tests, each with its seconds, that kills a mutant, or their number; in a copy of the project."""
    return next((n for n, (tests, s) in enumerate(rounds) if tests and not passes(mutant, tests, s)), len(rounds))


def equivalent() -> set[tuple[str, str, str, str]]:
    """The keys of the mutants that do what the original does."""
    for entry in lost():
        raise ValueError(f"{entry['file']} has no line {entry['before']!r} any more: run tests/mutants/relocate.py")
    return {(e["file"], e["within"], e["before"], e["after"]) for e in entries()}


def sample(paths: list[Path], seed: int, size: int) -> Iterator[Mutant]:
    """`size` mutants, or all for 0, none of them known to be equivalent."""
    known = equivalent()
    return itertools.islice((m for m in mutants(paths, seed) if m.key not in known), size or None)


def described(m: Mutant, record: Record) -> str:
    """Where a mutant is and what it changes."""
    line = m.spec.start_pos[0]
    unseen = "" if record.reached(str(m.spec.module_path), range(line, line + 1)) else ", a line that no test runs"
    head = f"{m.place}  {m.spec.operator_name.removeprefix('core/')}  in {m.spec.definition_name or 'the module'}"
    return f"\n{head}{unseen}\n- {m.before}\n+ {m.after}\n"


def killed(outcomes: list[int], rounds: int) -> float:
    """Print how many had which outcome; the share killed in per cent."""
    count = Counter(outcomes)
    share = 1 - count[rounds] / len(outcomes)
    error = math.sqrt(share * (1 - share) / len(outcomes))
    by = ", ".join(f"{count[n]} {what}" for n, what in zip(range(rounds), ROUNDS, strict=False))
    print(f"\n{len(outcomes)} mutants, killed by {by}; {count[rounds]} survived")
    print(f"{share:.1%} killed, standard error {error:.1%}")
    return 100 * share


def main() -> int:
    parser = argparse.ArgumentParser(prog="nox -s mutants --", description=__doc__.partition("\n")[0])
    parser.add_argument("--sample", type=int, default=200, help="how many mutants to draw; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--at-least", type=float, default=95.0, metavar="PERCENT")
    parser.add_argument("--under", default=str(PACKAGE), help="a file or a folder of the engine")
    parser.add_argument("--lines-only", action="store_true", help="no round of all tests: a third of the time")
    options = parser.parse_args()
    os.chdir(ROOT)
    under = Path(options.under)
    paths = sorted(under.rglob("*.py")) if under.is_dir() else [under]
    drawn = list(sample(paths, options.seed, options.sample))
    rounds = len(ROUNDS) - options.lines_only
    outcomes = []
    start = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="mutants-") as parent,
        ProcessPoolExecutor(options.workers, initializer=enter_a_copy, initargs=(parent,)) as pool,
    ):
        record = pool.submit(without_a_mutant).result()
        seconds = sum(record.seconds.values())
        print(f"{len(drawn)} mutants; all {len(record.seconds)} tests take {seconds:.0f} s", flush=True)
        found = pool.map(outcome, drawn, [record.rounds(m, AT_ONCE)[:rounds] for m in drawn])
        for count, (mutant, became) in enumerate(zip(drawn, found, strict=True), start=1):
            print("S" if became == rounds else ".:,"[became], end="" if count % 60 else f" {count}\n", flush=True)
            if became == rounds:
                print(described(mutant, record), flush=True)
            outcomes.append(became)
    share = killed(outcomes, rounds)
    print(f"in {(time.monotonic() - start) / 60:.0f} minutes")
    return 0 if share >= options.at_least else 1


if __name__ == "__main__":
    sys.exit(main())
