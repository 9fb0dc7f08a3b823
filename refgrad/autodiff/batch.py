"""Many examples at once: a function written for one example, run on arrays that hold all of them.

``vmap(f)(X)`` is the stack of ``f(x)`` for the x in X, without a loop: inside f a value stands for all examples and
shows the shape it has for one of them; underneath lies an array with the examples along its first axis, and every
primitive has a rule that does its work on all of them. It nests with itself and with every derivative, in any order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.autodiff.arguments import as_own, explain, memory_of, name_of, select
from refgrad.autodiff.core import Primitive, Trace, Tracer
from refgrad.autodiff.hidden_state import examine
from refgrad.autodiff.moment import hold
from refgrad.autodiff.primitive import MAYBE_COMPLEX, complex_result
from refgrad.autodiff.reverse import gradient_at
from refgrad.autodiff.rules.index import move_axes
from refgrad.autodiff.rules.shape import with_examples
from refgrad.autodiff.transform import Transform
from refgrad.backend import shape_of
from refgrad.errors import BatchedValue, ShapeError
from refgrad.tree import flatten
from refgrad.typing import Array, ScalarFunction, Shape, Tree

__all__ = ["per_example_grad", "vmap"]

Axes = Any
"""An axis, None for what all examples share, or a container of those in the structure of what they belong to."""


class BatchTracer(Tracer):
    """A value for each example; underneath, an array with the examples along its first axis."""

    __slots__ = ()

    def __init__(self, trace: BatchTrace, value: Any) -> None:
        self.owner, self.value = trace, value

    @property
    def shape(self) -> Shape:
        return self.value.shape[1:]  # type: ignore[no-any-return]

    def single(self) -> Any:
        transformation, f = self.owner.label
        raise BatchedValue(
            f"inside {transformation}({name_of(f)}) a value of shape {self.shape} stands for one example of many, and "
            "a branch or an index needs a single one. Choose with refgrad.numpy.where(condition, a, b), pick with "
            "refgrad.numpy.take_along_axis, or loop over the examples."
        )

    def __repr__(self) -> str:
        return f"Traced<{self.owner.label[0]}>(each of {self.value!r})"


class BatchTrace(Trace):
    """One run of `vmap` over `size` examples."""

    __slots__ = ("size",)

    def __init__(self, f: Callable[..., Any], size: int) -> None:
        super().__init__("vmap", f)
        self.size = size

    def process(self, primitive: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        mapped, values = [], []
        for a in args:
            mine = type(a) is BatchTracer and a.owner is self
            mapped.append(mine)
            values.append(a.value if mine else a)
        y = primitive.batch(self.size, mapped, values, params)
        if type(y) in MAYBE_COMPLEX and y.dtype.kind == "c":
            raise complex_result(primitive)
        return BatchTracer(self, y)


def vmap(f: Callable[..., Tree], in_axes: Axes = 0, out_axes: Axes = 0) -> Callable[..., Tree]:
    """The function that applies f to every example, as one computation.

    Parameters
    ----------
    f : callable
        Of one example. It may not branch on values or use them as Python numbers, and it draws no random numbers, since
        it runs once for all examples; other hidden state, such as a counter, is seen inside `refgrad.debug` only.
    in_axes : int, None, or a tuple of them, one per argument
        Along which axis the examples of each argument lie; None for an argument that all examples share. An entry may
        be a container with the structure of its argument. Keyword arguments are always shared.
    out_axes : int, None, or a container of them with the structure of the result
        Where the examples lie in the result; None for a result that does not depend on them and is returned once.

    Returns
    -------
    callable
        With the arguments of f, those with an axis in `in_axes` stacked along it; it returns what f returns, stacked.

    Raises
    ------
    ShapeError
        If an argument does not have the axis it should, or arguments have different numbers of examples.
    BatchedValue
        If f branches on a value.
    HiddenState
        If f draws random numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from refgrad import grad, vmap
    >>> X, w = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, -1.0])
    >>> loss = lambda w, x: (w @ x) ** 2
    >>> bool((vmap(grad(loss), in_axes=(None, 0))(w, X) == 2 * (X @ w)[:, None] * X).all())
    True
    """
    return Transform(_batch, f, in_axes, out_axes)


def _batch(f: Callable[..., Tree], in_axes: Axes, out_axes: Axes, /, *args: Any, **kwargs: Any) -> Tree:
    return examine(lambda: batched_at(f, args, kwargs, in_axes, out_axes), f, args, kwargs, "vmap")


def batched_at(
    f: Callable[..., Tree], args: tuple[Any, ...], kwargs: dict[str, Any], in_axes: Axes, out_axes: Axes
) -> Tree:
    """What ``vmap(f, in_axes, out_axes)(*args, **kwargs)`` returns, without making a function."""
    what = f"vmap({name_of(f)})"
    axes = in_axes if isinstance(in_axes, (tuple, list)) else (in_axes,) * len(args)
    if len(axes) != len(args):
        raise ShapeError(f"{what}: expected in_axes for {len(args)} arguments, got {in_axes!r}")
    leaves, structure = flatten(args)
    places = [axis for argument, axis in zip(args, axes, strict=True) for axis in _spread(axis, argument, what)]
    places = [_place(leaf, axis, what) for leaf, axis in zip(leaves, places, strict=True)]
    sizes = {shape_of(leaf)[axis] for leaf, axis in zip(leaves, places, strict=True) if axis is not None}
    if len(sizes) != 1:
        shapes = [shape_of(leaf) for leaf in leaves]
        raise ShapeError(
            f"{what}: expected arguments with one number of examples, got shapes {shapes} with in_axes {in_axes!r}"
        )
    trace = BatchTrace(f, sizes.pop())
    traced = [
        leaf if axis is None else BatchTracer(trace, move_axes(hold(leaf), axis, 1, 0))
        for leaf, axis in zip(leaves, places, strict=True)
    ]
    try:
        out = f(*structure.unflatten(traced), **kwargs)
    except (AttributeError, TypeError, ValueError) as error:
        explain(error, "vmap", f, args)
        raise
    finally:
        trace.alive = False
    results, structure = flatten(out)
    places = _spread(out_axes, out, what)
    taken = memory_of(leaves)
    stacked = []
    for result, axis in zip(results, places, strict=True):
        whole = _whole(trace, result, what) if axis is None else _gather(trace, result, axis, what)
        stacked.append(as_own(whole, whole, taken))
    return structure.unflatten(stacked)


def _gather(trace: BatchTrace, result: Any, axis: int, what: str) -> Array:
    """What a result is for all examples, along `axis`; one that does not depend on them is repeated."""
    if type(result) is BatchTracer and result.owner is trace:
        every = result.value
    else:
        shared = _whole(trace, result, what)
        every = with_examples(
            trace.size, False, np.asarray(shared) if isinstance(shared, (bool, int, float)) else shared
        )
    return move_axes(every, 0, 1, _place(every, axis, what) or 0)


def _whole(trace: BatchTrace, result: Any, what: str) -> Any:
    """A result that does not depend on the examples."""
    if isinstance(result, Tracer) and result.owner is trace:
        raise ShapeError(f"{what}: expected a result that all examples share, since its out_axes is None; got one each")
    if isinstance(result, Tracer) and not result.owner.alive:
        raise result.owner.escape_error(result)
    return result


def per_example_grad(f: ScalarFunction, argnums: int | tuple[int, ...] = 0) -> Callable[..., Tree]:
    """The gradients of a loss of one example, for all examples at once: functorch's per-sample gradients.

    ``per_example_grad(loss)`` is ``vmap(grad(loss), in_axes=(None, 0, ...))``.

    Parameters
    ----------
    f : callable
        ``f(theta, x, ...)``: the loss of one example x, ... at the parameters.
    argnums : int or tuple of ints
        The places of the parameters; every other argument has its examples along its first axis. Keyword arguments are
        shared by all examples.

    Returns
    -------
    callable
        ``(theta, X, ...) -> gradients``, in the containers of theta, with the examples along a new first axis: neither
        summed nor averaged.

    Examples
    --------
    >>> import numpy as np
    >>> from refgrad import per_example_grad
    >>> X, y, w = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.0, 1.0]), np.array([1.0, -1.0])
    >>> loss = lambda w, x, y: (w @ x - y) ** 2 / 2
    >>> bool((per_example_grad(loss)(w, X, y) == (X @ w - y)[:, None] * X).all())
    True
    """
    return Transform(_gradients, f, argnums)


def _gradients(f: ScalarFunction, argnums: int | tuple[int, ...], /, *args: Any, **kwargs: Any) -> Tree:
    places = select(args, argnums, f"per_example_grad({name_of(f)})")
    axes = tuple(None if i in places else 0 for i in range(len(args)))

    def gradient(*args: Any, **kwargs: Any) -> Tree:
        return gradient_at(f, args, kwargs, argnums, False, "per_example_grad")[1]

    gradient.__qualname__ = name_of(f)
    return examine(lambda: batched_at(gradient, args, kwargs, axes, 0), f, args, kwargs, "per_example_grad")


def _spread(axes: Axes, tree: Tree, what: str) -> list[int | None]:
    """The axis of every leaf of `tree`, in the order of `flatten`."""
    if axes is None or (isinstance(axes, (int, np.integer)) and not isinstance(axes, bool)):
        return [None if axes is None else int(axes)] * len(flatten(tree)[0])
    if dataclasses.is_dataclass(tree) and type(axes) is type(tree):
        names = [f.name for f in dataclasses.fields(tree) if f.init]
        return [axis for name in names for axis in _spread(getattr(axes, name), getattr(tree, name), what)]
    if isinstance(tree, dict) and isinstance(axes, dict) and axes.keys() == tree.keys():
        order = sorted(tree, key=lambda key: (type(key).__name__, key))
        return [axis for key in order for axis in _spread(axes[key], tree[key], what)]
    if isinstance(tree, (tuple, list)) and isinstance(axes, (tuple, list)) and len(axes) == len(tree):
        return [axis for a, t in zip(axes, tree, strict=True) for axis in _spread(a, t, what)]
    raise ShapeError(
        f"{what}: expected axes that are ints, None, or containers like {flatten(tree)[1]!r}; got {axes!r}"
    )


def _place(leaf: Array, axis: int | None, what: str) -> int | None:
    """`axis` of `leaf` as a non-negative number."""
    if axis is None:
        return None
    n = len(shape_of(leaf))
    if not -n <= axis < n:
        given = f"shape {shape_of(leaf)}" if hasattr(leaf, "shape") else f"a {type(leaf).__name__}"
        raise ShapeError(f"{what}: expected an array with examples along axis {axis}, got {given}; None means shared")
    return axis % n
