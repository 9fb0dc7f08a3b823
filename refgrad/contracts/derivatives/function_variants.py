"""What is computed in place of a gradient or a Hessian-vector product.

Every formula takes the contract's arguments, ``(f, x)`` or ``(f, x, v)``. `GRADIENT_VARIANTS` belongs to the contract
``gradient``, `HVP_VARIANTS` to ``hvp``.
"""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

from refgrad.backend import of
from refgrad.contracts.derivatives.functions import LINKS, Form, Function, LeastSquares, LogSumExp, TwoLayers
from refgrad.contracts.tools.answer import NotApplicable, Variant
from refgrad.contracts.tools.assemble import identity, rows
from refgrad.contracts.tools.solve import may_vanish
from refgrad.contracts.tools.terms import measured, settled
from refgrad.errors import Undecided
from refgrad.typing import Array, Scalar

__all__ = ["DIFFERENCES", "GRADIENT_VARIANTS", "HVP_VARIANTS"]


def length(x: Array) -> Scalar:
    """The Euclidean norm of a vector that is not zero."""
    x = settled(x)
    if may_vanish(x @ x):
        raise NotApplicable("a zero vector has no direction")
    return of(x).sqrt(x @ x)


def with_residuals(f: Any) -> Any:
    """f, if it has residuals."""
    if not isinstance(f, (LeastSquares, TwoLayers)):
        raise NotApplicable("only least squares have residuals")
    return f


def normalised(f: Function, x: Array) -> Array:
    """``g / |g|``."""
    g = f.grad(x)
    return g / length(g)


def clipped(f: Function, x: Array) -> Array:
    """``g min(1, 1/|g|)``."""
    g = f.grad(x)
    squared = settled(g) @ settled(g)
    return g if may_vanish(squared) or squared <= 1 else g / length(g)


def clipped_elements(f: Function, x: Array) -> Array:
    """``min(max(g, -1), 1)``."""
    g = f.grad(x)
    xp, one = of(g), 0 * g + 1
    return -xp.maximum(-xp.maximum(g, -one), -one)


def sign(f: Function, x: Array) -> Array:
    """``sign g``."""
    g = f.grad(x)
    try:
        return of(g).sign(g)
    except Undecided:
        raise NotApplicable("the sign of a number that may be zero is not known") from None


def straight_through(f: Any, x: Array) -> Array:
    """``A^T C^T e``: phi' is taken for 1."""
    f = copy.copy(with_residuals(f))
    f.slope = LINKS["linear"].slope
    return f.grad(x)


def hard_maximum(f: Any, x: Array) -> Array:
    """The row of A of the largest logit."""
    if not isinstance(f, LogSumExp):
        raise NotApplicable("only log-sum-exp is a soft maximum")
    z = f.A @ x + f.b
    largest = int(of(z).argmax(z, 0))
    if sum(may_vanish(z[i] - z[largest]) for i in range(len(z))) > 1:
        raise NotApplicable("several logits are the largest")
    return f.A[largest]


def form(f: Any) -> Form:
    """f, if it has a matrix that may not be symmetric."""
    if not isinstance(f, Form):
        raise NotApplicable("only a form has a matrix that is not symmetric")
    return f


def unsymmetrised_gradient(f: Any, x: Array) -> Array:
    """``b + Q x + a (a.x)^2 / 2``."""
    return f.grad(x) + (form(f).Q @ x - f.Q.T @ x) / 2


def unsymmetrised_product(f: Any, x: Array, v: Array) -> Array:
    """``Q v + a (a.x) (a.v)``."""
    return f.hvp(x, v) + (form(f).Q @ v - f.Q.T @ v) / 2


def diagonal(f: Function, x: Array, v: Array) -> Array:
    """``diag(H) * v``."""
    units = identity(x)
    return (rows([f.hvp(x, units[i]) for i in range(len(x))]) * units).sum(1) * v


def outer_product(f: Function, x: Array, v: Array) -> Array:
    """``g (g.v)``."""
    g = f.grad(x)
    return g * (g @ v)


def central_difference(f: Function, x: Array, v: Array) -> Array:
    """``(g(x + eps v) - g(x - eps v)) / (2 eps)`` with ``eps = 0.01 / |v|``."""
    n = length(v)
    step = v / (100 * n)
    return (f.grad(settled(x + step)) - f.grad(settled(x - step))) * (50 * n)


def floats(x: Any) -> Any:
    """The nearest floats; of terms their values."""
    return getattr(x, "value", x).astype(float)


def difference(f: Function, x: Array, v: Array, sides: int, unit: bool) -> Array:
    """``(g(x + eps v) - g(x - eps v)) / (2 eps)`` with ``eps = 1e-6``, or ``(g(x + eps v) - g(x)) / eps`` with 1e-8.

    Rounding costs g / eps, which hides how long the step was precisely: where its length counts, there is no answer.
    """
    n = length(v) if unit else 1
    many = 10**6 if sides == 2 else 10**8
    step = v / (many * n)
    above, below = f.grad(settled(x + step)), f.grad(settled(x - step if sides == 2 else x))
    found = (above - below) * (many * n) / sides
    noise = abs(floats(below)).max() * many * float(floats(n) if unit else 1)
    if abs(floats(found) - floats(f.hvp(x, v))).max() > 2.0**-50 * noise:
        raise NotApplicable("what a difference of gradients is depends on the length of its step here")
    return found


REDUCTION = ("torch.nn.MSELoss, whose reduction is 'mean' by default",)

GRADIENT_VARIANTS = (
    Variant("doubled", "2 g", "twice the gradient, as of a sum of squares without the factor 1/2", (),
            measured(lambda f, x: 2 * f.grad(x))),
    Variant("halved", "g / 2", "half the gradient", (), measured(lambda f, x: f.grad(x) / 2)),
    Variant("mean-of-residuals", "g / k", "the gradient for the mean of the residuals, not their sum", REDUCTION,
            measured(lambda f, x: f.grad(x) / len(with_residuals(f).y))),
    Variant("sign", "sign g", "the sign of every component", ("Bernstein et al. 2018, arXiv 1802.04434",),
            measured(sign)),
    Variant("normalised", "g / |g|", "the gradient scaled to length 1",
            ("Hazan, Levy and Shalev-Shwartz 2015, arXiv 1507.02030",), measured(normalised)),
    Variant("clipped", "g min(1, 1 / |g|)", "the gradient clipped to length 1",
            ("Pascanu, Mikolov and Bengio 2013, arXiv 1211.5063", "torch.nn.utils.clip_grad_norm_"), measured(clipped)),
    Variant("clipped-elements", "min(max(g, -1), 1)", "the gradient with each component clipped to [-1, 1]",
            ("torch.nn.utils.clip_grad_value_",), measured(clipped_elements)),
    Variant("straight-through", "A^T C^T e", "the gradient with the derivative of the inner function taken for 1",
            ("Bengio, Leonard and Courville 2013, arXiv 1308.3432",), measured(straight_through)),
    Variant("hard-maximum", "A_i, i = argmax(A x + b)", "the gradient of the largest logit in place of log-sum-exp", (),
            measured(hard_maximum)),
    Variant("unsymmetrised", "b + Q x + a (a.x)^2 / 2", "the gradient of x.Q x / 2 as if Q were symmetric", (),
            measured(unsymmetrised_gradient)),
)  # fmt: skip

HVP_VARIANTS = (
    Variant("halved", "H v / 2", "half of it, the gradient of half the quadratic form", (),
            measured(lambda f, x, v: f.hvp(x, v) / 2)),
    Variant("mean-of-residuals", "H v / k", "the product for the mean of the residuals, not their sum", REDUCTION,
            measured(lambda f, x, v: f.hvp(x, v) / len(with_residuals(f).y))),
    Variant("gauss-newton", "J^T J v", "the Gauss-Newton product, without the second derivatives of the residuals",
            ("Schraudolph 2002, Fast Curvature Matrix-Vector Products", "Martens 2010, Hessian-free optimization"),
            measured(lambda f, x, v: with_residuals(f).gauss_newton(x, v))),
    Variant("diagonal", "diag(H) * v", "the product with the diagonal of the Hessian alone",
            ("LeCun, Denker and Solla 1989, Optimal Brain Damage",), measured(diagonal)),
    Variant("row-sums", "(H 1) * v", "the row sums of the Hessian times v: g was summed, not multiplied", (),
            measured(lambda f, x, v: f.hvp(x, 1 + 0 * v) * v)),
    Variant("hutchinson", "v * H v", "v times the product, an estimate of the Hessian's diagonal",
            ("Yao et al. 2021, AdaHessian, arXiv 2006.00719",), measured(lambda f, x, v: v * f.hvp(x, v))),
    Variant("gradient-times-v", "g * v", "the gradient times v, element by element", (),
            measured(lambda f, x, v: f.grad(x) * v)),
    Variant("outer-product", "g (g.v)", "the product with the outer product of the gradient",
            ("Kunstner, Balles and Hennig 2019, arXiv 1905.12558, eq. (3)",), measured(outer_product)),
    Variant("central-difference", "(g(x + eps v) - g(x - eps v)) / (2 eps), eps = 0.01 / |v|",
            "a central difference of gradients with the step of DARTS",
            ("Liu, Simonyan and Yang 2019, DARTS, arXiv 1806.09055, section 2.3",), measured(central_difference)),
    Variant("unsymmetrised", "Q v + a (a.x)(a.v)", "the product as if Q were symmetric", (),
            measured(unsymmetrised_product)),
)  # fmt: skip

DIFFERENCES = tuple(
    Variant(
        f"{side}-difference-of-gradients{'' if unit else '-along-v'}",
        f"{formula}, eps near {eps}{' / |v|' if unit else ''}",
        f"a {side} difference of gradients, whose rounding error is that of a gradient divided by the step",
        ("Nocedal and Wright 2006, Numerical Optimization, section 8.1",),
        measured(partial(difference, sides=sides, unit=unit)),
    )
    for side, sides, eps, formula in (
        ("central", 2, "1e-6", "(g(x + eps v) - g(x - eps v)) / (2 eps)"),
        ("forward", 1, "1e-8", "(g(x + eps v) - g(x)) / eps"),
    )
    for unit in (True, False)
)
"""Tried after a failure only: a right product is nowhere apart from them, by their own rounding."""
