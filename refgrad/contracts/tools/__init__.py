"""What every family of contracts is written with: answers with their magnitudes, losses, solves that are checked.

>>> from refgrad import exact
>>> from refgrad.contracts.tools import checked_solve
>>> checked_solve(exact.asarray([[2, 1], [1, 1]]), exact.asarray([3, 2]))
ExactArray([1, 1])
"""

from __future__ import annotations

from refgrad.contracts.tools.answer import Answer, NotApplicable, Variant
from refgrad.contracts.tools.axes import Choice, products, singles
from refgrad.contracts.tools.losses import EXACT_TABLE, Quadratic, Quartic, Table
from refgrad.contracts.tools.solve import checked_solve
from refgrad.contracts.tools.terms import Measured, Terms, measured, settled, terms

__all__ = [
    "EXACT_TABLE", "Answer", "Choice", "Measured", "NotApplicable", "Quadratic", "Quartic", "Table", "Terms", "Variant",
    "checked_solve", "measured", "products", "settled", "singles", "terms",
]  # fmt: skip
