"""A fixed number of draws from a strategy, the same in every run, for claims about a whole sweep."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings

from refgrad import exact
from refgrad.contracts.tools import EXACT_TABLE


def draws(strategy, count, at=0):
    """`count` distinct draws."""
    found = []

    @seed(at)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value):
        found.append(value)

    collect()
    return found


class Rationals:
    """The framework of exact arithmetic."""

    xp = EXACT_TABLE
    array = scalar = staticmethod(exact.asarray)

    @staticmethod
    def labels(values):
        return np.array(values, np.int64)


class NumPyTable:
    """The table of NumPy."""

    sum = staticmethod(np.sum)
    amax = staticmethod(np.max)
    exp = staticmethod(np.exp)
    log = staticmethod(np.log)
    tanh = staticmethod(np.tanh)
    reshape = staticmethod(np.reshape)
    concatenate = staticmethod(np.concatenate)

    @staticmethod
    def onehot(labels, classes, like):
        return np.eye(classes, dtype=like.dtype)[np.asarray(labels)]


class Doubles:
    """The framework of NumPy in float64."""

    xp = NumPyTable()
    scalar = float
    labels = staticmethod(Rationals.labels)

    @staticmethod
    def array(values):
        return np.array(values, np.float64)
