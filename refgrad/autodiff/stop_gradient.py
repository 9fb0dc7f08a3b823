"""`stop_gradient`: values held constant in every derivative."""

from __future__ import annotations

from refgrad import tree
from refgrad.autodiff.rules import elementwise
from refgrad.typing import Tree

__all__ = ["stop_gradient"]


def stop_gradient(x: Tree) -> Tree:
    """`x` itself, taken for a constant by every derivative around it.

    Parameters
    ----------
    x : tree
        Arrays, traced or not; inside `vmap` they stay batched.

    Examples
    --------
    >>> from refgrad import grad, stop_gradient
    >>> float(grad(lambda x: x * stop_gradient(x))(3.0))
    3.0
    """
    return tree.map(elementwise.stop_gradient, x)
