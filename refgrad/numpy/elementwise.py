"""Elementwise functions by their NumPy names."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad import backend
from refgrad.autodiff.core import Tracer, primal, value_of
from refgrad.autodiff.rules import discrete, elementwise, smooth, special
from refgrad.autodiff.rules import remainder as division
from refgrad.errors import InvalidInput, NoDerivative, NotRational
from refgrad.numpy.conversion import asarray, float_limits, floating
from refgrad.typing import Array

__all__ = [
    "abs",
    "absolute",
    "acos",
    "acosh",
    "add",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "bitwise_and",
    "bitwise_invert",
    "bitwise_or",
    "bitwise_xor",
    "cbrt",
    "ceil",
    "clip",
    "cos",
    "cosh",
    "deg2rad",
    "degrees",
    "digamma",
    "divide",
    "equal",
    "erf",
    "erfc",
    "exp",
    "exp2",
    "expm1",
    "fabs",
    "float_power",
    "floor",
    "fmax",
    "fmin",
    "fmod",
    "greater",
    "greater_equal",
    "hypot",
    "invert",
    "isfinite",
    "isnan",
    "ldexp",
    "less",
    "less_equal",
    "lgamma",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "logaddexp2",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "logistic",
    "maximum",
    "minimum",
    "mod",
    "multiply",
    "nan_to_num",
    "negative",
    "not_equal",
    "polygamma",
    "positive",
    "pow",
    "power",
    "rad2deg",
    "radians",
    "reciprocal",
    "relu",
    "remainder",
    "rint",
    "round",
    "rsqrt",
    "select",
    "sigmoid",
    "sign",
    "sin",
    "sinc",
    "sinh",
    "softplus",
    "sqrt",
    "square",
    "subtract",
    "tan",
    "tanh",
    "true_divide",
    "where",
    "xlog1py",
    "xlogy",
]  # fmt: skip


def _unary(primitive: Callable[[Array], Array], name: str, doc: str) -> Callable[[Any], Array]:
    apply = getattr(primitive, "apply", primitive)

    def function(x: Any, /) -> Array:
        return apply(asarray(x))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{doc}, element by element."
    return function


def _binary(primitive: Callable[[Array, Array], Array], name: str, doc: str) -> Callable[[Any, Any], Array]:
    apply = getattr(primitive, "apply", primitive)

    def function(a: Any, b: Any, /) -> Array:
        return apply(asarray(a), asarray(b))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{doc}, element by element, with broadcasting."
    return function


add = _binary(elementwise.add, "add", "``a + b``")
subtract = _binary(elementwise.sub, "subtract", "``a - b``")
multiply = _binary(elementwise.mul, "multiply", "``a * b``")
divide = true_divide = _binary(elementwise.div, "divide", "``a / b``")
maximum = _binary(elementwise.maximum, "maximum", "The larger of a and b")
minimum = _binary(elementwise.minimum, "minimum", "The smaller of a and b")
less = _binary(elementwise.comparisons["lt"], "less", "``a < b``")
less_equal = _binary(elementwise.comparisons["le"], "less_equal", "``a <= b``")
greater = _binary(elementwise.comparisons["gt"], "greater", "``a > b``")
greater_equal = _binary(elementwise.comparisons["ge"], "greater_equal", "``a >= b``")
equal = _binary(elementwise.comparisons["eq"], "equal", "``a == b``")
not_equal = _binary(elementwise.comparisons["ne"], "not_equal", "``a != b``")

negative = _unary(elementwise.neg, "negative", "``-x``")
positive = _unary(lambda x: x, "positive", "x itself")
exp = _unary(elementwise.exp, "exp", "The exponential")
log = _unary(elementwise.log, "log", "The natural logarithm")
tanh = _unary(elementwise.tanh, "tanh", "The hyperbolic tangent")
sqrt = _unary(elementwise.sqrt, "sqrt", "The square root")
sin = _unary(elementwise.sin, "sin", "The sine")
cos = _unary(elementwise.cos, "cos", "The cosine")
expm1 = _unary(elementwise.expm1, "expm1", "``exp(x) - 1``, accurate for small x")
log1p = _unary(elementwise.log1p, "log1p", "``log(1 + x)``, accurate for small x")
arctan = atan = _unary(smooth.arctan, "arctan", "The inverse of the tangent")
logistic = sigmoid = _unary(
    lambda x: elementwise.logistic(floating(x)), "logistic", "``1 / (1 + exp(-x))``, the sigmoid, without overflow"
)
softplus = _unary(lambda x: elementwise.softplus(floating(x)), "softplus", "``log(1 + exp(x))``, without overflow")
abs = absolute = _unary(elementwise.abs_, "abs", "The absolute value, with derivative 0 at 0")
relu = _unary(elementwise.relu, "relu", "``max(x, 0)`` with derivative 0 at 0")
sign = _unary(elementwise.sign, "sign", "-1, 0 or 1; its derivative is taken to be 0")
isfinite = _unary(elementwise.isfinite, "isfinite", "Whether x is neither infinite nor NaN")
isnan = _unary(elementwise.isnan, "isnan", "Whether x is not a number; of a ball, whether nothing is known of it")
log2 = _unary(smooth.log2, "log2", "The logarithm to base 2")
log10 = _unary(smooth.log10, "log10", "The logarithm to base 10")
exp2 = _unary(smooth.exp2, "exp2", "``2 ** x``")
cbrt = _unary(smooth.cbrt, "cbrt", "The cube root, of negative numbers too")
tan = _unary(smooth.tan, "tan", "The tangent")
arcsin = asin = _unary(smooth.arcsin, "arcsin", "The inverse of the sine")
arccos = acos = _unary(smooth.arccos, "arccos", "The inverse of the cosine")
sinh = _unary(smooth.sinh, "sinh", "The hyperbolic sine")
cosh = _unary(smooth.cosh, "cosh", "The hyperbolic cosine")
arcsinh = asinh = _unary(smooth.arcsinh, "arcsinh", "The inverse of the hyperbolic sine")
arctanh = atanh = _unary(smooth.arctanh, "arctanh", "The inverse of the hyperbolic tangent")
arccosh = acosh = _unary(smooth.arccosh, "arccosh", "The inverse of the hyperbolic cosine, not negative")
deg2rad = radians = _unary(smooth.deg2rad, "deg2rad", "``x * pi / 180``")
rad2deg = degrees = _unary(smooth.rad2deg, "rad2deg", "``x * 180 / pi``")
fabs = _unary(lambda x: elementwise.abs_(floating(x)), "fabs", "The absolute value, as a float, with derivative 0 at 0")
fmax = _binary(lambda a, b: elementwise.maximum(*_numbers(a, b)), "fmax", "The larger of a and b, NaN left out")
fmin = _binary(lambda a, b: elementwise.minimum(*_numbers(a, b)), "fmin", "The smaller of a and b, NaN left out")
remainder = mod = _binary(division.remainder, "remainder", "``a - b * floor(a / b)``, with the sign of b")
fmod = _binary(division.fmod, "fmod", "``a - b * trunc(a / b)``, with the sign of a")
xlogy = _binary(special.xlogy, "xlogy", "``x * log(y)``, and 0 where x is 0, by SciPy")
xlog1py = _binary(special.xlog1py, "xlog1py", "``x * log1p(y)``, and 0 where x is 0, by SciPy")
logaddexp2 = _binary(smooth.logaddexp2, "logaddexp2", "``log2(2**a + 2**b)``, without overflow")
arctan2 = atan2 = _binary(smooth.arctan2, "arctan2", "The angle of the point (b, a) with the first axis")
hypot = _binary(smooth.hypot, "hypot", "``sqrt(a * a + b * b)``, without overflow")
logaddexp = _binary(smooth.logaddexp, "logaddexp", "``log(exp(a) + exp(b))``, without overflow")
erf = _unary(special.erf, "erf", "The error function, by SciPy")
erfc = _unary(special.erfc, "erfc", "``1 - erf(x)``, accurate where erf is nearly 1, by SciPy")
lgamma = _unary(special.lgamma, "lgamma", "The logarithm of the absolute value of gamma, by SciPy")
digamma = _unary(lambda x: special.polygamma(x, n=0), "digamma", "The derivative of `lgamma`, by SciPy")
floor = _unary(discrete.floor, "floor", "The largest integer that is not above x; its derivative is taken to be 0")
ceil = _unary(discrete.ceil, "ceil", "The smallest integer that is not below x; its derivative is taken to be 0")
rint = _unary(discrete.rint, "rint", "The integer nearest to x, of two the even one; its derivative is taken to be 0")
logical_and = _binary(lambda a, b: discrete.bitwise["and"](_mask(a), _mask(b)), "logical_and", "Whether both hold")
logical_or = _binary(lambda a, b: discrete.bitwise["or"](_mask(a), _mask(b)), "logical_or", "Whether one of both holds")
logical_xor = _binary(lambda a, b: discrete.bitwise["xor"](_mask(a), _mask(b)), "logical_xor", "Whether just one holds")
logical_not = _unary(lambda x: discrete.invert(_mask(x)), "logical_not", "Whether x is false, or 0")
bitwise_and = _binary(discrete.bitwise["and"], "bitwise_and", "``a & b``")
bitwise_or = _binary(discrete.bitwise["or"], "bitwise_or", "``a | b``")
bitwise_xor = _binary(discrete.bitwise["xor"], "bitwise_xor", "``a ^ b``")
invert = bitwise_invert = _unary(discrete.invert, "invert", "``~x``")
rsqrt = _unary(lambda x: 1 / elementwise.sqrt(x), "rsqrt", "``1 / sqrt(x)``")
square = _unary(lambda x: elementwise.mul.apply(x, x), "square", "``x * x``")
reciprocal = _unary(lambda x: _reciprocal(x), "reciprocal", "``1 / x``, of integers without its fraction")


def _reciprocal(x: Array) -> Array:
    if getattr(getattr(x, "dtype", None), "kind", "f") not in "iu":
        return 1 / x
    return where((x == 1) | (x == -1), x, 0)


def sinc(x: Any) -> Array:
    """``sin(pi x) / (pi x)``, and 1 at 0, element by element."""
    x = floating(x)
    return special.sinc(smooth.pi_like(x) * x, n=0)


def polygamma(n: int, x: Any, /) -> Array:
    """The n-th derivative of `digamma`, element by element, by SciPy.

    Parameters
    ----------
    n : int
        Not negative.
    x : array
    """
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < 0:
        raise InvalidInput(f"polygamma: expected an order that is an int of at least 0, got {n!r}")
    return special.polygamma(asarray(x), n=int(n))


def round(x: Any, decimals: int = 0) -> Array:
    """The number of so many decimals nearest to x, of two the even one; its derivative is taken to be 0."""
    x = asarray(x)
    whole = getattr(getattr(x, "dtype", None), "kind", "f") in "iu"
    if decimals == 0 or (whole and decimals > 0):
        return x if whole else discrete.rint(x)
    power = 10 ** builtins.abs(decimals)
    y = discrete.rint(x * power) / power if decimals > 0 else discrete.rint(x / power) * power
    return elementwise.astype(y, dtype=x.dtype) if whole else y


def _mask(x: Any) -> Array:
    """x itself if it is of booleans, else where it is not 0."""
    x = np.asarray(x) if isinstance(x, bool) else x
    return x if "bool" in str(getattr(x, "dtype", "")) else x != 0


def power(x: Any, y: Any, /) -> Array:
    """``x ** y``, element by element; an integer y is exact on rationals and fits any sign of x."""
    x, y = asarray(x), asarray(y)
    if isinstance(y, (int, np.integer)) and not isinstance(y, bool):
        return elementwise.pow_int(_promote(x, y), n=int(y))
    if isinstance(y, (float, np.floating)) and float(y).is_integer():
        # x ** 2.0 too: exponents that are whole numbers need no logarithm, so negative x is no trouble
        return elementwise.pow_int(_promote(x, y), n=int(y))
    if backend.of(primal(x), primal(y)).name == "rational":
        raise NotRational(f"x ** y of exact arrays: expected a Python integer y, got {primal(y)!r}")
    return elementwise.pow_real(x, y)


def _promote(x: Array, y: Any) -> Array:
    """x in the dtype of ``x ** y``, in which a whole y has a say: of int32 and 2.0, of float32 and numpy.int64(2)."""
    given = getattr(x, "dtype", None)
    if type(y) is int or not isinstance(given, np.dtype):
        return x
    dtype = np.result_type(given, y)
    return x if dtype == given else elementwise.astype(x, dtype=dtype)


pow = power


def float_power(x: Any, y: Any, /) -> Array:
    """``x ** y`` in float64, element by element; integers are floats before they are raised, and float32 is widened."""
    x, y = asarray(x), asarray(y)
    return power(x if backend.of(primal(x)).exact else elementwise.astype(x, dtype=np.float64), y)


def _numbers(a: Array, b: Array) -> tuple[Array, Array]:
    """a and b, each in place of the other where that is NaN."""
    return elementwise.where(isnan(a), b, a), elementwise.where(isnan(b), a, b)


def where(condition: Any, x: Any = None, y: Any = None) -> Array:
    """X where `condition` holds and y elsewhere; what was not chosen may be NaN or infinite, and has derivative 0.

    That holds for `x` and `y` themselves. What computes them gets a 0 in reverse mode, and multiplies it by its slope:
    an infinite one makes NaN of it, as for ``where(x > 0, sqrt(x), 0)`` at 0. Choose the argument as well:
    ``where(x > 0, sqrt(where(x > 0, x, 1)), 0)``.

    With a plain condition alone, the places where it holds, as NumPy's.
    """
    condition = asarray(condition)
    if y is None:
        if isinstance(condition, Tracer):
            raise NoDerivative(
                "where: expected a condition and two arrays, got a traced condition alone. Places have no derivative: "
                "write numpy.nonzero(refgrad.value_of(x))."
            )
        return np.where(condition)
    if isinstance(condition, Tracer) or backend.of(condition).exact:
        condition = condition if getattr(condition.dtype, "kind", "") == "b" else condition != 0
    return elementwise.where.apply(condition, asarray(x), asarray(y))


def clip(x: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Array:
    """x limited to [a_min, a_max], NaN kept; the derivative is 1 inside the closed interval and 0 outside."""
    low, high = a_min if min is None else min, a_max if max is None else max
    x = asarray(x)
    if low is not None:
        low, given = asarray(low), x
        x = elementwise.join(where(_or_nan(x < low, low), low, x), lambda: given - low)
    if high is not None:
        high, raised = asarray(high), x
        x = elementwise.join(where(_or_nan(x > high, high), high, x), lambda: raised - high)
    return x


def _or_nan(beyond: Array, limit: Array) -> Array:
    """`beyond`, and wherever the limit is NaN: what is limited by NaN is NaN, as a choice with NaN in it."""
    if isinstance(limit, (int, float)):  # the usual case, and no reason for another operation
        return beyond | True if limit != limit else beyond
    return beyond | isnan(limit) if getattr(limit.dtype, "kind", "") == "f" else beyond


def select(condlist: Any, choicelist: Any, default: Any = 0) -> Array:
    """Of each place, the element of the first choice whose condition holds there, and `default` where none does."""
    if len(condlist) != len(choicelist) or not len(condlist):
        counts = f"{len(choicelist)} for {len(condlist)}"
        raise InvalidInput(f"select: expected as many choices as conditions, and at least one; got {counts}")
    y = asarray(default)
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        y = where(condition, choice, y)
    return y


def nan_to_num(
    x: Any, copy: bool = True, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Array:
    """x with NaN and the infinities replaced, those by the largest numbers of the dtype; the derivative there is 0."""
    x = asarray(x)
    plain = primal(x)
    if backend.of(plain).exact or getattr(getattr(plain, "dtype", None), "kind", "f") in "iub":
        return x
    top = float(float_limits(plain).max)
    # each `where` has an array among its branches: two Python numbers alone would make float64 of float32
    y = where(isnan(x), nan, x)
    y = where(x > top, top if posinf is None else posinf, y)
    return where(x < -top, -top if neginf is None else neginf, y)


def ldexp(x: Any, n: Any) -> Array:
    """``x * 2**n`` for integers n, which have no derivative; exact but for overflow, and underflow to subnormals."""
    x, n = asarray(x), np.asarray(value_of(asarray(n)))
    if n.dtype.kind not in "iu":
        raise InvalidInput(f"ldexp: expected integers n, got dtype {n.dtype}; write x * exp2(n) for others")
    plain = primal(x)
    table = backend.of(plain)
    if table.exact:
        two = table.xp.asarray(2)
        return x * table.xp.reshape(table.xp.asarray([two**k for k in n.ravel().tolist()]), n.shape)
    limits = float_limits(plain)
    n = np.clip(n.astype(int), -8 * limits.maxexp, 8 * limits.maxexp)
    while True:  # powers beyond the range of the dtype, one within it after another
        part = np.clip(n, limits.minexp, limits.maxexp - 1)
        factor = np.ldexp(limits.dtype.type(1), part)
        x = x * (factor if table is backend.NUMPY else table.xp.asarray(factor))
        n = n - part
        if not n.any():
            return x
