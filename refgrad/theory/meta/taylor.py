"""What MAML, FOMAML and Reptile descend in expectation, as power series in the inner rate lr.

One task has a pool of minibatches b with losses L_b. A draw is a sequence of k of them; the inner loop starts at theta
and descends the first, the second, ... With all gradients g_b and Hessians H_b taken at theta, the i-th gradient met is

    g_i - lr H_i sum_{j<i} g_j + O(lr^2),

and averaging over draws leaves two vectors, whatever k is:

    AvgGrad      = E g_1                               the gradient of the mean loss
    AvgGradInner = E H_2 g_1 = 1/2 grad E <g_1, g_2>   the way in which gradients of different minibatches agree more

    E g_MAML    =   AvgGrad - 2 (k-1)      lr AvgGradInner + O(lr^2)
    E g_FOMAML  =   AvgGrad -   (k-1)      lr AvgGradInner + O(lr^2)
    E g_Reptile = k AvgGrad - k (k-1) / 2  lr AvgGradInner + O(lr^2)

Here k counts *all* gradients of a draw, as the Reptile paper does: MAML and FOMAML make k - 1 steps and take the outer
gradient on the last minibatch; Reptile makes k steps and its direction is the *sum* of k gradients,
``(theta - theta_k) / lr``. Where the steps are counted apart from the query minibatch, write steps + 1 for MAML and
FOMAML; Reptile stays.

Hypotheses: inner steps of plain gradient descent with one rate; the minibatches of a draw, the outer one included, are
exchangeable. They are, when drawn uniformly without replacement (distinct) or with it from one pool. With replacement
a minibatch can meet itself and E H_2 g_1 is a mixture with ``E H_1 g_1 = 1/2 grad E |g_1|^2``; one full batch used
again and again is a pool of one with replacement. A query set that comes from elsewhere is not exchangeable.

References
----------
Nichol, Achiam and Schulman 2018, arXiv 1803.02999, section 5.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations, product
from typing import Any

from refgrad.contracts.tools.assemble import total
from refgrad.contracts.tools.losses import Loss, Quartic
from refgrad.errors import InvalidInput
from refgrad.typing import Array

__all__ = [
    "Expansion",
    "average_gradient",
    "average_gradient_inner",
    "fomaml_expansion",
    "fomaml_second_coefficient",
    "maml_expansion",
    "maml_second_coefficient",
    "reptile_expansion",
]


@dataclass(frozen=True)
class Expansion:
    """The first two coefficients of an expected direction as a power series in the inner rate.

    Attributes
    ----------
    constant, slope : array, shape (d,)
        The direction is ``constant + lr slope + O(lr^2)``.
    """

    constant: Array
    slope: Array


def maml_expansion(
    loss: Loss, theta: Array, batches: Sequence[Any], gradients: int, *, replacement: bool = False
) -> Expansion:
    """The `Expansion` of the expected MAML gradient: ``AvgGrad - 2 (k-1) lr AvgGradInner``.

    Parameters
    ----------
    loss : Loss
    theta : array, shape (d,)
    batches : list
        The pool of minibatches of one task.
    gradients : int
        k, with the outer gradient: the number of inner steps plus one.
    replacement : bool
        Whether the minibatches of a draw are independent instead of distinct.

    Raises
    ------
    InvalidInput
        If `gradients` is not positive, or there are not as many distinct minibatches.
    """
    return expansion(loss, theta, batches, gradients, 1, 2 * (gradients - 1), replacement)


def fomaml_expansion(
    loss: Loss, theta: Array, batches: Sequence[Any], gradients: int, *, replacement: bool = False
) -> Expansion:
    """The `Expansion` of the expected FOMAML direction: ``AvgGrad - (k-1) lr AvgGradInner``.

    Parameters
    ----------
    loss, theta, batches, gradients, replacement : as in `maml_expansion`
    """
    return expansion(loss, theta, batches, gradients, 1, gradients - 1, replacement)


def reptile_expansion(
    loss: Loss, theta: Array, batches: Sequence[Any], gradients: int, *, replacement: bool = False
) -> Expansion:
    """The `Expansion` of Reptile's expected ``(theta - theta_k) / lr``: ``k AvgGrad - k (k-1)/2 lr AvgGradInner``.

    Parameters
    ----------
    loss, theta, batches : as in `maml_expansion`
    gradients : int
        The number k of inner steps.
    replacement : as in `maml_expansion`
    """
    pairs = gradients * (gradients - 1) // 2
    return expansion(loss, theta, batches, gradients, gradients, pairs, replacement)


def expansion(
    loss: Loss, theta: Array, batches: Sequence[Any], gradients: int, first: int, inner: int, replacement: bool
) -> Expansion:
    """``first AvgGrad - inner lr AvgGradInner``."""
    if gradients < 1 or (gradients > len(batches) and not replacement):
        raise InvalidInput(
            f"expected at least 1 gradient and no more than the {len(batches)} distinct minibatches, got {gradients}; "
            "replacement=True draws them independently"
        )
    constant = first * average_gradient(loss, theta, batches)
    if not inner:
        return Expansion(constant, 0 * constant)
    return Expansion(constant, -inner * average_gradient_inner(loss, theta, batches, replacement=replacement))


def average_gradient(loss: Loss, theta: Array, batches: Sequence[Any]) -> Array:
    """AvgGrad, the mean over minibatches of their gradients at `theta`, shape (d,).

    Parameters
    ----------
    loss, theta, batches : as in `maml_expansion`
    """
    return total([loss.grad(theta, batch) for batch in batches]) / len(batches)


def average_gradient_inner(loss: Loss, theta: Array, batches: Sequence[Any], *, replacement: bool = False) -> Array:
    """AvgGradInner, the mean of ``H_2 g_1`` over ordered pairs of minibatches, shape (d,).

    The pairs are the distinct ones, or with `replacement` all of them, a minibatch with itself included. Half the
    gradient of the mean inner product of two gradients.

    Parameters
    ----------
    loss, theta, batches, replacement : as in `maml_expansion`
    """
    pairs = ordered_pairs(batches, replacement)
    return total([loss.hvp(theta, second, loss.grad(theta, first)) for first, second in pairs]) / len(pairs)


def maml_second_coefficient(loss: Quartic, theta: Array, batches: Sequence[Any], *, replacement: bool = False) -> Array:
    """The lr^2 coefficient of the expected MAML gradient, k = 2: ``E 1/2 T_2[g_1, g_1] + E H_1 H_2 g_1``, shape (d,).

    T_b is the third derivative of L_b at `theta`, as the loss's method `third` gives it.

    Parameters
    ----------
    loss : Quartic
    theta, batches, replacement : as in `maml_expansion`
    """
    pairs = ordered_pairs(batches, replacement)
    products = []
    for first, second in pairs:
        pushed = loss.hvp(theta, second, loss.grad(theta, first))
        products.append(loss.hvp(theta, first, pushed))
    first_order = fomaml_second_coefficient(loss, theta, batches, replacement=replacement)
    return first_order + total(products) / len(pairs)


def fomaml_second_coefficient(
    loss: Quartic, theta: Array, batches: Sequence[Any], *, replacement: bool = False
) -> Array:
    """The coefficient of lr^2 in the expected FOMAML direction, k = 2: ``E 1/2 T_2[g_1, g_1]``, shape (d,).

    It is Reptile's too, whose other gradient is taken at `theta` and has no such term.

    Parameters
    ----------
    loss, theta, batches, replacement : as in `maml_second_coefficient`
    """
    pairs = ordered_pairs(batches, replacement)
    return total([loss.third(theta, second, loss.grad(theta, first)) for first, second in pairs]) / (2 * len(pairs))


def ordered_pairs(batches: Sequence[Any], replacement: bool) -> list[tuple[Any, Any]]:
    """All ordered pairs of minibatches, of distinct ones unless drawn with replacement."""
    pairs = list(product(batches, repeat=2)) if replacement else list(permutations(batches, 2))
    if not pairs:
        raise InvalidInput(f"expected at least 2 distinct minibatches, got {len(batches)}")
    return pairs
