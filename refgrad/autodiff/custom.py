"""Functions with derivative rules of their own, for what the engine should not or cannot look into.

A solver, compiled code, a formula whose derivative is known better than its evaluation: the user gives the function,
its tangent rule and its cotangent rule, both in terms of the function's arguments and result. The function may do
anything; the rules are written with operators and `refgrad.numpy`, and so have derivatives themselves.

Differences from ``jax.custom_jvp`` and ``jax.custom_vjp``:

1. both rules are given, so that both modes and all their compositions exist;
2. the two are checked to be transposes of one another when a derivative is first taken, see `agreement`;
3. there are no saved residuals: rules see arguments and result, as those of the primitives do, and nest to any order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from refgrad.autodiff.agreement import check_adjoint
from refgrad.autodiff.arguments import name_of
from refgrad.autodiff.batch import BatchTrace, BatchTracer, vmap
from refgrad.autodiff.core import PRIMITIVES, Tracer, primal, watching
from refgrad.autodiff.forward import ForwardTrace, ForwardTracer
from refgrad.autodiff.primitive import zeros_like
from refgrad.autodiff.record import RecordTrace
from refgrad.autodiff.reverse import ReverseTrace
from refgrad.autodiff.several_results import Call, check_captured, fill, has_derivative, highest, record_call
from refgrad.autodiff.transform import Transform
from refgrad.backend import of, shape_of
from refgrad.errors import NoDerivative, ShapeError
from refgrad.tree import Structure, flatten, paths
from refgrad.typing import Tree

__all__ = ["Leafwise", "apply", "custom_rule"]


def custom_rule(
    *, jvp: Callable[..., Tree], vjp: Callable[..., tuple[Tree, ...]], check: bool = True, by_example: bool = False
) -> Callable[[Callable[..., Tree]], Callable[..., Tree]]:
    """The decorator that gives a function its derivative rules.

    Parameters
    ----------
    jvp : callable
        ``jvp(y, xs, ts, **options) -> tree, as y``: the tangent of ``y = f(*xs, **options)``, for the tuple of
        arguments xs and the tuple ts of their tangents, of the same containers and shapes. Linear in ts.
    vjp : callable
        ``vjp(y, xs, u, **options) -> tuple of trees, as xs``: the cotangents of the arguments, for the cotangent u of
        y. Linear in u.
    check : bool
        Whether ``<u, jvp(t)> == <vjp(u), t>`` is checked when a derivative is first taken for arguments of these
        containers, shapes and dtypes, and inside `refgrad.debug` always: with ``==`` on exact arrays, within rounding
        on floats. That costs one more run of each rule. Two rules that are wrong alike pass; `check_derivatives` finds
        those.
    by_example : bool
        Whether f is called for each example alone inside `vmap`, because it branches on values or leaves
        `refgrad.numpy`. The rules are run on all examples at once in any case.

    Returns
    -------
    callable
        The decorator. The function takes trees as positional arguments, which are differentiated by, and options as
        keyword arguments, which are not, and returns a tree. Arguments and results that are not real numbers (labels,
        flags, strings) have None in place of their tangents and cotangents.

    Raises
    ------
    WrongDerivative
        If the rules are not transposes of one another.
    ShapeError
        If a rule returns other containers or shapes than it should.
    NoDerivative
        If a rule returns another kind of numbers, or if the function or a rule uses a traced value that is not among
        its arguments: its derivative would be lost.

    Examples
    --------
    >>> import numpy as np
    >>> from refgrad import custom_rule, grad, hvp
    >>> @custom_rule(
    ...     jvp=lambda y, xs, ts: ts[0] / (3 * y * y),
    ...     vjp=lambda y, xs, u: (u / (3 * y * y),),
    ... )
    ... def cube_root(x):
    ...     return np.cbrt(x)
    >>> float(grad(cube_root)(8.0)) == 1 / 12, float(hvp(cube_root, 8.0, 1.0)) == -2 / (9 * 32)
    (True, True)
    """

    def decorate(f: Callable[..., Tree]) -> Callable[..., Tree]:
        return Transform(_with_rules, f, jvp, vjp, by_example, set() if check else None)

    return decorate


def _with_rules(
    f: Callable[..., Tree],
    jvp: Callable[..., Tree],
    vjp: Callable[..., tuple[Tree, ...]],
    by_example: bool,
    checked: set[Any] | None,
    /,
    *args: Tree,
    **options: Any,
) -> Tree:
    if any(isinstance(a, Tracer) for a in flatten(options)[0]):
        raise NoDerivative(
            f"{name_of(f)}: a keyword argument is a traced value, and its derivative would be lost; expected what is "
            "differentiated by as a positional argument."
        )
    leaves, structure = flatten(args)
    rules = _Rules(f, jvp, vjp, structure, options)
    key = (repr(structure), tuple(sorted((k, _describe(v)) for k, v in options.items())))
    call = Leafwise(name_of(f), rules.run, rules.push, rules.pull, by_example, checked, key, paths(args))
    return rules.of_results(apply(call, leaves))


def _describe(option: Any) -> str:
    # large or mutable options are no part of the key by which a check is remembered
    return repr(option) if isinstance(option, (str, int, float, bool, type(None))) else type(option).__name__


class _Rules:
    """One call of a function with rules, on leaves: the containers are put back for what the user wrote."""

    def __init__(
        self,
        f: Callable[..., Tree],
        jvp: Callable[..., Tree],
        vjp: Callable[..., Tree],
        structure: Structure,
        options: dict[str, Any],
    ) -> None:
        self.f, self.jvp, self.vjp = f, jvp, vjp
        self.structure, self.options = structure, options
        self.results: list[Structure] = []

    def run(self, *xs: Any) -> list[Any]:
        ys, structure = flatten(self.f(*self.structure.unflatten(xs), **self.options))
        self.results[:] = [structure]
        check_captured(ys, xs, name_of(self.f))
        return ys

    def of_results(self, ys: Sequence[Any]) -> Tree:
        return self.results[0].unflatten(ys)

    def push(self, ys: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> list[Any]:
        what = f"the jvp rule of {name_of(self.f)}"
        found = self.jvp(self.of_results(ys), *map(self.structure.unflatten, (xs, ts)), **self.options)
        return _like(ys, self.of_results, found, [*ys, *xs, *ts], what, "one tangent for each result")

    def pull(self, ys: Sequence[Any], xs: Sequence[Any], us: Sequence[Any]) -> list[Any]:
        what = f"the vjp rule of {name_of(self.f)}"
        found = self.vjp(self.of_results(ys), self.structure.unflatten(xs), self.of_results(us), **self.options)
        return _like(xs, self.structure.unflatten, found, [*ys, *xs, *us], what, "a tuple, one entry for each argument")


def _like(
    values: Sequence[Any],
    unflatten: Callable[[Sequence[Any]], Tree],
    found: Tree,
    given: Sequence[Any],
    what: str,
    expected: str,
) -> list[Any]:
    """The leaves of `found`, in a list parallel to `values`, if each has the shape and kind of its value."""
    real = [has_derivative(v) for v in values]
    _, structure = flatten(unflatten([v if r else None for v, r in zip(values, real, strict=True)]))
    vectors, its_structure = flatten(found)
    if its_structure != structure:
        raise ShapeError(
            f"{what}: expected {expected}, of structure {structure!r}; got {its_structure!r}. A derivative that is "
            "zero is refgrad.numpy.zeros_like(x); None stands for what has none, such as an integer argument."
        )
    check_captured(vectors, given, what)
    it = iter(vectors)
    return [_one_like(v, next(it), what) if r else None for v, r in zip(values, real, strict=True)]


def _one_like(value: Any, vector: Any, what: str) -> Any:
    if shape_of(value) != shape_of(vector):
        raise ShapeError(f"{what}: expected shape {shape_of(value)}, that of the value; got {shape_of(vector)}")
    if isinstance(vector, (int, float)) and not isinstance(vector, bool):
        return zeros_like(value) + vector
    if not has_derivative(vector) or _kind(vector) != _kind(value):
        raise NoDerivative(f"{what}: expected numbers of dtype {_kind(value)}, that of the value; got {_kind(vector)}")
    return vector


def _kind(x: Any) -> str:
    x = primal(x)
    return "rational or ball" if of(x).exact else str(getattr(x, "dtype", "float64"))


@dataclass(frozen=True)
class Leafwise:
    """A function of leaves that returns a list of leaves, with its rules.

    Attributes
    ----------
    name : str
    run : callable
        ``run(*xs) -> ys``
    push, pull : callables
        The rules, as for `Call`.
    by_example : bool
        Whether `run` takes one example at a time inside `vmap`.
    checked : set or None
        The keys for which the rules were found to be transposes; None if they are not to be checked.
    key : object
        What the rules depend on, beside shapes and dtypes.
    places : list of str
        The names of the leaves of the arguments.
    """

    name: str
    run: Callable[..., list[Any]]
    push: Callable[..., list[Any]]
    pull: Callable[..., list[Any]]
    by_example: bool = False
    checked: set[Any] | None = None
    key: Any = None
    places: Sequence[str] = field(default_factory=list)

    def batch(self, size: int, mapped: Sequence[bool]) -> Leafwise:
        """The function of `size` examples; `mapped` says which arguments have an example axis, in front."""
        axes = [0 if m else None for m in mapped]

        def run(*xs: Any) -> list[Any]:
            if not self.by_example:
                return vmap(self.run, in_axes=tuple(axes))(*xs)  # type: ignore[no-any-return]
            if not size:
                raise ShapeError(f"vmap({self.name}): one example at a time needs at least one, got none")
            rows = [self.run(*(x[i] if m else x for x, m in zip(xs, mapped, strict=True))) for i in range(size)]
            return [_stack(column) for column in zip(*rows, strict=True)]

        def push(ys: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> list[Any]:
            # an argument that all examples share has a tangent that they share
            return vmap(self.push, in_axes=(0, axes, axes))(list(ys), list(xs), list(ts))  # type: ignore[no-any-return]

        def pull(ys: Sequence[Any], xs: Sequence[Any], us: Sequence[Any]) -> list[Any]:
            found = vmap(self.pull, in_axes=(0, axes, 0))(list(ys), list(xs), list(us))
            return [g if g is None or m else _sum_examples(g) for g, m in zip(found, mapped, strict=True)]

        return replace(self, run=run, push=push, pull=pull)


def _stack(column: Sequence[Any]) -> Any:
    rows = [PRIMITIVES["reshape"](y, shape=(1, *shape_of(y))) for y in column]
    return PRIMITIVES["concat"](*rows, axis=0)


def _sum_examples(g: Any) -> Any:
    return PRIMITIVES["sum_to"](g, shape=shape_of(g)[1:])


def apply(call: Leafwise, leaves: Sequence[Any], differentiated: bool = False) -> list[Any]:
    """The results of a call, of which each level that differentiates learns by the rules alone."""
    top = highest(leaves)
    if isinstance(top, RecordTrace):  # a program consists of what the function does
        return call.run(*leaves)
    if top is None:
        ys = call.run(*leaves)
        if differentiated and call.checked is not None:
            _check(call, ys, leaves)
        return ys
    mine = [isinstance(a, Tracer) and a.owner is top for a in leaves]
    values = [a.value if m else a for a, m in zip(leaves, mine, strict=True)]
    if isinstance(top, BatchTrace):
        return [BatchTracer(top, y) for y in apply(call.batch(top.size, mine), values, differentiated)]
    if isinstance(top, ForwardTrace):
        ys = apply(call, values, True)
        tangents = fill([a.tangent if m else None for a, m in zip(leaves, mine, strict=True)], values)
        ts = call.push(ys, values, tangents)
        return [y if t is None else ForwardTracer(top, y, t) for y, t in zip(ys, ts, strict=True)]
    ys = apply(call, values, True)
    assert isinstance(top, ReverseTrace)  # no other kind is left
    return record_call(top, Call(call.name, call.push, call.pull), leaves, values, ys)


def _check(call: Leafwise, ys: Sequence[Any], xs: Sequence[Any]) -> None:
    key = (call.key, tuple((type(x), shape_of(x), str(getattr(x, "dtype", ""))) for x in xs))
    if call.checked is None or (key in call.checked and watching.get() is None):
        return
    if check_adjoint(call, ys, xs):
        call.checked.add(key)
