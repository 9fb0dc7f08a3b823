"""Random programs: straight lines of operations on a vector, a matrix and a number, as a strategy.

Every program is defined and smooth at every point: denominators are ``1 + b^2``, systems have the matrix ``1 + y y^T``,
and a choice between values is a `where`, which has the derivative of the branch taken. So no draw is thrown away.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

import refgrad.numpy as rnp
from refgrad import exact

SHAPES = {"a": (3,), "b": (2, 2), "c": ()}
SMALL = 6  # elements of a value


UNARY = {
    "-{0}": lambda x: -x,
    "{0} ** 2": lambda x: x**2,
    "{0} ** 3 / 4": lambda x: x**3 / 4,
    "1 / (1 + {0} ** 2)": lambda x: 1 / (1 + x**2),
    "sum({0})": lambda x: rnp.sum(x),
    "prod({0})": lambda x: rnp.prod(x),
    "ravel({0})": lambda x: rnp.ravel(x),
    "broadcast_to({0}, (2, ...))": lambda x: rnp.broadcast_to(x, (2, *rnp.shape(x))),
}
OF_AXES = {
    "sum({0}, axis=0)": lambda x: rnp.sum(x, axis=0),
    "sum({0}, axis=-1, keepdims)": lambda x: rnp.sum(x, axis=-1, keepdims=True),
    "cumsum({0}, axis=0)": lambda x: rnp.cumsum(x, axis=0),
    "cumprod({0}, axis=-1)": lambda x: rnp.cumprod(x, axis=-1),
    "{0}[::-1]": lambda x: x[::-1],
    "{0}[0]": lambda x: x[0],
    "{0}[[0, -1, 0]]": lambda x: x[np.array([0, -1, 0])],
    "transpose({0})": lambda x: rnp.transpose(x),
    "flip({0}, -1)": lambda x: rnp.flip(x, -1),
    "roll({0}, 1)": lambda x: rnp.roll(x, 1),
}
DETERMINANT = {"det({0})": lambda x: rnp.linalg.det(x)}
SQUARE = {
    "tril({0})": lambda x: rnp.tril(x),
    "einsum('ij,kj->ki', {0}, {0})": lambda x: rnp.einsum("ij,kj->ki", x, x),
}
BINARY = {
    "{0} + {1}": lambda x, y: x + y,
    "{0} - {1}": lambda x, y: x - y,
    "{0} * {1}": lambda x, y: x * y,
    "{0} / (1 + {1} ** 2)": lambda x, y: x / (1 + y**2),
}
CHOICE = {"where({0} > {1}, {0}, 2 * {1})": lambda x, y: rnp.where(x > y, x, 2 * y)}
OF_VECTORS = {
    "outer({0}, {1})": lambda x, y: rnp.outer(x, y),
    "concat({0}, {1})": lambda x, y: rnp.concatenate([x, y]),
}
SOLVE = {
    "solve(1 + outer({0}, {0}), {1})": lambda x, y: rnp.linalg.solve(rnp.outer(x, x) + np.eye(len(x), dtype=int), y)
}
PRODUCT = {"{0} @ {1}": lambda x, y: x @ y}
TRANSCENDENTAL = {
    "tanh({0})": rnp.tanh,
    "sin({0})": rnp.sin,
    "cos({0})": rnp.cos,
    "exp(tanh({0}))": lambda x: rnp.exp(rnp.tanh(x)),
    "log(1 + {0} ** 2)": lambda x: rnp.log(1 + x**2),
    "sqrt(1 + {0} ** 2)": lambda x: rnp.sqrt(1 + x**2),
    "logistic({0})": rnp.logistic,
    "softplus({0})": rnp.softplus,
    "logsumexp({0})": rnp.logsumexp,
    "arctan({0})": rnp.arctan,
}
ALL = UNARY | OF_AXES | SQUARE | DETERMINANT | BINARY | CHOICE | OF_VECTORS | SOLVE | PRODUCT | TRANSCENDENTAL


def _size(shape):
    return int(np.prod(shape, dtype=int))


def _unary(shape, transcendental):
    found = list(UNARY) + (list(OF_AXES) if shape else []) + (list(TRANSCENDENTAL) if transcendental else [])
    if len(shape) == 2 and shape[0] == shape[1]:
        found += SQUARE
        found += [] if transcendental else DETERMINANT  # on floats it takes another way than on balls
    return [name for name in found if 2 * _size(shape) <= SMALL or not name.startswith("broadcast")]


def _binary(left, right):
    found = []
    try:
        if _size(np.broadcast_shapes(left, right)) <= SMALL:
            found += BINARY | CHOICE
    except ValueError:  # they do not broadcast
        pass
    if len(left) == len(right) == 1:
        found += [
            name for name, n in zip(OF_VECTORS, (left[0] * right[0], left[0] + right[0]), strict=True) if n <= SMALL
        ]
    if left and right and left[-1] == right[0] and len(right) <= 2:
        found += PRODUCT
    if len(left) == 1 and right and right[0] == left[0] and len(right) <= 2:
        found += SOLVE
    return found


@dataclass(frozen=True)
class Program:
    """Lines, each an operation and the places of what it works on: the three inputs, then the lines before it."""

    lines: tuple

    def __call__(self, point):
        """The values of the last two lines."""
        values = [point[name] for name in SHAPES]
        for name, places in self.lines:
            values.append(ALL[name](*(values[p] for p in places)))
        return values[-2:]

    def __repr__(self):
        names = [*SHAPES, *(f"v{i}" for i in range(len(self.lines)))]
        return "\n".join(
            f"v{i} = {name.format(*(names[p] for p in places))}" for i, (name, places) in enumerate(self.lines)
        )


@st.composite
def programs(draw, transcendental=False):
    """A program of two to six lines."""
    shapes, lines = list(SHAPES.values()), []
    for _ in range(draw(st.integers(2, 6))):
        places = range(len(shapes))
        possible = [(name, (p,)) for p in places for name in _unary(shapes[p], transcendental)]
        if transcendental:
            possible += [(name, (p,)) for p in places for name in TRANSCENDENTAL]  # drawn more often
        for p, q in itertools.product(places, repeat=2):
            inputs = max(p, q) < len(SHAPES)
            found = _binary(shapes[p], shapes[q])
            # balls that touch have no order; those of the inputs are points
            possible += [(name, (p, q)) for name in found if inputs or not (transcendental and name in CHOICE)]
        name, chosen = draw(st.sampled_from(possible))
        lines.append((name, chosen))
        shapes.append(np.shape(ALL[name](*(np.ones(shapes[p]) for p in chosen))))
    return Program(tuple(lines))


@st.composite
def points(draw):
    """Quarters, which are exact floats too."""
    return {
        name: exact.asarray(
            np.array([Fraction(draw(st.integers(-6, 6)), 4) for _ in range(_size(shape))] + [None], object)[
                :-1
            ].reshape(shape)
        )
        for name, shape in SHAPES.items()
    }


@st.composite
def vectors(draw):
    """Small integers in the shapes of a point."""
    return {
        name: exact.asarray(
            np.array([draw(st.integers(-2, 2)) for _ in range(_size(shape))] + [None], object)[:-1].reshape(shape)
        )
        for name, shape in SHAPES.items()
    }
