"""Self-contained NumPy functions; `refgrad.source` copies their text.

The table of NumPy takes these functions as they stand, and a program exported as source (`refgrad.source`) carries the
text of those it calls. So each is complete in itself: it uses ``np`` and its arguments, nothing else.
"""

from __future__ import annotations

import numpy as np

__all__ = [
    "broadcast_to", "cast", "cofactor", "cosine", "fold", "least_squares", "logistic", "logsumexp", "norm", "pad",
    "put_along_axis_add",
    "ratio", "recurrence", "scatter_add", "sech_squared", "sinc", "softplus", "solve_triangular", "sum_to", "weigh",
    "windows",
]  # fmt: skip


def broadcast_to(x, shape):
    """`x` repeated to `shape`: an array of its own, where NumPy gives a view that cannot be written to."""
    y = np.empty(shape, np.asarray(x).dtype)
    y[...] = x
    return y


def cast(y, x):
    """`y` in the dtype of `x`, which SciPy's functions do not always keep."""
    return y.astype(getattr(x, "dtype", y.dtype))


def logistic(x):
    """``1 / (1 + exp(-x))`` without overflow, accurate for large negative x."""
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, np.ones_like(e)) / (1 + e)


def softplus(x):
    """``log(1 + exp(x))`` without overflow."""
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, np.zeros_like(x))


def sech_squared(x, h):
    """``1 / cosh(x)**2``: as it stands, by exp where cosh may overflow, and for many x with h = tanh(x) by 1 - h * h.

    Where nothing is left of 1 - h * h, it is by exp as well.
    """
    if getattr(x, "size", 1) < 1000 or x.shape != np.shape(h):
        y = np.abs(x)
        if y.size and y.item(y.argmax()) < 11:
            y = np.reciprocal(np.cosh(y))
        else:
            y = np.exp(-y)
            y /= 1 + y * y
            y += y
        y *= y
        return y
    y = 1 - h * h
    tail = np.flatnonzero(~(y >= 0.02))
    e = np.exp(-np.abs(np.take(x, tail)))
    np.put(y, tail, (2 * e / (1 + e * e)) ** 2)
    return y


def cosine(a, b):
    """``a / hypot(a, b)``, which is between -1 and 1 where the length is beyond the range as well; 0 at the origin."""
    top = np.maximum(np.abs(a), np.abs(b))
    top = np.where(top == 0, np.ones_like(top), top)
    x, y = (np.where(np.isinf(z), np.sign(z), z / top) for z in (a, b))
    r = np.sqrt(x * x + y * y)
    return x / np.where(r == 0, np.ones_like(r), r)


def weigh(a, b):
    """``a * b`` with ``0 * inf = 0``: what has no weight does not count, however large it is."""
    with np.errstate(invalid="ignore", over="ignore"):
        y = a * b
    if np.isnan(np.minimum.reduce(y, axis=None, initial=0)):
        y = np.where(np.isnan(y) & (a == a) & (b == b), np.zeros_like(y), y)
    return y


def sinc(x, n):
    """``j_n(x) / x**n`` with the spherical Bessel function j_n: for n = 0, sin(x) / x. At 0: 1 / (1 3 ... (2n + 1)).

    Near 0 by its power series, which has no cancellation there; elsewhere by the recurrence from n = 0 upwards.
    """
    near = np.abs(x) < n + 2 if n else x == 0
    z = np.where(near, np.ones_like(x), x)
    before, y = np.cos(z), np.sin(z) / z
    for m in range(n):
        before, y = y, ((2 * m + 1) * y - before) / z / z
    z = np.where(near, x, np.zeros_like(x))
    term = series = np.ones_like(z)
    for m in range(1, n + 1):
        term = series = term / (2 * m + 1)
    for k in range(1, 31 if n else 1):
        term = term * (z * z) / (-2 * k * (2 * n + 2 * k + 1))
        series = series + term
    return np.where(near, series, y)


def logsumexp(x, axis, keepdims):
    """``log(sum(exp(x)))`` over axes, without overflow; -inf where all terms are -inf."""
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, np.zeros_like(top))
    y = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return y if keepdims else np.squeeze(y, axis=axis)


def norm(x, e=0, *, axis, keepdims=False):
    """``sqrt(sum(x * x) + e)`` over axes; where squares leave the range, of x by a power of two larger or smaller."""
    with np.errstate(over="ignore"):
        y = np.sqrt(np.sum(x * x, axis=axis, keepdims=True) + e)
    kind = np.finfo(y.dtype)
    good = (y > (float(kind.tiny) / float(kind.eps)) ** 0.5) & np.isfinite(y)
    if np.size(x) and not np.all(good):
        top = np.max(np.abs(x), axis=axis, keepdims=True)
        power = np.ldexp(np.ones_like(y), np.where(np.isfinite(top), np.frexp(top)[1] - 1, 0))
        z = x / power
        y = np.where(good, y, np.sqrt(np.sum(z * z, axis=axis, keepdims=True) + e / power / power) * power)
    return y if keepdims else np.squeeze(y, axis=axis)[()]


def sum_to(x, shape):
    """The sum over the axes along which an array of `shape` was broadcast to that of `x`."""
    extra = np.ndim(x) - len(shape)
    if np.shape(x)[extra:] == shape:
        return np.sum(x, axis=tuple(range(extra)))
    kept = tuple(extra + i for i, n in enumerate(shape) if n == 1 and np.shape(x)[extra + i] != 1)
    return np.reshape(np.sum(x, axis=tuple(range(extra)) + kept, keepdims=True), shape)


def pad(x, shape, index):
    """Zeros of `shape` that hold `x` at the slices `index`."""
    y = np.zeros(shape, x.dtype)
    y[index] = x
    return y


def windows(x, shape, strides, dilation):
    """Windows of `shape` over the last axes of `x`, a read-only view: their places, then what is in them."""
    lead = (slice(None),) * (np.ndim(x) - len(shape))
    spans = tuple(d * (w - 1) + 1 for w, d in zip(shape, dilation, strict=True))
    y = np.lib.stride_tricks.sliding_window_view(x, spans, axis=tuple(range(-len(shape), 0)))
    return y[lead + tuple(slice(None, None, s) for s in strides + dilation)]


def fold(g, size, strides, dilation):
    """The transpose of `windows`: zeros that end in the axes `size`, the windows `g` added in their places."""
    k = len(size)
    places, shape = g.shape[-2 * k : -k], g.shape[-k:]
    y = np.zeros(g.shape[: -2 * k] + size, g.dtype)
    every = (slice(None),) * (g.ndim - k)
    for offset in np.ndindex(*shape):
        spans = zip(offset, places, strides, dilation, strict=True)
        here = every[:-k] + tuple(slice(o * d, o * d + s * (m - 1) + 1, s) for o, m, s, d in spans)
        y[here] += g[every + offset]
    return y


def scatter_add(g, indices, axis, size):
    """Zeros of length `size` along `axis`, to which `g` is added at `indices`; repeated indices accumulate."""
    g = np.asarray(g)
    y = np.zeros((*g.shape[:axis], size, *g.shape[axis + np.ndim(indices) :]), g.dtype)
    # add.at accumulates over repeated indices, where y[...] += g would keep the last one
    np.add.at(y, (slice(None),) * axis + (indices,), g)
    return y


def put_along_axis_add(g, indices, axis, size):
    """Zeros of length `size` along `axis`, `g` added at `indices`: the transpose of `numpy.take_along_axis`."""
    g = np.asarray(g)
    y = np.zeros(g.shape[:axis] + (size,) + g.shape[axis + 1 :], g.dtype)
    index = list(np.ogrid[tuple(slice(n) for n in g.shape)])
    index[axis] = indices
    np.add.at(y, tuple(index), g)
    return y


def recurrence(a, b, axis):
    """``s_k = a_k s_{k-1} + b_k`` along `axis`, from ``s_0 = b_0``."""
    a, b = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)
    parts = [b[0]]
    for k in range(1, len(b)):
        parts.append(a[k] * parts[-1] + b[k])
    return np.moveaxis(np.stack(parts), 0, axis)


def ratio(a, b):
    """``a / b``, but 0 where both are 0, and NaN where b alone is."""
    nothing = b == 0
    y = a / np.where(nothing, np.ones_like(b), b)
    return np.where(nothing & (a != 0), np.zeros_like(y) + np.nan, y)


def solve_triangular(a, b, lower, unit_diagonal):
    """The solution of ``a @ x = b`` by substitution, one half after the other; the other triangle is not read."""
    n = a.shape[-1]
    if n <= 1:
        if unit_diagonal or n == 0:
            return np.array(np.broadcast_to(b, np.broadcast_shapes(a.shape[:-2], b.shape[:-2]) + b.shape[-2:]))
        if np.any(a == 0):
            raise np.linalg.LinAlgError("expected a diagonal without zeros")
        return b / a
    one, two = slice(0, n // 2), slice(n // 2, n)
    first, last = (one, two) if lower else (two, one)
    x = solve_triangular(a[..., first, first], b[..., first, :], lower, unit_diagonal)
    rest = b[..., last, :] - a[..., last, first] @ x
    y = solve_triangular(a[..., last, last], rest, lower, unit_diagonal)
    return np.concatenate([x, y] if lower else [y, x], axis=-2)


def least_squares(a, b):
    """The solution of ``a @ x = b`` of the smallest residual, or of the smallest norm, for matrices of full rank."""
    m, n = a.shape[-2:]
    q, r = np.linalg.qr(a if m >= n else np.swapaxes(a, -1, -2))
    finite = np.all(np.isfinite(r), axis=(-2, -1), keepdims=True)  # one matrix that is not spoils no other
    s = np.linalg.svd(np.where(finite, r, np.eye(min(m, n), dtype=r.dtype)), compute_uv=False)
    if s.size and np.any(s[..., -1] <= max(m, n) * np.finfo(s.dtype).eps * s[..., 0]):
        raise np.linalg.LinAlgError(
            f"expected matrices of full rank {min(m, n)}, where the solution has derivatives; the smallest singular "
            f"value is {s[..., -1].min()}. Leave out columns, or add a ridge: solve(a.T @ a + lam * eye(n), a.T @ b)"
        )
    if m >= n:
        return np.linalg.solve(r, np.swapaxes(q, -1, -2) @ b)
    return q @ np.linalg.solve(np.swapaxes(r, -1, -2), b)


def cofactor(a, *directions):
    """The matrix G with ``<G, X> = D^{k+1} det(a)[E_1, ..., E_k, X]`` for k directions E.

    With ``a = U diag(s) V^T`` all matrices are turned to ``U^T E V``. Then det(diag(s) + t X + t_1 E_1 + ...) has the
    coefficient of t t_1 ... t_k: the sum over k + 1 different rows, of which X and each E take one, and over the
    permutations of those rows that the columns may be in, of the product of the singular values of all other rows.
    Nothing is divided by, so singular matrices are no exception. Takes n^(k + 1) numbers of memory for order n.
    """
    n, places = a.shape[-1], len(directions) + 1
    if n == 0:
        return a + sum(directions)
    rank = max(np.ndim(x) for x in (a, *directions)) - 2
    a, *aligned = (np.reshape(x, (1,) * (rank + 2 - np.ndim(x)) + x.shape) for x in (a, *directions))
    finite = np.all(np.isfinite(a), axis=(-2, -1), keepdims=True)
    u, s, vt = np.linalg.svd(np.where(finite, a, np.zeros_like(a)))
    ut, v = np.swapaxes(u, -1, -2), np.swapaxes(vt, -1, -2)
    turned = [None] + [ut @ e @ v for e in aligned]
    # between[i, j]: the product of the singular values after place i and before place j, with a place at either end
    end = np.ones_like(s[..., :1])
    rows = np.concatenate([end, s, end], axis=-1)[..., None, :]
    ones = np.ones_like(rows) * np.swapaxes(np.ones_like(rows), -1, -2)
    running = np.cumprod(np.triu(ones * rows, 1) + np.tril(ones), axis=-1)
    between = np.triu(np.concatenate([ones[..., :1], running[..., :-1]], axis=-1), 1)

    def place(x, axes):
        return np.reshape(x, x.shape[:rank] + tuple(n if axis in axes else 1 for axis in range(places)))

    ordered = place(between[..., 0, 1:-1], (0,)) * place(between[..., 1:-1, -1], (places - 1,))
    for k in range(places - 1):
        ordered = ordered * place(between[..., 1:-1, 1:-1], (k, k + 1))
    permutations = [p for p in np.ndindex(*(places,) * places) if len(set(p)) == places]
    others = sum(np.transpose(ordered, (*range(rank), *(rank + i for i in p))) for p in permutations)
    one = np.tril(np.triu(ones[..., 1:-1, 1:-1]))
    total = 0 * one
    for p in permutations:
        term = others * (-1) ** sum(p[i] > p[j] for j in range(places) for i in range(j))
        for k in range(1, places):
            x = np.diagonal(turned[k], axis1=-2, axis2=-1) if p[k] == k else turned[k]
            term = term * place(np.swapaxes(x, -1, -2) if k > p[k] else x, (k, p[k]))
        rest = tuple(rank + k for k in range(1, places) if k != p[0])
        if p[0] == 0:
            total = total + one * np.sum(term, axis=rest)[..., None, :]
        else:
            total = total + np.sum(term, axis=rest)
    sign = np.sign(np.linalg.det(u) * np.linalg.det(vt))[..., None, None]
    return np.where(finite, sign * (u @ total @ vt), np.zeros_like(total) + np.nan)
