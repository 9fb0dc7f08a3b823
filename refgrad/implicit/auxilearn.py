r"""Auxiliary learning by implicit differentiation: weights of auxiliary losses that are learned for the main task.

Problem [navon2021]_: with weights W of a network and auxiliary parameters :math:`\phi`,

.. math:: L_T(W, \phi) = \ell_{\text{main}}(W; D_{\text{train}}) + h(W; \phi, D_{\text{train}}), \qquad
          L_A(W) = \ell_{\text{main}}(W; D_{\text{aux}}),

find the :math:`\phi` for which the minimiser :math:`W^*` of :math:`L_T` has the least :math:`L_A`. The *auxiliary set*,
held out of the training data, knows nothing of the auxiliary tasks, so that there is no direct term. `auxilearn` is the
paper's algorithm 1, W and phi in turns, and `series_hypergradient` its algorithm 2, the hypergradient with J terms of a
Neumann series with the step :math:`\alpha`:

.. math:: -\,\partial_\phi \langle \nabla_W L_T, u_J \rangle, \qquad
          u_J = \alpha \sum_{j=0}^{J-1} (I - \alpha \nabla_W^2 L_T)^j \nabla_W L_A .
   :label: auxilearn-hypergradient

The official code [code]_ departs from this in fifteen ways, (a) to (o), each of which is a switch:

===  ====================================================================================  ===========================
(a)  the sum lacks its factor alpha, so that the value is 1 / alpha times too large        ``Official(factor=False)``
(b)  its "number of terms" is the last power: J + 1 terms                                  ``Official(extra_terms=1)``
(c)  alpha is the step size of W's optimiser, 1e-4, with J = 3: little more than J + 1     ``lr=`` that number
     times the identity, unless H has eigenvalues of a thousand
(d)  later terms are added; in the listing of [lorraine2020]_ they are subtracted          ``Official(subtract=True)``
(e)  the auxiliary head is left out of W, for its gradient by L_A is None                  ``Official(left_out=...)``
(f)  there is no fixed main loss: the main task has a learned weight like the others       ``main=None``
(g)  the weight decay of W's optimiser, up to 5e-3, is not in the Hessian                  ``Official(decay=False)``
(h)  the auxiliary set runs in training mode, and so into running statistics               ``Official(observe=True)``
(i)  weight decay and momentum act on phi beside the hypergradient                         ``aux_optimizer=SGD(...)``
(j)  the last layer, 1 x 1, of the convolutional h pads its input                          ``Convolutional(padding=1)``
(k)  the linear h stores the main task's index as its width, which no number depends on    none
(l)  normalised weights of a linear h that are all clamped to 0 become NaN                 ``Linear(guarded=False)``
(m)  a step for phi draws the whole of both loaders and uses the first batches             ``Official(drawn=...)``
(n)  the README takes phi's step size for alpha, and hands in a generator that is used up  ``Official(exhausted=True)``
     after its first use: phi never moves
(o)  a weight on which L_A does not depend is an error and not a zero                      ``Official(unused=False)``
===  ====================================================================================  ===========================

It also clips the hypergradient, to a norm of 25, 50 or 100, which is ``max_norm=``.

Where a series is too short, `refgrad.implicit.hypergradient` solves the system.

References
----------
.. [navon2021] A. Navon, I. Achituve, H. Maron, G. Chechik, E. Fetaya, Auxiliary learning by implicit differentiation,
   ICLR 2021, algorithms 1 and 2.
.. [code] https://github.com/AvivNavon/AuxiLearn at 17495d6, auxilearn/implicit_diff.py, optim.py, experiments.
.. [lorraine2020] J. Lorraine, P. Vicol, D. Duvenaud, Optimizing millions of hyperparameters by implicit
   differentiation, AISTATS 2020, algorithm 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from refgrad.autodiff import grad, linearize, vjp
from refgrad.errors import InvalidInput, NotConverged
from refgrad.linalg import norm
from refgrad.models import Optimizer
from refgrad.numpy import maximum, zeros_like
from refgrad.tree import dot, flatten, map, paths, ravel
from refgrad.typing import Array, Scalar, Tree

__all__ = ["AuxiLearn", "Official", "SeriesHypergradient", "auxilearn", "nonnegative", "series_hypergradient"]

Batches = Callable[[int], Any]
"""The batch of a number, which counts those drawn before it."""


@dataclass(frozen=True)
class Official:
    """Switches of algorithms 1 and 2 for what the official code does otherwise; the defaults are as derived.

    Attributes
    ----------
    factor : bool
        (a) Whether the sum has its factor alpha.
    extra_terms : int
        (b) Added to the number of terms.
    subtract : bool
        (d) Whether the terms after the first are subtracted.
    left_out : callable
        (e) Of the path of a leaf of W, as `refgrad.tree.paths` writes it: whether it is left out of W in algorithm 2.
    decay : bool
        (g) Whether the Hessian has the ``weight_decay`` of W's optimiser, if that has one.
    observe : bool
        (h) Whether `auxilearn` shows the batches of its steps for phi to `observe` as well.
    drawn : int
        (m) How many batches a step for phi draws; if more than it uses, the others are passed over.
    used : int
        (m) How many of them it uses: the *sums* of their losses, so that the value is that many times as large.
    exhausted : bool
        (n) Whether phi is never updated.
    unused : bool
        (o) Whether a leaf of W by which the gradient of L_A is zero throughout may be part of W.
    """

    factor: bool = True
    extra_terms: int = 0
    subtract: bool = False
    left_out: Callable[[str], bool] | None = None
    decay: bool = True
    observe: bool = False
    drawn: int = 1
    used: int = 1
    exhausted: bool = False
    unused: bool = True


AS_DERIVED = Official()


@dataclass(frozen=True)
class SeriesHypergradient:
    """What algorithm 2 computes, and what its series leaves.

    Attributes
    ----------
    value : tree, as phi
    residual : float
        ``|g - H u| / |g|`` for the vector u of equation (auxilearn-hypergradient), g the gradient of L_A and H the
        Hessian: how much of the linear system is not solved.
    growth : float
        The largest ratio of two successive vectors of the series; above 1 the series diverges. Never a reason to stop
        here: far from a minimum H is often indefinite, and a few terms are what the paper takes.
    """

    value: Tree
    residual: float
    growth: float


@dataclass(frozen=True)
class AuxiLearn:
    """Where algorithm 1 is after a step for phi; all that it needs to go on.

    Attributes
    ----------
    W, phi : trees
    hypergradient : SeriesHypergradient
        By which phi was updated, before it was clipped.
    train_loss, aux_loss : float
        L_T and L_A on the batches of the step for phi, before that step; sums of ``Official.used`` of them.
    drawn : (int, int)
        The batches drawn so far, of the training data and of the auxiliary set.
    states : (tree, tree)
        The optimisers' states.
    """

    W: Tree
    phi: Tree
    hypergradient: SeriesHypergradient
    train_loss: float
    aux_loss: float
    drawn: tuple[int, int]
    states: tuple[Any, Any]


def nonnegative(phi: Tree) -> Tree:
    """The nearest phi without negative elements.

    Parameters
    ----------
    phi : tree
    """
    return map(lambda leaf: maximum(leaf, zeros_like(leaf)), phi)


def auxilearn(
    main: Callable[[Tree, Any], Scalar] | None,
    auxiliary: Callable[[Tree, Tree, Any], Scalar],
    W: Tree,
    phi: Tree,
    train: Batches,
    aux_set: Batches,
    *,
    optimizer: Optimizer,
    aux_optimizer: Optimizer,
    every: int,
    terms: int,
    lr: Scalar,
    project: Callable[[Tree], Tree] = nonnegative,
    max_norm: float | None = None,
    aux_loss: Callable[[Tree, Any], Scalar] | None = None,
    observe: Callable[[Tree, Any], None] | None = None,
    start: AuxiLearn | None = None,
    official: Official = AS_DERIVED,
) -> Iterator[AuxiLearn]:
    """Algorithm 1: `every` steps for W, one step for phi, and again, for as long as the caller asks.

    Parameters
    ----------
    main : callable, or None
        ``main(W, batch)``, the loss of the main task, a mean over the batch; None if `auxiliary` weighs it, too.
    auxiliary : callable
        ``auxiliary(W, phi, batch)``, h: what the auxiliary tasks add; the combiners of `refgrad.implicit.combiners`
        make it of their losses.
    W, phi : trees
        Where to begin.
    train, aux_set : callables
        ``train(t)`` is the training batch of number t, ``aux_set(s)`` that of the auxiliary set; each number is asked
        for once, in order.
    optimizer, aux_optimizer : Optimizer
        For W and phi: those of `refgrad.models`, or any with their `init` and `step`.
    every : int
        N, the steps for W between two for phi.
    terms : int
        J, the terms of the series.
    lr : number
        alpha, its step.
    project : callable
        What makes a phi that is allowed of one after a step.
    max_norm : float, optional
        To which length the hypergradient, as one vector, is shortened if it is longer.
    aux_loss : callable, optional
        ``aux_loss(W, batch)``, L_A; `main` if not given.
    observe : callable, optional
        ``observe(W, batch)`` is called with what each training step sees, for running statistics.
    start : AuxiLearn, optional
        Go on from there, in place of W and phi.
    official : Official
        What the official code does otherwise.

    Yields
    ------
    AuxiLearn
        After each step for phi.

    Raises
    ------
    InvalidInput
        If `every` or `terms` is below 1, or there is no loss for the auxiliary set.
    """
    L_A = main_on_aux_set("auxilearn", main, aux_loss)
    if every < 1 or terms < 1 or official.drawn < 1 or official.used < 1:
        raise InvalidInput(
            f"auxilearn: expected every, terms, drawn and used of at least 1, got {every}, {terms}, {official.drawn}, "
            f"{official.used}"
        )

    def L_T(W: Tree, phi: Tree, batch: Any) -> Scalar:
        h = auxiliary(W, phi, batch)
        return h if main is None else main(W, batch) + h

    t, s = (0, 0) if start is None else start.drawn
    if start is not None:
        W, phi = start.W, start.phi
    state, aux_state = (optimizer.init(W), aux_optimizer.init(phi)) if start is None else start.states
    decay = getattr(optimizer, "weight_decay", 0) if official.decay else 0
    see = observe or (lambda W, batch: None)
    while True:
        for _ in range(every):
            batch = train(t)
            W, state = optimizer.step(W, grad(L_T)(W, phi, batch), state)
            see(W, batch)
            t += 1
        batches, held_out = ([draw(n + k) for k in range(official.used)] for draw, n in ((train, t), (aux_set, s)))
        t, s = (n + max(official.drawn, official.used) for n in (t, s))
        if official.observe:
            for batch in batches + held_out:
                see(W, batch)
        loss_A = partial(_total, L_A, held_out)
        loss_T = partial(_total, L_T, batches)
        losses = float(loss_T(W, phi)), float(loss_A(W))
        if not all(math.isfinite(loss) for loss in losses):
            raise NotConverged(
                f"auxilearn: after {t} training batches L_T and L_A are {losses[0]:.3g} and {losses[1]:.3g}; the steps "
                "for W are too long. What was yielded before stands, and start= goes on from there."
            )
        decayed = partial(_with_decay, loss_T, decay)
        found = series_hypergradient(loss_A, decayed, W, phi, terms=terms, lr=lr, official=official)
        if not official.exhausted:
            phi, aux_state = aux_optimizer.step(phi, _clipped(found.value, max_norm), aux_state)
            phi = project(phi)
        yield AuxiLearn(W, phi, found, *losses, (t, s), (state, aux_state))


def series_hypergradient(
    L_A: Callable[[Tree], Scalar],
    L_T: Callable[[Tree, Tree], Scalar],
    W: Tree,
    phi: Tree,
    *,
    terms: int,
    lr: Scalar,
    official: Official = AS_DERIVED,
) -> SeriesHypergradient:
    """Algorithm 2: the derivative of ``L_A(W*(phi))`` by phi, by J terms of a series; (auxilearn-hypergradient).

    Parameters
    ----------
    L_A, L_T : callables
        ``L_A(W)`` and ``L_T(W, phi)``, each one number.
    W, phi : trees
    terms : int
        J.
    lr : number
        alpha.
    official : Official
        Of its switches (a), (b), (d), (e) and (o).
    """
    w, unravel = _part(W, official.left_out)
    g = grad(lambda w: L_A(unravel(w)))(w)
    if not official.unused:
        _require_used(unravel(g), official.left_out)
    _, H = linearize(grad(lambda w: L_T(unravel(w), phi)), w)
    v = p = g
    growth = 0.0
    for _ in range(terms + official.extra_terms - 1):
        before, v = norm(v), v - lr * H(v)
        p = p - v if official.subtract else p + v
        growth = max(growth, norm(v) / before if before else 0.0)
    if official.factor:
        p = lr * p
    (product,) = vjp(lambda phi: grad(lambda w: L_T(unravel(w), phi))(w), phi)[1](p)
    value = map(lambda leaf: -leaf, product)  # eq: auxilearn-hypergradient
    return SeriesHypergradient(value, norm(g - H(p)) / norm(g) if norm(g) else 0.0, growth)


def main_on_aux_set(
    what: str, main: Callable[[Tree, Any], Scalar] | None, aux_loss: Callable[[Tree, Any], Scalar] | None
) -> Callable[[Tree, Any], Scalar]:
    """L_A, if there is one."""
    loss = main if aux_loss is None else aux_loss
    if loss is None:
        raise InvalidInput(f"{what}: expected aux_loss, the main task's loss on the auxiliary set, where main is None")
    return loss


def _total(loss: Callable[..., Scalar], batches: list[Any], *at: Tree) -> Scalar:
    return sum(loss(*at, batch) for batch in batches[1:]) + loss(*at, batches[0])


def _with_decay(loss: Callable[[Tree, Tree], Scalar], decay: Scalar, W: Tree, phi: Tree) -> Scalar:
    """What an optimiser minimises that adds ``decay * W`` to the gradient of the loss."""
    return loss(W, phi) + decay * dot(W, W) / 2 if decay else loss(W, phi)


def _clipped(gradient: Tree, max_norm: float | None) -> Tree:
    size = norm(ravel(gradient)[0])
    return gradient if max_norm is None or size <= max_norm else map(lambda leaf: leaf * (max_norm / size), gradient)


def _part(W: Tree, left_out: Callable[[str], bool] | None) -> tuple[Array, Callable[[Array], Tree]]:
    """The leaves that are not left out as one vector, and W with another vector in their place."""
    if left_out is None:
        return ravel(W)
    leaves, structure = flatten(W)
    varied = [not left_out(path) for path in paths(W)]
    vector, unravel = ravel([leaf for leaf, part in zip(leaves, varied, strict=True) if part])

    def whole(v: Array) -> Tree:
        parts = iter(unravel(v))
        return structure.unflatten([next(parts) if part else leaf for leaf, part in zip(leaves, varied, strict=True)])

    return vector, whole


def _require_used(gradient: Tree, left_out: Callable[[str], bool] | None) -> None:
    for leaf, path in zip(flatten(gradient)[0], paths(gradient), strict=True):
        if not (left_out and left_out(path)) and norm(leaf) == 0:
            raise InvalidInput(
                f"series_hypergradient: L_A does not depend on the leaf {path} of W, whose gradient the official code "
                "takes for None and fails; leave the leaf out with left_out, or write unused=True for its zeros."
            )
