"""The command line: ``refgrad identify``, ``verify``, ``contracts``, ``run``, ``source`` and ``demo``.

Exit codes: 0 conforms, 1 does not conform, 2 the command was wrong or a package is missing, 3 the subject could not
be run, 4 undecided, 5 nothing ran.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import os
import signal
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from refgrad.errors import MissingExtra, UsageError

__all__ = ["main"]

USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.

    Parameters
    ----------
    arguments : list of str, optional
        The words after ``refgrad``; those of the process by default.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    options = _parser().parse_args(arguments)
    try:
        code = int(options.run(options))
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader, such as head, has gone; the interpreter must not complain at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except (UsageError, MissingExtra) as error:
        print(f"refgrad: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("refgrad: interrupted", file=sys.stderr)
        return 130
    except Exception:  # whatever the subject does ends in a report, so this is ours
        traceback.print_exc()
        print("refgrad: this is a defect of refgrad and says nothing about your function", file=sys.stderr)
        return os.EX_SOFTWARE


def _parser() -> argparse.ArgumentParser:
    from refgrad import __version__

    parser = argparse.ArgumentParser(
        prog="refgrad",
        description="Say by name what a meta-gradient, min-norm or Fisher implementation computes.",
        epilog="Try refgrad demo first.",
    )
    parser.add_argument("--version", action="version", version=f"refgrad {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _identify_options(
        commands.add_parser("identify", help="name the formula of your model's gradient", description=_IDENTIFY)
    )
    _verify_options(commands.add_parser("verify", help="judge a function by a contract", description=_VERIFY))
    contracts = commands.add_parser("contracts", help="list the contracts, or show one in full")
    contracts.add_argument("name", nargs="?", metavar="NAME")
    contracts.add_argument("--param", action="append", default=[], type=_param, metavar="K=V", help="such as op=det")
    contracts.set_defaults(run=_contracts)
    _source_options(commands.add_parser("source", help="print a function as NumPy source", description=_SOURCE))
    _run_options(commands.add_parser("run", help="run an experiment on real data", description=_RUN))
    demo = commands.add_parser("demo", help="watch four implementations told apart")
    demo.set_defaults(run=_demo)
    return parser


_IDENTIFY = (
    "Calls TARGET, a function of yours without arguments, which returns a dict with the arguments of refgrad.identify: "
    "output, contract, and what the contract's call takes, such as loss, theta, tasks, lr, steps. Says which formula "
    "gives that output. Exit codes: 0 the contract's, 1 another or none, 2 usage, 3 could not be run, 4 undecided."
)

_VERIFY = (
    "Calls TARGET on a sweep of problems in a child process and compares each result with exact truth. The target's "
    "module is imported, so its code runs; this is no sandbox for code you do not trust. Exit codes: 0 conforms, 1 "
    "does not, 2 usage, 3 could not be run, 4 undecided, 5 nothing ran."
)


_RUN = (
    "Runs an algorithm on real data, beside what it should be compared with. Writes results.json and pictures to a "
    "folder; what is done is kept, so that the same command goes on after an interrupt."
)

_SOURCE = (
    "Prints TARGET, or its gradient or Hessian-vector product, as straight-line NumPy source that needs no refgrad. "
    "ARGUMENTS describes what it is called with, one word for each: 'f8[8,16] f8[16]' are two float64 arrays, "
    "'(f8[3], f8[])' is a tuple, '{W: f8[2,3]}' a dict, 'float' a number, 3 is itself."
)

_DERIVATIVES = ("none", "grad", "value_and_grad", "hvp")


def _identify_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="TARGET", help="path/file.py:function or package.module:function")
    parser.add_argument("--contract", metavar="NAME", help="what it should be, if the dict does not say")
    parser.add_argument("--json", metavar="F", help="write the answer to this file")
    parser.set_defaults(run=_identify)


def _identify(options: argparse.Namespace) -> int:
    from refgrad.identification.command import identified

    _writable(options.json)
    with _progress(options.target) as progress:
        return identified(options.target, options.contract, options.json, progress)


def _writable(path: str | None, option: str = "--json") -> None:
    """Check that a report can be written, and remove one from before, which would read as this run's."""
    if path:
        folder = os.path.dirname(path) or "."
        if os.path.isdir(path) or not os.access(folder, os.W_OK):
            raise UsageError(f"{option}: cannot write {path}: name a file in a folder that exists")
        with suppress(FileNotFoundError):
            os.unlink(path)


def _verify_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("target", metavar="TARGET", help="package.module:callable or path/file.py:callable")
    add("--contract", required=True, metavar="NAME", help="what it should compute; refgrad contracts lists them")
    add("--backend", default="auto", choices=("auto", "numpy", "torch", "jax", "cupy"), help="whose arrays it takes")
    add("--dtype", default="float64", choices=("float64", "float32"))
    add(
        "--param",
        action="append",
        default=[],
        type=_param,
        metavar="K=V",
        help="a keyword argument for every call, or an option of the contract",
    )
    add(
        "--vary",
        action="append",
        default=[],
        type=_vary,
        metavar="K=A,B,C",
        help="measure the rate over these settings",
    )
    add("--promise", action="append", default=[], type=_promise, metavar="gap=X", help="the certificate it promises")
    add("--json", metavar="F", help="write the report to this file")
    add("--junit", metavar="F", help="write the verdict as JUnit XML to this file")
    add("--seed", type=int, default=0, metavar="N")
    add("--max-examples", type=int, default=100, metavar="N", help="problems in the sweep (default 100)")
    add("--timeout", type=float, default=10.0, metavar="S", help="seconds for each call (default 10)")
    add("--budget", type=float, metavar="S", help="seconds for the whole run; what ran by then is graded")
    add("--stochastic", type=int, default=0, metavar="R", help="of a function that samples: judge the mean of R calls")
    add("--strict", action="store_true", help="make a failure of what it refuses, such as tasks of unequal sizes")
    parser.set_defaults(run=_verify)


def _verify(options: argparse.Namespace) -> int:
    from refgrad.conformance.judging import sweep

    sweep.require_packages()
    from rich.console import Console

    from refgrad.conformance.report.junit import write_junit
    from refgrad.conformance.report.terminal import show
    from refgrad.conformance.verification import verify

    _writable(options.json)
    _writable(options.junit, "--junit")
    twice = set(dict(options.param)) & set(dict(options.vary))
    if twice:
        raise UsageError(f"--param and --vary both set {', '.join(sorted(twice))}; leave one of them out")
    with _progress(options.target) as progress:
        report = verify(
            options.target,
            options.contract,
            backend=options.backend,
            dtype=options.dtype,
            params=dict(options.param),
            vary=dict(options.vary),
            promise=dict(options.promise),
            max_examples=options.max_examples,
            seed=options.seed,
            timeout=options.timeout,
            budget=options.budget,
            strict=options.strict,
            stochastic=options.stochastic,
            progress=progress,
        )
    show(report, Console(highlight=False))
    try:
        if options.json:
            report.to_json(options.json)
        if options.junit:
            write_junit(report, options.junit)
    except OSError as error:
        raise UsageError(f"cannot write {error.filename}: {error.strerror}") from error
    return report.exit_code


def _source_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("target", metavar="TARGET", help="package.module:callable or path/file.py:callable")
    add("arguments", metavar="ARGUMENTS", nargs="*", help="the dtype and shape of each argument, quoted or not")
    add(
        "--derivative",
        default="none",
        choices=_DERIVATIVES,
        help="by the first argument; an HVP takes the direction last",
    )
    add("--reassociate", action="store_true", help="allow rewrites that change the last bits")
    add("--max-operations", type=int, default=10_000, metavar="N", help="refuse a longer program (default: 10000)")
    parser.set_defaults(run=_source)


def _source(options: argparse.Namespace) -> int:
    import numpy as np

    from refgrad import grad, source, value_and_grad
    from refgrad.conformance.subject.targets import load
    from refgrad.errors import RefgradError, SubjectNotFound
    from refgrad.staging.specification import examples

    options.arguments = " ".join(options.arguments)
    given = examples(options.arguments)
    try:
        f = load(options.target)
    except SubjectNotFound as error:
        raise UsageError(str(error)) from error
    if options.derivative == "hvp":
        f, given = _product(f), (*given, *examples(options.arguments)[:1])
    elif options.derivative != "none":
        f = (grad if options.derivative == "grad" else value_and_grad)(f)
    try:
        with np.errstate(all="ignore"):
            given_options = {"reassociate": options.reassociate, "max_operations": options.max_operations}
            print(source(f, *given, **given_options), end="")
    except RefgradError as error:
        raise UsageError(f"{options.target} of {options.arguments!r}: {error}") from error
    except Exception as error:
        raise UsageError(
            f"{options.target} of {options.arguments!r} raised {type(error).__name__}: {error}. Do the arguments have "
            "the shapes that it expects?"
        ) from error
    return 0


def _product(f: Callable[..., Any]) -> Callable[..., Any]:
    """The Hessian-vector product of f by its first argument; the direction ``v`` is the last argument."""
    from refgrad import hvp

    def product(x: Any, *rest: Any) -> Any:
        return hvp(lambda y: f(y, *rest[:-1]), x, rest[-1])

    # the program takes its arguments' names from here
    declared = inspect.signature(f).parameters.values()
    kept = [p.replace(default=p.empty) for p in declared if p.kind is p.POSITIONAL_OR_KEYWORD]
    name = "direction" if "v" in [p.name for p in kept] else "v"
    direction = inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    product.__signature__ = inspect.Signature([*kept, direction])  # type: ignore[attr-defined]
    product.__name__ = f"hvp_of_{f.__name__}"
    return product


@contextmanager
def _progress(title: str) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on standard error, where that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, planned: progress.update(task, completed=done, total=planned)


def _contracts(options: argparse.Namespace) -> int:
    from refgrad.conformance.judging import sweep

    sweep.require_packages()
    from refgrad import contracts
    from refgrad.conformance.report.description import describe

    if options.name is None:
        known = contracts.contracts()
        width = max(map(len, known))
        for name, contract in known.items():
            print(textwrap.fill(f"{name:{width}}  {contract.summary}", 110, subsequent_indent=" " * (width + 2)))
        return 0
    found, params = contracts.get(options.name), dict(options.param)
    if not params:
        describe(found)
        return 0
    member, left = found.choose(params)
    if left:
        raise UsageError(f"{found.name} has no option or convention {', '.join(left)}")
    describe(member)
    return 0


def _demo(options: argparse.Namespace) -> int:
    from refgrad import backend
    from refgrad.conformance.judging import sweep

    sweep.require_packages()
    backend.get("ball")  # one of the subjects needs certified enclosures, and is not the first
    from refgrad.conformance.demo import main as demo
    from refgrad.identification.demo import main as own_model

    return own_model() or demo()


def _run_options(parser: argparse.ArgumentParser) -> None:
    from refgrad import experiments

    add = parser.add_argument
    add("experiment", choices=experiments.NAMES, metavar="EXPERIMENT", help=", ".join(experiments.NAMES))
    add("--quick", action="store_true", help="a smaller one, in seconds")
    add("--seed", type=int, default=0, metavar="N", help="of the first repetition (default 0)")
    add("--out", metavar="DIR", help="the folder to write to (default refgrad-runs/EXPERIMENT)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from refgrad import experiments

    experiment = experiments.get(options.experiment)
    folder = options.out or experiments.folder_of(experiment, options.quick)
    try:
        with _progress(experiment.name) as progress:
            results = experiments.run(experiment, quick=options.quick, seed=options.seed, out=folder, progress=progress)
    except KeyboardInterrupt:
        print(f"refgrad: interrupted; what is done is in {folder}, and the same command goes on", file=sys.stderr)
        return 130
    print(experiment.table(experiment.settings(options.quick, options.seed), results))
    print(f"\nResults and pictures are in {folder}.")
    return 0


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (equals and name.isidentifier() and value):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    return name, value


def _param(text: str) -> tuple[str, Any]:
    name, value = _pair(text)
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def _vary(text: str) -> tuple[str, list[float]]:
    name, values = _pair(text)
    try:
        return name, [int(v) if v.strip().lstrip("+-").isdigit() else float(v) for v in values.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers like max_iters=100,1000,10000; got {text!r}") from None


def _promise(text: str) -> tuple[str, float]:
    name, value = _pair(text)
    try:
        return name, float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number like gap=1e-3; got {text!r}") from None
