"""Data for examples and experiments: arrays in, arrays out.

>>> import numpy as np
>>> from refgrad.data import minibatches, split
>>> train, test = split((np.arange(10), np.arange(10) % 2), (6, 4), np.random.default_rng(0))
>>> len(train[0]), len(test[0]), [len(batch[0]) for batch in minibatches(train, 4, np.random.default_rng(0))]
(6, 4, [4, 2])
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from refgrad.errors import InvalidInput, MissingExtra, ShapeError

__all__ = ["digits", "minibatches", "split"]

Arrays = tuple[np.ndarray, ...]


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Scikit-learn's 1797 images of 8 x 8 pixels from 0 to 1, shape (1797, 64) of float64, and their digits.

    Returns
    -------
    X : array, shape (1797, 64)
    y : array of int64, shape (1797,)

    Raises
    ------
    MissingExtra
        If scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingExtra("the digits are scikit-learn's: pip install 'refgrad[experiments]'") from error
    bundle = load_digits()
    return bundle.data / 16, bundle.target.astype(np.int64)


def split(
    arrays: Sequence[np.ndarray], sizes: Sequence[int], rng: np.random.Generator, *, labels: np.ndarray | None = None
) -> tuple[Arrays, ...]:
    """Disjoint parts of given sizes, drawn at random; what is left over is in none.

    Parameters
    ----------
    arrays : sequence of arrays
        Of one length N.
    sizes : sequence of ints
        With a sum of at most N.
    rng : numpy.random.Generator
    labels : array of ints, shape (N,), optional
        Then `sizes` count the examples of each label.

    Returns
    -------
    tuple of tuples of arrays
        For each size the rows of each array.
    """
    N = _length("split", arrays)
    groups = [np.arange(N)] if labels is None else [np.flatnonzero(labels == label) for label in np.unique(labels)]
    if min(sizes, default=0) < 0 or not groups or sum(sizes) > min(map(len, groups)):
        of = "" if labels is None else " of each label"
        raise InvalidInput(
            f"split: expected sizes of at least 0 with a sum of at most {min(map(len, groups), default=0)}, the "
            f"examples{of}; got {tuple(sizes)}"
        )
    edges = np.cumsum([0, *sizes])
    orders = [rng.permutation(group) for group in groups]
    parts = [np.concatenate([order[i:j] for order in orders]) for i, j in pairwise(edges)]
    return tuple(tuple(array[rows] for array in arrays) for rows in parts)


def minibatches(
    arrays: Sequence[np.ndarray], size: int, rng: np.random.Generator, *, drop_last: bool = False
) -> Iterator[Arrays]:
    """The rows of the arrays in a random order, `size` at a time: one epoch.

    Parameters
    ----------
    arrays : sequence of arrays
        Of one length N.
    size : int
    rng : numpy.random.Generator
    drop_last : bool
        Whether a last batch of fewer rows is left out.

    Yields
    ------
    tuple of arrays
        The same rows of each array.
    """
    N = _length("minibatches", arrays)
    if size < 1:
        raise InvalidInput(f"minibatches: expected a size of at least 1, got {size}")
    order = rng.permutation(N)
    for start in range(0, N - (size - 1) * drop_last, size):
        rows = order[start : start + size]
        yield tuple(array[rows] for array in arrays)


def _length(what: str, arrays: Sequence[np.ndarray]) -> int:
    lengths = {len(array) for array in arrays}
    if len(lengths) != 1:
        raise ShapeError(f"{what}: expected arrays of one length, got {sorted(lengths)}")
    return int(lengths.pop())
