"""Two networks with a shared encoder as full problems: losses, representation and their derivatives by hand.

Both are rational functions of their parameters, so that not only first-order rates but finite steps are exact. Each has

    losses(theta)                    (K,)
    gradients(theta)                 (K, p)    by the parameters, pulled back through the layers
    hvps(theta, v)                   (K, p)    the Hessian of every loss, times v
    representation(theta)            (q,)
    representation_gradients(theta)  (K, q)
    encoder_jacobian(theta)          (q, p)

and `at` takes the last two of them to a `SharedEncoder`. The gradients are not computed from these: that
``gradients == representation_gradients @ encoder_jacobian`` is a fact to be checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from refgrad.backend import of
from refgrad.contracts.tools.assemble import identity
from refgrad.theory.multitask.shared_encoder import SharedEncoder
from refgrad.typing import Array

__all__ = ["EncoderNetwork", "LinearEncoder", "ReluEncoder", "at"]


class EncoderNetwork(Protocol):
    """K losses of a representation that all of them share."""

    def losses(self, theta: Array) -> Array:
        """The losses, shape (K,)."""

    def gradients(self, theta: Array) -> Array:
        """Their gradients by theta, shape (K, p)."""

    def hvps(self, theta: Array, v: Array) -> Array:
        """Their Hessians by theta, each times `v`, shape (K, p)."""

    def representation(self, theta: Array) -> Array:
        """The output of the encoder, shape (q,)."""

    def representation_gradients(self, theta: Array) -> Array:
        """The gradients of the losses by the representation, shape (K, q)."""

    def encoder_jacobian(self, theta: Array) -> Array:
        """The derivative of the representation by theta, shape (q, p)."""


def at(network: EncoderNetwork, theta: Array) -> SharedEncoder:
    """The gradients by the representation and the encoder's Jacobian at `theta`.

    Parameters
    ----------
    network : EncoderNetwork
    theta : array, shape (p,)
    """
    return SharedEncoder(network.representation_gradients(theta), network.encoder_jacobian(theta))


@dataclass(frozen=True)
class LinearEncoder:
    """A linear encoder ``z_n = <x_n, theta>`` of N samples, and K tasks with targets for some or all of them.

    ``L_k = 1/2 sum_n s_kn (z_n - t_kn)^2``: the *sum* over samples, with the factor 1/2. Here q = N.

    Attributes
    ----------
    X : array, shape (N, p)
    targets : array, shape (K, N)
    labelled : array, shape (K, N)
        s: 1 where task k has a label for sample n, 0 where not. Where every task has one, all tasks share the inputs.
    """

    X: Array
    targets: Array
    labelled: Array

    def losses(self, theta: Array) -> Array:
        r = self.representation(theta) - self.targets
        return of(r).sum(self.labelled * r * r, (1,), False) / 2

    def gradients(self, theta: Array) -> Array:
        """``sum_n s_kn (z_n - t_kn) x_n``."""
        return (self.labelled * (self.X @ theta - self.targets)) @ self.X

    def hvps(self, theta: Array, v: Array) -> Array:
        """``sum_n s_kn <x_n, v> x_n``, wherever theta is."""
        return (self.labelled * (self.X @ v)) @ self.X

    def representation(self, theta: Array) -> Array:
        return self.X @ theta

    def representation_gradients(self, theta: Array) -> Array:
        """``s_kn (z_n - t_kn)``."""
        return self.labelled * (self.representation(theta) - self.targets)

    def encoder_jacobian(self, theta: Array) -> Array:
        """``X``."""
        return self.X


@dataclass(frozen=True)
class ReluEncoder:
    """A two-layer encoder of one sample x, all of whose parameters are trained, with K fixed linear heads.

        a = b x + e,   h = relu(a),   z = A h + c,   y_k = <w_k, z>,   L_k = 1/2 (y_k - t_k)^2

    with the factor 1/2. theta is (b, e, A, c) end to end, A row by row, p = 2 H + q H + q. The derivative of relu at
    0 is taken to be 0.

    Attributes
    ----------
    x : scalar
    heads : array, shape (K, q)
        Row k is w_k.
    targets : array, shape (K,)
    hidden : int
        H.
    """

    x: Array
    heads: Array
    targets: Array
    hidden: int

    def parts(self, theta: Array) -> tuple[Array, Array, Array, Array]:
        """``b, e, A, c`` of shapes (H,), (H,), (q, H) and (q,)."""
        H, q = self.hidden, self.heads.shape[1]
        A = of(theta).reshape(theta[2 * H : 2 * H + q * H], (q, H))
        return theta[:H], theta[H : 2 * H], A, theta[2 * H + q * H :]

    def hidden_layer(self, theta: Array) -> tuple[Array, Array]:
        """h and the derivative of relu at a, both of shape (H,)."""
        b, e, _, _ = self.parts(theta)
        a, xp = b * self.x + e, of(theta)
        slope = xp.where(a > 0, xp.ones_like(a), xp.zeros_like(a))
        return slope * a, slope

    def losses(self, theta: Array) -> Array:
        r = self.heads @ self.representation(theta) - self.targets
        return r * r / 2

    def gradients(self, theta: Array) -> Array:
        _, _, A, _ = self.parts(theta)
        h, slope = self.hidden_layer(theta)
        by_z = self.representation_gradients(theta)
        by_a = slope * (by_z @ A)
        return join(by_a * self.x, by_a, by_z[:, :, None] * h, by_z)

    def hvps(self, theta: Array, v: Array) -> Array:
        """The derivative of `gradients` along `v`, by the product rule; that of the slope is zero."""
        (_, _, A, _), (vb, ve, vA, vc) = self.parts(theta), self.parts(v)
        h, slope = self.hidden_layer(theta)
        dh = slope * (vb * self.x + ve)
        dz = vA @ h + A @ dh + vc
        by_z = self.representation_gradients(theta)
        d_by_z = (self.heads @ dz)[:, None] * self.heads
        d_by_a = slope * (d_by_z @ A + by_z @ vA)
        return join(d_by_a * self.x, d_by_a, d_by_z[:, :, None] * h + by_z[:, :, None] * dh, d_by_z)

    def representation(self, theta: Array) -> Array:
        _, _, A, c = self.parts(theta)
        return A @ self.hidden_layer(theta)[0] + c

    def representation_gradients(self, theta: Array) -> Array:
        """``(y_k - t_k) w_k``."""
        r = self.heads @ self.representation(theta) - self.targets
        return r[:, None] * self.heads

    def encoder_jacobian(self, theta: Array) -> Array:
        """Row i: ``A_ij h_j' x`` by b_j, ``A_ij h_j'`` by e_j, h_j by A_ij and 1 by c_i."""
        _, _, A, c = self.parts(theta)
        h, slope = self.hidden_layer(theta)
        unit = identity(c)
        return join(A * slope * self.x, A * slope, unit[:, :, None] * h, unit)


def join(by_b: Array, by_e: Array, by_A: Array, by_c: Array) -> Array:
    """Derivatives by the four parts of theta, shape (rows, p)."""
    xp, rows = of(by_c), len(by_c)
    return xp.concat([by_b, by_e, xp.reshape(by_A, (rows, by_A.shape[1] * by_A.shape[2])), by_c], 1)
