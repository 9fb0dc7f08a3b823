r"""The min-norm point of the convex hull of several gradients: the weights of MGDA.

Problem, for gradients :math:`g_1, \dots, g_K`, the rows of J [desideri2012]_:

.. math:: \min_{a \in \Delta} \tfrac12 \lvert J^\top a \rvert^2, \qquad \Delta = \{a_k \ge 0, \textstyle\sum a_k = 1\}.
   :label: min-norm

The shortest vector :math:`v^* = J^\top a` is unique, while several a may give it. A vector :math:`v = J^\top a` is the
shortest exactly when :math:`\langle v, g_k\rangle \ge |v|^2` for all k; then a short step against v lowers every loss,
unless v = 0. What an a in the simplex :math:`\Delta` lacks is its gap, which is computed without :math:`v^*`:

.. math:: \mathrm{gap}(a) = |v|^2 - \min_k \langle v, g_k\rangle \ge |v - v^*|^2 .
   :label: min-norm-gap

For two gradients, with :math:`d = g_1 - g_2`,

.. math:: a_1 = \operatorname{clip}(-\langle g_2, d\rangle / |d|^2,\ 0,\ 1).
   :label: min-norm-two

For more rows, Wolfe's active set [wolfe1976]_: a set of rows, and the shortest of their weighted means, in which all
of them have positive weights. The row with the smallest :math:`\langle v, g_k\rangle` enters, rows whose weight would
turn negative leave. On rationals this ends at the exact answer. On floats, SciPy's non-negative least squares solves
the same problem, and Wolfe's steps, on differences of gradients, refine it until rounding hides the rest.

Where this differs from well-known implementations:

1. at a vertex the weights are 1 and 0, not 0.999 and 0.001 (isl-org, nash-mtl, LibMTL);
2. the two-task formula works with differences; the Gram form loses all digits for nearly parallel gradients;
3. every result carries its gap, computed from the vectors, not from the Gram matrix.

References
----------
.. [desideri2012] J.-A. Desideri, Multiple-gradient descent algorithm, C. R. Acad. Sci. Paris 350 (2012), section 2.
.. [wolfe1976] P. Wolfe, Finding the nearest point in a polytope, Mathematical Programming 11 (1976).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, reduce
from typing import Any

import numpy as np

from refgrad import numpy as rnp
from refgrad.backend import Backend
from refgrad.linalg import Stopped
from refgrad.multitask.result import MinNorm, gap, gap_at, require_gradients
from refgrad.typing import Array

__all__ = ["mgda_direction", "min_norm"]

UNEQUAL = 8
"""From this ratio of their lengths on, what least squares leave is in the digits of the short gradients."""


def min_norm(J: Array) -> MinNorm:
    """The weights of the shortest convex combination of the rows of J, equation (min-norm).

    Parameters
    ----------
    J : array, shape (K, n)
        One gradient per row; K >= 1.

    Raises
    ------
    ShapeError
        If J is no matrix or has no rows.
    InvalidInput
        If an element is infinite or NaN.

    Examples
    --------
    >>> from refgrad import exact
    >>> from refgrad.multitask import min_norm
    >>> result = min_norm(exact.asarray([[2, 0], [0, 1], [3, 3]]))
    >>> result.weights, result.direction, result.gap
    (ExactArray([1/5, 4/5, 0]), ExactArray([2/5, 4/5]), ExactArray(0))
    """
    xp = require_gradients(J, "min_norm")
    if J.shape[0] <= 2:
        weights, steps, stopped = _closed_form(J, xp), 0, Stopped.CLOSED_FORM
    elif xp.exact:
        weights, steps = _active_set(J, xp)
        stopped = Stopped.OPTIMAL
    else:
        weights, steps = _nonnegative_least_squares(J, xp)
        stopped = Stopped.OPTIMAL
    v = weights @ J  # eq: min-norm
    return MinNorm(weights, v, gap_at(J, v), steps, stopped)


def mgda_direction(J: Array) -> Array:
    """The direction ``v = J^T a`` of `min_norm`, shape (n,); the step is ``theta - lr v``.

    Parameters
    ----------
    J : as in `min_norm`
    """
    return min_norm(J).direction


def _closed_form(J: Array, xp: Backend) -> Array:
    one = xp.ones_like(J[:1, 0])
    if J.shape[0] == 1:
        return one
    size = rnp.max(abs(J))
    if not size > 0:
        return rnp.concatenate([one, one]) / 2
    J = J / size / 2  # so that no difference overflows
    d = J[0] - J[1]
    scale = rnp.max(abs(d))
    if not scale > 0:  # equal gradients: every weighting gives the same point
        return rnp.concatenate([one, one]) / 2
    # the weight of the longer row is the smaller one: computed itself, and not as 1 minus the other
    longer = 0 if J[0] @ J[0] > J[1] @ J[1] else 1
    away = (d if longer == 0 else -d) / scale
    weight = -((J[1 - longer] / scale) @ away) / (away @ away)  # eq: min-norm-two
    weight = rnp.reshape(rnp.minimum(rnp.maximum(weight, 0), 1), (1,))
    return rnp.concatenate([weight, 1 - weight] if longer == 0 else [1 - weight, weight])


def _active_set(J: Array, xp: Backend) -> tuple[Array, int]:
    """Wolfe's algorithm; a comparison that balls leave open raises `Undecided`."""
    rows = range(J.shape[0])
    squares = [J[k] @ J[k] for k in rows]
    start = reduce(lambda a, b: b if squares[b] < squares[a] else a, rows)
    weights = {start: 1}
    steps = 0
    while True:
        v = sum(weights[k] * J[k] for k in weights)
        level = v @ v
        # rows of the support are at the level exactly, which balls (intervals) could not decide
        below = {k: p for k in rows if k not in weights and (p := v @ J[k]) < level}
        if not below:
            full = [weights.get(k, 0) for k in rows]
            return xp.concat([rnp.reshape(xp.asarray(w), (1,)) for w in full], 0), steps  # type: ignore[attr-defined]
        entering = reduce(lambda a, b: b if below[b] < below[a] else a, below)
        steps += 1
        weights[entering] = 0
        while True:
            support = list(weights)
            target = dict(zip(support, _affine(rnp.stack([J[k] for k in support]), xp), strict=True))
            if all(target[k] > 0 for k in support):
                weights = target
                break
            # as far towards the affine minimiser as the simplex allows; rows that reach 0 leave
            room = {k: weights[k] / (weights[k] - target[k]) for k in support if not target[k] > 0}
            first = reduce(lambda a, b: b if room[b] < room[a] else a, room)
            moved = {k: weights[k] + room[first] * (target[k] - weights[k]) for k in support if k != first}
            weights = {k: m for k, m in moved.items() if m > 0}


def _affine(rows: Array, xp: Backend) -> Array:
    """The weights, of sum 1 and any sign, of the shortest point of the affine hull of `rows`."""
    base, differences = rows[:1], rows[1:] - rows[:1]
    if differences.shape[0] == 0:
        return xp.ones_like(rows[:, 0])
    others = rnp.linalg.solve(differences @ differences.mT, -(differences @ base[0]))
    return rnp.concatenate([rnp.reshape(1 - rnp.sum(others), (1,)), others])


def _nonnegative_least_squares(J: Array, xp: Backend) -> tuple[Array, int]:
    """``argmin_{x >= 0} |[J^T / s; 1^T] x - [0; 1]|``, divided by its sum, is the minimiser for every scale s > 0."""
    dgeqrf, nnls = _solvers()
    matrix = np.asarray(J.get() if hasattr(J, "get") else J, float)
    magnitudes = np.abs(matrix)
    lengths = magnitudes.max(axis=1)
    size = lengths.max().item() or 1.0
    matrix = matrix / size
    factors, *_ = dgeqrf(matrix.T, lwork=64 * len(matrix))
    reduced = factors[: len(matrix)]  # R, and below it what makes Q
    system, target = np.ones((len(reduced) + 1, len(matrix))), np.zeros(len(reduced) + 1)
    system[:-1] = reduced
    for i in range(1, len(reduced)):
        system[i, :i] = 0.0
    target[-1] = 1.0
    solution, _ = nnls(system, target)
    weights = solution / solution.sum()
    support = np.flatnonzero(weights)
    lengths = lengths[support]
    if lengths.max() > UNEQUAL * lengths.min():  # in the coordinates of Q, which keep the digits of every row
        weights = _towards_affine_minimiser(system[:-1].T, weights, int(support[0]))
    weights = _refine(matrix, weights, lambda weights: (weights / 2) @ magnitudes / size)
    return xp.astype(xp.xp.asarray(weights), J.dtype), int(np.count_nonzero(weights))


@cache
def _solvers() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """LAPACK's QR and SciPy's non-negative least squares; asking for them in each call would cost as much as a step."""
    from scipy.linalg.lapack import dgeqrf
    from scipy.optimize import nnls

    return dgeqrf, nnls


def _refine(J: np.ndarray, weights: np.ndarray, half_sum: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Wolfe's steps from `weights` until no row is shorter than v beyond rounding; the weights of the smallest gap."""
    best = weights
    for _ in range(2 * len(J)):
        v = weights @ J
        apart = v - J
        excess = apart @ v
        # of weights and v, sums of K terms that may cancel, and of products, which are not added one after the other
        rounding = (len(J) + 8) * 2.0**-52 * (np.abs(apart, out=apart) @ half_sum(weights))
        beyond = excess - rounding
        entering = int(beyond.argmax())
        if beyond[entering] <= 0:
            return weights
        weights = _towards_affine_minimiser(J, weights, entering)
        if gap(J, weights) < gap(J, best):
            best = weights
    return best


def _towards_affine_minimiser(J: np.ndarray, weights: np.ndarray, entering: int) -> np.ndarray:
    """The min-norm point of the affine hull of the support and one more row, rows leaving where it is outside."""
    support = np.union1d(np.flatnonzero(weights), entering)
    lengths = np.abs(J).max(axis=1)
    while len(support) > 1:
        support = support[np.argsort(lengths[support], kind="stable")]  # the base gets 1 minus the rest: a large weight
        base, others = support[0], support[1:]
        target = np.zeros(len(J))
        target[others] = _least_squares(J[others] - J[base], J[base])
        target[base] = 1 - target[others].sum()
        falling = support[target[support] <= 0]
        if not len(falling):
            return target
        room = weights[falling] - target[falling]
        steps = np.divide(weights[falling], room, out=np.zeros(len(falling)), where=room > 0)
        weights = weights + steps.min() * (target - weights)
        weights[falling[steps == steps.min()]] = 0.0
        support = np.setdiff1d(support, falling[steps == steps.min()])
    return np.where(np.arange(len(J)) == support[0], 1.0, 0.0)


def _least_squares(differences: np.ndarray, base: np.ndarray) -> np.ndarray:
    """The t with the smallest ``|base + t differences|``, to the digits that each row has, however long it is."""
    # rows of one size, by powers of two: the short ones would drown in the rounding of the long ones
    scale = np.ldexp(1.0, -np.frexp(np.abs(differences).max(axis=1))[1])
    columns = (differences * scale[:, None]).T
    Q, R = np.linalg.qr(columns)
    diagonal = np.abs(R.diagonal())
    if R.shape[0] < R.shape[1] or not diagonal.min() > 1e-13 * diagonal.max():
        return np.linalg.lstsq(columns, -base, rcond=None)[0] * scale  # type: ignore[no-any-return]
    t = np.zeros(len(differences))
    for _ in range(2):  # the second time for what the first has rounded
        t = t - np.linalg.solve(R, Q.T @ (base + columns @ t))
    return t * scale
