"""Directional derivatives by every composition of the two modes, for any library that has ``jvp`` and ``grad``.

Forward mode gives ``D f(x)[u]`` at once. Reverse mode takes one output after another: its gradient times u. A second
derivative is either mode over either: ``"fr"`` is forward over reverse, the derivative along v of a gradient times u.
"""

from __future__ import annotations

FIRST = ("f", "r")
SECOND = ("ff", "fr", "rf", "rr")


class Modes:
    """The compositions for one library.

    Parameters
    ----------
    jvp : callable
        ``jvp(f, primals, tangents)``, of which the last output is the derivative.
    grad : callable
        ``grad(f, argnums)``: the gradients of a function of several arguments that returns a number.
    dot : callable
        The sum of products of two arrays.
    stack : callable
        Numbers of shape () as one array of a shape.
    size : callable
        The shape of an array.
    """

    def __init__(self, jvp, grad, dot, stack, size):
        self.jvp, self.grad, self.dot, self.stack, self.size = jvp, grad, dot, stack, size

    def forward(self, f, x, u):
        return self.jvp(f, x, u)[1]

    def reverse(self, f, x, u):
        """The gradient of a number times u."""
        gradients = self.grad(f, tuple(range(len(x))))(*x)
        return sum((self.dot(g, d) for g, d in zip(gradients[1:], u[1:], strict=True)), self.dot(gradients[0], u[0]))

    def subject(self, f, modes, fixed=0):
        """A subject of the contract ``operator_derivative`` for a function f of some arrays, the last of them fixed."""

        def called(x, *directions):
            x, *directions = (part if isinstance(part, tuple) else (part,) for part in (x, *directions))
            moving, rest = x[: len(x) - fixed], x[len(x) - fixed :]
            return self.derivative(lambda *y: f(*y, *rest), modes, moving, *directions)

        return called

    def derivative(self, f, modes, x, *directions):
        """``D f(x)[u]`` or ``D^2 f(x)[u, v]``; modes from the outside in, directions from the inside out."""
        if modes == "f" * len(modes):
            return self.along(f, modes, x, directions)
        shape, count = self.size(f(*x)), 1
        for n in shape:
            count *= n
        parts = [self.along(lambda *y, i=i: f(*y).reshape(-1)[i], modes, x, directions) for i in range(count)]
        return self.stack(parts, shape)

    def along(self, f, modes, x, directions):
        *outer, inner = modes
        *later, first = directions[::-1]
        once = {"f": self.forward, "r": self.reverse}[inner]
        if not outer:
            return once(f, x, first)
        return self.along(lambda *y: once(f, y, first), outer, x, later[::-1])
