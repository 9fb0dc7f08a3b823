"""The array API's test suite on refgrad.numpy itself and on NumPy: both scores, and what fails with ours alone.

Run by ``nox -s array_api -- CHECKOUT``. What is compared are two runs of one suite, of the same draws; the session
fails if a test fails with refgrad.numpy that passes with NumPy.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

COMMIT = "55fcc60"
ADVICE = f"""\
expected a checkout of data-apis/array-api-tests at commit {COMMIT}, got {{given}}. Make one and name it:

    git clone https://github.com/data-apis/array-api-tests CHECKOUT
    git -C CHECKOUT checkout {COMMIT}
    git -C CHECKOUT submodule update --init
    nox -s array_api -- CHECKOUT"""
OPTIONS = ["--max-examples=10", "--hypothesis-seed=0", "--disable-deadline", "-p", "no:cacheprovider", "-W", "ignore"]


def outcomes(checkout: Path, module: str, folder: Path) -> dict[str, bool]:
    """Whether each test passes with an array module, by its name; skipped tests are left out."""
    results = folder / f"{module}.xml"
    environment = os.environ | {
        "ARRAY_API_TESTS_MODULE": module,
        "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / module),  # no examples of another run
        "PYTHONPATH": str(Path(__file__).parents[1]) + os.pathsep + os.environ.get("PYTHONPATH", ""),
    }
    command = [sys.executable, "-m", "pytest", "array_api_tests", "-q", "--tb=no", "-p", "array_api.seed", *OPTIONS]
    run = subprocess.run(
        [*command, f"--junitxml={results}"], cwd=checkout, env=environment, capture_output=True, text=True
    )
    if run.returncode not in (0, 1):  # 1: tests failed
        raise SystemExit(f"the suite did not run with {module}:\n{run.stdout[-3000:]}{run.stderr[-3000:]}")
    return {
        f"{case.get('classname')}::{case.get('name')}": case.find("failure") is None and case.find("error") is None
        for case in ElementTree.parse(results).iter("testcase")
        if case.find("skipped") is None
    }


def main(arguments: list[str]) -> None:
    checkout = Path(arguments[0]).resolve() if len(arguments) == 1 else None
    if checkout is None or not (checkout / "array_api_tests").is_dir() or not list(checkout.glob("array-api/*")):
        raise SystemExit(ADVICE.format(given=" ".join(arguments) or "none"))
    head = subprocess.run(["git", "-C", str(checkout), "rev-parse", "HEAD"], capture_output=True, text=True).stdout
    if not head.startswith(COMMIT):
        raise SystemExit(ADVICE.format(given=f"one at {head.strip() or 'no commit'}"))
    with tempfile.TemporaryDirectory() as folder:
        theirs, ours = (outcomes(checkout, module, Path(folder)) for module in ("numpy", "refgrad.numpy"))
    for module, found in (("numpy", theirs), ("refgrad.numpy", ours)):
        print(f"{module:13}  {sum(found.values())} of {len(found)} pass")
    worse = [name for name, passes in theirs.items() if passes and not ours.get(name, False)]
    print(f"{len(worse)} fail with refgrad.numpy and pass with numpy", *worse, sep="\n  ")
    if worse:
        raise SystemExit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
