"""The share of the mutants of `refgrad.autodiff` that the tests of the engine kill, by a sample.

Run by ``nox -s mutants``; ``nox -s mutants -- --sample 30`` is a short look, ``--sample 0`` takes them all. A mutant is
killed when a test fails or the run takes much longer than without it. The session fails if fewer than
`--at-least` per cent are killed.

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
import tomllib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from cosmic_ray.mutating import mutate_and_test
from mutants.population import Mutant, mutants

ROOT = Path(__file__).parents[2]
TESTS = Path("tests/autodiff")
SLOW = ["test_batch.py", "test_primitives.py"]  # last, of the tests that a mutant has to pass
MEMORY = 8 * 2**30


def command() -> str:
    """The tests of the engine, up to the first that fails."""
    files = sorted((ROOT / TESTS).glob("test_*.py"), key=lambda path: (path.name in SLOW, path.name))
    options = ["-x", "-q", "--no-header", "--tb=no", "-p", "no:cacheprovider", "-p", "mutants.quickly"]
    return shlex.join([sys.executable, "-m", "pytest", *options, *(str(TESTS / path.name) for path in files)])


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


def survives(mutant: Mutant, limit: float) -> bool:
    """Whether the tests pass on the mutant; in a copy of the project."""
    result = mutate_and_test([mutant.spec], command(), limit)
    if result.test_outcome is None or result.test_outcome.value == "incompetent":
        raise RuntimeError(f"{mutant.place}: the mutant could not be tried.\n{result.output}")
    return not result.is_killed


def without_a_mutant() -> float:
    """How many seconds the tests take, and that they pass and are those of the copy; in a copy of the project."""
    found = subprocess.check_output([sys.executable, "-c", "import refgrad; print(refgrad.__file__)"], text=True)
    if Path(found.strip()) != Path.cwd() / "refgrad" / "__init__.py":
        raise RuntimeError(f"expected the copy in {Path.cwd()} to be tried, found {found}")
    start = time.perf_counter()
    run = subprocess.run(shlex.split(command()), capture_output=True, text=True)
    if run.returncode != 0:
        raise RuntimeError(f"the tests fail without any mutant:\n{run.stdout}{run.stderr}")
    return time.perf_counter() - start


def equivalent() -> set[tuple[str, str, str, str]]:
    """The keys of the mutants that do what the original does."""
    entries = tomllib.loads((Path(__file__).parent / "equivalent.toml").read_text()).get("mutant", [])
    for entry in entries:
        if entry["before"] not in (ROOT / entry["file"]).read_text():
            raise ValueError(f"equivalent.toml: {entry['file']} has no line {entry['before']!r} any more")
    return {(e["file"], e["within"], e["before"], e["after"]) for e in entries}


def sample(paths: list[Path], seed: int, size: int) -> Iterator[Mutant]:
    """`size` mutants, or all for 0, none of them known to be equivalent."""
    known = equivalent()
    return itertools.islice((m for m in mutants(paths, seed) if m.key not in known), size or None)


def report(survivors: list[Mutant], tried: int) -> float:
    """Print the outcome; the share killed in per cent."""
    killed = tried - len(survivors)
    share = killed / tried
    error = math.sqrt(share * (1 - share) / tried)
    for m in sorted(survivors, key=lambda m: m.place):
        print(f"\n{m.place}  {m.spec.operator_name.removeprefix('core/')}  in {m.spec.definition_name or 'the module'}")
        print(f"- {m.before}\n+ {m.after}")
    print(f"\n{tried} mutants: {killed} killed, {len(survivors)} survived; {share:.1%}, standard error {error:.1%}")
    return 100 * share


def main() -> int:
    parser = argparse.ArgumentParser(prog="nox -s mutants --", description=__doc__.partition("\n")[0])
    parser.add_argument("--sample", type=int, default=300, help="how many mutants to draw; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--at-least", type=float, default=95.0, metavar="PERCENT")
    parser.add_argument("--under", default="refgrad/autodiff", help="a file or a folder of the package")
    options = parser.parse_args()
    os.chdir(ROOT)
    under = Path(options.under)
    paths = sorted(under.rglob("*.py")) if under.is_dir() else [under]
    drawn = list(sample(paths, options.seed, options.sample))
    survivors = []
    with (
        tempfile.TemporaryDirectory(prefix="mutants-") as parent,
        ProcessPoolExecutor(options.workers, initializer=enter_a_copy, initargs=(parent,)) as pool,
    ):
        seconds = pool.submit(without_a_mutant).result()
        limit = 30 + 4 * seconds
        print(f"{len(drawn)} mutants; the tests take {seconds:.0f} s, the limit is {limit:.0f} s", flush=True)
        outcomes = pool.map(survives, drawn, itertools.repeat(limit))
        for count, (mutant, survived) in enumerate(zip(drawn, outcomes, strict=True), start=1):
            print("S" if survived else ".", end="" if count % 60 else f" {count}\n", flush=True)
            if survived:
                survivors.append(mutant)
    return 0 if report(survivors, len(drawn)) >= options.at_least else 1


if __name__ == "__main__":
    sys.exit(main())
