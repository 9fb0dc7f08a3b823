"""Activations beyond those that are primitives (`relu`, `logistic`, `softplus`, tanh), element by element.

References
----------
.. [clevert2016] D.-A. Clevert, T. Unterthiner, S. Hochreiter, Fast and accurate deep network learning by exponential
   linear units (ELUs), ICLR 2016.
.. [hendrycks2016] D. Hendrycks, K. Gimpel, Gaussian error linear units (GELUs), arXiv:1606.08415.
"""

from __future__ import annotations

from typing import Any

from refgrad.autodiff.rules.elementwise import join, weigh
from refgrad.numpy.conversion import asarray, floating
from refgrad.numpy.creation import number_like
from refgrad.numpy.elementwise import arctan, erfc, expm1, logistic, softplus, sqrt, where
from refgrad.numpy.reductions import logsumexp
from refgrad.typing import Array


def log_logistic(x: Any) -> Array:
    """``log(logistic(x))``, without overflow."""
    return -softplus(-floating(x))


def leaky_relu(x: Any, slope: Any = 0.01) -> Array:
    """x where it is positive and ``slope * x`` elsewhere; the derivative at 0 is `slope`.

    Parameters
    ----------
    x : array
    slope : number or array
    """
    x = asarray(x)
    return join(where(x > 0, x, slope * x), lambda: x)


def elu(x: Any, alpha: Any = 1) -> Array:
    """x where it is positive and ``alpha * (exp(x) - 1)`` elsewhere; the derivative at 0 is `alpha` [clevert2016]_.

    Parameters
    ----------
    x : array
    alpha : number or array
    """
    x = asarray(x)
    # of a large x not even the branch that is not taken may overflow
    return join(where(x > 0, x, alpha * expm1(where(x > 0, 0, x))), lambda: x)


def silu(x: Any) -> Array:
    """``x * logistic(x)``, also called swish; 0 at -inf."""
    x = floating(x)
    return weigh(logistic(x), x)


def gelu(x: Any, *, approximate: bool = False) -> Array:
    """``x / 2 * (1 + erf(x / sqrt(2)))``: x times the probability that a normal variable is below x [hendrycks2016]_.

    Parameters
    ----------
    x : array
    approximate : bool
        Whether to compute ``x * logistic(sqrt(8 / pi) * (x + 0.044715 * x**3))`` in its place, the tanh form. The usual
        ``x / 2 * (1 + tanh(z))`` is ``x * logistic(2 * z)``, which loses no digits where tanh is nearly -1; so does
        ``x / 2 * erfc(-x / sqrt(2))`` for erf.
    """
    x = floating(x)
    if not approximate:
        return weigh(erfc(-x / sqrt(number_like(x, 2))), x / 2)
    pi = 4 * arctan(number_like(x, 1))
    c = number_like(x, 8943) / 20000 / 10  # 0.044715, of integers that float16 has
    return weigh(logistic(sqrt(8 / pi) * weigh(x, 1 + c * weigh(x, x))), x)


def log_softmax(x: Any, axis: int = -1) -> Array:
    """``log(softmax(x))`` along `axis`, without overflow.

    Parameters
    ----------
    x : array
    axis : int
    """
    x = floating(x)
    return x - logsumexp(x, axis, keepdims=True)
