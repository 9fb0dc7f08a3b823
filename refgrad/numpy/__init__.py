"""The differentiable namespace: NumPy's and the array API's names, for plain, traced, CuPy and exact arrays alike.

Everything here is a primitive or written with primitives, so it needs no derivative rules of its own. NumPy's own
functions on traced values (``np.tanh(x)``, ``np.sum(x, axis=0)``, ``np.linalg.solve(a, x)``) end up here as well.

>>> import refgrad
>>> import refgrad.numpy as rnp
>>> from refgrad import exact
>>> f = lambda x: rnp.sum(x / (1 + x * x))
>>> refgrad.grad(f)(exact.asarray([1, "1/2", 2]))
ExactArray([0, 12/25, -3/25])
"""

from __future__ import annotations

from numpy import e, float32, float64, inf, int64, nan, newaxis, pi

from refgrad.numpy import linalg
from refgrad.numpy.contraction import einsum
from refgrad.numpy.diagonals import diag, diagonal, trace, tril, triu
from refgrad.numpy.elementwise import (
    abs,
    absolute,
    acos,
    add,
    arccos,
    arcsin,
    arcsinh,
    arctan,
    arctan2,
    arctanh,
    asarray,
    asin,
    asinh,
    astype,
    atan,
    atan2,
    atanh,
    bitwise_and,
    bitwise_invert,
    bitwise_or,
    bitwise_xor,
    cbrt,
    ceil,
    clip,
    cos,
    cosh,
    digamma,
    divide,
    equal,
    erf,
    exp,
    exp2,
    expm1,
    floor,
    greater,
    greater_equal,
    hypot,
    invert,
    isfinite,
    isnan,
    less,
    less_equal,
    lgamma,
    log,
    log1p,
    log2,
    log10,
    logaddexp,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    logistic,
    maximum,
    minimum,
    multiply,
    ndim,
    negative,
    not_equal,
    ones_like,
    polygamma,
    positive,
    pow,
    power,
    reciprocal,
    relu,
    rint,
    round,
    rsqrt,
    shape,
    sign,
    sin,
    sinc,
    sinh,
    size,
    softplus,
    sqrt,
    square,
    subtract,
    tan,
    tanh,
    true_divide,
    where,
    zeros_like,
)  # fmt: skip
from refgrad.numpy.indexing import getitem, put_along_axis_add, scatter_add, take, take_along_axis
from refgrad.numpy.products import dot, inner, matmul, outer, vdot
from refgrad.numpy.reductions import (
    amax,
    amin,
    argmax,
    argmin,
    cumprod,
    cumsum,
    logsumexp,
    max,
    mean,
    min,
    prod,
    softmax,
    std,
    sum,
    var,
)
from refgrad.numpy.shapes import (
    atleast_1d,
    broadcast_to,
    concat,
    concatenate,
    expand_dims,
    flip,
    fliplr,
    flipud,
    matrix_transpose,
    moveaxis,
    pad,
    permute_dims,
    ravel,
    reshape,
    squeeze,
    stack,
    swapaxes,
    transpose,
)  # fmt: skip
from refgrad.numpy.sliding import fold, windows

__all__ = [
    "abs", "absolute", "acos", "add", "amax", "amin", "arccos", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh",
    "argmax", "argmin", "asarray", "asin", "asinh", "astype", "atan", "atan2", "atanh", "atleast_1d", "bitwise_and",
    "bitwise_invert", "bitwise_or", "bitwise_xor", "broadcast_to", "cbrt", "ceil", "clip", "concat", "concatenate",
    "cos", "cosh", "cumprod", "cumsum", "diag", "diagonal", "digamma", "divide", "dot", "e", "einsum", "equal", "erf",
    "exp", "exp2", "expand_dims", "expm1", "flip", "fliplr", "flipud", "float32", "float64", "floor", "fold",
    "getitem", "greater", "greater_equal", "hypot", "inf", "inner", "int64", "invert", "isfinite", "isnan", "less",
    "less_equal", "lgamma", "linalg", "log", "log1p", "log2", "log10", "logaddexp", "logical_and", "logical_not",
    "logical_or", "logical_xor", "logistic", "logsumexp", "matmul", "matrix_transpose", "max", "maximum", "mean",
    "min", "minimum", "moveaxis", "multiply", "nan", "ndim", "negative", "newaxis", "not_equal", "ones_like", "outer",
    "pad", "permute_dims", "pi", "polygamma", "positive", "pow", "power", "prod", "put_along_axis_add", "ravel",
    "reciprocal", "relu", "reshape", "rint", "round", "rsqrt", "scatter_add", "shape", "sign", "sin", "sinc", "sinh",
    "size", "softmax", "softplus", "sqrt", "square", "squeeze", "stack", "std", "subtract", "sum", "swapaxes", "take",
    "take_along_axis", "tan", "tanh", "trace", "transpose", "tril", "triu", "true_divide", "var", "vdot", "where",
    "windows", "zeros_like",
]  # fmt: skip

from refgrad.numpy.dispatch import apply_function, apply_ufunc  # noqa: F401  (needs the names above)
