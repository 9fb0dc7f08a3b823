"""In every run at least two problems tell each single variant from its contract."""

import pytest
from helpers.subjects import members

from refgrad.conformance.judging import sweep
from refgrad.conformance.judging.referee import Referee

EVERY = members()
ALONE = [parameter for parameter in EVERY if not parameter.values[0].options]


def told_less_than_twice(contract, seed):
    """The variants that fewer than two problems of a run tell from the contract."""
    referee = Referee(contract, "float64", seed)
    left = dict.fromkeys((v.name for v in contract.variants), 2)
    for problem in sweep.problems(contract, 100, seed):
        for variant in contract.variants:
            if left.get(variant.name) and referee.differs(problem, variant):
                left[variant.name] -= 1
        left = {name: count for name, count in left.items() if count}
    return left


@pytest.mark.parametrize("contract", ALONE)
def test_every_variant_is_told_from_the_contract_by_two_problems(contract):
    assert told_less_than_twice(contract, 0) == {}


@pytest.mark.seeds
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("contract", EVERY)
def test_so_it_is_on_every_seed(contract, seed):
    assert told_less_than_twice(contract, seed) == {}
