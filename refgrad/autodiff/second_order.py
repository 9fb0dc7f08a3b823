"""Second derivatives by composition: Hessian-vector products, Hessians, Jacobians.

``hvp(f, x, v)`` is forward mode over reverse mode [pearlmutter1994]_: the derivative of the gradient in the direction
v, at the cost of a few gradients and without forming the Hessian.

References
----------
.. [pearlmutter1994] B. A. Pearlmutter, Fast exact multiplication by the Hessian, Neural Computation 6 (1994), eq. (7).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad import backend
from refgrad.autodiff.arguments import name_of, real_leaves, select
from refgrad.autodiff.batch import batched_at
from refgrad.autodiff.core import PRIMITIVES, primal
from refgrad.autodiff.forward import jvp_at
from refgrad.autodiff.linearize import Run
from refgrad.autodiff.reverse import gradient_at
from refgrad.autodiff.rows import independent_rows
from refgrad.autodiff.transform import Transform
from refgrad.backend import shape_of
from refgrad.errors import InvalidInput, ShapeError
from refgrad.tree import flatten
from refgrad.typing import Array, ScalarFunction, Shape, Tree

__all__ = ["grad_and_hvp", "hessian", "hvp", "jacfwd", "jacrev"]

_BLOCK = 256
"""So many rows of a Jacobian are pulled back at once."""


def grad_and_hvp(f: ScalarFunction, x: Tree, v: Tree) -> tuple[Tree, Tree]:
    """The gradient of f at x and the Hessian times v, in one pass.

    Parameters
    ----------
    f : callable
        Of one argument, with a result of shape ().
    x : tree
        The point.
    v : tree
        The direction, of the structure and shapes of x.

    Examples
    --------
    >>> import numpy as np
    >>> from refgrad import grad_and_hvp
    >>> g, hv = grad_and_hvp(lambda x: x[0] ** 2 * x[1], np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    >>> bool((g == [4.0, 1.0]).all() and (hv == [4.0, 2.0]).all())
    True
    """
    return _gradient_and_product(f, x, v, "grad_and_hvp")  # type: ignore[no-any-return]


def _gradient_and_product(f: ScalarFunction, x: Tree, v: Tree, what: str) -> Any:
    return jvp_at(lambda y: gradient_at(f, (y,), {}, 0, False, what)[1], (x,), (v,), False, what, f)


def hvp(f: ScalarFunction, x: Tree, v: Tree) -> Tree:
    """The Hessian of f at x times v: `grad_and_hvp` without the gradient.

    Parameters
    ----------
    f, x, v : as in `grad_and_hvp`
    """
    return _gradient_and_product(f, x, v, "hvp")[1]  # type: ignore[no-any-return]


def jacfwd(f: Callable[..., Tree], argnums: int = 0) -> Callable[..., Tree]:
    """The Jacobian of f by forward mode, all columns at once: best where f has few inputs.

    Each array of the result of f, of shape s, becomes the containers of the argument with arrays of shape ``s + t``,
    t the shape of the argument's array.

    Parameters
    ----------
    f : callable
        Returns an array or a tree of them.
    argnums : int
        Which positional argument to differentiate by.
    """
    return Transform(_jacobian_by_columns, f, argnums)


def _jacobian_by_columns(f: Callable[..., Tree], argnums: int, /, *args: Any, **kwargs: Any) -> Tree:
    place = _single_place(args, argnums, "jacfwd")
    xs, structure = real_leaves(args[place], "jacfwd", f, place)

    def of_leaves(*leaves: Array) -> Tree:
        filled = list(args)
        filled[place] = structure.unflatten(leaves)
        return f(*filled, **kwargs)

    if not xs:
        raise ShapeError(f"jacfwd({name_of(f)}): expected an argument with at least one array, got none")

    def along(*tangents: Array) -> Tree:
        return jvp_at(of_leaves, tuple(xs), tangents, False, "jacfwd", f)[1]

    columns, out_structure = flatten(batched_at(along, tuple(_units(xs)), {}, 0, -1))
    blocks = []
    for column in columns:
        s = shape_of(column)[:-1]
        every = (slice(None),) * len(s)
        parts = [PRIMITIVES["slice"](column, index=(*every, span)) for span in _spans(xs)]
        blocks.append(structure.unflatten([_reshape(p, s + shape_of(x)) for p, x in zip(parts, xs, strict=True)]))
    return out_structure.unflatten(blocks)


def jacrev(f: Callable[..., Tree], argnums: int = 0) -> Callable[..., Tree]:
    """The Jacobian of f by reverse mode, all rows at once: best where f has few outputs. Shapes as for `jacfwd`.

    Rows are independent: an output that is NaN spoils its own row only, see `refgrad.autodiff.rows`.

    Parameters
    ----------
    f, argnums : as in `jacfwd`
    """
    return Transform(_jacobian_by_rows, f, argnums)


def _jacobian_by_rows(f: Callable[..., Tree], argnums: int, /, *args: Any, **kwargs: Any) -> Tree:
    return _rows(f, args, kwargs, argnums, "jacrev", f)


def _rows(
    f: Callable[..., Tree],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    argnums: int,
    what: str,
    named: Callable[..., Any],
) -> Tree:
    """The Jacobian of f by reverse mode; messages speak of the transformation `what` of the function `named`."""
    place = _single_place(args, argnums, what)
    real_leaves(args[place], what, named, place)  # by the place that the caller knows

    def of_one(x: Tree) -> Tree:
        return f(*args[:place], x, *args[place + 1 :], **kwargs)

    of_one.__qualname__ = name_of(named)
    run = Run(what, of_one, (args[place],))
    xs, outs, out_structure = run.primals, run.values, run.out_structure
    structure = run.in_structure.children[0]
    if not outs:
        return out_structure.unflatten([])
    rows = independent_rows(run, _pulled_back(run, _units(outs)))
    blocks = []
    for y, span in zip(outs, _spans(outs), strict=True):
        parts = [PRIMITIVES["slice"](row, index=(span, *(slice(None),) * (len(shape_of(row)) - 1))) for row in rows]
        blocks.append(
            structure.unflatten([_reshape(p, shape_of(y) + shape_of(x)) for p, x in zip(parts, xs, strict=True)])
        )
    return out_structure.unflatten(blocks)


def _pulled_back(run: Run, units: list[Array]) -> list[Array]:
    """All unit vectors, pulled back; plain arrays in blocks, of whose intermediates few are in memory at once."""
    count = shape_of(units[0])[0]
    if count <= _BLOCK or any(type(x) is not np.ndarray for x in (*run.primals, *units)):
        return batched_at(lambda *us: run.pull(us), tuple(units), {}, 0, 0)  # type: ignore[no-any-return]
    blocks = []
    for k in range(0, count, _BLOCK):
        block = tuple(u[k : k + _BLOCK] for u in units)
        blocks.append(batched_at(lambda *us, k=k: run.pull(us, check=k == 0), block, {}, 0, 0))
    return [np.concatenate(parts) for parts in zip(*blocks, strict=True)]


def hessian(f: ScalarFunction, argnums: int = 0) -> Callable[..., Tree]:
    """The Hessian of a function with one number as its result, all rows at once (reverse over reverse).

    The function runs once, and one sweep back over its gradient computes all rows, as a batch.

    For an argument of shape t the Hessian has shape ``t + t``; for containers it is a container of containers.

    Parameters
    ----------
    f : callable
        Returns an array of shape ().
    argnums : int
        Which positional argument to differentiate by.

    Examples
    --------
    >>> import numpy as np
    >>> from refgrad import hessian
    >>> bool((hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0])) == [[4.0, 2.0], [2.0, 0.0]]).all())
    True
    """
    return Transform(_hessian, f, argnums)


def _hessian(f: ScalarFunction, argnums: int, /, *args: Any, **kwargs: Any) -> Tree:
    def gradient(*args: Any, **kwargs: Any) -> Tree:
        return gradient_at(f, args, kwargs, argnums, False, "hessian")[1]

    return _rows(gradient, args, kwargs, argnums, "hessian", f)


def _single_place(args: tuple[Any, ...], argnums: int, what: str) -> int:
    if isinstance(argnums, (tuple, list)):
        raise InvalidInput(f"{what}: expected one argument, argnums={argnums!r}; put several into one container")
    return select(args, argnums, what)[0]


def _spans(xs: list[Array]) -> list[slice]:
    """Where each array's elements lie among those of all, end to end."""
    ends = list(itertools.accumulate((math.prod(shape_of(x)) for x in xs), initial=0))
    return [slice(start, end) for start, end in itertools.pairwise(ends)]


def _units(xs: list[Array]) -> list[Array]:
    """The unit vectors of the space of `xs`, n in all: for each array, of shape t, one of shape ``(n,) + t``."""
    vectors = []
    spans = _spans(xs)
    for x, span in zip(xs, spans, strict=True):
        value = primal(x)
        xp = backend.of(value)
        like = value if hasattr(value, "dtype") else xp.ones_like(value)
        size = span.stop - span.start
        identity = xp.onehot(xp.indices(size, like), size, like)
        padded = identity if len(xs) == 1 else xp.pad(identity, (spans[-1].stop, size), (span, slice(None)))
        vectors.append(xp.reshape(padded, (spans[-1].stop, *shape_of(x))))
    return vectors


def _reshape(x: Array, shape: Shape) -> Array:
    return PRIMITIVES["reshape"](x, shape=shape)
