"""Recording a run: every primitive that depends on the inputs, in order, as a flat list of equations.

The lowest of the levels: a gradient or a Hessian-vector product inside the recorded function has its own levels above,
so that what arrives here are the primitives their rules are written in. The run computes with the examples it is given.
Shapes and dtypes are therefore simply those of the values, and no primitive needs a rule for them; what does not depend
on the inputs is computed as it stands and enters the equations as a constant.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refgrad.autodiff.arguments import name_of
from refgrad.autodiff.core import Primitive, Trace, Tracer
from refgrad.autodiff.moment import same_layout
from refgrad.backend import shape_of
from refgrad.errors import LongProgram, NoDerivative, StagedValue
from refgrad.tree import flatten
from refgrad.typing import Shape, Tree

__all__ = ["Constant", "Equation", "RecordTrace", "RecordTracer", "Variable", "freeze", "is_contracted"]


class Variable:
    """A value of the program: what every run computes anew.

    Attributes
    ----------
    type : type
        Of the value: an array, a NumPy scalar or a Python number.
    shape : tuple of ints
    dtype : numpy.dtype or None
        None for a Python number.
    """

    __slots__ = ("dtype", "shape", "type")

    def __init__(self, value: Any) -> None:
        self.type = type(value)
        self.shape: Shape = shape_of(value)
        self.dtype = getattr(value, "dtype", None)

    @property
    def nbytes(self) -> int:
        """The size of the array, 0 for a Python number."""
        return 0 if self.dtype is None else self.dtype.itemsize * math.prod(self.shape)


class Constant:
    """A value that does not depend on the inputs: what it was when it was recorded."""

    __slots__ = ("origin", "value")

    def __init__(self, value: Any) -> None:
        self.origin = value if isinstance(value, np.ndarray) else None
        self.value = freeze(value)


Atom = Variable | Constant
"""What an equation reads."""


class Equation:
    """``output = primitive(*inputs, **params)``."""

    __slots__ = ("inputs", "output", "params", "primitive")

    def __init__(self, primitive: Primitive, inputs: Sequence[Atom], params: dict[str, Any], output: Variable) -> None:
        self.primitive, self.inputs, self.params, self.output = primitive, tuple(inputs), params, output

    @property
    def variables(self) -> list[Variable]:
        """The inputs that are variables."""
        return [a for a in self.inputs if isinstance(a, Variable)]

    def __repr__(self) -> str:
        return f"{self.primitive.name}{tuple(a.shape if isinstance(a, Variable) else a.value for a in self.inputs)}"


class RecordTracer(Tracer):
    """A value of the recorded run, and the variable that it is in the program."""

    __slots__ = ("variable",)

    def __init__(self, trace: RecordTrace, value: Any, variable: Variable) -> None:
        self.owner, self.value, self.variable = trace, value, variable

    def single(self) -> Any:
        transformation, f = self.owner.label
        raise StagedValue(
            f"inside {transformation}({name_of(f)}) a value of shape {self.shape} decides what Python does next: a "
            "branch, an index or a number of steps. A program is recorded once, and for other inputs the decision may "
            "be another. Choose with refgrad.numpy.where(condition, a, b), take what decides as a Python int, bool or "
            "string among the arguments (each value gets a program of its own), or leave the function unstaged."
        )


Observer = Callable[["RecordTrace", Variable], None]
"""Called after every equation with its output; how names are found."""


class RecordTrace(Trace):
    """One recorded run.

    Attributes
    ----------
    equations : list of Equation
    longest : int or None
        How many there may be.
    reassociate : bool
        Whether sums of products will become products of matrices; see `refgrad.staging.reassociate`.
    """

    __slots__ = ("equations", "longest", "observe", "reassociate")

    def __init__(
        self,
        transformation: str,
        f: Callable[..., Any],
        observe: Observer,
        longest: int | None = None,
        reassociate: bool = False,
    ) -> None:
        super().__init__(transformation, f)
        self.equations: list[Equation] = []
        self.observe, self.longest, self.reassociate = observe, longest, reassociate

    def process(self, primitive: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        inputs: list[Atom] = []
        values = []
        for a in args:
            if type(a) is RecordTracer and a.owner is self:
                inputs.append(a.variable)
                a = a.value
            elif isinstance(a, Tracer):
                raise self.capture_error(a)
            else:
                inputs.append(Constant(a))
            values.append(a)
        if len(self.equations) == self.longest:
            raise self._length_error()
        y = primitive.evaluate(values, params)
        output = Variable(y)
        self.equations.append(Equation(primitive, inputs, params, output))
        self.observe(self, output)
        return RecordTracer(self, y, output)

    def _length_error(self) -> LongProgram:
        transformation, f = self.label
        return LongProgram(
            f"{transformation}({name_of(f)}): the function has more than {self.longest} operations, each of which "
            "becomes a line to compile: a Python loop over tasks, examples or steps is unrolled. Write the body for "
            "one task or example and batch it with refgrad.vmap, whose program has the length of one; leave the loop "
            f"outside of {transformation}; or raise max_operations, at about 0.1 ms of compiling for each."
        )

    def capture_error(self, x: Tracer) -> NoDerivative:
        """The error for a value of another transformation that the function did not get as an argument."""
        transformation, f = self.label
        return NoDerivative(
            f"{transformation}({name_of(f)}): the function uses a value of shape {x.shape} that "
            f"{x.owner.label[0]} traces outside of it. Make it an argument of the staged function; a program has only "
            "its arguments and constants."
        )


def is_contracted(tree: Tree) -> bool:
    """Whether sums of products of what is in `tree` become products of matrices, in a program that is being recorded.

    Then the terms of such sums are formed once, in the recording, and never by the program.
    """
    for leaf in flatten(tree)[0]:
        while isinstance(leaf, Tracer):
            if isinstance(leaf.owner, RecordTrace) and leaf.owner.reassociate:
                return True
            leaf = leaf.value
    return False


def freeze(value: Any) -> Any:
    """`value`, for an array a copy laid out in memory in the same way, which nobody else can change."""
    if isinstance(value, np.ndarray):
        value = same_layout(value)
        value.flags.writeable = False
    return value
