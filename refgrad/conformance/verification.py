"""`verify`: what does this function compute, judged against a contract.

The road from top to bottom: start the subject, run it over a sweep of problems, judge every output exactly, look
for the formula that explains the failures, grade, shrink the clearest failure, write the report.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from refgrad import __version__, contracts
from refgrad.accuracy import LIMIT, UNIT_ROUNDOFF
from refgrad.conformance.judging import sweep
from refgrad.conformance.judging.certificate import check_options
from refgrad.conformance.judging.finding import Finding, exit_code
from refgrad.conformance.judging.referee import Referee
from refgrad.conformance.judging.run import Run
from refgrad.conformance.judging.shrink import counterexample, regression_test
from refgrad.conformance.judging.verdict import find
from refgrad.conformance.report.report import Report
from refgrad.conformance.subject import targets
from refgrad.conformance.subject.process import ChildSubject, LocalSubject, NotRunnable, Subject
from refgrad.contracts.contract import Contract, Family
from refgrad.errors import UsageError

__all__ = ["assert_conforms", "chosen", "verify"]

_BACKENDS = ("auto", "numpy", "torch", "jax", "cupy")


def verify(
    target: str | Callable[..., Any],
    contract: str | Contract | Family,
    *,
    backend: str = "auto",
    dtype: str = "float64",
    params: Mapping[str, Any] | None = None,
    vary: Mapping[str, Sequence[float]] | None = None,
    promise: Mapping[str, float] | None = None,
    max_examples: int = 100,
    seed: int = 0,
    timeout: float = 10.0,
    budget: float | None = None,
    strict: bool = False,
    stochastic: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """What `target` computes, judged by `contract` on exact truth.

    Parameters
    ----------
    target : str or callable
        ``"package.module:callable"``, ``"path/file.py:callable"``, or a function. A function that another process
        finds by its module and name runs in a child process; any other runs here, with no protection.
    contract : str, Contract or Family
    backend : str
        Whose arrays the subject takes: ``"numpy"``, ``"torch"``, ``"jax"``, ``"cupy"``; ``"auto"`` is the first of
        torch, jax, cupy that the target has imported, else numpy.
    dtype : str
        ``"float64"`` or ``"float32"``.
    params : dict, optional
        Keyword arguments for every call; with a family, also the options that choose one of its contracts.
    vary : dict, optional
        One keyword argument with at least three values, such as ``{"max_iters": [100, 1000, 10000]}``: the rate at
        which the contract's certificate falls is measured.
    promise : dict, optional
        ``{"gap": 1e-3}``: what the subject promises of the certificate, normalised.
    max_examples : int
        Problems in the sweep.
    seed : int
        Equal seeds give equal runs.
    timeout : float
        Seconds for each call in a child process; importing has a limit of its own, 60 seconds.
    budget : float, optional
        Seconds for all of the sweep and the search for a smallest input; what ran by then is graded.
    strict : bool
        Whether it is a failure to raise on all problems of one group that the contract names, such as tasks of unequal
        sizes, and only there. Otherwise the rest is graded, and the report says what is refused.
    stochastic : int
        For a subject that draws random numbers, such as labels from the model: how many calls on each problem, at least
        10, whose mean is judged within five standard errors. Python's, NumPy's, torch's and CuPy's generators begin
        anew for each call, from another seed.
    progress : callable, optional
        Called as ``progress(done, planned)``.

    Raises
    ------
    UsageError
        If the arguments do not fit together. Whatever the subject does ends in a report instead.
    MissingExtra
        If a package that the run needs is not installed.
    """
    sweep.require_packages()
    contract, params = chosen(contract, params or {})
    _check(backend, dtype, max_examples, timeout, budget, stochastic)
    check_options(contract, vary, promise)
    subject = _subject(target, contract, backend, dtype, dict(params or {}), timeout)
    run = Run(subject, Referee(contract, dtype, seed), max_examples, seed, vary, promise, progress, budget, stochastic)
    with subject:
        try:
            subject.start()
        except NotRunnable as error:
            finding = Finding("not-run", f"{subject.name} could not be run: {error}")
            return _report(run, finding, {"outcomes": {error.kind: 1}})
        try:
            run.sweep()
            finding = find(run, strict)
            example = counterexample(run, finding)
            test = regression_test(run, finding, example) if example else None
        except KeyboardInterrupt:
            done = len(run.records) + len(run.troubles)
            finding = Finding("interrupted", f"interrupted after {done} of {run.planned} problems")
            return _report(run, finding, {})
        return _report(run, finding, {"counterexample": example, "regression_test": test})


def chosen(contract: str | Contract | Family, params: Mapping[str, Any]) -> tuple[Contract, dict[str, Any]]:
    """The contract with the options and conventions among `params`, and the rest of them."""
    left = dict(params)
    if isinstance(contract, str):
        contract = contracts.get(contract)
    if isinstance(contract, Family):
        contract, left = contract.choose(left)
    if not isinstance(contract, Contract):
        raise UsageError(f"expected a contract or the name of one, such as 'maml_gradient'; got {contract!r}")
    for name in left:
        close = difflib.get_close_matches(name, contract.conventions, n=1, cutoff=0.8)
        if close and name not in contract.conventions:
            raise UsageError(f"{contract.name} has no convention {name}; did you mean {close[0]}?")
    return contract.choose(left)


def assert_conforms(target: str | Callable[..., Any], contract: str | Contract | Family, **options: Any) -> None:
    """Raise an AssertionError that shows the report unless `target` conforms.

    Parameters
    ----------
    target, contract : as in `verify`
    **options : those of `verify`
    """
    verify(target, contract, **options).raise_for_failure()


def _check(backend: str, dtype: str, max_examples: int, timeout: float, budget: float | None, stochastic: int) -> None:
    if backend not in _BACKENDS:
        raise UsageError(f"expected a backend, one of {', '.join(_BACKENDS)}; got {backend!r}")
    if dtype not in UNIT_ROUNDOFF:
        raise UsageError(f"expected a dtype, one of {', '.join(sorted(UNIT_ROUNDOFF))}; got {dtype!r}")
    if max_examples < 0 or not 0 < timeout < math.inf:
        raise UsageError(
            f"expected a number of examples >= 0 and a finite timeout > 0 seconds; got {max_examples} and {timeout}"
        )
    if stochastic and stochastic < 10:
        raise UsageError(f"expected stochastic to be at least 10 calls, for their spread is measured; got {stochastic}")
    if budget is not None and not 0 < budget < math.inf:
        raise UsageError(f"expected a budget, a finite number of seconds > 0; got {budget}")


def _subject(
    target: str | Callable[..., Any],
    contract: Contract,
    backend: str,
    dtype: str,
    params: dict[str, Any],
    timeout: float,
) -> Subject:
    if not isinstance(target, str):
        if not callable(target):
            raise UsageError(f"expected a function or a target like package.module:callable, got {target!r}")
        found = targets.reference(target)
        if found is None or targets.reference(contract.arguments) is None:
            name = getattr(target, "__qualname__", None) or repr(target)
            return LocalSubject(contract, name, backend, dtype, params, function=target)
        target = found
    targets.split(target)
    try:
        json.dumps(params)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"params go to a child process as JSON: expected numbers, strings and lists of them, got {params} "
            f"({error}); bind other values with a function of your own"
        ) from error
    return ChildSubject(contract, target, backend, dtype, params, timeout=timeout)


def _covered(run: Run) -> dict[str, list[Any]]:
    """For each property of the problems that were judged, what they cover."""
    wide = run.referee.contract.wide
    judged = [r.problem.inputs for r in run.records if r.judgement.verdict != "unknown"]
    return {} if wide is None else wide.covered(judged)


def _report(run: Run, finding: Finding, more: Mapping[str, Any]) -> Report:
    subject, contract = run.subject, run.referee.contract
    judged = [(r.problem, r.judgement) for r in run.records if r.judgement.verdict != "unknown"]
    ratio = run.referee.worst_ratio(judged) if judged else None
    finite = ratio if ratio is None or ratio < float("inf") else None
    fields: dict[str, Any] = {
        "target": subject.name,
        "contract": contract.name,
        "contract_version": contract.version,
        "grade": finding.grade,
        "exit_code": exit_code(finding.grade),
        "summary": finding.summary,
        "diagnosis": finding.diagnosis,
        "candidates": [d.as_dict() for d in finding.candidates],
        "planned": run.planned,
        "ran": len(run.records) + len(run.troubles),
        "effective": run.candidates.effective,
        "outcomes": run.outcomes(),
        "errors": run.errors(),
        "numbers": {"worst_ratio": finite, "limit": LIMIT, "calls": subject.calls},
        "judged": [run.referee.row(problem, judgement) for problem, judgement in judged],
        "certificate": finding.certificate,
        "advice": finding.advice,
        "refuses": finding.refuses,
        "covered": _covered(run),
        "mutated": sorted(run.mutated),
        "seed": run.seed,
        "isolation": subject.isolation,
        "environment": {
            "backend": subject.framework,
            "dtype": subject.dtype,
            "params": {**contract.options, **subject.params},
        }
        | {"refgrad": __version__, **subject.versions},
    }
    return Report(**(fields | dict(more)))
