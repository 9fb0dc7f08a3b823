import sys
from pathlib import Path

import pytest

from refgrad.conformance.judging import run, sweep

SUBJECTS = Path(__file__).parent / "subjects"
sys.path.append(str(SUBJECTS))  # a child process looks for modules where this one does


ALL_CALLS = run.CALLS


@pytest.fixture(autouse=True)
def _few_further_calls(request, monkeypatch):
    """Half a second less for each verdict: the hundreds of further calls are for subjects that are wrong late."""
    if "all_calls" not in request.fixturenames:
        monkeypatch.setattr(run, "CALLS", 8)


@pytest.fixture
def all_calls():
    """A test of what shows in hundreds of calls only asks for this."""
    assert run.CALLS == ALL_CALLS > 100


DRAWN = {}


@pytest.fixture
def drawn_once(monkeypatch):
    """Hypothesis is asked once for the problems of a contract and a seed, however many functions are judged on them."""
    draw = sweep.problems

    def problems(contract, *choices, **options):
        place = (id(contract), *choices, *options.values())
        if place not in DRAWN:
            DRAWN[place] = contract, list(draw(contract, *choices, **options))
        return iter(DRAWN[place][1])

    monkeypatch.setattr(sweep, "problems", problems)


@pytest.fixture(scope="session")
def square():
    """A contract registered by a user: the elementwise square."""
    from square_contract import SQUARE

    return SQUARE


@pytest.fixture(scope="session")
def judged(square):
    """The report on one of the odd subjects, against the square."""
    from refgrad.conformance import verify

    def report(name, **options):
        return verify(f"odd_subjects:{name}", square, **({"max_examples": 30, "timeout": 5.0} | options))

    return report
