r"""Hypergradients through the steps of an optimiser, in place of the point where it would end.

Problem: :math:`F(\phi) = \mathrm{outer}(w_T, \phi)` with :math:`w_{t+1} = \Phi(w_t, \phi)` from a start that does not
depend on phi; for gradient descent :math:`\Phi = w - \alpha \nabla_w\,\mathrm{inner}`.

Result, by the chain rule, with :math:`A_t = \partial_w \Phi` and :math:`C_t = \partial_\phi \Phi` at step t, and g and
d the derivatives of outer by w and phi at the end:

.. math:: \nabla F = d + \sum_{t=0}^{T-1} C_t^\top A_{t+1}^\top \cdots A_{T-1}^\top\, g .
   :label: unrolled-hypergradient

It is the same number in four orders of computing it [franceschi2017]_ [maclaurin2015]_, of n weights and m
hyperparameters:

==============  ===========================================================================  ===================
`reverse`       all iterates are kept, and the last step is gone back over first             T vectors
`checkpoint`    every s-th is kept, ``s = sqrt(T)``, and the others are computed again       2 sqrt(T) vectors
`reversible`    none is kept: descent with momentum is run backwards                         1 vector
`forward`       ``Z_{t+1} = A_t Z_t + C_t`` for the derivative Z of w, then ``d + Z^T g``    m vectors
==============  ===========================================================================  ===================

Where w no longer moves, the last K steps are K terms of the Neumann series of `refgrad.linalg.Neumann`.

Differences from well-known implementations:

1. steps are counted, not stopped by a tolerance (``jaxopt`` started at the solution stops after one);
2. a run backwards loses ``log2(1 / momentum)`` bits a step where [maclaurin2015]_ store them; where it comes back to is
   compared with the start, and an error unless it is that.

References
----------
.. [franceschi2017] L. Franceschi, M. Donini, P. Frasconi, M. Pontil, Forward and reverse gradient-based hyperparameter
   optimization, ICML 2017, sections 3.1 and 3.2.
.. [maclaurin2015] D. Maclaurin, D. Duvenaud, R. Adams, Gradient-based hyperparameter optimization through reversible
   learning, ICML 2015, algorithms 1 and 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from refgrad.autodiff import grad, jvp, linearize, vjp, vmap
from refgrad.errors import HiddenState, InvalidInput, NotConverged
from refgrad.linalg import all_finite, norm
from refgrad.linalg.solvers import unit_vector
from refgrad.numpy import concatenate, stack, zeros_like
from refgrad.tree import ravel
from refgrad.typing import Array, Scalar, ScalarFunction, Tree

__all__ = ["Mode", "Unrolled", "unrolled"]

Mode = Literal["reverse", "checkpoint", "reversible", "forward"]

Step = Callable[[Tree, Tree, int], Tree]


@dataclass(frozen=True)
class Unrolled:
    """A hypergradient through steps, and where they end.

    Attributes
    ----------
    value, direct : trees, as phi
        ``dF / dphi``, and its part d.
    w : tree
        Where the steps end.
    steps : int
        Those that were differentiated.
    vectors : int
        How many iterates, or columns of Z, were kept at once.
    start_error : float
        Of a reversible run: how far from its start it came back to, relative to how far it went; 0.0 of others.
    """

    value: Tree
    direct: Tree
    w: Tree
    steps: int
    vectors: int
    start_error: float


def unrolled(
    inner: ScalarFunction | None,
    outer: ScalarFunction,
    w0: Tree,
    phi: Tree,
    lr: Scalar | None,
    steps: int,
    *,
    mode: Mode = "reverse",
    momentum: Scalar | None = None,
    step: Step | None = None,
    last: int | None = None,
    rtol: float = 1e-8,
) -> Unrolled:
    """The derivative of ``outer(w_T(phi), phi)`` by phi, equation (unrolled-hypergradient).

    Parameters
    ----------
    inner, outer : callables
        ``inner(w, phi)`` and ``outer(w, phi)``, each one number.
    w0 : tree
        The start, held fixed; n elements in all.
    phi : tree
        m elements in all.
    lr : number
        alpha.
    steps : int
        T.
    mode : {"reverse", "checkpoint", "reversible", "forward"}
        The order of computing it; ``"reversible"`` needs a momentum.
    momentum : number, optional
        gamma in ``v' = gamma v - (1 - gamma) grad``, ``w' = w + lr v'`` [maclaurin2015]_, from v = 0.
    step : callable, optional
        ``step(w, phi, t)``, in place of descent on inner; inner and lr are then None. What the optimiser keeps, and
        learning rates that are hyperparameters, can be part of w and phi.
    last : int, optional
        Only so many steps at the end are differentiated, the others held fixed: truncated back-propagation.
    rtol : float
        The largest `start_error` of a reversible run.

    Raises
    ------
    InvalidInput
        If an option is not one of those listed.
    NotConverged
        If w is no longer finite, or a reversible run does not come back to its start.
    HiddenState
        If steps that are taken again, in mode ``"checkpoint"``, end elsewhere.

    Examples
    --------
    >>> from refgrad import exact
    >>> from refgrad.implicit import unrolled
    >>> inner = lambda w, phi: (w @ w) / 2 - phi @ w
    >>> outer = lambda w, phi: w @ w / 2
    >>> start, phi = exact.asarray([0]), exact.asarray([1])
    >>> unrolled(inner, outer, start, phi, exact.asarray("1/2"), 2).value  # w = 3/4 phi
    ExactArray([9/16])
    """
    differentiated = steps if last is None else min(last, steps)
    _check(inner, lr, steps, mode, momentum, step, differentiated)
    state, unravel_w = ravel(w0)
    flat_phi, unravel_phi = ravel(phi)
    n = state.shape[0]

    def inner_at(w: Array, p: Array) -> Scalar:
        return inner(unravel_w(w), unravel_phi(p))  # type: ignore[misc]

    def outer_at(s: Array, p: Array) -> Scalar:
        return outer(unravel_w(s[:n]), unravel_phi(p))

    def slope(w: Array, p: Array) -> Array:
        return grad(inner_at)(w, p)

    def advance(s: Array, p: Array, t: int) -> Array:
        if step is not None:
            return ravel(step(unravel_w(s), unravel_phi(p), t))[0]
        if momentum is None:
            return s - lr * slope(s, p)
        v = momentum * s[n:] - (1 - momentum) * slope(s[:n], p)
        return concatenate([s[:n] + lr * v, v])

    def retreat(s: Array, t: int) -> Array:
        w = s[:n] - lr * s[n:]
        return concatenate([w, (s[n:] + (1 - momentum) * slope(w, flat_phi)) / momentum])  # type: ignore[operator]

    def pull(s: Array, a: Array, t: int) -> tuple[Array, Array]:
        """``A_t^T a`` and ``C_t^T a``."""
        if step is None and momentum is None:
            curvature, cross = jvp(lambda w: grad(inner_at, (0, 1))(w, flat_phi), (s,), (a,))[1]
            return a - lr * curvature, -(lr * cross)
        return vjp(lambda s, p: advance(s, p, t), s, flat_phi)[1](a)  # type: ignore[no-any-return]

    def forward(s: Array, t: int) -> Array:
        s = advance(s, flat_phi, t)
        if not all_finite(s):
            raise NotConverged(f"unrolled: after {t + 1} of {steps} steps w is not finite; take shorter steps")
        return s

    if momentum is not None:
        state = concatenate([state, zeros_like(state)])
    begin = steps - differentiated
    for t in range(begin):
        state = forward(state, t)
    if mode == "forward":
        Z = flat_phi[:, None] * state * 0
        E = stack([unit_vector(flat_phi, k) for k in range(flat_phi.shape[0])])
        for t in range(begin, steps):
            push = linearize(lambda s, p: advance(s, p, t), state, flat_phi)[1]  # noqa: B023
            state, Z = forward(state, t), vmap(push)(Z, E)
        g, direct = grad(outer_at, (0, 1))(state, flat_phi)
        w = unravel_w(state[:n])
        return Unrolled(unravel_phi(direct + Z @ g), unravel_phi(direct), w, differentiated, len(E), 0.0)
    back = _WAYS[mode](forward, retreat, state, begin, steps)
    end = next(back)
    a, direct = grad(outer_at, (0, 1))(end, flat_phi)
    value, s = direct, end
    for t in reversed(range(begin, steps)):
        s = next(back)
        a, more = pull(s, a, t)
        value = value + more  # eq: unrolled-hypergradient
    vectors = next(back)
    error = norm(s - state) / (norm(end - state) or 1.0) if mode == "reversible" else 0.0
    if not error <= rtol:
        raise NotConverged(
            f"unrolled: run backwards, the {differentiated} steps end {error:.3g} from their start, relative to their "
            f"length, for each of them loses log2(1 / {float(momentum):.3g}) bits; take mode='checkpoint'."  # type: ignore[arg-type]
        )
    return Unrolled(unravel_phi(value), unravel_phi(direct), unravel_w(end[:n]), differentiated, vectors, error)


Way = Generator[Any, None, None]
"""The state at the end, those before each step from the last to the first, and how many were kept at once."""

Move = Callable[[Array, int], Array]


def _reverse(forward: Move, retreat: Move, s: Array, begin: int, steps: int) -> Way:
    kept = []
    for t in range(begin, steps):
        kept.append(s)
        s = forward(s, t)
    count = len(kept)
    yield s
    while kept:
        yield kept.pop()
    yield count


def _checkpoint(forward: Move, retreat: Move, s: Array, begin: int, steps: int) -> Way:
    every = math.isqrt(max(steps - begin - 1, 0)) + 1  # the root, rounded up
    kept, count = [], 0
    for t in range(begin, steps):
        if (t - begin) % every == 0:
            kept.append((t, s))
        s = forward(s, t)
    yield s
    end = steps
    while kept:
        first, start = kept.pop()
        path = [start]
        for t in range(first, end - 1):
            path.append(forward(path[-1], t))
        if norm(forward(path[-1], end - 1) - s) != 0:
            raise HiddenState(
                f"unrolled: steps {first} to {end - 1} end elsewhere when they are taken again: they draw random "
                "numbers or change something that they use. Take mode='reverse', or draw by the number of the step."
            )
        count, end, s = max(count, len(kept) + len(path)), first, start
        while path:
            yield path.pop()
    yield count


def _reversible(forward: Move, retreat: Move, s: Array, begin: int, steps: int) -> Way:
    for t in range(begin, steps):
        s = forward(s, t)
    yield s
    for t in reversed(range(begin, steps)):
        s = retreat(s, t)
        yield s
    yield min(steps - begin, 1)


_WAYS = {"reverse": _reverse, "checkpoint": _checkpoint, "reversible": _reversible}


def _check(
    inner: ScalarFunction | None,
    lr: Scalar | None,
    steps: int,
    mode: str,
    momentum: Scalar | None,
    step: Step | None,
    differentiated: int,
) -> None:
    if mode not in get_args(Mode):
        raise InvalidInput(f"unrolled: expected mode to be one of {', '.join(get_args(Mode))}, got {mode!r}")
    if isinstance(steps, bool) or not isinstance(steps, int) or differentiated < 0:
        raise InvalidInput(f"unrolled: expected steps and last to be whole numbers of at least 0, got {steps!r}")
    if (step is None) != (inner is not None and lr is not None) or (step is not None and momentum is not None):
        raise InvalidInput("unrolled: expected inner and lr, or a step in place of them and of momentum")
    if mode == "reversible" and (momentum is None or not 0 < momentum <= 1):
        raise InvalidInput(f"unrolled: expected a momentum above 0 and up to 1 for mode='reversible', got {momentum}")
