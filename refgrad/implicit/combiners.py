r"""What may be made of the losses of auxiliary tasks: the functions h of `refgrad.implicit.auxilearn`.

===============  ====================================================================================================
`Linear`         a weighted sum, weights non-negative
`Network`        a network with non-negative weights on the losses of each example: with softplus it never falls where
                 a loss grows, and is convex; with the identity it is a deep linear one
`Convolutional`  the same with convolutions on images of losses, one for each pixel
===============  ====================================================================================================

Each has ``init``, a call ``h(phi, losses)``, which is a mean over the examples, and ``project``, which makes the
weights non-negative; biases are left as they are. `sub_class_labels` and `focal_loss` are for labels that a network
makes up.

>>> import numpy as np
>>> from refgrad.implicit.combiners import Linear
>>> h = Linear(tasks=2)
>>> float(h(h.init(), np.array([[1.0, 2.0], [3.0, 6.0]])))  # (1 + 2 + 3 + 6) / 2 examples
6.0

References
----------
.. [navon2021] A. Navon, I. Achituve, H. Maron, G. Chechik, E. Fetaya, Auxiliary learning by implicit differentiation,
   ICLR 2021, section 4.
.. [liu2019maxl] S. Liu, A. Davison, E. Johns, Self-supervised generalisation with meta auxiliary learning, NeurIPS
   2019, section 3.
.. [lin2017] T.-Y. Lin, P. Goyal, R. Girshick, K. He, P. Dollar, Focal loss for dense object detection, ICCV 2017.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from refgrad.autodiff.core import primal
from refgrad.backend import shape_of
from refgrad.errors import InvalidInput, ShapeError
from refgrad.implicit.auxilearn import nonnegative
from refgrad.numpy import exp, mean, softmax, softplus, sqrt, sum, where
from refgrad.numpy.nn import avg_pool, conv2d, log_softmax
from refgrad.typing import Array, Scalar, Tree

__all__ = ["Convolutional", "Linear", "Network", "focal_loss", "sub_class_labels"]


@dataclass(frozen=True)
class Linear:
    """``h = mean_i sum_k phi_k l_ik``; phi is an array of shape (K,), or ``{"g": (), "v": (K,)}``.

    Attributes
    ----------
    tasks : int
        K.
    weight_norm : bool
        Whether the weights are ``g v / |v|``.
    guarded : bool
        Whether a v that `project` makes zero is an error; if not, the weights are NaN, as in the official code.
    """

    tasks: int
    weight_norm: bool = False
    guarded: bool = True

    def init(self, dtype: Any = np.float64) -> Tree:
        """Weights of 1."""
        v: np.ndarray = np.ones(self.tasks, dtype)
        return {"g": np.sqrt(v.sum()), "v": v} if self.weight_norm else v

    def weights(self, phi: Tree) -> Array:
        """The weight of each task, shape (K,)."""
        return phi["g"] * phi["v"] / sqrt(sum(phi["v"] * phi["v"])) if self.weight_norm else phi

    def __call__(self, phi: Tree, losses: Array) -> Scalar:
        _check(self, losses, 2, self.tasks)
        return mean(losses @ self.weights(phi))

    def project(self, phi: Tree) -> Tree:
        """Phi without negative elements; of normalised weights, g and v each."""
        phi = nonnegative(phi)
        if self.weight_norm and self.guarded and not bool((primal(phi["v"]) != 0).any()):
            raise InvalidInput(
                "Linear: all of v is clamped to 0, and v / |v| has no value. Without weight_norm all weights are 0 "
                "there: no auxiliary task helps."
            )
        return phi


@dataclass(frozen=True)
class Network:
    """A fully connected network on the K losses of each example; phi is a list of ``{"W": (in, out), "b": (out,)}``.

    The last layer has no bias, and a linear network has none at all. With softplus, h is not 0 where all losses are 0.

    Attributes
    ----------
    tasks : int
        K.
    hidden : tuple of ints
    activation : {"softplus", "identity"}
    clamp_bias : bool
        Whether biases are made non-negative, too.
    """

    tasks: int
    hidden: tuple[int, ...] = (3,)
    activation: Literal["softplus", "identity"] = "softplus"
    clamp_bias: bool = False

    def init(self, rng: np.random.Generator, upper: float = 1.0, dtype: Any = np.float64) -> Tree:
        """Weights uniform on [0, upper), biases zero."""
        sizes = (self.tasks, *self.hidden, 1)
        layers: list[dict[str, Array]] = [
            {"W": rng.uniform(0, upper, shape).astype(dtype), "b": np.zeros(shape[1], dtype)}
            for shape in pairwise(sizes)
        ]
        return _without_biases(layers, every=self.activation == "identity")

    def __call__(self, phi: Tree, losses: Array) -> Scalar:
        _check(self, losses, 2, self.tasks)
        x = losses
        for layer in phi[:-1]:
            x = x @ layer["W"]
            x = softplus(x + layer["b"]) if self.activation == "softplus" else x
        return mean(x @ phi[-1]["W"])

    def project(self, phi: Tree) -> Tree:
        """Phi with non-negative weights."""
        return _monotone(phi, self.clamp_bias)


@dataclass(frozen=True)
class Convolutional:
    """Convolutions on images of losses, one for each task and pixel.

    For each hidden layer: 3 x 3 with a border of zeros, softplus, the mean of 2 x 2; then 1 x 1, and the mean of all.

    Attributes
    ----------
    tasks : int
        K.
    channels : tuple of ints
        Of the hidden layers.
    padding : int
        The border of the last layer: 1 in the official code, which adds zeros to the mean.
    """

    tasks: int
    channels: tuple[int, ...] = (8, 16)
    padding: int = 0

    def init(self, rng: np.random.Generator, upper: float = 0.1, dtype: Any = np.float64) -> Tree:
        """Weights uniform on [0, upper), biases zero."""
        sizes = (self.tasks, *self.channels, 1)
        layers: list[dict[str, Array]] = [
            {"W": rng.uniform(0, upper, (out, into, side, side)).astype(dtype), "b": np.zeros(out, dtype)}
            for (into, out), side in zip(pairwise(sizes), [3] * len(self.channels) + [1], strict=True)
        ]
        return _without_biases(layers, every=False)

    def __call__(self, phi: Tree, losses: Array) -> Scalar:
        """h of losses of shape (N, K, height, width)."""
        _check(self, losses, 4, self.tasks)
        x = losses
        for layer in phi[:-1]:
            x = avg_pool(softplus(conv2d(x, layer["W"], layer["b"], padding=1)), 2)
        return mean(conv2d(x, phi[-1]["W"], padding=self.padding))

    def project(self, phi: Tree) -> Tree:
        """Phi with non-negative weights."""
        return _monotone(phi, False)


def sub_class_labels(logits: Array, y: Array, sub_classes: int) -> Array:
    """Soft labels of sub-classes: a softmax over those of an example's class, and 0 elsewhere [liu2019maxl]_.

    Parameters
    ----------
    logits : array, shape (N, C * sub_classes)
        Of the network that makes up labels; those of class c are the columns from ``c * sub_classes`` on.
    y : array of ints, shape (N,)
    sub_classes : int

    Returns
    -------
    array, shape (N, C * sub_classes)
        Each row sums to 1.
    """
    N, columns = shape_of(logits)
    if columns % sub_classes or shape_of(y) != (N,):
        raise ShapeError(
            f"sub_class_labels: expected logits (N, C * {sub_classes}) and y (N,), got {(N, columns)} and {shape_of(y)}"
        )
    own = np.arange(columns) // sub_classes == np.asarray(y)[:, None]
    return softmax(where(own, logits, -np.inf), -1)


def focal_loss(logits: Array, labels: Array, gamma: int = 2) -> Array:
    """``-sum_c t_c (1 - p_c)^gamma log p_c`` for each example, with ``p = softmax(logits)`` [lin2017]_, shape (N,).

    Parameters
    ----------
    logits, labels : arrays, shape (N, C)
        The labels t are probabilities.
    gamma : int
        0 gives the cross-entropy.
    """
    log_p = log_softmax(logits, axis=-1)
    return -sum(labels * (1 - exp(log_p)) ** gamma * log_p, -1)


def _check(h: Linear | Network | Convolutional, losses: Array, ndim: int, tasks: int) -> None:
    shape = shape_of(losses)
    if len(shape) != ndim or shape[1] != tasks or 0 in shape:
        wanted = f"(N, {tasks})" if ndim == 2 else f"(N, {tasks}, height, width)"
        raise ShapeError(f"{type(h).__name__}: expected losses of shape {wanted}, a column a task, got {shape}")


def _without_biases(layers: list[dict[str, Array]], every: bool) -> list[dict[str, Array]]:
    return [{"W": layer["W"]} if every or layer is layers[-1] else layer for layer in layers]


def _monotone(phi: Tree, biases: bool) -> Tree:
    return [{name: nonnegative(x) if biases or name == "W" else x for name, x in layer.items()} for layer in phi]
