"""Two networks with one hidden layer, their derivatives in NumPy by hand, and what these may lose by rounding.

The functions by hand are what one would write who knows the formulas and NumPy, without buffers for results. `proved`
runs them on certified balls against the engine, so that what is timed is known to be the same quantity.
"""

from __future__ import annotations

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
