"""Networks with one and two hidden layers, their derivatives in NumPy by hand, and what these may lose by rounding.

The functions by hand are what one would write who knows the formulas and NumPy, without buffers for results. `proved`
runs them on certified balls against the engine, so that what is timed is known to be the same quantity.
"""

from __future__ import annotations

import itertools

import numpy as np

import refgrad.numpy as rnp
from refgrad import exact
from refgrad.tree import flatten


def small(rng):
    """Weights of an 8-16-1 network, a direction, four inputs and targets."""
    X, y = rng.normal(size=(4, 8)), rng.normal(size=(4, 1))
    p = (rng.normal(size=(8, 16)), rng.normal(size=16), rng.normal(size=(16, 1)), np.zeros(1))
    return p, tuple(rng.normal(size=a.shape) for a in p), X, y


def square_loss(p, X, y):
    W, b, V, c = p
    residual = np.tanh(X @ W + b) @ V + c - y
    return np.mean(residual * residual)


def square_gradient(p, X, y):
    W, b, V, c = p
    h = np.tanh(X @ W + b)
    r = (h @ V + c - y) / 2  # 2 / N, and N = 4
    d = (r @ V.T) * (1 - h * h)
    return X.T @ d, d.sum(0), h.T @ r, r.sum(0)


def square_hvp(p, v, X, y):
    (W, b, V, c), (dW, db, dV, dc) = p, v
    h = np.tanh(X @ W + b)
    s = 1 - h * h
    dh = s * (X @ dW + db)
    r = (h @ V + c - y) / 2
    dr = (dh @ V + h @ dV + dc) / 2
    dd = (dr @ V.T + r @ dV.T) * s - (r @ V.T) * 2 * h * dh
    return X.T @ dd, dd.sum(0), dh.T @ r + h.T @ dr, dr.sum(0)


def classifier(rng, sizes, count, dtype=np.float64):
    """Weights of a network of the three `sizes`, inputs, and labels of `count` examples as rows of the identity."""
    n, m, k = sizes
    X, Y = rng.normal(size=(count, n)), np.eye(k)[rng.integers(0, k, count)]
    p = rng.normal(size=(n, m)) / n**0.5, np.zeros(m), rng.normal(size=(m, k)) / m**0.5, np.zeros(k)
    return tuple(a.astype(dtype) for a in p), X.astype(dtype), Y.astype(dtype)


def cross_entropy(p, X, Y):
    W, b, V, c = p
    z = np.tanh(X @ W + b) @ V + c
    return np.mean(rnp.logsumexp(z, axis=1) - np.sum(Y * z, axis=1))


def cross_entropy_gradient(p, X, Y):
    W, b, V, c = p
    h = np.tanh(X @ W + b)
    z = h @ V + c
    e = np.exp(z - z.max(axis=1, keepdims=True))
    r = (e / e.sum(axis=1, keepdims=True) - Y) / len(X)
    d = (r @ V.T) * (1 - h * h)
    return X.T @ d, d.sum(0), h.T @ r, r.sum(0)


def regression(rng, sizes, tasks, count, dtype=np.float64):
    """Weights of a network of the four `sizes`; for each task inputs and targets, of a support and a query set."""
    p = []
    for n, m in itertools.pairwise(sizes):
        p += [rng.normal(size=(n, m)) / n**0.5, np.zeros(m)]
    batch = lambda: tuple(rng.normal(size=(tasks, count, n)).astype(dtype) for n in (sizes[0], sizes[-1]))
    return tuple(a.astype(dtype) for a in p), batch(), batch()


def deep_square_loss(p, batch):
    (A, a, B, b, C, c), (X, Y) = p, batch
    residual = np.tanh(np.tanh(X @ A + a) @ B + b) @ C + c - Y
    return np.mean(residual * residual)


def deep_forward(p, X, Y):
    """The network of every task and the gradients of its losses, with what products with the Hessian need."""
    A, a, B, b, C, c = p
    h = np.tanh(X @ A + a[:, None])
    k = np.tanh(h @ B + b[:, None])
    r = (k @ C + c[:, None] - Y) * 2 / (Y.shape[1] * Y.shape[2])
    e = (r @ C.mT) * (1 - k * k)
    d = (e @ B.mT) * (1 - h * h)
    return (h, k, r, e, d), (X.mT @ d, d.sum(1), h.mT @ e, e.sum(1), k.mT @ r, r.sum(1))


def deep_hvp(p, v, X, Y, saved):
    (_, _, B, _, C, _), (dA, da, dB, db, dC, dc), (h, k, r, e, _) = p, v, saved
    s, t = 1 - h * h, 1 - k * k
    dh = s * (X @ dA + da[:, None])
    dk = t * (dh @ B + h @ dB + db[:, None])
    dr = (dk @ C + k @ dC + dc[:, None]) * 2 / (Y.shape[1] * Y.shape[2])
    de = (dr @ C.mT + r @ dC.mT) * t - (r @ C.mT) * 2 * k * dk
    dd = (de @ B.mT + e @ dB.mT) * s - (e @ B.mT) * 2 * h * dh
    return X.mT @ dd, dd.sum(1), dh.mT @ e + h.mT @ de, de.sum(1), dk.mT @ r + k.mT @ dr, dr.sum(1)


def meta_gradient(p, support, query, lr, steps):
    """The mean over tasks of the exact meta-gradient, all tasks at once, the network of every step kept."""
    p = tuple(np.stack([a] * len(support[0])) for a in p)
    path = []
    for _ in range(steps):
        saved, g = deep_forward(p, *support)
        path.append((p, saved))
        p = tuple(a - lr * b for a, b in zip(p, g, strict=True))
    v = deep_forward(p, *query)[1]
    for p, saved in reversed(path):
        v = tuple(a - lr * b for a, b in zip(v, deep_hvp(p, v, *support, saved), strict=True))
    return tuple(np.sum(a, axis=0) / len(a) for a in v)


def tasks_of(support, query):
    """The same as a list of pairs, one for each task."""
    return list(zip(zip(*support, strict=True), zip(*query, strict=True), strict=True))


def rounding_of_the_gradient(p, X, Y, ulps=8):
    """What one computation of `cross_entropy_gradient` may lose by rounding, in the Frobenius norm of each array.

    To first order in the unit roundoff u. A product of matrices with inner length n loses at most ``n u |A| |B|``, in
    any order of the sums [higham2002]_; tanh and exp are taken to be right to `ulps` units in the last place. The error
    of an argument is carried on by the spectral norm of the matrix it meets, by 1 through tanh, and by 1/2 through
    softmax, whose Jacobian ``diag(q) - q q^T`` is no larger.

    References
    ----------
    .. [higham2002] N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., SIAM 2002, eq. (3.13).
    """
    u = float(np.finfo(X.dtype).eps) / 2
    W, b, V, c, X, Y = (a.astype(np.float64) for a in (*p, X, Y))
    (N, n), (m, k) = X.shape, V.shape
    size, stretch = np.linalg.norm, lambda a: np.linalg.norm(a, 2)
    h = np.tanh(X @ W + b)
    z = h @ V + c
    e = np.exp(z - z.max(axis=1, keepdims=True))
    q = e / e.sum(axis=1, keepdims=True)
    r = (q - Y) / N
    back = r @ V.T
    d = back * (1 - h * h)
    error_h = (n + 1) * u * (size(X) * size(W) + N**0.5 * size(b)) + ulps * u * size(h)
    error_z = stretch(V) * error_h + (m + 1) * u * (size(h) * size(V) + N**0.5 * size(c))
    # the argument of exp is rounded; exp, the sum over the classes and the quotient follow
    error_q = error_z / 2 + (4 * np.abs(z).max() + 2 * ulps + k + 1) * u * size(q)
    error_r = error_q / N + 2 * u * size(r)
    error_back = stretch(V) * error_r + k * u * size(r) * size(V)
    error_d = error_back + 2 * np.abs(back).max() * error_h + 3 * u * size(back)
    return (
        stretch(X) * error_d + N * u * size(X) * size(d),
        N**0.5 * error_d + N * u * N**0.5 * size(d),
        stretch(h) * error_r + stretch(r) * error_h + N * u * size(h) * size(r),
        N**0.5 * error_r + N * u * N**0.5 * size(r),
    )


def agree(found, truth, bounds):
    """Whether two float results differ by no more than each may be wrong."""
    pairs = zip(flatten(found)[0], truth, bounds, strict=True)
    return all(np.linalg.norm(np.asarray(a, np.float64) - b) <= 2 * bound for a, b, bound in pairs)


def proved(by_hand, by_engine, *arguments):
    """Whether both have certified enclosures that meet and are narrow, on the given numbers."""
    arguments = [tuple(map(exact.balls, a)) if isinstance(a, tuple) else exact.balls(a) for a in arguments]
    with exact.precision(200):
        pairs = zip(flatten(by_hand(*arguments))[0], flatten(by_engine(*arguments))[0], strict=True)
        return all(
            a.overlaps(b) and a.rad() < 1e-40 and b.rad() < 1e-40
            for x, y in pairs
            for a, b in zip(x.data.ravel(), y.data.ravel(), strict=True)
        )
