r"""The diagonal of the Fisher information of a model, example by example.

With the score :math:`s_n(c) = \partial_\theta \log p(c \mid x_n)`, the *true* Fisher takes the label from the model,

.. math:: \operatorname{diag} F = \frac1N \sum_n \sum_c p(c \mid x_n)\, s_n(c)^2,
   :label: fisher-diagonal

and the *empirical* one takes it from the data [kunstner2019]_:

.. math:: \operatorname{diag} \hat F = \frac1N \sum_n s_n(y_n)^2.
   :label: empirical-fisher-diagonal

Both are means over the examples, and both square before they average: the square of the gradient of a batch is
neither of them. The empirical Fisher is no estimate of the true one; it vanishes on data that the model fits.

For a Gaussian likelihood :math:`y \mid x \sim N(f(x), I)`, with outputs f of the model, the score is
:math:`\sum_c (y_c - f_c)\, \partial_\theta f_c`, and the mean of its square over y is
:math:`\sum_c (\partial_\theta f_c(x_n))^2`, whatever the labels.

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
from refgrad.autodiff import vjp, vmap
from refgrad.autodiff.blocks import nbytes, spans
from refgrad.autodiff.core import Tracer, primal
from refgrad.autodiff.record import is_contracted
from refgrad.backend import of, shape_of
from refgrad.errors import InvalidInput, ShapeError
from refgrad.numpy.indexing import beside, scatter_add
from refgrad.tree import flatten, map
from refgrad.typing import Array, Tree

__all__ = ["empirical_fisher_diagonal", "fisher_diagonal"]

Likelihood = Literal["categorical", "gaussian"]
Logits = Callable[[Tree, Tree], Array]


def fisher_diagonal(
    logits: Logits, theta: Tree, X: Tree, y: Array = None, *, likelihood: Likelihood = "categorical"
) -> Tree:
    """The diagonal of the true Fisher information, the mean over the N examples, equation (fisher-diagonal).

    Parameters
    ----------
    logits : callable
        ``logits(theta, X)``, of shape (N, C): unnormalised log-probabilities, or for ``"gaussian"`` the means. It is
        called with one example at a time, N = 1, so that no example's logits depend on another's, as under batch
        normalisation they would.
    theta : array, shape (p,), or a container of arrays of any shapes
    X : array, shape (N, ...), or a container of such arrays
    y : optional
        Not used; the true Fisher does not look at labels. Accepted so that all Fisher functions are called alike.
    likelihood : {"categorical", "gaussian"}
        A softmax over the C logits, or independent normal outputs of variance 1.

    Returns
    -------
    array, shape (p,), or a container as theta

    Raises
    ------
    ShapeError
        If X is empty or the logits are not of shape (N, C).

    Notes
    -----
    The examples are computed together, as `refgrad.vmap` does, in blocks of 64 MB at most; while ``stage(...,
    reassociate=True)`` records a program, which itself has nothing so large, in blocks of 2 GB. Logits that cannot be
    computed so (they branch on a value, or hand it to a function that is no operation of the engine) are computed one
    example after the other, a hundred times as slow: `refgrad.vmap` of ``lambda x: logits(theta, x[None])`` says why.

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
    count = _check(likelihood, theta, X)
    del y

    def of_example(x: Tree) -> Tree:
        f, pullback = vjp(lambda t: _row(logits, t, x), theta)
        # rows u and weights w with sum w u u^T = F of the logits: diag(p) - p p^T, or the identity. A sum of squares:
        # the mean square minus the squared mean cancels where the model is sure
        rows, weights = _units(f), None
        if in_pairs:
            first, second = pairs
            p = rnp.softmax(f)
            rows, weights = rows[first] - rows[second], p[first] * p[second]
        elif likelihood == "categorical":
            root = rnp.exp(rnp.nn.log_softmax(f) / 2)
            rows = rnp.reshape(root, (-1, 1)) * _residual(rows, root * root)

        def square_sum(j: Array) -> Array:
            w = 1 if weights is None else rnp.reshape(weights, (-1,) + (1,) * (len(shape_of(j)) - 1))
            return rnp.sum(w * j * j, axis=0)

        return map(square_sum, vmap(lambda u: pullback(u)[0])(rows))  # eq: fisher-diagonal

    classes = shape_of(_row(logits, theta, map(lambda a: a[0], X)))[0]
    pairs = np.triu_indices(classes, 1)
    # diag(p) - p p^T = sum_{c < k} p_c p_k (e_c - e_k) (e_c - e_k)^T: many more rows, but the same for all examples, so
    # that a program squares them once, before it meets the examples
    in_pairs = likelihood == "categorical" and is_contracted((theta, X))
    return _mean_over_examples(of_example, X, count, (len(pairs[0]) if in_pairs else classes) * nbytes(theta))


def empirical_fisher_diagonal(
    logits: Logits, theta: Tree, X: Tree, y: Array, *, likelihood: Likelihood = "categorical"
) -> Tree:
    """The diagonal of the empirical Fisher information, equation (empirical-fisher-diagonal).

    Parameters
    ----------
    logits, theta, X : as in `fisher_diagonal`
    y : array of integers, shape (N,)
        The labels, from 0 to C - 1; for ``"gaussian"`` the targets, of shape (N, C).
    likelihood : as in `fisher_diagonal`

    Returns
    -------
    array, shape (p,), or a container as theta
    """
    count = _check(likelihood, theta, X)
    y = _targets(y, likelihood, theta)
    if len(shape_of(y)) != (1 if likelihood == "categorical" else 2) or shape_of(y)[0] != count:
        raise ShapeError(f"expected one label for each of {count} examples, got labels of shape {shape_of(y)}")

    def of_example(example: tuple[Tree, Array]) -> Tree:
        x, target = example
        f, pullback = vjp(lambda t: _row(logits, t, x), theta)
        if likelihood == "categorical":
            (score,) = pullback(_residual(_label_unit(y, target, f), rnp.softmax(f)))
        elif shape_of(target) != shape_of(f):
            raise ShapeError(f"expected targets of shape (N, {shape_of(f)[0]}), got {shape_of(y)}")
        else:
            (score,) = pullback(target - f)
        return map(lambda s: s * s, score)  # eq: empirical-fisher-diagonal

    return _mean_over_examples(of_example, (X, y), count, nbytes(theta))


def _mean_over_examples(of_example: Callable[[Tree], Tree], examples: Tree, count: int, size: int) -> Tree:
    """The mean of ``of_example(examples[n])`` over n, of which each has arrays of `size` bytes."""
    together = True
    total: Tree = None
    # blocks are lines of a program, and what it contracts takes memory in the recording alone: few blocks are better
    for span in spans(count, size // 32 if is_contracted(examples) else size):
        block = map(lambda a: a[span], examples)
        terms = []
        if together and span.stop - span.start > 1:
            try:
                terms = [map(lambda a: rnp.sum(a, axis=0), vmap(of_example)(block))]
            except Exception:  # for whatever reason: if it is not that they are many, the loop raises it again
                together = False
        for term in terms or (of_example(map(lambda a: a[n], block)) for n in range(span.stop - span.start)):
            total = term if total is None else map(lambda a, b: a + b, total, term)
    return map(lambda a: a / count, total)


def _residual(units: Array, p: Array) -> Array:
    """``units - p`` for units with a single 1 in each row; ``1 - p`` is the sum of the others: it loses no digits."""
    others = (1 - units) * p
    return units * rnp.sum(others, axis=-1, keepdims=True) - others


def _units(f: Array) -> Array:
    """The identity of the order of the vector f."""
    value, n = primal(f), shape_of(f)[0]
    xp = of(value)
    return xp.onehot(xp.indices(n, value), n, value)


def _row(logits: Logits, theta: Tree, x: Tree) -> Array:
    """The logits of one example."""
    f = logits(theta, map(lambda a: rnp.reshape(a, (1, *shape_of(a))), x))
    if len(shape_of(f)) != 2 or shape_of(f)[0] != 1:
        raise ShapeError(f"logits(theta, X): expected shape (N, C), here (1, C) for one example; got {shape_of(f)}")
    return rnp.reshape(f, shape_of(f)[1:])


def _targets(y: Array, likelihood: str, theta: Tree) -> Array:
    """The labels as an array of integers, or the targets as they are."""
    if likelihood == "gaussian":
        return y
    y = np.asarray(y) if isinstance(y, (list, tuple)) else y
    kind = getattr(getattr(y, "dtype", None), "kind", "?")
    if kind not in "iub":
        given = getattr(y, "dtype", type(y).__name__)
        raise InvalidInput(f"expected labels of an integer dtype, got {given}; write y.astype(int) if they are whole")
    return beside(rnp.astype(y, np.int64), flatten(theta)[0][0])


def _label_unit(y: Array, label: Array, f: Array) -> Array:
    """The unit vector of one of the labels y, once these have been seen to lie in range."""
    classes = shape_of(f)[0]
    if isinstance(y, Tracer):
        # not known yet in a recording: one out of range must be no index at all, and none from the other end
        label = rnp.where(label < 0, classes, label)
    elif y.min() < 0 or y.max() >= classes:
        n, wrong = next((n, w) for n, w in enumerate(y.tolist()) if not 0 <= w < classes)
        raise InvalidInput(f"expected labels from 0 to {classes - 1}, got {wrong} for example {n}")
    return scatter_add(rnp.ones_like(f[:1]), rnp.reshape(label, (1,)), 0, classes)


def _check(likelihood: str, theta: Tree, X: Tree) -> int:
    """The number of examples."""
    if likelihood not in ("categorical", "gaussian"):
        raise InvalidInput(f"expected likelihood 'categorical' or 'gaussian', got {likelihood!r}")
    parameters = flatten(theta)[0]
    if not parameters:
        raise ShapeError("expected at least one parameter, got an empty container")
    if parameters[0] is theta and len(shape_of(theta)) != 1:
        raise ShapeError(
            f"expected theta of shape (p,), got {shape_of(theta)}; reshape it inside logits, or put it into a container"
        )
    counts = {shape_of(leaf)[:1] for leaf in flatten(X)[0]}
    if len(counts) != 1 or counts & {(), (0,)}:
        given = f"shape {shape_of(X)}" if hasattr(X, "shape") else f"a {type(X).__name__}"
        raise ShapeError(f"expected at least one example, an array X of shape (N, d); got {given}")
    return counts.pop()[0]
