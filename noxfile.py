"""The project's sessions. ``nox -s tests`` is what a change must pass; ``nox -l`` lists the rest."""

import os
import shutil
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.reuse_existing_virtualenvs = True

PROJECT = nox.project.load_toml("pyproject.toml")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
WORKERS = ["-n", str((os.cpu_count() or 1) + 1)]
"""One more than there are cores: the judge waits for the processes that it starts, and for their limits."""
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def group(name: str) -> list[str]:
    return nox.project.dependency_groups(PROJECT, name)


def install_wheel(session: nox.Session, extras: str = "") -> None:
    """Install the package as a user gets it: as a built wheel, so that a file left out of it shows."""
    folder = Path(session.create_tmp()) / "wheel"
    shutil.rmtree(folder, ignore_errors=True)
    session.run("python", "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), ".", silent=True)
    (wheel,) = folder.glob("*.whl")
    session.install("--force-reinstall", "--no-deps", str(wheel))
    session.install(f"{wheel}{extras}")


def compiled_once(session: nox.Session) -> dict[str, str]:
    """JAX compiles every operation anew for every shape, of which the problems have many: quickly, and kept."""
    return {
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "JAX_COMPILATION_CACHE_DIR": str(Path(session.create_tmp()).resolve() / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


@nox.session(python=[HERE])
def tests(session: nox.Session) -> None:
    """The tests, on the built wheel."""
    session.install(*group("test"))
    install_wheel(session, "[verify,exact]")
    session.run("pytest", *(session.posargs or WORKERS), env=ONE_THREAD)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, formatting, and the order of the floors."""
    session.install(*group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.install("-e", ".", "--no-deps", "--quiet")
    session.run("lint-imports", "--no-cache")


@nox.session
def types(session: nox.Session) -> None:
    """Mypy, strict, on the package."""
    session.install(*group("types"))
    session.install("-e", ".")
    session.run("mypy")


@nox.session
def interop(session: nox.Session) -> None:
    """PyTorch, JAX and public packages as subjects."""
    session.install(*group("interop"))
    install_wheel(session, "[verify,exact]")
    options = session.posargs or [*WORKERS, "tests/interop"]
    session.run("pytest", "-m", "interop and not seeds", *options, env=ONE_THREAD | compiled_once(session))


@nox.session
def rational(session: nox.Session) -> None:
    """The tests without python-flint: rationals are the standard library's, and only what needs balls is skipped."""
    session.install(*(requirement for requirement in group("test") if not requirement.startswith("python-flint")))
    install_wheel(session, "[verify]")
    folders = ("backend", "tree", "autodiff", "staging", "contracts", "theory", "families", "strategies")
    without = [f"tests/{name}" for name in folders]
    session.run("pytest", *(session.posargs or ["-n", "auto", *without]))


@nox.session
def floor(session: nox.Session) -> None:
    """The tests on the lowest supported versions."""
    session.install(*group("floor"))
    session.install("--no-deps", ".")
    session.run("pytest", *session.posargs)


@nox.session
def gpu(session: nox.Session) -> None:
    """CuPy's names and signatures, which need no device; and the tests marked gpu, where there is one."""
    session.install(*group("test"))
    install_wheel(session, "[verify,exact,gpu]")
    session.run("pytest", "tests/gpu", *session.posargs)


@nox.session
def mutants(session: nox.Session) -> None:
    """The share of changed lines of the engine that its tests notice; ``-- --help`` says how to sample them."""
    session.install(*group("mutants"))
    session.install("-e", ".[verify,exact]")
    session.run("python", "-m", "mutants.session", *session.posargs, env=ONE_THREAD | {"PYTHONPATH": "tests"})


@nox.session
def array_api(session: nox.Session) -> None:
    """data-apis/array-api-tests on refgrad.numpy and on NumPy; ``-- CHECKOUT``, else it says how to get one."""
    session.install(*group("array_api"))
    session.install("-e", ".")
    session.run("python", "-m", "array_api.session", *session.posargs, env=ONE_THREAD | {"PYTHONPATH": "tests"})


@nox.session
def seeds(session: nox.Session) -> None:
    """The judge on twenty seeds: every variant and product named as itself, every right function accepted."""
    session.install(*group("interop"))
    install_wheel(session, "[verify,exact]")
    folders = [f"tests/{name}" for name in ("autodiff", "conformance", "identification", "interop")]
    options = session.posargs or ["-n", "auto", *folders]
    session.run("pytest", "-m", "seeds", *options, env=ONE_THREAD | compiled_once(session))


@nox.session
def docs(session: nox.Session) -> None:
    """The site, in docs/_build/html: every page is run, every formula proved, every warning an error."""
    session.install(*group("docs"))
    install_wheel(session, "[verify,exact]")
    session.run("sphinx-build", "-W", "-n", "--keep-going", "-q", "-E", "docs", "docs/_build/html", env=ONE_THREAD)


@nox.session
def look(session: nox.Session) -> None:
    """The built site in headless Chromium (Debian's package, or $CHROMIUM): see docs/_ext/check_site.py."""
    session.install(*group("look"))
    install_wheel(session, "[verify,exact]")
    if not Path("docs/_build/html/index.html").exists():
        session.error("there is no site yet: nox -s docs")
    session.run("pytest", "-m", "look", "tests/site", "-q", "-p", "no:xdist")
    session.run("python", "docs/_ext/check_site.py", "docs/_build/html", *(session.posargs or ["docs/_build/pictures"]))


@nox.session
def bench(session: nox.Session) -> None:
    """Measurements, as ratios in one run, never a test; ``-- --interop`` adds other engines."""
    with_others = "--interop" in session.posargs
    session.install(*group("interop" if with_others else "test"))
    install_wheel(session, "[verify,exact]")
    options = [argument for argument in session.posargs if argument != "--interop"]
    # glibc keeps what it has got: otherwise page faults, and what ran before, decide over arrays of a megabyte
    kept = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**30)}
    session.run("pytest", "-m", "bench", "-s", "-q", *(options or ["tests/bench"]), env=ONE_THREAD | kept)
