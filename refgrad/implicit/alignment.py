r"""When the weight of an auxiliary task grows, and what happens to it without the hypergradient.

With a linear :math:`h = \sum_k \phi_k \ell_k`, g the gradient of :math:`L_A`, H the Hessian of :math:`L_T` by W, and
:math:`\langle a, b \rangle = a^\top H^{-1} b`, all at the minimiser :math:`W^*` of
:math:`L_T`,

.. math:: -\frac{\partial F}{\partial \phi_k} = \langle g, \nabla \ell_k \rangle :
   :label: auxilearn-growth

descent on F lets a weight grow exactly if the main task's gradient on the auxiliary set and the auxiliary task's
gradient on the training data agree under the inverse Hessian, that is, if a Newton step on that task lowers
:math:`L_A`. Since :math:`\nabla \ell_{\text{main}} + \sum_k \phi_k \nabla \ell_k = \nabla L_T` is 0 at :math:`W^*`,

.. math:: \phi \cdot \nabla F = \langle g, \nabla \ell_{\text{main}} \rangle - \langle g, \nabla L_T \rangle ,
   :label: auxilearn-dual

where the last term is 0: of one weight, its hypergradient can be told from the main task alone; without a fixed main
loss, :math:`\phi \cdot \nabla F = 0`, for the scale of phi moves nothing. Away from :math:`W^*` the last term is how
much the training that is left would lower :math:`L_A`, to first order: a test of convergence that knows no
:math:`W^*`.

Descent on :math:`L_T` by W and phi at once knows nothing of :math:`L_A`. Where losses are non-negative it never lets a
weight grow, for :math:`\partial L_T / \partial \phi_k = \ell_k`, and if a loss stays above :math:`c_k > 0`, its weight,
clipped at 0, is 0 for good after

.. math:: \left\lceil \frac{\phi_k(0)}{\eta\, c_k} \right\rceil
   :label: trivial-solution

steps of size eta at most: the *trivial solution*.

References
----------
.. [navon2021] A. Navon, I. Achituve, H. Maron, G. Chechik, E. Fetaya, Auxiliary learning by implicit differentiation,
   ICLR 2021, section 3 and appendix.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from refgrad.autodiff import grad, hessian, jacrev, linearize
from refgrad.implicit.auxilearn import Batches, main_on_aux_set, nonnegative
from refgrad.linalg import Solver, System
from refgrad.linalg.named import named
from refgrad.models import Optimizer
from refgrad.tree import ravel
from refgrad.typing import Array, Scalar, Tree

__all__ = ["Alignment", "alignment", "joint_descent", "steps_to_zero"]


@dataclass(frozen=True)
class Alignment:
    """How auxiliary tasks and the main one agree under the inverse Hessian.

    Attributes
    ----------
    rates : array, shape (K,)
        ``<g, grad l_k>``, which is ``-dF/dphi_k`` at W*: how fast F falls as the weight grows.
    cosines : array of floats, shape (K,)
        The same for gradients of length 1 under the inverse Hessian: between -1 and 1; NaN where a gradient is 0.
    main_rate : number
        ``<g, grad l_main>``; 0 if there is no fixed main loss.
    gap : number
        ``<g, grad L_T>``, 0 at W*.
    residual : float
        The largest of the linear solves.
    """

    rates: Array
    cosines: np.ndarray
    main_rate: Scalar
    gap: Scalar
    residual: float


def alignment(
    main: Callable[[Tree, Any], Scalar] | None,
    losses: Callable[[Tree, Any], Array],
    W: Tree,
    phi: Array,
    train: Any,
    aux_set: Any,
    *,
    aux_loss: Callable[[Tree, Any], Scalar] | None = None,
    solver: str | Solver = "dense",
) -> Alignment:
    """The two sides of equations (auxilearn-growth) and (auxilearn-dual), at any W where the Hessian is definite.

    Parameters
    ----------
    main : callable, or None
        ``main(W, batch)``, the loss of the main task, a mean over the batch; None if it is one of `losses`.
    losses : callable
        ``losses(W, batch)``, the K losses that phi weighs, shape (K,).
    W : tree
    phi : array, shape (K,)
    train, aux_set : trees
        The batches for L_T and L_A.
    aux_loss : callable, optional
        L_A as ``aux_loss(W, batch)``; `main` if not given.
    solver : Solver or str
        For the systems with the Hessian; see `refgrad.implicit.hypergradient`.

    Raises
    ------
    InvalidInput
        If there is no loss for the auxiliary set.
    IndefiniteHessian
        If the Hessian is not positive definite: then it is no inner product.
    """
    L_A = main_on_aux_set("alignment", main, aux_loss)
    w, unravel = ravel(W)

    def L_T(w: Array) -> Scalar:
        weighted = phi @ losses(unravel(w), train)
        return weighted if main is None else main(unravel(w), train) + weighted

    g = grad(lambda w: L_A(unravel(w), aux_set))(w)
    slope, H = linearize(grad(L_T), w)
    slopes = jacrev(lambda w: losses(unravel(w), train))(w)
    system = System(H, w, lambda: hessian(L_T)(w), definite=True, what="alignment: the Hessian of L_T")
    solve = named(solver, None, "alignment").prepare(system)
    u, *rest = [solve(b) for b in (g, *(slopes[k] for k in range(slopes.shape[0])))]
    rates = slopes @ u.value  # eq: auxilearn-growth
    gap = slope @ u.value
    main_rate = gap - phi @ rates  # eq: auxilearn-dual
    squares = [float(slopes[k] @ s.value) * float(g @ u.value) for k, s in enumerate(rest)]
    cosines = [float(rates[k]) / math.sqrt(square) if square > 0 else math.nan for k, square in enumerate(squares)]
    return Alignment(rates, np.array(cosines), main_rate, gap, max(s.residual for s in (u, *rest)))


def joint_descent(
    main: Callable[[Tree, Any], Scalar],
    auxiliary: Callable[[Tree, Tree, Any], Scalar],
    W: Tree,
    phi: Tree,
    train: Batches,
    *,
    optimizer: Optimizer,
    aux_optimizer: Optimizer,
    project: Callable[[Tree], Tree] = nonnegative,
) -> Iterator[tuple[Tree, Tree]]:
    """Descent on L_T by W and phi at once, which ends in the trivial solution; for the arguments see `auxilearn`.

    Parameters
    ----------
    main, auxiliary : callables
    W, phi : trees
    train : callable
    optimizer, aux_optimizer : Optimizer
    project : callable

    Yields
    ------
    W, phi : trees
        After each step.
    """
    state, aux_state = optimizer.init(W), aux_optimizer.init(phi)
    t = 0
    while True:
        batch = train(t)
        by_W, by_phi = grad(lambda W, phi: main(W, batch) + auxiliary(W, phi, batch), (0, 1))(W, phi)  # noqa: B023
        W, state = optimizer.step(W, by_W, state)
        phi, aux_state = aux_optimizer.step(phi, by_phi, aux_state)
        phi = project(phi)
        t += 1
        yield W, phi


def steps_to_zero(phi: Array, lr: float, lowest: Array) -> np.ndarray:
    """After how many steps at most each weight is 0 in joint descent, equation (trivial-solution), shape (K,).

    Parameters
    ----------
    phi : array, shape (K,)
        The weights at the start, not negative.
    lr : float
        eta, the step size.
    lowest : array, shape (K,)
        A lower bound of each loss; where it is 0 there is none on the steps, which is infinity.
    """
    counts = [
        math.ceil(Fraction(weight) / (Fraction(lr) * Fraction(c))) if c > 0 else math.inf
        for weight, c in zip(phi, lowest, strict=True)
    ]
    return np.array(counts, float)  # eq: trivial-solution
