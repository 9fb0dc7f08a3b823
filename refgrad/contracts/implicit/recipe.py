"""Formulas computed in place of a hypergradient, each a point of one grid.

    scale (direct d + indirect B^T x) + leak,     x in place of u = H^{-1} g

in the symbols of `Derivatives`. The defaults of `Recipe` are the hypergradient itself; a Neumann series in place of the
inverse is

    x = lr sum_{j=0..J} (I - lr H)^j g,

as many terms as steps of gradient descent that begin at the solution and are differentiated with that start held fixed
(Lorraine, Vicol and Duvenaud 2020, arXiv 1911.02590, theorem 2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from refgrad.contracts.implicit import adjoints
from refgrad.contracts.implicit.losses import Inner, Outer
from refgrad.contracts.tools.answer import NotApplicable
from refgrad.contracts.tools.assemble import identity
from refgrad.contracts.tools.terms import settled
from refgrad.typing import Array, Scalar

__all__ = ["Recipe", "at_solution", "formula", "series"]

Ratio = tuple[int, int]


@dataclass(frozen=True)
class Recipe:
    """One formula.

    Attributes
    ----------
    inverse : str
        What x is: ``exact``, ``identity`` (g), ``hessian`` (H g), ``step`` (lr g), ``neumann``, ``cg``, ``stale`` (the
        iterate of conjugate gradients before the one that solves the system), ``old-residual`` and ``half-curvature``
        (two mistakes in conjugate gradients), ``normal`` (a damped least squares solution), ``first-leaf`` (the last
        component left out).
    lr : pair of ints or None
        The step of a series as a fraction; None for the one that is given.
    terms : int or None
        The last power J of a series; None for the one that is given.
    extra : int
        What is added to J.
    rate : pair of ints
        By which the step is multiplied.
    factor : int
        The power of the step in front of the series.
    summed : str
        Of a series: ``all``; ``later`` (from j = 1); ``subtracted`` (the first less the later ones); ``last``;
        ``mean``.
    iterations, start : int
        Of conjugate gradients; begun at 0 or at 1 times g.
    hessian : str
        H is that of the ``inner`` loss, the ``outer`` loss, ``both``; the inner one without what phi weighs
        (``unpenalised``), without the residuals' second derivatives (``gauss-newton``), its ``diagonal``, without the
        blocks between two ``leaves``, or ``rank-one``, the outer product of d inner / dw.
    shift : pair of ints
        What is added to the diagonal of H.
    transposed : bool
        Whether B stands for B^T.
    direct : int
    indirect, scale : pairs of ints
    leak : int
        How often d inner / dphi is added.
    point : str
        ``solution``; ``unsolved``, where J + 1 steps of gradient descent from zero end.
    """

    inverse: str = "exact"
    lr: Ratio | None = None
    terms: int | None = None
    extra: int = 0
    rate: Ratio = (1, 1)
    factor: int = 1
    summed: str = "all"
    iterations: int = 0
    start: int = 0
    hessian: str = "inner"
    shift: Ratio = (0, 1)
    transposed: bool = False
    direct: int = 1
    indirect: Ratio = (-1, 1)
    scale: Ratio = (1, 1)
    leak: int = 0
    point: str = "solution"


class Point:
    """The derivatives of two losses at one point, each computed when it is asked for."""

    def __init__(self, inner: Inner, outer: Outer, w: Array, phi: Array) -> None:
        self.inner, self.outer, self.at = inner, outer, (w, phi)

    @property
    def slope(self) -> Array:
        return self.inner.grad(*self.at)

    @property
    def slope_phi(self) -> Array:
        return self.inner.slope_phi(*self.at)

    @property
    def H(self) -> Array:
        return self.inner.hessian(*self.at)

    @property
    def B(self) -> Array:
        return self.inner.cross(*self.at)

    @property
    def g(self) -> Array:
        return self.outer.grad_w(*self.at)

    @property
    def d(self) -> Array:
        return self.outer.grad_phi(*self.at)

    @property
    def Q(self) -> Array:
        return self.outer.hessian(*self.at)

    @property
    def unpenalised(self) -> Array:
        return self.H - self.inner.penalty(self.at[1])

    @property
    def gauss_newton(self) -> Array:
        return self.H - self.inner.second_order(*self.at)


def at_solution(recipe: Recipe) -> Callable[..., Array]:
    """The formula as a function ``(inner, outer, w, phi)``, or with ``lr`` and ``terms`` after them."""

    def value(inner: Inner, outer: Outer, w: Array, phi: Array, lr: Any = None, terms: int = 0) -> Array:
        return formula(recipe, lambda w, phi: Point(inner, outer, w, phi), w, phi, lr, terms)

    return value


def formula(
    recipe: Recipe, derivatives: Callable[[Array, Array], Any], w: Array, phi: Array, lr: Any, terms: int
) -> Array:
    """The value, shape (m,).

    Parameters
    ----------
    recipe : Recipe
    derivatives : callable
        ``derivatives(w, phi)``: what `Derivatives` has.
    w, phi : arrays, shapes (n,) and (m,)
        The inner solution, and what it belongs to.
    lr : scalar or None
    terms : int
    """
    lr = lr if recipe.lr is None else times(0 * w[0] + 1, recipe.lr)
    last = (terms if recipe.terms is None else recipe.terms) + recipe.extra
    if recipe.point == "unsolved":
        w = 0 * w
        for _ in range(last + 1):
            w = settled(w - lr * derivatives(w, phi).slope)
    D = derivatives(w, phi)
    if recipe.scale[0] == 0:
        return 0 * phi
    value = recipe.direct * D.d if recipe.direct else 0 * phi
    if recipe.indirect[0]:
        x = adjoint(recipe, D, lr, last)
        value = value + times(across(D.B, x, recipe.transposed), recipe.indirect)
    value = times(value, recipe.scale)
    return value + recipe.leak * D.slope_phi if recipe.leak else value


def times(x: Array, ratio: Ratio) -> Array:
    """``x p / q``."""
    p, q = ratio
    x = x if p == 1 else x * p
    return x if q == 1 else x / q


def across(B: Array, x: Array, transposed: bool) -> Array:
    """``B^T x``, or ``B x`` by mistake."""
    n, m = B.shape
    if not transposed:
        return B.T @ x
    if n != m:
        raise NotApplicable(f"B of shape ({n}, {m}) times a vector of length {n}: only a square B is defined")
    return B @ x


def curvature(recipe: Recipe, D: Any) -> Array:
    """The matrix in the place of H."""
    matrices = {
        "inner": lambda: D.H,
        "outer": lambda: D.Q,
        "both": lambda: D.H + D.Q,
        "unpenalised": lambda: D.unpenalised,
        "gauss-newton": lambda: D.gauss_newton,
        "diagonal": lambda: D.H * identity(D.g),
        "leaves": lambda: adjoints.leaves(D.H),
        "rank-one": lambda: D.slope[:, None] * D.slope,
    }
    H = matrices[recipe.hessian]()
    return H + times(identity(D.g), recipe.shift) if recipe.shift[0] else H


def adjoint(recipe: Recipe, D: Any, lr: Any, last: int) -> Array:
    """The vector x in the place of u."""
    g = D.g
    if recipe.inverse == "identity":
        return g
    if recipe.inverse == "step":
        return lr * g
    H = curvature(recipe, D)
    if recipe.inverse == "neumann":
        return series(recipe, H, g, times(lr, recipe.rate), last + 1)
    if recipe.inverse == "half-curvature":
        return adjoints.conjugate_gradients(H, g, len(g), curvature=2)[-1] / 2
    solvers: dict[str, Callable[[], Array]] = {
        "exact": lambda: adjoints.solution(H, g),
        "hessian": lambda: H @ g,
        "cg": lambda: adjoints.iterate(H, g, recipe.iterations, recipe.start),
        "stale": lambda: adjoints.stale_iterate(H, g),
        "old-residual": lambda: adjoints.conjugate_gradients(H, g, len(g), old_residual=True)[-1],
        "normal": lambda: adjoints.normal_equations(H, g),
        "first-leaf": lambda: adjoints.first_leaf(H, g),
    }
    return solvers[recipe.inverse]()


def series(recipe: Recipe, H: Array, g: Array, lr: Scalar, count: int) -> Array:
    """``lr sum_{j < count} (I - lr H)^j g``, or what stands for it."""
    vectors = adjoints.powers(H, g, lr, count)
    if recipe.summed == "later":
        vectors = vectors[1:]
    elif recipe.summed == "subtracted":
        vectors = vectors[:1] + [-v for v in vectors[1:]]
    elif recipe.summed == "last":
        vectors = vectors[-1:]
    x = adjoints.total(vectors, g)
    if recipe.summed == "mean" and vectors:
        x = x / len(vectors)
    for _ in range(recipe.factor):
        x = lr * x
    return x
