"""No constant, square or cube inside a function leaves the range of the dtype where its result is in it.

Every function of `refgrad.numpy`, its ``linalg`` and ``nn``, by their ``__all__``, with its gradient and the gradient
of that, on numbers of all sizes in float16, float32 and float64, against certified enclosures.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

import refgrad.numpy as rnp
from refgrad import exact, grad
from refgrad.accuracy import LARGEST
from refgrad.autodiff.core import primal
from refgrad.backend import of
from refgrad.numpy import linalg, nn

pytest.importorskip("flint", reason="certified enclosures need python-flint")

SCALES = {
    "float16": (6e-5, 1e-2, 1, 100, 2e4),
    "float32": (1e-37, 1e-23, 1e-10, 1, 1e10, 1e20, 2e37),
    "float64": (1e-300, 1e-180, 1e-80, 1, 1e80, 1e180, 2e307),
}
V = np.array([1.25, -0.75, 0.5, 2.0])


def like(x, text, shape=()):
    """A number all over an array of the dtype of x, or an exact one."""
    if of(primal(x)).exact:
        return exact.asarray(np.full(shape, text, object))
    return np.full(shape, float(Fraction(text)), primal(x).dtype)


EPSILON = lambda x: {"epsilon": like(x, "1/65536")}
square = lambda x: rnp.reshape(x, (2, 2))
image = lambda x: rnp.reshape(x, (1, 1, 2, 2))
line = lambda x: rnp.reshape(x, (1, 1, 4))
row = lambda x: rnp.reshape(x, (1, 4))
each = {"reduction": "none"}
quarters = lambda x: like(x, "1/4", (4,))

RECIPES = {
    "acosh": rnp.acosh,
    "arccosh": rnp.arccosh,
    "batch_norm": lambda x: nn.batch_norm(rnp.reshape(x, (4, 1)), **EPSILON(x))[0],
    "binary_cross_entropy": lambda x: nn.binary_cross_entropy(x, quarters(x), **each),
    "conv1d": lambda x: nn.conv1d(line(x), like(x, "1", (1, 1, 2))),
    "conv2d": lambda x: nn.conv2d(image(x), like(x, "1", (1, 1, 2, 2))),
    "cross": lambda x: rnp.cross(x[:3], x[1:]),
    "cross_entropy": lambda x: nn.cross_entropy(row(x), np.array([2])),
    "einsum": lambda x: rnp.einsum("i,j->ij", x, x),
    "gaussian_nll": lambda x: nn.gaussian_nll(x, x[::-1], rnp.abs(x), **each),
    "gelu, tanh": lambda x: nn.gelu(x, approximate=True),
    "huber": lambda x: nn.huber(x, x[::-1], **each),
    "layer_norm": lambda x: nn.layer_norm(x, **EPSILON(x)),
    "ldexp": lambda x: rnp.ldexp(x, np.array([3, -2, 0, 1])),
    "leaky_relu": lambda x: nn.leaky_relu(x, like(x, "1/4")),
    "linspace": lambda x: rnp.linspace(x[0], x[1], 5),
    "avg_pool": lambda x: nn.avg_pool(image(x), 2),
    "max_pool": lambda x: nn.max_pool(image(x), 2),
    "matrix_power": lambda x: linalg.matrix_power(square(x), 3),
    "mean_squared_error": lambda x: nn.mean_squared_error(x, x[::-1]),
    "norm, fro": lambda x: linalg.norm(square(x)),
    "norm, inf": lambda x: linalg.norm(x, math.inf),
    "norm, of columns": lambda x: linalg.norm(square(x), axis=0),
    "norm, 1": lambda x: linalg.norm(square(x), 1),
    "poisson_nll": lambda x: nn.poisson_nll(x, quarters(x), **each),
    "pow": lambda x: rnp.pow(rnp.abs(x), like(x, "3/2", (4,))),
    "power": lambda x: rnp.power(x, 3),
    "rms_norm": lambda x: nn.rms_norm(x, **EPSILON(x)),
    "svd": lambda x: linalg.svd(square(x), compute_uv=False),
    "where": lambda x: rnp.where(x > 0, x, x * x),
}
EXEMPT = {
    "digamma": "SciPy's, held to the limit in test_accuracy_grid",
    "lgamma": "SciPy's, held to the limit in test_accuracy_grid",
    "polygamma": "SciPy's, held to the limit in test_accuracy_grid",
    "sinc": "in test_accuracy_grid; sin(pi x) beyond 100 is that of another angle",
    "dot_product_attention": "the scores, products of two numbers, are what leaves the range",
    "eigh": "the eigenvectors of a matrix with equal eigenvalues have no derivative",
    "float_power": "NumPy's is float64 whatever it is given",
    "lstsq": "products of inverses are what leaves the range",
    "solve": "products of two inverses are what leaves the range",
    "qr": "products of the whole matrix and its factors are what leaves the range",
    "cumprod": "partial products of its derivatives are what leaves the range",
    "cumulative_prod": "partial products of its derivatives are what leaves the range",
    "prod": "partial products of its derivatives are what leaves the range",
}
OTHERS = {
    "all", "any", "argmax", "argmin", "argsort", "array_split", "astype", "bitwise_and", "bitwise_invert", "bitwise_or",
    "bitwise_xor", "broadcast_to", "count_nonzero", "dsplit", "equal", "expand_dims", "fold", "full", "getitem",
    "greater", "greater_equal", "hsplit", "invert", "isfinite", "isnan", "less", "less_equal", "logical_and",
    "logical_not", "logical_or", "logical_xor", "moveaxis", "ndim", "not_equal", "one_hot", "pad", "put_along_axis_add",
    "repeat", "reshape", "roll", "scatter_add", "shape", "size", "split", "swapaxes", "take", "take_along_axis", "tile",
    "vsplit", "windows",
}  # fmt: skip
"""What returns integers or masks, or moves elements by integers that it is given."""

DIFFERENCES = {"kl_divergence", "log_softmax", "poisson_nll"}
"""Where a result is a difference of terms of the size of 1."""


def functions():
    found = {}
    for module in (rnp, nn, linalg):
        for name in module.__all__:
            f = getattr(module, name)
            if callable(f) and not isinstance(f, type):
                found.setdefault(name, f)
    return found


FUNCTIONS = functions()


def first(y):
    return y[0] if isinstance(y, (tuple, list)) else y


def call(name):
    """A function of four numbers: the recipe, or the first of the usual ways to call it that gives real numbers."""
    if name in RECIPES:
        return RECIPES[name]
    f = FUNCTIONS[name]
    ways = (
        lambda x: first(f(x)),
        lambda x: first(f(square(x))),
        lambda x: first(f(x, x[::-1])),
        lambda x: first(f(square(x), square(x)[:, ::-1])),
        lambda x: first(f(square(x), x[:2])),
    )
    for way in ways:
        try:
            y = way(abs(V) / 4)
            grad(lambda x, way=way: rnp.sum(way(x)))(abs(V) / 4)
        except Exception:
            continue
        if getattr(y, "dtype", None) == np.float64:
            return way
    return None


def truth(f, x):
    """A float of the enclosure of every number of f at x; None where f is no number."""
    try:
        found = exact.evaluate(f, x.astype(float), bits=20)
    except (ArithmeticError, ValueError):
        return None
    top = LARGEST["float64"]
    return np.array([float(max(-top, min(bound, top))) for bound in np.ravel(found.low)])


@pytest.mark.parametrize("name", [*dict.fromkeys([*RECIPES, *FUNCTIONS])])
def test_value_gradient_and_second_derivative_are_numbers_wherever_they_are_in_range(name):
    if name in OTHERS or name in EXEMPT:
        return
    f = call(name)
    assert f is not None, f"{name}: write its recipe, or say in OTHERS that it returns no real numbers"
    slope = grad(lambda x: rnp.sum(f(x)))
    orders = f, slope, grad(lambda x: rnp.sum(slope(x)))
    for dtype, scales in SCALES.items():
        kind = np.finfo(dtype)
        tolerance = 0.05 if dtype == "float16" else 1e-3
        for x in (scale * sign for scale in scales for sign in (V, abs(V))):
            x = x.astype(dtype)
            for order, function in enumerate(orders):
                wanted = truth(function, x)
                if wanted is None or (abs(wanted) > kind.max / 8).any():
                    break
                with np.errstate(all="ignore"):
                    try:
                        y = np.asarray(function(x))
                    except TypeError as error:  # NumPy's linear algebra has no float16
                        if "float16" not in str(error):
                            raise
                        break
                assert y.dtype == dtype, (name, order)
                size = max(abs(wanted).max(initial=0), 1 if name in DIFFERENCES else 0)
                error = abs(y.astype(float).ravel() - wanted)
                assert (error <= tolerance * size + 8 * float(kind.tiny)).all(), (name, order, x, y, wanted)


def test_the_lists_name_functions_that_there_are_and_no_more():
    assert {name for name in EXEMPT if name not in FUNCTIONS} == set()
    assert {name for name in OTHERS if name not in FUNCTIONS} == set()
    assert {name.partition(",")[0] for name in RECIPES} <= set(FUNCTIONS)
    assert not {*OTHERS} & {*RECIPES, *EXEMPT}
