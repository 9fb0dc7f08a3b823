"""Functions run as recorded programs, and programs as source."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import update_wrapper
from typing import Any

import numpy as np

from refgrad.autodiff.arguments import name_of
from refgrad.autodiff.transform import global_name
from refgrad.errors import InvalidInput, NoDerivative
from refgrad.staging.module import load, module, with_otherwise
from refgrad.staging.program import MAX_OPERATIONS, Program, is_hashable, is_input, record
from refgrad.staging.reassociate import rearrange
from refgrad.staging.simplify import simplify
from refgrad.staging.surroundings import Outside
from refgrad.tree import Structure, flatten
from refgrad.typing import Tree

__all__ = ["Staged", "source", "stage"]


class Staged:
    """A function that runs as a recorded program. Made by `stage`."""

    def __init__(self, f: Callable[..., Tree], reassociate: bool, max_operations: int) -> None:
        update_wrapper(self, f)
        self.f, self.reassociate, self.max_operations = f, reassociate, _length(max_operations, f)
        self.programs: dict[Any, Callable[..., Tree]] = {}
        self.outside: dict[Any, tuple[Outside, ...]] = {}
        self.first: Callable[..., Tree] = self.otherwise
        self.count = -1
        self._lock = threading.RLock()

    def __call__(self, *args: Any, **kwargs: Any) -> Tree:
        # the first program checks its arguments itself: finding it in the table would take as long as a small gradient
        if len(args) == self.count and not kwargs:
            return self.first(*args)
        return self.otherwise(*args, **kwargs)

    def otherwise(self, *args: Any, **kwargs: Any) -> Tree:
        """What happens to arguments that the first program was not made for."""
        leaves, structure = flatten((args, kwargs))
        if not all(_is_plain(leaf) for leaf in leaves):
            return self.f(*args, **kwargs)
        key = _key(leaves, structure)
        if key not in self.programs:
            with self._lock:
                if key not in self.programs:
                    self._record(key, args, kwargs)
        for variable in self.outside[key]:
            variable.require_same(self.f)
        return self.programs[key](*args, *[kwargs[name] for name in sorted(kwargs)])

    def _record(self, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        n, keys, f = len(args), tuple(kwargs), self.f

        def eager(*values: Any) -> Tree:
            given = dict(zip(sorted(keys), values[n:], strict=True))
            return f(*values[:n], **{name: given[name] for name in keys})

        program = program_of(f, args, kwargs, self.reassociate, self.max_operations)
        run = load(program, eager if keys else f)
        self.outside[key], self.programs[key] = program.outside, run
        if self.count < 0 and not kwargs:
            self.first, self.count = with_otherwise(run, self.otherwise), len(args)

    def __reduce__(self) -> Any:
        # programs are recorded again, where arrays may be others and NumPy another
        return global_name(self) or (type(self), (self.f, self.reassociate, self.max_operations))

    def __repr__(self) -> str:
        return f"<staged {name_of(self.f)}, {len(self.programs)} programs>"


def stage(
    f: Callable[..., Tree], *examples: Any, reassociate: bool = False, max_operations: int = MAX_OPERATIONS
) -> Staged:
    """The function that computes what f computes, bit for bit, as straight-line NumPy.

    f is run once for each combination of shapes, dtypes, containers and static arguments: at its first call, or at
    once with `examples`. Every primitive of the run, those of the derivatives inside included, becomes a line of a
    Python function that is compiled and kept. What is left of the cost of differentiation is the arithmetic.

    Parameters
    ----------
    f : callable
        Of containers of NumPy arrays, NumPy numbers and Python floats; everything else among its arguments (ints,
        bools, strings, functions) is *static*: each value gets a program of its own. On arguments of any other kind,
        such as traced, exact or CuPy arrays, or sets, which may change, f itself is called.
    *examples : trees
        Arguments to record with at once. Only their kinds matter.
    reassociate : bool
        Allow rewrites that change the last bits, see `refgrad.staging.reassociate`.
    max_operations : int
        How many operations may be recorded. Python loops are unrolled, and compiling takes about 0.1 ms an operation:
        batch tasks and examples with `refgrad.vmap` before raising it.

    Returns
    -------
    Staged
        Called like f. Its results share no memory with anything.

    Raises
    ------
    StagedValue
        If a value decides a branch, an index or a number of steps.
    LongProgram
        If f has more than `max_operations` operations; as soon as it has.
    ChangedValue
        By the staged function, if a variable that f reads from around it has another value than when it was recorded.
    NoDerivative
        If f uses a value that is traced outside of it.
    HiddenState
        If f draws random numbers.

    Notes
    -----
    NumPy's functions are those of `refgrad.numpy`, as under every transformation. Where f by itself would run NumPy's
    own ``dot``, ``einsum``, ``clip``, ``linalg.eigh`` or ``linalg.norm``, last bits may differ, and an array of shape
    () may come instead of a NumPy number.

    What does not depend on the arguments is computed while recording and frozen: everything captured, and the checks
    that refgrad's algorithms make on plain values. A variable of an enclosing function or a global of the module that f
    reads by its name, and that has another value when the program is called, is an error; so is a random draw while
    recording. Not seen are changes behind a name: attributes, elements of lists and dicts, arrays changed in place, and
    what functions of other modules read; a counter is seen inside `refgrad.debug` only. What may change should be an
    argument; `refgrad.staging.surroundings` says more.

    Examples
    --------
    >>> import numpy as np
    >>> from refgrad import grad, hvp, stage
    >>> f = lambda x: np.sum(np.tanh(x) ** 2)
    >>> x, v = np.array([0.5, -1.0]), np.array([1.0, 2.0])
    >>> gradient = stage(grad(f), x)
    >>> bool((gradient(x) == grad(f)(x)).all())
    True
    >>> hessian_times = stage(lambda v: hvp(f, x, v))
    >>> bool((hessian_times(v) == hvp(f, x, v)).all())
    True
    """
    staged = Staged(f, reassociate, max_operations)
    if examples:
        leaves, structure = _plain_leaves("stage", f, examples)
        staged._record(_key(leaves, structure), examples, {})
    return staged


def source(
    f: Callable[..., Tree], *examples: Any, reassociate: bool = False, max_operations: int = MAX_OPERATIONS
) -> str:
    """The program that `stage` makes of f for arguments like `examples`, as a Python module.

    Its only import is NumPy (and ``scipy.special`` where f uses erf, lgamma or their derivatives). Its last function
    takes the arguments of f and returns its containers. Values are called as they are in f; ``h_bar`` is the cotangent
    of h and ``h_dot`` its tangent. Captured arrays of up to 1000 elements are literals, larger ones keyword arguments.

    Parameters
    ----------
    f, *examples, reassociate, max_operations : as in `stage`

    Raises
    ------
    StagedValue, LongProgram
        As for `stage`.
    NoDerivative
        As for `stage`; also if a result is in a container that has no literal, such as a dataclass.

    Examples
    --------
    >>> import numpy as np
    >>> from refgrad import grad, source
    >>> print(source(grad(lambda x: np.sum(np.sin(x) * x)), np.ones(3)).splitlines()[-2].strip())
    x_bar = np.sin(x) + c1 * x * np.cos(x)  # (3,)
    """
    _plain_leaves("source", f, examples)
    lines, text = module(program_of(f, examples, {}, reassociate, _length(max_operations, f)))
    for value in text.statics.values():
        raise NoDerivative(
            f"source({name_of(f)}): expected results in tuples, lists and dicts, keys with a literal, got {value!r}, "
            "which NumPy source cannot make. Return its arrays: lambda *args: f(*args).value"
        )
    return lines


def program_of(
    f: Callable[..., Tree], args: tuple[Any, ...], kwargs: dict[str, Any], reassociate: bool, longest: int
) -> Program:
    """The simplified program of f for arguments like these."""
    program = simplify(record(f, args, kwargs, longest, reassociate))
    return simplify(rearrange(program)) if reassociate else program


def _length(max_operations: int, f: Callable[..., Any]) -> int:
    if not isinstance(max_operations, int) or max_operations < 1:
        raise InvalidInput(f"stage({name_of(f)}): expected max_operations, at least 1; got {max_operations!r}")
    return max_operations


def _plain_leaves(what: str, f: Callable[..., Any], examples: tuple[Any, ...]) -> tuple[list[Any], Structure]:
    leaves, structure = flatten((examples, {}))
    for leaf in leaves:
        if not _is_plain(leaf):
            dtype = f" of dtype {leaf.dtype}" if hasattr(leaf, "dtype") else ""
            raise NoDerivative(
                f"{what}({name_of(f)}): expected examples of NumPy arrays and numbers, got "
                f"{type(leaf).__module__.partition('.')[0]}.{type(leaf).__name__}{dtype}; a program is NumPy source"
            )
    return leaves, structure


def _is_plain(leaf: Any) -> bool:
    return is_input(leaf) or (not hasattr(leaf, "shape") and is_hashable(leaf))


def _key(leaves: list[Any], structure: Structure) -> Any:
    kinds = []
    for leaf in leaves:
        if is_input(leaf):
            kinds.append((type(leaf), getattr(leaf, "dtype", None), np.shape(leaf)))
        else:
            kinds.append((type(leaf), leaf, ()))
    return structure, tuple(kinds), tuple(_orders(structure))


def _orders(structure: Structure) -> Iterator[tuple[Any, ...]]:
    """The keys of all dicts, in the order in which a function goes through them."""
    if structure.kind == "dict":
        yield structure.template[1]
    for child in structure.children:
        yield from _orders(child)
