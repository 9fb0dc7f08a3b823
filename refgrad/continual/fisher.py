r"""The diagonal of the Fisher information of a model, example by example.

With the score ``s_n(c) = d log p(c | x_n, theta) / d theta``, the *true* Fisher takes the label from the model,

.. math:: \operatorname{diag} F = \frac1N \sum_n \sum_c p(c \mid x_n)\, s_n(c)^2,
   :label: fisher-diagonal

and the *empirical* one takes it from the data [kunstner2019]_:

.. math:: \operatorname{diag} \hat F = \frac1N \sum_n s_n(y_n)^2.
   :label: empirical-fisher-diagonal

Both are means over the examples, and both square before they average: the square of the gradient of a batch is
neither of them. The empirical Fisher is no estimate of the true one; it vanishes on data that the model fits.

For a Gaussian likelihood ``y | x ~ N(f(x), I)`` the score is ``sum_c (y_c - f_c) df_c/dtheta``, and the expectation
over y leaves ``diag F = mean_n sum_c (df_nc / dtheta)^2``, whatever the labels.

References
----------
.. [kunstner2019] F. Kunstner, L. Balles, P. Hennig, Limitations of the empirical Fisher approximation, NeurIPS 2019,
   eq. (2) and (3).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from refgrad import numpy as rnp
from refgrad.autodiff import vjp
from refgrad.autodiff.core import primal
from refgrad.backend import of, shape_of
from refgrad.errors import InvalidInput, ShapeError
from refgrad.typing import Array

__all__ = ["empirical_fisher_diagonal", "fisher_diagonal"]

Likelihood = Literal["categorical", "gaussian"]


def fisher_diagonal(
    logits: Callable[[Array, Array], Array],
    theta: Array,
    X: Array,
    y: Array = None,
    *,
    likelihood: Likelihood = "categorical",
) -> Array:
    """The diagonal of the true Fisher information, the mean over the N examples, equation (fisher-diagonal).

    Parameters
    ----------
    logits : callable
        ``logits(theta, X)``, of shape (N, C): unnormalised log-probabilities, or for ``"gaussian"`` the means.
    theta : array, shape (p,)
    X : array, shape (N, d)
    y : optional
        Not used; the true Fisher does not look at labels. Accepted so that all Fisher functions are called alike.
    likelihood : {"categorical", "gaussian"}
        A softmax over the C logits, or independent normal outputs of variance 1.

    Returns
    -------
    array, shape (p,)

    Raises
    ------
    ShapeError
        If X is empty or the logits are not of shape (N, C).

    Examples
    --------
    A linear model with Gaussian noise has the Fisher information ``X^T X / N``:

    >>> from refgrad import exact
    >>> from refgrad.continual import fisher_diagonal
    >>> X = exact.asarray([[1, 2], [3, "1/2"]])
    >>> linear = lambda theta, X: (X @ theta).reshape((-1, 1))
    >>> fisher_diagonal(linear, exact.asarray([5, 7]), X, likelihood="gaussian")
    ExactArray([5, 17/8])
    """
    _check(likelihood, X)
    del y

    def of_example(f: Array, jacobian: Array) -> Array:
        if likelihood == "gaussian":
            return rnp.sum(jacobian * jacobian, axis=0)
        p = rnp.softmax(f)
        score = jacobian - p @ jacobian  # row c: d log p(c) / d theta
        return p @ (score * score)  # eq: fisher-diagonal

    return _mean_over_examples(of_example, logits, theta, X)


def empirical_fisher_diagonal(
    logits: Callable[[Array, Array], Array],
    theta: Array,
    X: Array,
    y: Array,
    *,
    likelihood: Likelihood = "categorical",
) -> Array:
    """The diagonal of the empirical Fisher information, equation (empirical-fisher-diagonal).

    Parameters
    ----------
    logits, theta, X, likelihood
        As for `fisher_diagonal`.
    y : array, shape (N,) of integers
        The labels, from 0 to C - 1; for ``"gaussian"`` the targets, of shape (N, C).

    Returns
    -------
    array, shape (p,)
    """
    _check(likelihood, X)
    y = _targets(y, likelihood)
    if len(shape_of(y)) != (1 if likelihood == "categorical" else 2) or shape_of(y)[0] != shape_of(X)[0]:
        raise ShapeError(f"expected one label for each of {shape_of(X)[0]} examples, got labels of shape {shape_of(y)}")
    remaining = iter(range(shape_of(X)[0]))

    def of_example(f: Array, jacobian: Array) -> Array:
        n = next(remaining)
        if likelihood == "gaussian":
            if shape_of(y)[1] != shape_of(f)[0]:
                raise ShapeError(f"expected targets of shape (N, {shape_of(f)[0]}), got {shape_of(y)}")
            score = (y[n] - f) @ jacobian
        else:
            label = int(y[n])
            if not 0 <= label < shape_of(f)[0]:
                raise InvalidInput(f"expected labels from 0 to {shape_of(f)[0] - 1}, got {label} for example {n}")
            score = jacobian[label] - rnp.softmax(f) @ jacobian
        return score * score  # eq: empirical-fisher-diagonal

    return _mean_over_examples(of_example, logits, theta, X)


def _mean_over_examples(
    of_example: Callable[[Array, Array], Array], logits: Callable[[Array, Array], Array], theta: Array, X: Array
) -> Array:
    """The mean over n of ``of_example(f_n, df_n / dtheta)``, the logits of one example and their Jacobian (C, p)."""
    if len(shape_of(theta)) != 1:
        raise ShapeError(f"expected theta of shape (p,), got {shape_of(theta)}; reshape it inside logits")
    total: Array = None
    count = shape_of(X)[0]
    for n in range(count):
        f, pullback = vjp(lambda t: _row(logits(t, X[n : n + 1])), theta)  # noqa: B023  (called at once)
        value = primal(f)
        xp = of(value)
        units = xp.onehot(xp.indices(shape_of(f)[0], value), shape_of(f)[0], value)
        jacobian = rnp.stack([pullback(units[c])[0] for c in range(shape_of(f)[0])])
        term = of_example(f, jacobian)
        total = term if total is None else total + term
    return total / count


def _targets(y: Array, likelihood: str) -> Array:
    """The labels as an array of integers, or the targets as they are."""
    if likelihood == "gaussian":
        return y
    y = np.asarray(y) if isinstance(y, (list, tuple)) else y
    kind = getattr(getattr(y, "dtype", None), "kind", None)
    if kind is not None and kind not in "iub":
        raise InvalidInput(f"expected labels of an integer dtype, got {y.dtype}; write y.astype(int) if they are whole")
    return y


def _row(f: Array) -> Array:
    if len(shape_of(f)) != 2 or shape_of(f)[0] != 1:
        raise ShapeError(f"logits(theta, X): expected shape (N, C), here (1, C) for one example; got {shape_of(f)}")
    return f[0]


def _check(likelihood: str, X: Array) -> None:
    if likelihood not in ("categorical", "gaussian"):
        raise InvalidInput(f"expected likelihood 'categorical' or 'gaussian', got {likelihood!r}")
    if len(shape_of(X)) < 1 or shape_of(X)[0] == 0:
        given = f"shape {shape_of(X)}" if hasattr(X, "shape") else f"a {type(X).__name__}"
        raise ShapeError(f"expected at least one example, an array X of shape (N, d); got {given}")
