"""The functions in tests/conformance/subjects/{right,wrong}/CONTRACT/, judged in this process.

A file has one function, `subject`, and may have the constants DTYPE ("float32"), PARAMS (options of the contract and
keywords for the subject) and REFUSES (words that the report has to say of what it does not take).
"""

import contextlib
import importlib.util
import json
import os
import re
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from refgrad import contracts
from refgrad.conformance.judging.referee import Referee
from refgrad.conformance.judging.run import Run
from refgrad.conformance.judging.verdict import find
from refgrad.conformance.subject import frameworks
from refgrad.conformance.subject.process import ChildSubject, LocalSubject
from refgrad.contracts.contract import Family, Problem
from refgrad.contracts.operators import OPERATORS


def members():
    """Every contract, and every member of a family, with its name for the test."""
    found = []
    for name, contract in contracts.contracts().items():
        if not isinstance(contract, Family):
            found.append(pytest.param(contract, id=name))
            continue
        for operator in OPERATORS.values():
            for order in operator.orders:
                member, _ = contract.choose({"op": operator.name, "order": order})
                found.append(pytest.param(member, id=f"{operator.name}-{order}"))
    return found


class Rounded(LocalSubject):
    """A subject that returns what `formula` gives for a problem, rounded to the dtype under test."""

    formula = None

    def reply(self, message):
        rounded = np.dtype(message["dtype"]).type
        # rational arithmetic on many numbers would not end
        kind = "wide" if len(repr(message["inputs"])) > 1500 else ""
        with np.errstate(over="ignore"):  # of what float32 cannot hold
            numbers = [float(rounded(float(v))).hex() for v in self.formula(Problem(kind, message["inputs"]))]
        return {"kind": "value", "dtype": message["dtype"], "shape": message["shape"], "hex": numbers}


class Replayed(ChildSubject):
    """The same through a child process: what `formula` gives is written to a file, which the child reads."""

    formula, rounded = None, Rounded.reply

    def reply(self, message):
        Path(os.environ["REFGRAD_REPLAYED"]).write_text(json.dumps(self.rounded(message)))
        return super().reply(message)

    def unused(self):
        """Nothing: the child calls no loss."""
        return []


def answer(referee, problem, variant):
    """The numbers of a formula; in floats where no exact ones are to be had, the contract's if there are none."""
    truth = referee.truth(problem, variant)
    if truth is not None:
        return truth.middle
    found = referee.rough(problem, variant) if variant is not None else None
    if found is not None:
        return found
    truth = referee.truth(problem)
    return truth.middle if truth is not None else np.zeros(int(np.prod(referee.contract.shape(problem.inputs))))


FOLDER = Path(__file__).parent.parent / "conformance" / "subjects"
NEEDED = ("torch", "jax")
sys.path.append(str(FOLDER))  # the subjects share some formulas


def files(kind):
    """Every subject of one kind, with its contract's name for the test."""
    found = sorted((FOLDER / kind).glob("*/*.py"))
    return [pytest.param(path, id=f"{path.parent.name}-{path.stem}") for path in found]


def needed(path):
    """The libraries that a file imports, of those that may not be installed."""
    return [name for name in NEEDED if re.search(rf"^\s*(import|from) {name}\b", path.read_text(), re.MULTILINE)]


def load(path):
    """The module in a file; skips where it needs a library that is not installed."""
    for name in needed(path):
        pytest.importorskip(name, reason=f"the subject uses {name}, which the group interop brings")
    name = f"{path.parent.name}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@cache
def referee(name, options, dtype, seed):
    """One referee for all subjects of a contract, so that each truth is computed once."""
    contract, _ = chosen(name, dict(options))
    return Referee(contract, dtype, seed)


def chosen(name, params):
    """The contract of that name and those options, and the params that are the subject's own."""
    contract = contracts.get(name)
    if isinstance(contract, Family):
        contract, params = contract.choose(params)
    return contract.choose(params)


def swept(path, seed, examples=50):
    """The module in a file, and the run of its subject; 50 problems have all the wide ones among them."""
    module = load(path)
    dtype, params = getattr(module, "DTYPE", "float64"), getattr(module, "PARAMS", {})
    _, own = chosen(path.parent.name, params)
    options = tuple(sorted((k, v) for k, v in params.items() if k not in own))
    judge = referee(path.parent.name, options, dtype, seed)
    backend = frameworks.choose(needed(path))
    subject = LocalSubject(judge.contract, path.stem, backend, dtype, own, function=module.subject)
    run = Run(subject, judge, examples, seed)
    with double_precision(backend):
        subject.start()
        run.sweep()
    return module, run


@contextlib.contextmanager
def double_precision(backend):
    """JAX computing in float64, as in a child process of its own; nothing for others."""
    if backend != "jax":
        yield
        return
    import jax

    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    try:
        yield
    finally:
        jax.config.update("jax_enable_x64", before)


def verdict(path, seed, examples=50):
    """The module in a file, and the finding on its subject."""
    module, run = swept(path, seed, examples)
    with double_precision(run.subject.framework):  # it may be called again
        return module, find(run)
