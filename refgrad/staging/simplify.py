"""Rewrites that do not change a bit of any result.

* Equations that nobody reads go (`without_dead`).
* Equations that compute the same from the same are one (`without_repeats`).
* Identities that hold for every number, NaN, inf and -0.0 included: ``x - 0``, ``x / 1``, ``1 * x``, ``-(-x)``,
  ``x ** 1``, transposes that cancel, ``a + (-b) = a - b``. Never ``0 * x = 0`` or ``x + 0 = x``, which fail at NaN and
  at -0.0.
* An array of equal numbers, or a number spread over an array, that meets an array of the full shape in an arithmetic
  operation does so as a number: broadcasting does the rest.

An identity is applied only where the order of the elements in memory is certainly the same with and without it, for
the last bits of a later sum or matrix product depend on that order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.autodiff.core import PRIMITIVES
from refgrad.autodiff.record import Atom, Constant, Equation, Variable
from refgrad.staging.buffers import roots, row_major, without_overlap
from refgrad.staging.expressions import is_uniform
from refgrad.staging.program import Program

__all__ = ["hand_on_name", "key_of", "simplify", "without_dead", "without_repeats"]

BROADCASTING = {"add", "sub", "mul", "div", "maximum", "minimum", "lt", "le", "gt", "ge", "eq", "ne"}
"""Primitives that are rounded exactly, so that an operand's layout in memory cannot show in the result."""


def simplify(program: Program) -> Program:
    """The program after all rewrites, until none applies."""
    while True:
        before = len(program.equations)
        program = without_dead(without_repeats(_by_identities(program)))
        if len(program.equations) == before:
            return program


def without_dead(program: Program) -> Program:
    """The program without equations whose results are not used."""
    needed = {r for r in program.results if isinstance(r, Variable)}
    kept = []
    for equation in reversed(program.equations):
        if equation.output in needed:
            needed.update(equation.variables)
            kept.append(equation)
    return program.with_equations(kept[::-1])


def without_repeats(program: Program) -> Program:
    """The program with equal equations merged."""
    first: dict[Any, Variable] = {}

    def merge(equation: Equation) -> Equation | Atom:
        key = (equation.primitive.name, tuple(key_of(a) for a in equation.inputs), _params_key(equation.params))
        return first.setdefault(key, equation.output) if key in first else _remember(first, key, equation)

    return rewrite(program, merge)


def _remember(first: dict[Any, Variable], key: Any, equation: Equation) -> Equation:
    first[key] = equation.output
    return equation


def rewrite(program: Program, rule: Callable[[Equation], Equation | Atom]) -> Program:
    """The program with `rule` applied to every equation; it gives an equation, or what stands for the result."""
    stands: dict[Variable, Atom] = {}
    apart = _Apart(program)
    equations = []
    for equation in program.equations:
        inputs = [stands.get(a, a) if isinstance(a, Variable) else a for a in equation.inputs]
        same = Equation(equation.primitive, inputs, equation.params, equation.output)
        new = rule(same)
        if isinstance(new, Variable) and not apart.unite(equation.output, new):
            new = same
        if isinstance(new, Equation):
            equations.append(new)
        else:
            stands[equation.output] = new
            hand_on_name(program, equation.output, new)
    results = [stands.get(r, r) if isinstance(r, Variable) else r for r in program.results]
    return program.with_equations(equations, results)


class _Apart:
    """The values that must stay in different places in memory.

    NumPy computes ``A.T @ B`` in another way, and with other last bits, if both are the same memory.
    """

    def __init__(self, program: Program) -> None:
        self.roots = roots(program)
        self.others: dict[Variable, list[Variable]] = {}
        self.place: dict[Variable, Variable] = {}
        for equation in program.equations:
            found = {self._root(a) for a in equation.variables}
            if equation.primitive.name in ("matmul", "einsum") and len(found) == 2:
                one, two = found
                self.others.setdefault(one, []).append(two)
                self.others.setdefault(two, []).append(one)

    def _root(self, variable: Variable) -> Variable:
        return self.roots.get(variable, variable)

    def unite(self, old: Variable, new: Variable) -> bool:
        """Let `old` be where `new` is, unless they must stay apart."""
        one, two = self._root(old), self._root(new)
        two = self.place.get(two, two)
        if one is two:
            return True
        if any(self.place.get(other, other) is two for other in self.others.get(one, ())):
            return False
        self.place[one] = two
        return True


def hand_on_name(program: Program, old: Variable, new: Atom) -> None:
    """Let `new` be called like `old`, for which it stands, if it has no name."""
    if isinstance(new, Variable) and old in program.names.named:
        program.names.named.setdefault(new, program.names.named[old])
    if isinstance(new, Variable) and old in program.names.derived:
        program.names.derived.setdefault(new, program.names.derived[old])


def key_of(atom: Atom) -> Any:
    """What two atoms that are the same value have in common: for constants the type and every bit."""
    if isinstance(atom, Variable):
        return atom
    value = atom.value
    if isinstance(value, np.ndarray):
        return type(value), value.dtype.str, value.shape, value.strides, value.tobytes()
    if isinstance(value, (float, np.generic)):
        return type(value), np.asarray(value).tobytes()
    return type(value), repr(value)


def _params_key(params: dict[str, Any]) -> Any:
    return tuple((name, type(value), repr(value)) for name, value in sorted(params.items()))


def _by_identities(program: Program) -> Program:
    made: dict[Variable, Equation] = {}
    regular, solid = row_major(program), without_overlap(program)

    def rule(equation: Equation) -> Equation | Atom:
        new = _identity(equation, made, regular, solid)
        if isinstance(new, Equation):
            new = _with_numbers(new, made, regular)
            made[new.output] = new
        return new

    return rewrite(program, rule)


def _identity(
    equation: Equation, made: dict[Variable, Equation], regular: set[Variable], solid: set[Variable]
) -> Equation | Atom:
    name, inputs, params, y = equation.primitive.name, equation.inputs, equation.params, equation.output
    before = [made.get(a) if isinstance(a, Variable) else None for a in inputs]
    if name == "stop_gradient":
        return inputs[0]
    if name == "neg" and before[0] is not None and before[0].primitive.name == "neg":
        return _same(before[0].inputs[0], y, regular) or equation
    if name == "pow_int" and params["n"] == 1:
        return _same(inputs[0], y, regular) or equation
    if name == "transpose" and before[0] is not None and before[0].primitive.name == "transpose":
        inner = before[0].params["axes"]
        axes = tuple(inner[a] for a in params["axes"])
        if axes == tuple(range(len(axes))):
            return before[0].inputs[0]
        return Equation(equation.primitive, before[0].inputs, {"axes": axes}, y)
    if name in ("reshape", "slice", "pad", "broadcast_to") and isinstance(inputs[0], Variable):
        return _as_it_is(equation, inputs[0], before[0], regular)
    if name in ("sub", "div") and _is_number(inputs[1], 0 if name == "sub" else 1):
        return _same(inputs[0], y, regular) or equation
    if name == "mul":
        for one, other in ((0, 1), (1, 0)):
            if _is_number(inputs[one], 1):
                return _same(inputs[other], y, regular) or equation
    if name in ("add", "sub") and _is_minus(before[1], inputs[0], y, solid):
        assert before[1] is not None
        return Equation(PRIMITIVES["sub" if name == "add" else "add"], (inputs[0], before[1].inputs[0]), {}, y)
    if name == "add" and _is_minus(before[0], inputs[1], y, solid):
        assert before[0] is not None
        return Equation(PRIMITIVES["sub"], (inputs[1], before[0].inputs[0]), {}, y)
    return equation


def _is_minus(negation: Equation | None, other: Atom, y: Variable, solid: set[Variable]) -> bool:
    """Whether an operand is ``-b`` where ``-b + a`` and ``a - b`` are the same, in memory too.

    ``-b`` wraps round among integers, so that the sum must be of the same dtype; and it has an order of axes of its
    own where b says nothing about it.
    """
    if negation is None or negation.primitive.name != "neg":
        return False
    b = negation.inputs[0]
    same = all(_dtype(a) in (None, y.dtype) for a in (b, other))
    return same and isinstance(b, Variable) and (b in solid or sum(n != 1 for n in b.shape) < 2)


def _dtype(atom: Atom) -> Any:
    return atom.dtype if isinstance(atom, Variable) else getattr(atom.value, "dtype", None)


def _as_it_is(equation: Equation, x: Variable, before: Equation | None, regular: set[Variable]) -> Equation | Atom:
    """What moves nothing is its argument: the same shape, all of an array, an array put into one of its own size."""
    name, params, y = equation.primitive.name, equation.params, equation.output
    if (x.type, x.shape, x.dtype) == (y.type, y.shape, y.dtype):
        everything = name == "broadcast_to" or all(
            s.indices(n) == (0, n, 1) for s, n in zip(params.get("index", ()), y.shape, strict=False)
        )
        # a reshape or a slice is a view of the argument as it lies; the others are copies in row-major order
        if name == "reshape" or (everything and (name == "slice" or x in regular)):
            return x
    if name == "reshape" and before is not None and before.primitive.name == "reshape":
        first = before.inputs[0]
        if first in regular:
            return Equation(equation.primitive, (first,), params, y)
    return equation


def _same(atom: Atom, y: Variable, regular: set[Variable]) -> Atom | None:
    """`atom` if it can stand for `y`: of the same type, shape and dtype, and laid out in the same way."""
    if not isinstance(atom, Variable) or (atom.type is np.ndarray and atom not in regular):
        return None
    return atom if (atom.type, atom.shape, atom.dtype) == (y.type, y.shape, y.dtype) else None


def _is_number(atom: Atom, n: int) -> bool:
    """Whether a constant is the number `n`, as such or all over an array."""
    if not isinstance(atom, Constant):
        return False
    value = np.asarray(atom.value)
    if value.size == 0 or value.dtype.kind not in "fiu" or not (value == n).all():
        return False
    return value.dtype.kind != "f" or not np.signbit(value).any()


def _with_numbers(equation: Equation, made: dict[Variable, Equation], regular: set[Variable]) -> Equation:
    """The equation with numbers in place of arrays of equal numbers, where the other operand has the full shape."""
    if equation.primitive.name not in BROADCASTING or len(equation.inputs) != 2:
        return equation
    inputs = list(equation.inputs)
    for i in (0, 1):
        other = inputs[1 - i]
        if other in regular and isinstance(other, Variable) and other.shape == equation.output.shape:
            inputs[i] = _number(inputs[i], other, made)
    return Equation(equation.primitive, inputs, equation.params, equation.output)


def _number(atom: Atom, other: Variable, made: dict[Variable, Equation]) -> Atom:
    """A number of the dtype of `other` in place of an array full of it; anything else as it is."""
    if isinstance(atom, Constant):
        value = atom.value
        if not isinstance(value, np.ndarray) or value.dtype != other.dtype or not value.flags.c_contiguous:
            return atom
        if value.itemsize > 8:  # no Python float holds it
            return atom
        return Constant(float(value.flat[0])) if value.dtype.kind == "f" and is_uniform(value) else atom
    spread = made.get(atom)
    if spread is not None and spread.primitive.name == "broadcast_to" and isinstance(spread.inputs[0], Variable):
        return spread.inputs[0] if spread.inputs[0].dtype == other.dtype else atom
    return atom
