"""Rewrites that add up the same terms in another order, and so change last bits: ``stage(f, reassociate=True)``.

* A sum of products of factors each of which spans only some of the axes is a contraction. With it the gradients of
  single examples, outer products ``a_n b_n^T`` in a dense layer, never come to be:
  ``sum_n w_n (a_n b_n^T)^2 = (A^2)^T (w B^2)``, squares element by element.
* What does not depend on a summed index stands outside: ``sum_c a b_c = a sum_c b_c``.
* What is added up is added up early: ``P Q + P R = P (Q + R)``, ``sum(a) + sum(b) = sum(a + b)``,
  ``a / n + b / n = (a + b) / n``; ``0 + a = a`` (for a = -0.0 the sign changes).
* A stack of matrices times one matrix is one product of matrices.

Error bound: a sum of m terms, each a product of k factors, is within ``gamma Sum |term|`` of its exact value in any
order of evaluation, with ``gamma = (m + k) u / (1 - (m + k) u)`` and u the unit roundoff [higham2002]_, section 3.1. So
the two forms differ by at most ``2 gamma Sum |term|``; for a Fisher diagonal, whose terms are not negative, that is a
relative error.

References
----------
.. [higham2002] N. J. Higham, Accuracy and Stability of Numerical Algorithms, second edition (2002).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from refgrad.autodiff.core import PRIMITIVES
from refgrad.autodiff.record import Atom, Constant, Equation, Variable
from refgrad.staging.atoms import Span, dtype_of, long_axes, shape_of, span_of, summed_axes
from refgrad.staging.program import Program
from refgrad.staging.simplify import hand_on_name, key_of, simplify
from refgrad.typing import Shape

__all__ = ["rearrange"]

MOST_FACTORS = 64
"""A product of more is taken as it is: each ``t = t * t`` doubles the number of factors."""

Side = tuple[list[Atom], Span, Span]
"""Factors, the axes that their product spans, and those of them that stay."""


def rearrange(program: Program) -> Program:
    """The program after these rewrites and those that change nothing, until none applies."""
    while True:
        rewriter = _Rewriter(program)
        program = simplify(rewriter.rewrite())
        if not rewriter.changed:
            return program


class _Rewriter:
    """One pass over the equations of a program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.changed = False
        self.equations: list[Equation] = []
        self.made: dict[Atom, Equation] = {}
        self.place: dict[Atom, int] = {}
        self.count: dict[Atom, int] = {}
        self.uses: Counter[Atom] = Counter(a for e in program.equations for a in e.variables)
        self.uses.update(r for r in program.results if isinstance(r, Variable))

    def rewrite(self) -> Program:
        stands: dict[Variable, Atom] = {}
        for equation in self.program.equations:
            inputs = [stands.get(a, a) if isinstance(a, Variable) else a for a in equation.inputs]
            equation = Equation(equation.primitive, inputs, equation.params, equation.output)
            before = len(self.equations)
            value = self._rewrite(equation)
            if value is None:
                self._forget(before)
                self._add(equation)
            else:
                self.changed = True
                stands[equation.output] = value
                self._replace(equation, value)
                hand_on_name(self.program, equation.output, value)
        results = [stands.get(r, r) if isinstance(r, Variable) else r for r in self.program.results]
        return self.program.with_equations(self.equations, results)

    def _rewrite(self, equation: Equation) -> Atom | None:
        """What stands for the result of an equation, if one of the rewrites applies."""
        name = equation.primitive.name
        if name in ("sum", "sum_to"):
            return self._contraction(equation)
        if name in ("add", "sub"):
            return self._common_factor(equation)
        if name == "matmul":
            return self._one_product(equation)
        return self._one_reshape(equation) if name in ("reshape", "transpose") else None

    def _add(self, equation: Equation) -> Variable:
        y, name = equation.output, equation.primitive.name
        self.equations.append(equation)
        self.made[y] = equation
        self.place[y] = len(self.equations)
        counts = [self.count.get(a, 1) for a in equation.inputs]
        if name in ("mul", "reshape"):
            self.count[y] = sum(counts)
        elif name == "pow_int":
            self.count[y] = counts[0] * max(1, equation.params["n"])
        return y

    def _new(self, name: str, inputs: Sequence[Atom], shape: Shape, dtype: Any, /, **params: Any) -> Variable:
        output = Variable(np.broadcast_to(np.zeros((), dtype), shape))
        equation = Equation(PRIMITIVES[name], inputs, params, output)
        self.uses.update(equation.variables)
        return self._add(equation)

    def _forget(self, before: int) -> None:
        """Take back the equations of an attempt that came to nothing."""
        for equation in self.equations[before:]:
            self.uses.subtract(equation.variables)
            del self.made[equation.output]
        del self.equations[before:]

    def _replace(self, equation: Equation, value: Atom) -> None:
        """Let the readers of a result read `value`: what only the result needed is read by nobody now.

        With that, a sum of a thousand terms is gone through once; counted at the next pass, it would be once a term.
        """
        self.uses[value] += self.uses.pop(equation.output, 0)
        dropped = [equation]
        while dropped:
            for a in dropped.pop().variables:
                self.uses[a] -= 1
                if not self.uses[a] and a in self.made:
                    dropped.append(self.made[a])

    def _reshape(self, x: Atom, shape: Shape, dtype: Any) -> Atom:
        if isinstance(x, Constant):
            return Constant(np.reshape(np.asarray(x.value, dtype), shape))
        while x in self.made and self.made[x].primitive.name == "reshape":
            x = self.made[x].inputs[0]
        return x if shape_of(x) == shape else self._new("reshape", [x], shape, dtype, shape=shape)

    def _transpose(self, x: Atom, axes: tuple[int, ...], dtype: Any) -> Atom:
        if axes == tuple(range(len(axes))):
            return x
        return self._new("transpose", [x], tuple(shape_of(x)[a] for a in axes), dtype, axes=axes)

    def _contraction(self, equation: Equation) -> Atom | None:
        """A sum of products of factors that do not span all axes, as products of matrices, one after the other."""
        x, y = equation.inputs[0], equation.output
        if not isinstance(x, Variable) or x.dtype != y.dtype or y.type is not np.ndarray:
            return None
        total = self._contract(x, summed_axes(equation), x)
        return None if total is None else self._reshape(total, y.shape, x.dtype)

    def _contract(self, terms: Atom, summed: Span, x: Variable) -> Atom | None:
        """The sum of `terms`, of the shape of `x`, without the summed axes; None if no contraction is found."""
        totals: dict[Atom, Atom] = {}
        pending = [terms]
        while pending:  # no recursion: a sum may have as many terms as a loop has turns
            term = pending[-1]
            made = self.made.get(term)
            parts: tuple[Atom, ...] = ()
            if made is not None and made.primitive.name in ("add", "sub"):
                parts = made.inputs if all(shape_of(a) == x.shape for a in made.inputs) else ()
            missing = [a for a in parts if a not in totals]
            if missing:
                pending.append(missing[0])
                continue
            pending.pop()
            if made is None or not parts:
                total = self._contract_product(term, summed, x)
            else:
                both = [totals[a] for a in parts]
                total = self._new(made.primitive.name, both, shape_of(both[0]), x.dtype)
            if total is None:
                return None
            totals[term] = total
        return totals[terms]

    def _contract_product(self, terms: Atom, summed: Span, x: Variable) -> Atom | None:
        factors = [(f, span_of(f, x.shape)) for f in self._factors(terms)]
        if not summed or any(dtype_of(f) not in (None, x.dtype) for f, _ in factors):
            return None
        remaining = set(summed)
        while remaining:
            step = self._step(factors, remaining, x)
            if step is None:
                return None
            factors, done = step
            remaining -= done
        kept = tuple(a for a in range(len(x.shape)) if a not in summed)
        total = self._product([f for f, _ in factors], kept, x)
        return total if shape_of(total) == tuple(x.shape[a] for a in kept) else None

    def _step(
        self, factors: list[tuple[Atom, Span]], remaining: set[int], x: Variable
    ) -> tuple[list[tuple[Atom, Span]], set[int]] | None:
        """The factors after one product of matrices, and the axes over which it has summed."""
        for axis in sorted(remaining):
            involved = [(f, span) for f, span in factors if axis in span]
            others = [(f, span) for f, span in factors if axis not in span]
            lone = self._lone_sum(involved, others, remaining, x)
            if lone is not None:
                return lone
            sides = self._sides(involved)
            if sides is None:
                continue
            (left_axes, left), (right_axes, right) = sides
            shared = set(left_axes) & set(right_axes)
            if not shared <= remaining or any(shared & set(span) for _, span in others):
                continue
            summed = tuple(sorted(shared))
            rows = tuple(a for a in left_axes if a not in shared)
            columns = tuple(a for a in right_axes if a not in shared)
            product = self._matrix_product((left, left_axes, rows), (right, right_axes, columns), summed, x)
            return [(product, tuple(sorted((*rows, *columns)))), *others], shared
        return None

    def _lone_sum(
        self,
        involved: Sequence[tuple[Atom, Span]],
        others: Sequence[tuple[Atom, Span]],
        remaining: set[int],
        x: Variable,
    ) -> tuple[list[tuple[Atom, Span]], set[int]] | None:
        """The sum of one group of factors over the axes that it has alone, with the other factors outside."""
        widest = max((span for _, span in involved), key=len, default=())
        beyond = {axis for _, span in others for axis in span}
        if not involved or not beyond or any(not set(span) <= set(widest) for _, span in involved):
            return None
        product = self._product([f for f, _ in involved], widest, x)
        summed = {axis for axis in widest if axis in remaining and axis not in beyond}
        kept = tuple(axis for axis in widest if axis not in summed)
        places = tuple(i for i, axis in enumerate(widest) if axis in summed)
        lengths = tuple(x.shape[axis] for axis in kept)
        total = self._new("sum", [product], lengths, x.dtype, axis=places, keepdims=False)
        spread = tuple(n if axis in kept else 1 for axis, n in enumerate(x.shape))
        return [(self._reshape(total, spread, x.dtype), kept), *others], summed

    def _matrix_product(self, left: Side, right: Side, summed: Span, x: Variable) -> Atom:
        """The sum over `summed` of two products of factors, spread over the axes of `x`."""
        (left_factors, left_axes, rows), (right_factors, right_axes, columns) = left, right
        a = self._matrix(left_factors, left_axes, rows, summed, x)
        b = self._matrix(right_factors, right_axes, summed, columns, x)
        lengths = [math.prod(x.shape[i] for i in axes) for axes in (rows, columns)]
        product: Atom = self._new("matmul", [a, b], tuple(lengths), x.dtype)
        kept = (*rows, *columns)
        product = self._reshape(product, tuple(x.shape[i] for i in kept), x.dtype)
        order = tuple(kept.index(i) for i in sorted(kept))
        spread = tuple(n if i in kept else 1 for i, n in enumerate(x.shape))
        return self._reshape(self._transpose(product, order, x.dtype), spread, x.dtype)

    def _factors(self, x: Atom) -> list[Atom]:
        made = self.made.get(x) if self.count.get(x, 1) <= MOST_FACTORS else None
        if made is not None and made.primitive.name == "mul":
            return [f for a in made.inputs for f in self._factors(a)]
        if made is not None and made.primitive.name == "pow_int" and 2 <= made.params["n"] <= 4:
            return self._factors(made.inputs[0]) * made.params["n"]
        if made is not None and made.primitive.name == "reshape" and made.inputs[0] in self.made:
            inside = self._factors(made.inputs[0])
            if len(inside) > 1 and long_axes(shape_of(made.inputs[0])) == long_axes(shape_of(x)):
                return [self._spread(f, shape_of(made.inputs[0]), shape_of(x)) for f in inside]
        return [x]

    def _spread(self, factor: Atom, given: Shape, wanted: Shape) -> Atom:
        """A factor of an array whose axes of length 1 are others now."""
        if not shape_of(factor):  # the 2 of a square's gradient would become an array of ints
            return factor
        own = (1,) * (len(given) - len(shape_of(factor))) + tuple(shape_of(factor))
        lengths = iter(n for n, whole in zip(own, given, strict=True) if whole != 1)
        return self._reshape(factor, tuple(1 if n == 1 else next(lengths) for n in wanted), dtype_of(factor))

    def _sides(
        self, factors: Sequence[tuple[Atom, Span]]
    ) -> tuple[tuple[Span, list[Atom]], tuple[Span, list[Atom]]] | None:
        """The two groups of factors, each with the axes that it spans; None if there are not just two."""
        spans = [span for _, span in factors]
        widest = [s for s in dict.fromkeys(spans) if not any(set(s) < set(t) for t in spans)]
        if len(widest) != 2:
            return None
        groups: dict[Span, list[Atom]] = {s: [] for s in widest}
        latest = {s: max(self._origin(f) for f, t in factors if t == s) for s in widest}
        for factor, span in factors:
            fitting = [s for s in widest if set(span) <= set(s)]
            # a weight goes to the side computed later: the other may be the same in several such sums
            groups[max(fitting, key=latest.__getitem__)].append(factor)
        first, second = sorted(widest)  # rows before columns, so that nothing has to be transposed afterwards
        return (first, groups[first]), (second, groups[second])

    def _product(self, factors: Sequence[Atom], axes: Span, x: Variable) -> Atom:
        """The product of factors, as an array with `axes` of those of `x`."""
        total: Atom | None = None
        for factor in factors:
            lead = len(x.shape) - len(shape_of(factor))
            shape = tuple(shape_of(factor)[a - lead] if a >= lead else 1 for a in axes)
            term = self._reshape(factor, shape, x.dtype) if shape_of(factor) else factor
            if total is None:
                total = term
            else:
                total = self._new("mul", [total, term], np.broadcast_shapes(shape_of(total), shape_of(term)), x.dtype)
        assert total is not None
        return total

    def _matrix(self, factors: Sequence[Atom], axes: Span, rows: Span, columns: Span, x: Variable) -> Atom:
        """The product of factors that span `axes`, as a matrix with the axes `rows` and `columns`."""
        total = self._product(factors, axes, x)
        order = tuple(axes.index(a) for a in (*rows, *columns))
        lengths = (math.prod(x.shape[a] for a in rows), math.prod(x.shape[a] for a in columns))
        return self._reshape(self._transpose(total, order, x.dtype), lengths, x.dtype)

    def _common_factor(self, equation: Equation) -> Atom | None:
        """``P Q + P R = P (Q + R)``, ``Q P + R P = (Q + R) P`` for products that nobody else reads; so with minus."""
        y, name = equation.output, equation.primitive.name
        for zero, other in (equation.inputs, equation.inputs[::-1]):  # where sum() begins
            same = isinstance(other, Variable) and (other.type, other.shape, other.dtype) == (y.type, y.shape, y.dtype)
            if same and equation.primitive.name == "add" and isinstance(zero, Constant) and _is_zero(zero):
                return other
        first, second = (self.made.get(a) for a in equation.inputs)
        if first is None or second is None or first.primitive is not second.primitive or y.type is not np.ndarray:
            return None
        if self.uses[first.output] != 1 or self.uses[second.output] != 1:
            return None
        if first.primitive.name in ("sum", "sum_to", "reshape") and first.params == second.params:
            return self._sum_of_terms(equation, first, second)
        if first.primitive.name == "div":
            return self._common_divisor(equation, first, second)
        if first.primitive.name != "matmul":
            return None
        (p, q), (s, r) = first.inputs, second.inputs
        if any(len(shape_of(a)) != 2 for a in (p, q, r, s)):
            return None
        if p is s and shape_of(q) == shape_of(r) and isinstance(p, Variable):
            total = self._new(name, [q, r], shape_of(q), y.dtype)
            return self._new("matmul", [p, total], y.shape, y.dtype)
        if q is r and shape_of(p) == shape_of(s) and isinstance(q, Variable):
            total = self._new(name, [p, s], shape_of(p), y.dtype)
            return self._new("matmul", [total, q], y.shape, y.dtype)
        return None

    def _sum_of_terms(self, equation: Equation, first: Equation, second: Equation) -> Atom | None:
        """``sum(a) + sum(b) = sum(a + b)``."""
        a, b, y = first.inputs[0], second.inputs[0], equation.output
        if shape_of(a) != shape_of(b) or dtype_of(a) != y.dtype or dtype_of(b) != y.dtype:
            return None
        total = self._new(equation.primitive.name, [a, b], shape_of(a), y.dtype)
        return self._new(first.primitive.name, [total], y.shape, y.dtype, **first.params)

    def _common_divisor(self, equation: Equation, first: Equation, second: Equation) -> Atom | None:
        """``a / n + b / n = (a + b) / n``."""
        (a, n), (b, m), y = first.inputs, second.inputs, equation.output
        if key_of(n) != key_of(m) or shape_of(a) != y.shape or shape_of(b) != y.shape or dtype_of(a) != dtype_of(b):
            return None
        total = self._new(equation.primitive.name, [a, b], y.shape, dtype_of(a))
        return self._new("div", [total, n], y.shape, y.dtype)

    def _one_product(self, equation: Equation) -> Atom | None:
        """A stack of matrices times one matrix: the rows of all of them at once."""
        (a, b), y = equation.inputs, equation.output
        if not isinstance(a, Variable) or len(a.shape) < 3 or len(shape_of(b)) != 2 or y.nbytes == 0:
            return None
        rows = self._reshape(a, (math.prod(a.shape[:-1]), a.shape[-1]), a.dtype)
        product = self._new("matmul", [rows, b], (shape_of(rows)[0], y.shape[-1]), y.dtype)
        return self._reshape(product, y.shape, y.dtype)

    def _one_reshape(self, equation: Equation) -> Atom | None:
        """Two reshapes in a row as one; a transpose that moves only axes of length 1 is a reshape."""
        x, y = equation.inputs[0], equation.output
        if equation.primitive.name == "transpose":
            long = [a for a in equation.params["axes"] if shape_of(x)[a] != 1]
            return self._reshape(x, y.shape, y.dtype) if long == sorted(long) else None
        if x in self.made and self.made[x].primitive.name == "reshape":
            return self._reshape(x, y.shape, y.dtype)
        return None

    def _origin(self, x: Atom) -> int:
        """The place of the equation that computed the numbers in `x`; 0 for an argument or a constant."""
        while x in self.made and self.made[x].primitive.name in ("reshape", "transpose"):
            x = self.made[x].inputs[0]
        return self.place.get(x, 0)


def _is_zero(constant: Constant) -> bool:
    return type(constant.value) is int and constant.value == 0
