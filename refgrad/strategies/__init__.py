"""Hypothesis strategies of the problems that contracts pose, for the kit and for tests of one's own.

`few_shot` draws meta-learning problems, `task_gradients` matrices of task gradients, `classification` data with a
small classifier for Fisher information, `smooth_functions` functions with a point and a
direction, `operator_inputs` points and directions for operators whose derivatives are
judged, `bilevel` quadratic bilevel problems with their inner solution,
`quadratic_tasks` and `consecutive_regressions` tasks with closed forms for adaptation and for consolidation, `spd` and
`spd_with_spectrum` matrices that are positive definite, or have chosen eigenvalues, by construction. What they draw is
plain nested lists of floats exact in float32, but for `rational_tasks`, quadratic tasks in Fractions that no float
holds; `dyadics` and `rationals` are single numbers, floats and Fractions.

>>> from refgrad.strategies import few_shot
>>> from hypothesis import find, settings
>>> smallest = find(few_shot("crisp"), lambda inputs: inputs["steps"] > 1, settings=settings(database=None))
>>> smallest["theta"], smallest["steps"]
([0.0], 2)
"""

from __future__ import annotations

try:
    import hypothesis  # noqa: F401
except ImportError as error:
    from refgrad.errors import MissingExtra

    raise MissingExtra(
        "strategies need Hypothesis, which the extra verify brings: pip install 'refgrad[verify]'"
    ) from error

from refgrad.strategies.bilevel import bilevel
from refgrad.strategies.classification import classification
from refgrad.strategies.few_shot import few_shot
from refgrad.strategies.functions import smooth_functions
from refgrad.strategies.matrices import ill_conditioned, spd, spd_with_spectrum
from refgrad.strategies.numbers import dyadics, rationals
from refgrad.strategies.operators import operator_inputs
from refgrad.strategies.quadratic_tasks import quadratic_tasks, rational_tasks
from refgrad.strategies.regressions import consecutive_regressions
from refgrad.strategies.task_gradients import task_gradients

__all__ = [
    "bilevel",
    "classification",
    "consecutive_regressions",
    "dyadics",
    "few_shot",
    "ill_conditioned",
    "operator_inputs",
    "quadratic_tasks",
    "rational_tasks",
    "rationals",
    "smooth_functions",
    "spd",
    "spd_with_spectrum",
    "task_gradients",
]
