"""The sweep: which problems a run poses, from the contract's strategies; and the search for a small failing one."""

from __future__ import annotations

import contextlib
import importlib
import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from refgrad.backend.exact.array import TABLES
from refgrad.contracts.contract import Contract, Problem
from refgrad.contracts.wide import Numbers, Wide
from refgrad.errors import MissingExtra

__all__ = ["KINDS", "SHARES", "problems", "require_packages", "rounded", "smallest"]

SHARES = {"crisp": 5, "rough": 3, "ill_conditioned": 1, "degenerate": 1}
"""The kinds that are drawn, in the order of the sweep, with their shares; the wide ones come after them."""

KINDS = (*SHARES, "wide")

_TRIES, _CALLS = 200, 400
_CONSTANTS = ("_get_local_constants", "CONSTANTS_CACHE", "GLOBAL_CONSTANTS")


def problems(
    contract: Contract, count: int, seed: int, kinds: tuple[str, ...] = KINDS, dtype: str = "float64"
) -> Iterator[Problem]:
    """About `count` problems, those of each kind together, the crisp ones first; the same for the same seed.

    A strategy with fewer different problems than its share gives what it has. Of 100 problems `wide.COUNT` are wide, of
    50 or more as well: every end of every range is among them.
    """
    wide = _wide(contract, count, seed, dtype) if "wide" in kinds else []
    offered = [k for k in SHARES if k in kinds and k in contract.problems]
    total = sum(SHARES[k] for k in offered)
    left = count - len(wide)
    for place, kind in enumerate(offered):
        share = left if place == len(offered) - 1 else min(left, max(1, (count - len(wide)) * SHARES[kind] // total))
        left -= share
        yield from (rounded(problem, dtype) for problem in _draw(contract.problems[kind](), share, seed))
    yield from (rounded(problem, dtype) for problem in wide)


def rounded(problem: Problem, dtype: str) -> Problem:
    """The problem whose numbers are those of `problem` in `dtype`; itself for float64."""
    return problem if dtype == "float64" else replace(problem, inputs=_rounded(problem.inputs))


def _rounded(values: Any) -> Any:
    if isinstance(values, float):
        with np.errstate(over="ignore"):
            return float(np.float32(values))
    if isinstance(values, Mapping):
        return {name: _rounded(value) for name, value in values.items()}
    return [_rounded(v) for v in values] if isinstance(values, (list, tuple)) else values


def _wide(contract: Contract, count: int, seed: int, dtype: str) -> list[Problem]:
    """The wide problems among `count`; of few problems the largest and some mixed ones."""
    if contract.wide is None or "ball" not in TABLES:
        return []
    every = contract.wide.inputs(seed, dtype=dtype)
    chosen = every if count >= 50 else every[1 : 1 + count * len(every) // 100]
    return [Problem("wide", inputs) for inputs in chosen]


def smallest(
    contract: Contract, kind: str, fails: Callable[[Problem], bool], seed: int, dtype: str = "float64"
) -> Problem | None:
    """The smallest problem of one kind that Hypothesis finds for the predicate `fails`; None if it finds none.

    The predicate is asked at most 400 times; what Hypothesis tries after that counts as passing.
    """
    import hypothesis
    from hypothesis import errors

    asked: dict[str, bool] = {}

    def predicate(problem: Problem) -> bool:
        text = repr(problem)
        if text not in asked:
            asked[text] = len(asked) < _CALLS and fails(problem)
        return asked[text]

    with _quiet_hypothesis(), contextlib.suppress(errors.NoSuchExample, errors.Unsatisfiable):
        settings = _settings(_TRIES, (hypothesis.Phase.generate, hypothesis.Phase.shrink))
        strategy = (
            _widely(contract.wide, dtype) if kind == "wide" and contract.wide is not None else contract.problems[kind]()
        )
        strategy = strategy.map(lambda problem: rounded(problem, dtype))
        found: Problem = hypothesis.find(strategy, predicate, settings=settings, random=random.Random(seed))
        return found
    return None


def _widely(wide: Wide, dtype: str) -> Any:
    """A strategy of wide problems: the smallest and simplest first, with small integers for numbers."""
    from hypothesis import strategies as st

    def build(properties: dict[str, Any], plain: bool, seed: int) -> Problem:
        return Problem("wide", wide.build(Numbers(random.Random(seed), plain, dtype), **properties))

    choices = {name: st.sampled_from(tuple(values)) for name, values in wide.ranges.items()}
    return st.builds(build, st.fixed_dictionaries(choices), st.sampled_from((True, False)), st.integers(0, 2**16))


def _draw(strategy: Any, count: int, seed: int) -> list[Problem]:
    import hypothesis

    drawn: list[Problem] = []
    if count <= 0:
        return drawn

    def draw(problem: Problem) -> None:
        drawn.append(problem)

    settings = _settings(count, (hypothesis.Phase.generate,))
    given: Any = hypothesis.given(strategy)
    drawing: Any = hypothesis.seed(seed)(settings(given(draw)))
    with _quiet_hypothesis(), contextlib.suppress(hypothesis.errors.Unsatisfiable):
        drawing()
    return drawn[:count]


def _settings(count: int, phases: tuple[Any, ...]) -> Any:
    import hypothesis

    return hypothesis.settings(
        max_examples=count,
        phases=phases,
        database=None,
        deadline=None,
        derandomize=False,
        suppress_health_check=list(hypothesis.HealthCheck),
        verbosity=hypothesis.Verbosity.quiet,
        print_blob=False,
    )


def require_packages() -> None:
    """Raise `MissingExtra` if the packages that every run needs are not installed.

    Whether python-flint is needed depends on the contract: where the truth is rational, nothing asks for it.
    """
    for name in ("hypothesis", "rich"):
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise MissingExtra(
                f"verification needs {name}, which the extra verify brings: pip install 'refgrad[verify,exact]'"
            ) from error


@contextlib.contextmanager
def _quiet_hypothesis() -> Iterator[None]:
    """Hypothesis without its warnings, and without the constants of the caller's modules.

    It would draw numbers that stand in the source of whatever modules happen to be imported, so that one seed gave
    different problems in different programs, and would write what it read to a folder in the working directory.
    """
    from hypothesis.internal.conjecture import providers

    kept = {name: getattr(providers, name) for name in _CONSTANTS if hasattr(providers, name)}
    if len(kept) == len(_CONSTANTS):
        none = type(providers.GLOBAL_CONSTANTS)()
        providers._get_local_constants = lambda: none
        providers.CONSTANTS_CACHE = {}  # type: ignore[assignment]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, value in kept.items():
            setattr(providers, name, value)
