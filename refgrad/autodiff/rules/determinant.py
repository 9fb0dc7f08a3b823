"""Determinants, with derivatives that are right at singular matrices, to every order.

The determinant is a polynomial. Its derivatives are taken from one symmetric multilinear form: `cofactor` of A and of
directions E_1, ..., E_k is the matrix G with ``<G, X> = D^{k+1} det(A)[E_1, ..., E_k, X]``; without directions, the
matrix of cofactors, the transpose of the adjugate. By the symmetry of derivatives, the derivative of G by A in the
direction T is `cofactor` with one direction more, and that by E_i puts T in its place; so is it backwards. The set is
closed under differentiation, and nothing is ever divided by the determinant.

The logarithm of ``|det A|`` is a primitive of its own, for where the determinant itself overflows; its derivative is
the inverse, which singular matrices have not.
"""

from __future__ import annotations

from collections.abc import Sequence

from refgrad import backend
from refgrad.autodiff.core import Primitive, Unary, primal
from refgrad.autodiff.domains import case, invertible, real
from refgrad.autodiff.primitive import unbroadcast
from refgrad.autodiff.rules.linalg import solve
from refgrad.autodiff.rules.matrix import matrix_transpose
from refgrad.autodiff.rules.reduce import sum_
from refgrad.autodiff.rules.shape import reshape, slice_
from refgrad.backend import shape_of
from refgrad.typing import Array

__all__ = ["cofactor", "det", "det_sign", "identity", "log_abs_det"]


def identity(a: Array) -> Array:
    """The untraced identity of the order, dtype and library of the square matrices `a`."""
    value = primal(a)
    xp = backend.of(value)
    n = shape_of(a)[-1]
    return xp.onehot(xp.indices(n, value), n, value)


def _over_matrices(x: Array) -> Array:
    """The sums over the last two axes."""
    n = len(shape_of(x))
    return sum_(x, axis=(n - 2, n - 1), keepdims=False)


def _for_matrices(g: Array) -> Array:
    """One number for each matrix, so that it broadcasts against the matrices."""
    return reshape(g, shape=(*shape_of(g), 1, 1))


def _cofactor_jvp(y: Array, xs: Sequence[Array], ts: Sequence[Array]) -> Array:
    total = None
    for i, t in enumerate(ts):
        if t is not None:
            term = cofactor(*xs, t) if i == 0 else cofactor(*xs[:i], t, *xs[i + 1 :])
            total = term if total is None else total + term
    return total


def _cofactor_vjp(i: int, g: Array, y: Array, *xs: Array) -> Array:
    term = cofactor(*xs, g) if i == 0 else cofactor(*xs[:i], g, *xs[i + 1 :])
    return unbroadcast(term, xs[i])


cofactor: Primitive = Primitive(
    "cofactor",
    lambda xp, a, *directions: xp.cofactor(a, *directions),
    jvp=_cofactor_jvp,
    vjp=_cofactor_vjp,
    source="cofactor({all})",
    cases=(
        case(real(2, 2)),
        case(real(3, 3), real(3, 3)),
        case(real(2, 2, 2), real(2, 2)),
        case(real(3, 3), real(3, 3), real(3, 3)),
    ),
)

det: Primitive = Unary(
    "det",
    lambda xp, a: xp.det(a),
    jvp=lambda y, xs, ts: _over_matrices(cofactor(xs[0]) * ts[0]),
    vjp=lambda i, g, y, a: _for_matrices(g) * cofactor(a),
    source="np.linalg.det({0})",
    cases=(case(real(2, 2)), case(real(3, 3)), case(real(2, 2, 2)), case(real(1, 1))),
)


def _log_abs_det_jvp(y: Array, xs: Sequence[Array], ts: Sequence[Array]) -> Array:
    quotient = solve(xs[0], ts[0])
    *lead, n, _ = shape_of(quotient)
    diagonal = (*(slice(None),) * len(lead), slice(None, None, n + 1))
    trace = slice_(reshape(quotient, shape=(*lead, n * n)), index=diagonal)
    return sum_(trace, axis=(len(lead),), keepdims=False)


log_abs_det: Primitive = Unary(
    "log_abs_det",
    lambda xp, a: xp.log_abs_det(a),
    jvp=_log_abs_det_jvp,
    vjp=lambda i, g, y, a: solve(matrix_transpose(a), _for_matrices(g) * identity(a)),
    source="np.linalg.slogdet({0})[1]",
    cases=(case(invertible(2, 2)), case(invertible(3, 3)), case(invertible(2, 2, 2))),
)

det_sign: Primitive = Unary(
    "det_sign",
    lambda xp, a: xp.det_sign(a),
    jvp=None,
    vjp=None,
    kink=lambda y, a: y == 0,
    source="np.linalg.slogdet({0})[0]",
    cases=(case(invertible(2, 2)), case(invertible(2, 3, 3))),
)
