"""What is computed in place of a gradient or a Hessian-vector product, exactly.

Every function takes the contract's arguments, ``(f, x)`` or ``(f, x, v)``. `GRADIENT_VARIANTS` belongs to the contract
``gradient``, `HVP_VARIANTS` to ``hvp``.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from refgrad import exact
from refgrad.backend import of
from refgrad.contracts.derivatives.functions import Form, Function, LeastSquares, LogSumExp, gradient, hvp
from refgrad.contracts.tools.answer import Answer, NotApplicable, Variant
from refgrad.contracts.tools.assemble import identity, rows
from refgrad.contracts.tools.solve import may_vanish
from refgrad.errors import Undecided
from refgrad.typing import Array, Scalar

__all__ = ["GRADIENT_VARIANTS", "HVP_VARIANTS"]


def scaled(answer: Answer, factor: Any) -> Answer:
    """``factor`` times an answer."""
    return Answer(factor * answer.value, abs(factor) * answer.magnitude)


def length(x: Array) -> Scalar:
    """The Euclidean norm of a vector that is not zero."""
    if may_vanish(x @ x):
        raise NotApplicable("a zero vector has no direction")
    return of(x).sqrt(x @ x)


def least_squares(f: Any) -> LeastSquares:
    """f, if it has residuals."""
    if not isinstance(f, LeastSquares):
        raise NotApplicable("only least squares have residuals")
    return f


def normalised(f: Function, x: Array) -> Answer:
    """``g / |g|``."""
    answer = gradient(f, x)
    return scaled(answer, 1 / length(answer.value))


def clipped(f: Function, x: Array) -> Answer:
    """``g min(1, 1/|g|)``."""
    answer = gradient(f, x)
    if may_vanish(answer.value @ answer.value) or answer.value @ answer.value <= 1:
        return answer
    return scaled(answer, 1 / length(answer.value))


def clipped_elements(f: Function, x: Array) -> Answer:
    """``min(max(g, -1), 1)``."""
    answer = gradient(f, x)
    xp, one = of(answer.value), 0 * answer.value + 1
    return Answer(-xp.maximum(-xp.maximum(answer.value, -one), -one), answer.magnitude)


def sign(f: Function, x: Array) -> Answer:
    """``sign g``; the magnitude is 0, for a sign is not a sum."""
    value = f.grad(x)
    try:
        return Answer(of(value).sign(value), 0 * value)
    except Undecided:
        raise NotApplicable("the sign of a number that may be zero is not known") from None


def straight_through(f: Any, x: Array) -> Answer:
    """``A^T C^T e``: phi' is taken for 1."""
    f = least_squares(f)
    e, E = f.residuals(x), f.sizes(x)[0]
    return Answer(f.A.T @ (f.C.T @ e), abs(f.A).T @ (abs(f.C).T @ E))


def hard_maximum(f: Any, x: Array) -> Answer:
    """The row of A of the largest logit."""
    if not isinstance(f, LogSumExp):
        raise NotApplicable("only log-sum-exp is a soft maximum")
    z = f.A @ x + f.b
    largest = max(range(len(z)), key=lambda i: exact.bounds(z[i])[0].item())
    if sum(may_vanish(z[i] - z[largest]) for i in range(len(z))) > 1:
        raise NotApplicable("several logits are the largest")
    return Answer(f.A[largest], abs(f.A[largest]))


def form(f: Any) -> Form:
    """f, if it has a matrix that may not be symmetric."""
    if not isinstance(f, Form):
        raise NotApplicable("only a form has a matrix that is not symmetric")
    return f


def unsymmetrised_gradient(f: Any, x: Array) -> Answer:
    """``b + Q x + a (a.x)^2 / 2``."""
    Q, answer = form(f).Q, gradient(f, x)
    return Answer(answer.value + (Q @ x - Q.T @ x) / 2, answer.magnitude + abs(Q) @ abs(x))


def unsymmetrised_product(f: Any, x: Array, v: Array) -> Answer:
    """``Q v + a (a.x) (a.v)``."""
    Q, answer = form(f).Q, hvp(f, x, v)
    return Answer(answer.value + (Q @ v - Q.T @ v) / 2, answer.magnitude + abs(Q) @ abs(v))


def gauss_newton(f: Any, x: Array, v: Array) -> Answer:
    """``J^T J v`` for residuals with the Jacobian J."""
    return Answer(least_squares(f).gauss_newton(x, v), f.hvp_terms(x, v))


def hessian(f: Function, x: Array) -> tuple[Array, Array]:
    """The Hessian, and the sizes of the terms of its entries."""
    units = identity(x)
    return rows([f.hvp(x, e) for e in units]), rows([f.hvp_terms(x, e) for e in units])


def diagonal(f: Function, x: Array, v: Array) -> Answer:
    """``diag(H) * v``."""
    (H, S), units = hessian(f, x), identity(x)
    return Answer((H * units).sum(1) * v, (S * units).sum(1) * abs(v))


def row_sums(f: Function, x: Array, v: Array) -> Answer:
    """``(H 1) * v``."""
    H, S = hessian(f, x)
    return Answer(H.sum(1) * v, S.sum(1) * abs(v))


def elementwise(f: Function, x: Array, v: Array) -> Answer:
    """``v * H v``."""
    answer = hvp(f, x, v)
    return Answer(v * answer.value, abs(v) * answer.magnitude)


def gradient_times(f: Function, x: Array, v: Array) -> Answer:
    """``g * v``."""
    answer = gradient(f, x)
    return Answer(answer.value * v, answer.magnitude * abs(v))


def outer_product(f: Function, x: Array, v: Array) -> Answer:
    """``g (g.v)``."""
    answer = gradient(f, x)
    return Answer(answer.value * (answer.value @ v), answer.magnitude * (answer.magnitude @ abs(v)))


def central_difference(f: Function, x: Array, v: Array) -> Answer:
    """``(g(x + eps v) - g(x - eps v)) / (2 eps)`` with ``eps = 0.01 / |v|``."""
    eps = Fraction(1, 100) / length(v)
    above, below = gradient(f, x + eps * v), gradient(f, x - eps * v)
    return Answer((above.value - below.value) / (2 * eps), (above.magnitude + below.magnitude) / (2 * eps))


REDUCTION = ("torch.nn.MSELoss, whose reduction is 'mean' by default",)

GRADIENT_VARIANTS = (
    Variant("doubled", "2 g", "twice the gradient, as of a sum of squares without the factor 1/2", (),
            lambda f, x: scaled(gradient(f, x), 2)),
    Variant("halved", "g / 2", "half the gradient", (), lambda f, x: scaled(gradient(f, x), Fraction(1, 2))),
    Variant("mean-of-residuals", "g / k", "the gradient for the mean of the residuals, not their sum", REDUCTION,
            lambda f, x: scaled(gradient(f, x), Fraction(1, len(least_squares(f).y)))),
    Variant("sign", "sign g", "the sign of every component", ("Bernstein et al. 2018, arXiv 1802.04434",), sign),
    Variant("normalised", "g / |g|", "the gradient scaled to length 1",
            ("Hazan, Levy and Shalev-Shwartz 2015, arXiv 1507.02030",), normalised),
    Variant("clipped", "g min(1, 1 / |g|)", "the gradient clipped to length 1",
            ("Pascanu, Mikolov and Bengio 2013, arXiv 1211.5063", "torch.nn.utils.clip_grad_norm_"), clipped),
    Variant("clipped-elements", "min(max(g, -1), 1)", "the gradient with each component clipped to [-1, 1]",
            ("torch.nn.utils.clip_grad_value_",), clipped_elements),
    Variant("straight-through", "A^T C^T e", "the gradient with the derivative of the inner function taken for 1",
            ("Bengio, Leonard and Courville 2013, arXiv 1308.3432",), straight_through),
    Variant("hard-maximum", "A_i, i = argmax(A x + b)", "the gradient of the largest logit in place of log-sum-exp", (),
            hard_maximum),
    Variant("unsymmetrised", "b + Q x + a (a.x)^2 / 2", "the gradient of x.Q x / 2 as if Q were symmetric", (),
            unsymmetrised_gradient),
)  # fmt: skip

HVP_VARIANTS = (
    Variant("halved", "H v / 2", "half of it, the gradient of half the quadratic form", (),
            lambda f, x, v: scaled(hvp(f, x, v), Fraction(1, 2))),
    Variant("mean-of-residuals", "H v / k", "the product for the mean of the residuals, not their sum", REDUCTION,
            lambda f, x, v: scaled(hvp(f, x, v), Fraction(1, len(least_squares(f).y)))),
    Variant("gauss-newton", "J^T J v", "the Gauss-Newton product, without the second derivatives of the residuals",
            ("Schraudolph 2002, Fast Curvature Matrix-Vector Products", "Martens 2010, Hessian-free optimization"),
            gauss_newton),
    Variant("diagonal", "diag(H) * v", "the product with the diagonal of the Hessian alone",
            ("LeCun, Denker and Solla 1989, Optimal Brain Damage",), diagonal),
    Variant("row-sums", "(H 1) * v", "the row sums of the Hessian times v: g was summed, not multiplied", (), row_sums),
    Variant("hutchinson", "v * H v", "v times the product, an estimate of the Hessian's diagonal",
            ("Yao et al. 2021, AdaHessian, arXiv 2006.00719",), elementwise),
    Variant("gradient-times-v", "g * v", "the gradient times v, element by element", (), gradient_times),
    Variant("outer-product", "g (g.v)", "the product with the outer product of the gradient",
            ("Kunstner, Balles and Hennig 2019, arXiv 1905.12558, eq. (3)",), outer_product),
    Variant("central-difference", "(g(x + eps v) - g(x - eps v)) / (2 eps), eps = 0.01 / |v|",
            "a central difference of gradients with the step of DARTS",
            ("Liu, Simonyan and Yang 2019, DARTS, arXiv 1806.09055, section 2.3",), central_difference),
    Variant("unsymmetrised", "Q v + a (a.x)(a.v)", "the product as if Q were symmetric", (), unsymmetrised_product),
)  # fmt: skip
