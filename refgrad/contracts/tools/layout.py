"""The same numbers elsewhere in memory: Fortran order, negative and longer strides, an array that may not be written.

A function that asks for the memory behind an array, or writes into it, is right on fresh arrays only. JAX's arrays and
exact ones have no layout; torch has no negative strides, and no arrays that may not be written.
"""

from __future__ import annotations

from collections.abc import Callable

from refgrad.contracts.contract import Framework
from refgrad.contracts.inline import Written
from refgrad.typing import Array

__all__ = ["LAYOUTS", "laid_out"]


def read_only(a: Array) -> Array:
    """`a`, which raises when it is written."""
    if hasattr(a, "setflags"):  # CuPy's arrays have none
        a.setflags(write=False)
    return a


NUMPY: dict[str, tuple[Callable[[Array], Array], str]] = {
    "Fortran": (lambda a: a.T.copy().T, "{}.T.copy().T"),
    "reversed": (lambda a: a[::-1].copy()[::-1], "{}[::-1].copy()[::-1]"),
    "strided": (lambda a: a.repeat(2, -1)[..., ::2], "{}.repeat(2, -1)[..., ::2]"),
    "read-only": (read_only, "np.broadcast_to({0}, {0}.shape)"),
}
TORCH: dict[str, tuple[Callable[[Array], Array], str]] = {
    "Fortran": (lambda a: a.mT.contiguous().mT if a.ndim > 1 else a, "{}.mT.contiguous().mT"),
    "strided": (lambda a: a.repeat_interleave(2, -1)[..., ::2], "{}.repeat_interleave(2, -1)[..., ::2]"),
}
HOW = {"numpy": NUMPY, "cupy": NUMPY, "torch": TORCH}

LAYOUTS = ("usual", "strided", "reversed", "read-only", "Fortran")


def laid_out(framework: Framework, array: Array, layout: str) -> Array:
    """An array of `framework` with the elements of `array`, in one of the `LAYOUTS`, as far as it knows them.

    The expression of an array, in the text of a test, becomes that of one with the layout. A torch vector stays as it
    is there, for it must be a leaf.
    """
    if isinstance(array, Written):
        name = getattr(framework, "framework", "")
        nested = "[[" in array
        known = HOW.get(name, {}).get(layout) if nested or (name != "torch" and "[" in array) else None
        return Written(known[1].format(array)) if known else array
    known = HOW.get(getattr(framework, "name", ""), {}).get(layout)
    return known[0](array) if known and array.ndim else array
