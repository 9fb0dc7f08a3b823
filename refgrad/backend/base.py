"""What the engine may ask of an array library: one table of functions, by NumPy's and the array API's names.

Arithmetic and comparisons are not listed: they are the Python operators, which every library dispatches itself.
A function here takes and returns arrays of its own library; axes are non-negative integers or tuples of them, and
shapes are tuples. Nothing here differentiates.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refgrad.errors import NotConverged, NotPositiveDefinite
from refgrad.typing import Array, DType, Shape

__all__ = ["ELEMENTWISE", "Backend", "Elementwise", "adopt", "shape_of"]


class Elementwise(NamedTuple):
    """How an elementwise function is called, beyond NumPy, and what numbers it is for.

    Attributes
    ----------
    standard : str or None
        The array API's name; None where the standard has no such function, which is then NumPy's, by way of the host.
    arguments : {1, 2}
    rational : bool
        Whether rationals have it. What they have not, `Field.apply` gives by its name here.
    """

    standard: str | None
    arguments: int = 1
    rational: bool = False


ELEMENTWISE = {
    "exp": Elementwise("exp"),
    "log": Elementwise("log"),
    "tanh": Elementwise("tanh"),
    "sech_squared": Elementwise(None, 2),
    "sqrt": Elementwise("sqrt"),
    "sin": Elementwise("sin"),
    "cos": Elementwise("cos"),
    "arctan": Elementwise("atan"),
    "expm1": Elementwise("expm1"),
    "log1p": Elementwise("log1p"),
    "tan": Elementwise("tan"),
    "sinh": Elementwise("sinh"),
    "cosh": Elementwise("cosh"),
    "arcsin": Elementwise("asin"),
    "arccos": Elementwise("acos"),
    "arcsinh": Elementwise("asinh"),
    "arctanh": Elementwise("atanh"),
    "log2": Elementwise("log2"),
    "log10": Elementwise("log10"),
    "exp2": Elementwise(None),
    "cbrt": Elementwise(None),
    "erf": Elementwise(None),
    "erfc": Elementwise(None),
    "lgamma": Elementwise(None),
    "arctan2": Elementwise("atan2", 2),
    "hypot": Elementwise("hypot", 2),
    "cosine": Elementwise(None, 2),
    "weigh": Elementwise(None, 2, rational=True),
    "logaddexp": Elementwise("logaddexp", 2),
    "logaddexp2": Elementwise(None, 2),
    "arccosh": Elementwise("acosh"),
    "deg2rad": Elementwise(None),
    "rad2deg": Elementwise(None),
    "xlogy": Elementwise(None, 2),
    "xlog1py": Elementwise(None, 2),
    "remainder": Elementwise("remainder", 2, rational=True),
    "fmod": Elementwise(None, 2, rational=True),
    "maximum": Elementwise("maximum", 2, rational=True),
    "minimum": Elementwise("minimum", 2, rational=True),
    "abs": Elementwise("abs", rational=True),
    "sign": Elementwise("sign", rational=True),
    "floor": Elementwise("floor", rational=True),
    "ceil": Elementwise("ceil", rational=True),
    "rint": Elementwise("round", rational=True),
    "isfinite": Elementwise("isfinite", rational=True),
}
"""The elementwise functions that every table has, by NumPy's names where NumPy has them."""


def adopt(table: type[Backend], *libraries: Any) -> None:
    """Give a table the functions of `ELEMENTWISE` that it does not define itself, each from the first that has it."""
    for name in ELEMENTWISE.keys() - vars(table).keys():
        function = next(getattr(library, name) for library in libraries if hasattr(library, name))
        setattr(table, name, staticmethod(function))


class Backend:
    """The function table of one array library.

    A subclass has the elementwise functions of `ELEMENTWISE`, and overrides a method below where its library has
    something better. `xp` is the library's own namespace.

    Attributes
    ----------
    name : {"numpy", "cupy", "rational", "ball", "array_api"}
    exact : bool
        Whether ``==`` between two results is a fair test.
    absorbs : tuple of Backend
        Tables whose arrays this one takes in, where both meet.
    """

    name: str
    exact: bool = False
    absorbs: tuple[Backend, ...] = ()
    xp: Any

    if TYPE_CHECKING:  # the functions of `ELEMENTWISE`

        def __getattr__(self, name: str) -> Callable[..., Array]: ...

    polygamma: Callable[[int, Array], Array]
    sinc: Callable[[Array, int], Array]
    where: Callable[[Array, Array, Array], Array]
    matmul: Callable[[Array, Array], Array]
    cofactor: Callable[..., Array]
    euclidean_norm: Callable[..., Array]
    least_squares: Callable[[Array, Array], Array]

    def isnan(self, x: Array) -> Array:
        """Whether an element is not a number."""
        return x != x

    def sum(self, x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
        """The sum over `axis`, in the dtype of `x`."""
        return self.xp.sum(x, axis=axis, keepdims=keepdims)

    def amax(self, x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
        """The largest element over `axis`."""
        return self.xp.max(x, axis=axis, keepdims=keepdims)

    def argmax(self, x: Array, axis: int) -> Array:
        """The first index of the largest element along `axis`."""
        return self.xp.argmax(x, axis=axis)

    def argsort(self, x: Array, axis: int) -> Array:
        """The places of the elements along `axis` in ascending order; equal ones stay in their order."""
        return self.xp.argsort(x, axis=axis)

    def logsumexp(self, x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
        """``log(sum(exp(x)))`` without overflow; -inf where all terms are -inf."""
        top = self.amax(x, axis, True)
        top = self.where(self.isfinite(top), top, self.zeros_like(top))
        y = self.log(self.sum(self.exp(x - top), axis, True)) + top
        return y if keepdims else self.reshape(y, tuple(n for i, n in enumerate(shape_of(x)) if i not in axis))

    def logistic(self, x: Array) -> Array:
        """``1 / (1 + exp(-x))`` without overflow, accurate for large negative x."""
        e = self.exp(-self.abs(x))
        return self.where(x < 0, e, self.ones_like(e)) / (1 + e)

    def softplus(self, x: Array) -> Array:
        """``log(1 + exp(x))`` without overflow."""
        return self.log1p(self.exp(-self.abs(x))) + self.maximum(x, self.zeros_like(x))

    def cumsum(self, x: Array, axis: int) -> Array:
        """The running sums along `axis`."""
        return self.xp.cumulative_sum(x, axis=axis)

    def cumprod(self, x: Array, axis: int) -> Array:
        """The running products along `axis`."""
        lead, tail = (slice(None),) * axis, (slice(None),) * (len(shape_of(x)) - axis - 1)
        parts = [x[(*lead, slice(0, 1), *tail)]]
        for k in range(1, shape_of(x)[axis]):
            parts.append(x[(*lead, slice(k, k + 1), *tail)] * parts[-1])
        return self.concat(parts, axis)

    def recurrence(self, a: Array, b: Array, axis: int) -> Array:
        """``s_k = a_k s_{k-1} + b_k`` along `axis`, from ``s_0 = b_0``."""
        lead, tail = (slice(None),) * axis, (slice(None),) * (len(shape_of(b)) - axis - 1)
        parts = [b[(*lead, slice(0, 1), *tail)]]
        for k in range(1, shape_of(b)[axis]):
            here = (*lead, slice(k, k + 1), *tail)
            parts.append(a[here] * parts[-1] + b[here])
        return self.concat(parts, axis)

    def reshape(self, x: Array, shape: Shape) -> Array:
        """`x` in row-major order as an array of `shape`."""
        return self.xp.reshape(x, shape)

    def transpose(self, x: Array, axes: tuple[int, ...]) -> Array:
        """`x` with axis ``axes[i]`` in place i."""
        return self.xp.permute_dims(x, axes)

    def broadcast_to(self, x: Array, shape: Shape) -> Array:
        """`x` repeated to `shape`, by the broadcasting rules."""
        return self.xp.broadcast_to(x, shape)

    def concat(self, parts: Sequence[Array], axis: int) -> Array:
        """The parts end to end along `axis`."""
        return self.xp.concat(parts, axis=axis)

    def pad(self, x: Array, shape: Shape, index: tuple[slice, ...]) -> Array:
        """Zeros of `shape` that hold `x` at the slices `index`."""
        y = self.zeros(shape, x)
        y[index] = x
        return y

    def windows(self, x: Array, shape: Shape, strides: Shape, dilation: Shape) -> Array:
        """Windows of `shape` over the last axes of `x`: their places, then what is in them."""
        lead = len(shape_of(x)) - len(shape)
        spans = zip(shape_of(x)[lead:], shape, strides, dilation, strict=True)
        places = tuple((n - d * (w - 1) - 1) // s + 1 for n, w, s, d in spans)
        y = self.zeros((*shape_of(x)[:lead], *places, *shape), x)
        for offset in itertools.product(*map(range, shape)):
            y[(..., *offset)] = x[(..., *_window_slices(offset, places, strides, dilation))]
        return y

    def fold(self, g: Array, size: Shape, strides: Shape, dilation: Shape) -> Array:
        """The transpose of `windows`: zeros that end in the axes `size`, the windows `g` added in their places."""
        k = len(size)
        lead, places, shape = shape_of(g)[: -2 * k], shape_of(g)[-2 * k : -k], shape_of(g)[-k:]
        y = self.zeros((*lead, *size), g)
        for offset in itertools.product(*map(range, shape)):
            here = (..., *_window_slices(offset, places, strides, dilation))
            y[here] = y[here] + g[(..., *offset)]
        return y

    def flip(self, x: Array, axes: tuple[int, ...]) -> Array:
        """`x` with the order of its elements reversed along `axes`."""
        return self.xp.flip(x, axis=axes)

    def tri_mask(self, x: Array, part: str, k: int) -> Array:
        """The lower (``"tril"``) or upper (``"triu"``) triangles of matrices, from their k-th diagonal; 0 elsewhere."""
        return getattr(self.xp, part)(x, k=k)

    def take(self, x: Array, indices: Array, axis: int) -> Array:
        """``x[..., indices, ...]``; the shape of `indices` replaces `axis`."""
        if indices.ndim == 1:
            return self.xp.take(x, indices, axis=axis)
        shape = shape_of(x)
        flat = self.xp.take(x, self.xp.reshape(indices, (-1,)), axis=axis)
        return self.reshape(flat, shape[:axis] + indices.shape + shape[axis + 1 :])

    def scatter_add(self, g: Array, indices: Array, axis: int, size: int) -> Array:
        """Zeros of length `size` along `axis`, to which `g` is added at `indices`; repeated indices accumulate."""
        shape = shape_of(g)
        indices = self.where(indices < 0, indices + size, indices)
        lead, tail = shape[:axis], shape[axis + indices.ndim :]
        columns = math.prod(tail)
        flat = self.reshape(g, (math.prod(lead), indices.size, columns))
        onehot = self.onehot(self.xp.reshape(indices, (-1,)), size, g)
        return self.reshape(self.matmul(self.transpose(onehot, (1, 0)), flat), (*lead, size, *tail))

    def take_along_axis(self, x: Array, indices: Array, axis: int) -> Array:
        """``y[i, j] = x[i, indices[i, j]]`` for `axis` 1, and so for any axis."""
        return self.xp.take_along_axis(x, indices, axis=axis)

    def put_along_axis_add(self, g: Array, indices: Array, axis: int, size: int) -> Array:
        """The transpose of `take_along_axis`: zeros of length `size` along `axis`, `g` added at `indices`."""
        indices = self.where(indices < 0, indices + size, indices)
        positions = self.reshape(self.indices(size, indices), (1,) * axis + (size,) + (1,) * (g.ndim - axis))
        hits = self.xp.expand_dims(indices, axis=axis) == positions
        spread = self.where(hits, self.xp.expand_dims(g, axis=axis), self.zeros_like(self.xp.expand_dims(g, axis=axis)))
        return self.sum(spread, (axis + 1,), False)

    def einsum(self, subscripts: str, a: Array, b: Array) -> Array:
        """The sum of products of two arrays over named axes; see `refgrad.autodiff.rules.einsum` for the form."""
        inputs, out = subscripts.split("->")
        left, right = inputs.split(",")
        length = dict(zip(left + right, shape_of(a) + shape_of(b), strict=True))
        both = [c for c in left if c in right and c in out]
        summed = [c for c in left if c in right and c not in out]
        rows, columns = [c for c in left if c not in right], [c for c in right if c not in left]

        def matrices(x: Array, names: str, *blocks: list[str]) -> Array:
            x = self.transpose(x, tuple(names.index(c) for block in blocks for c in block))
            return self.reshape(x, tuple(math.prod([length[c] for c in block]) for block in blocks))

        y = self.matmul(matrices(a, left, both, rows, summed), matrices(b, right, both, summed, columns))
        names = [*both, *rows, *columns]
        return self.transpose(self.reshape(y, tuple(length[c] for c in names)), tuple(names.index(c) for c in out))

    def solve(self, a: Array, b: Array) -> Array:
        """The solution of ``a @ x = b``; `b` is a stack of matrices. Raises `SingularMatrix`."""
        return self.xp.linalg.solve(a, b)

    def solve_triangular(self, a: Array, b: Array, lower: bool, unit_diagonal: bool) -> Array:
        """The solution of ``a @ x = b`` by substitution, one half after the other; the other triangle is not read."""
        n = a.shape[-1]
        if n <= 1:
            shape = np.broadcast_shapes(a.shape[:-2], b.shape[:-2]) + b.shape[-2:]
            return self.broadcast_to(b, shape) if unit_diagonal or n == 0 else b / a
        one, two = slice(0, n // 2), slice(n // 2, n)
        first, last = (one, two) if lower else (two, one)
        x = self.solve_triangular(a[..., first, first], b[..., first, :], lower, unit_diagonal)
        rest = b[..., last, :] - self.matmul(a[..., last, first], x)
        y = self.solve_triangular(a[..., last, last], rest, lower, unit_diagonal)
        return self.concat([x, y] if lower else [y, x], len(y.shape) - 2)

    def cholesky(self, a: Array) -> Array:
        """The lower Cholesky factor of the matrix with the lower triangle of `a`. Raises `NotPositiveDefinite`."""
        try:
            return self.xp.linalg.cholesky(a)
        except (ArithmeticError, ValueError) as error:  # LinAlgError is a ValueError
            raise NotPositiveDefinite(
                f"cholesky: expected positive definite matrices of shape {a.shape}; {error}"
            ) from None

    def det(self, a: Array) -> Array:
        """The determinants."""
        return self.xp.linalg.det(a)

    def log_abs_det(self, a: Array) -> Array:
        """The logarithms of the absolute values of the determinants."""
        return self.xp.linalg.slogdet(a)[1]

    def det_sign(self, a: Array) -> Array:
        """The signs of the determinants."""
        return self.xp.linalg.slogdet(a)[0]

    def eigenvalues(self, a: Array, uplo: str) -> Array:
        """The eigenvalues, in ascending order, of the symmetric matrix with one triangle of `a`."""
        return self._decompose(lambda: self.xp.linalg.eigvalsh(a, UPLO=uplo))

    def eigenvectors(self, a: Array, uplo: str) -> Array:
        """Orthonormal eigenvectors of the symmetric matrix with one triangle of `a`, as columns."""
        return self._decompose(lambda: self.xp.linalg.eigh(a, UPLO=uplo)[1])

    def _decompose(self, decomposition: Callable[[], Array]) -> Array:
        try:
            return decomposition()
        except (ArithmeticError, ValueError) as error:
            raise NotConverged(f"eigh: expected a matrix of finite numbers; {error}") from None

    def orthonormal(self, a: Array) -> Array:
        """The factor Q, with orthonormal columns, of ``a = Q R``."""
        return self.xp.linalg.qr(a)[0]

    def triangular_factor(self, a: Array) -> Array:
        """The factor R, upper triangular, of ``a = Q R``."""
        return self.xp.linalg.qr(a)[1]

    def ratio(self, a: Array, b: Array) -> Array:
        """``a / b``, but 0 where both are 0, and NaN where b alone is."""
        nothing = b == 0
        y = a / self.where(nothing, self.ones_like(b), b)
        return self.where(nothing & (a != 0), self.zeros_like(y) + math.nan, y)

    def onehot(self, indices: Array, size: int, like: Array) -> Array:
        """Rows of the identity of order `size`, one for each index, in the dtype of `like`."""
        hits = self.xp.expand_dims(indices, axis=1) == self.indices(size, indices)
        one = self.ones_like(self.zeros((), like))
        return self.where(hits, one, self.zeros_like(one))

    def indices(self, n: int, like: Array) -> Array:
        """The integers 0 to n - 1, where `like` is."""
        return self.xp.arange(n)

    def zeros(self, shape: Shape, like: Array) -> Array:
        """Zeros of `shape` with the dtype and device of `like`."""
        return self.xp.zeros(shape, dtype=like.dtype)

    def zeros_like(self, x: Array) -> Array:
        """Zeros with the shape and dtype of `x`."""
        return self.xp.zeros_like(x)

    def ones_like(self, x: Array) -> Array:
        """Ones with the shape and dtype of `x`."""
        return self.xp.ones_like(x)

    def copy(self, x: Array) -> Array:
        """`x` in memory of its own, its axes in the same order there; a number as it is."""
        return self.xp.asarray(x, copy=True) if hasattr(x, "shape") else x

    def astype(self, x: Array, dtype: DType) -> Array:
        """`x` in another dtype."""
        return self.xp.astype(x, dtype)

    def is_real(self, x: Array) -> bool:
        """Whether the elements of `x` are real numbers, so that a derivative by them makes sense."""
        return bool(self.xp.isdtype(x.dtype, "real floating"))


def shape_of(x: Array) -> Shape:
    """The shape of `x`; that of a Python number is ().

    Parameters
    ----------
    x : array or number
    """
    try:
        return x.shape  # type: ignore[no-any-return]
    except AttributeError:
        return ()


def _window_slices(offset: Shape, places: Shape, strides: Shape, dilation: Shape) -> tuple[slice, ...]:
    """Where the elements at `offset` of all windows lie."""
    spans = zip(offset, places, strides, dilation, strict=True)
    return tuple(slice(o * d, o * d + s * (m - 1) + 1, s) for o, m, s, d in spans)
