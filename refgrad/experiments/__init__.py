"""Real runs of the families' algorithms on real data, with a table and pictures: ``refgrad run NAME``.

============  ===========================================================================================
`auxilearn`   weights of a helpful, a useless and a harmful auxiliary task, learned on handwritten digits
============  ===========================================================================================

Each is a short program in parts, `refgrad.experiments.session`; what is done is kept, and the same command goes on.
``pip install "refgrad[experiments]"`` brings the data, the pictures and the progress bar.

>>> from refgrad import experiments
>>> experiments.get("auxilearn").parts({"seeds": [0], "methods": ["single task", "AuxiLearn"]})
['single task, seed 0', 'AuxiLearn, seed 0']
"""

from __future__ import annotations

from importlib import import_module

from refgrad.errors import UsageError
from refgrad.experiments.session import Experiment, folder_of, run

__all__ = ["NAMES", "Experiment", "folder_of", "get", "run"]

NAMES = ("auxilearn",)


def get(name: str) -> Experiment:
    """The experiment of a name, one of `NAMES`.

    Parameters
    ----------
    name : str

    Raises
    ------
    UsageError
        If there is none of that name.
    """
    if name not in NAMES:
        raise UsageError(f"there is no experiment {name!r}; there are {', '.join(NAMES)}")
    return import_module(f"refgrad.experiments.{name.replace('-', '_')}").EXPERIMENT  # type: ignore[no-any-return]
