r"""The penalty of elastic weight consolidation.

.. math:: \tfrac{\lambda}{2} \sum_j F_j (\theta_j - \theta^*_j)^2
   :label: ewc-penalty

with F the Fisher diagonal at the old optimum :math:`\theta^*` [kirkpatrick2017]_. The factor 1/2 is that of the
quadratic term of a log-posterior: with sum losses and F summed over the old data, :math:`\lambda = 1` is Laplace's
approximation. With a mean loss over :math:`N_B` new examples and F a mean over :math:`N_A` old ones, the same is
:math:`\lambda = N_A / N_B`.

References
----------
.. [kirkpatrick2017] J. Kirkpatrick et al., Overcoming catastrophic forgetting in neural networks, PNAS 114
   (2017), eq. (3).
"""

from __future__ import annotations

import numpy as np

from refgrad import numpy as rnp
from refgrad import tree
from refgrad.backend import shape_of
from refgrad.errors import ShapeError
from refgrad.typing import Array, Scalar, Tree

__all__ = ["ewc_penalty"]


def ewc_penalty(theta: Tree, theta_star: Tree, fisher: Tree, lam: Scalar) -> Scalar:
    """``lam / 2 * sum(F * (theta - theta_star)^2)``, equation (ewc-penalty): a sum over parameters, not a mean.

    Parameters
    ----------
    theta, theta_star, fisher : trees of one structure and shape
        The parameters, the old optimum, and the Fisher diagonal there.
    lam : number

    Returns
    -------
    array, shape ()

    Raises
    ------
    ShapeError
        If the three do not fit.

    Examples
    --------
    >>> from refgrad import exact
    >>> from refgrad.continual import ewc_penalty
    >>> ewc_penalty(exact.asarray([1, 2]), exact.asarray([0, 4]), exact.asarray([3, "1/2"]), 2)
    ExactArray(5)
    """

    def term(t: Array, s: Array, f: Array) -> Array:
        if not shape_of(t) == shape_of(s) == shape_of(f):
            raise ShapeError(
                f"expected theta, theta_star and fisher alike, got {shape_of(t)}, {shape_of(s)}, {shape_of(f)}"
            )
        return rnp.sum(f * (t - s) * (t - s))

    if isinstance(lam, np.generic):
        lam = lam.item()  # a NumPy scalar would raise float32 parameters to float64
    terms, _ = tree.flatten(tree.map(term, theta, theta_star, fisher))
    if not terms:
        raise ShapeError("expected at least one parameter, got an empty container")
    total = terms[0]
    for value in terms[1:]:
        total = total + value
    return lam * total / 2  # eq: ewc-penalty
