"""Right functions by other algorithms are accepted, wrong ones are not, and there are enough of the right ones."""

from collections import Counter

import pytest
from helpers.subjects import FOLDER, files, swept, verdict

from refgrad import contracts
from refgrad.conformance.judging.finding import exit_code

pytestmark = [
    pytest.mark.usefixtures("drawn_once"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # torch of itself, which in a child process is no error
]
MOST = {"maml_gradient", "fisher_diagonal", "min_norm", "hypergradient"}


@pytest.mark.parametrize("path", files("right"))
def test_a_right_function_by_another_algorithm_conforms(path):
    module, found = verdict(path, seed=0)
    assert exit_code(found.grade) == 0, found
    assert getattr(module, "REFUSES", "") in found.refuses


@pytest.mark.parametrize("path", files("wrong"))
def test_a_wrong_function_does_not(path):
    _, run = swept(path, seed=0)
    failed = [r for r in run.records if r.judgement.verdict == "failed"]
    assert failed or run.stateful or (run.troubles and run.refusal() is None)


@pytest.mark.parametrize("contract", contracts.contracts())
def test_every_contract_has_right_functions_to_try_it_on(contract):
    count = Counter(path.parent.name for path in (FOLDER / "right").glob("*/*.py"))[contract]
    assert count >= (10 if contract in MOST else 4)
