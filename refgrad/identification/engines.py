"""Derivatives of a person's own functions by the framework they are written in, in float64.

Each engine gives, for a function of one or two containers of parameters and of data, the gradients at a point and the
derivatives of ``<gradient by the first, v>``, which are the Hessian-vector product and the mixed one. What has been
computed at a point is kept, for formulas ask for the same again and again; torch and NumPy also keep the graph of the
gradient, once a product is asked for, and go back over it; JAX compiles once for each shape.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refgrad.conformance.subject.places import said
from refgrad.errors import RefgradError, UsageError
from refgrad.identification.layout import Layout, is_array, leaves, to_numpy, transformed

__all__ = ["Derivatives", "engine_of", "in_double", "in_float64"]

_ROOM = 2**30
"""Bytes of vectors, and of graphs, that are kept at once."""


class Memo:
    """What was computed last, in bounded room."""

    def __init__(self, room: int = _ROOM) -> None:
        self.room, self.used = room, 0
        self._found: OrderedDict[Any, tuple[Any, int]] = OrderedDict()

    def get(self, key: Any, compute: Callable[[], tuple[Any, int]]) -> Any:
        """What belongs to `key`, computed with its size in bytes where it is not there."""
        if key in self._found:
            self._found.move_to_end(key)
            return self._found[key][0]
        value, size = compute()
        self._found[key] = value, size
        self.used += size
        while self.used > self.room and len(self._found) > 1:
            _, (_, freed) = self._found.popitem(last=False)
            self.used -= freed
        return value


def engine_of(tree: Any) -> str:
    """``"torch"``, ``"jax"`` or ``"numpy"``, whose arrays are in some containers."""
    homes = {type(x).__module__.partition(".")[0] for _, x in leaves(tree)}
    return "torch" if "torch" in homes else "jax" if homes & {"jax", "jaxlib"} else "numpy"


class Derivatives:
    """A function ``f(*parameters, *data)`` with one number for a value, on flat float64 vectors.

    Parameters
    ----------
    engine : str
    function : callable
    layouts : list of Layout
        Of the parameters.
    name : str
        As which the person gave it.
    """

    def __init__(self, engine: str, function: Callable[..., Any], layouts: Sequence[Layout], name: str) -> None:
        if not callable(function):
            raise UsageError(f"expected {name} to be a function, got {type(function).__name__}")
        if hasattr(function, "named_parameters"):
            way = f"{name}=refgrad.torch_loss(model, criterion)"
            raise UsageError(f"expected {name} to be a function of parameters and data, got a model: give {way}")
        self.engine, self.function, self.layouts, self.name = engine, function, layouts, name
        self._at: Callable[..., Any] = getattr(self, f"_{engine}")
        self._graphs, self._vectors = Memo(), Memo()
        self._data: dict[int, Any] = {}

    def gradients(self, points: Sequence[np.ndarray], data: Sequence[Any] = ()) -> list[np.ndarray]:
        """The gradients by all parameters, flat."""
        key = self._key(points, data)
        return self._vectors.get(key, lambda: _sized(self._at(points, data, False)))

    def products(self, points: Sequence[np.ndarray], v: np.ndarray, data: Sequence[Any] = ()) -> list[np.ndarray]:
        """The derivatives by all parameters of ``<gradient by the first, v>``, flat."""
        key = self._key(points, data)

        def compute() -> tuple[Any, int]:
            back = self._graphs.get(key, lambda: self._at(points, data, True))
            return _sized(back(v))

        return self._vectors.get((key, _digest(v)), compute)

    def afresh(self, points: Sequence[np.ndarray], data: Sequence[Any] = ()) -> list[np.ndarray]:
        """As `gradients`, computed again."""
        return self._at(points, data, False)  # type: ignore[no-any-return]

    def forget(self) -> None:
        """Give back the room of what is kept."""
        self._graphs, self._vectors, self._data = Memo(), Memo(), {}

    def _key(self, points: Sequence[np.ndarray], data: Sequence[Any]) -> Any:
        return (*map(_digest, points), *map(id, data))

    def _called(self, trees: Sequence[Any], data: Sequence[Any]) -> Any:
        try:
            value = self.function(*trees, *data)
        except RefgradError:
            raise
        except Exception as error:
            what = " and a batch as it stands in tasks" if data else ""
            raise UsageError(f"{self.name}, called with the parameters{what}, raised {said(error, 500)}") from error
        if not is_array(value) or np.shape(value) != ():
            came = f"shape {tuple(np.shape(value))}" if is_array(value) else type(value).__name__
            raise UsageError(f"expected {self.name} to return one number, such as the mean over a batch; got {came}")
        return value

    def _torch(self, points: Sequence[np.ndarray], data: Sequence[Any], twice: bool) -> Any:
        import torch

        size = 0

        def count(tensor: Any) -> Any:
            nonlocal size
            size += tensor.numel() * tensor.element_size()
            return tensor.detach()  # a tensor kept by the node that made it would never be freed

        trees, flat = [], []
        for layout, point in zip(self.layouts, points, strict=True):
            homes = [x for _, x in leaves(layout.tree)]
            parts = [
                torch.tensor(part, dtype=torch.float64, device=getattr(home, "device", None), requires_grad=True)
                for part, home in zip(layout.parts(point), homes, strict=True)
            ]
            trees.append(layout.containers(parts))
            flat.append(parts)
        every = [part for parts in flat for part in parts]
        hooks = torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor)
        with torch.enable_grad(), hooks, in_double(torch):
            value = self._called(trees, [self._converted(x, _torch_double) for x in data])
            slopes: Sequence[Any] = [None]
            if getattr(value, "requires_grad", False):
                slopes = torch.autograd.grad(value, every, create_graph=twice, allow_unused=True)
            if all(g is None for g in slopes):
                raise UsageError(
                    f"{self.name} has no gradient: compute it from the parameters that it is given, such as "
                    "torch.func.functional_call(model, theta, (x,)), or use refgrad.torch_loss(model, criterion)"
                )
            slopes = [torch.zeros_like(x) if g is None else g for g, x in zip(slopes, every, strict=True)]
        if not twice:
            return self._flat(slopes)
        first = [g for g in slopes[: len(flat[0])] if g.requires_grad]

        def products(v: np.ndarray) -> list[np.ndarray]:
            directions = [
                torch.as_tensor(part, device=g.device)
                for part, g in zip(self.layouts[0].parts(v), slopes, strict=False)
                if g.requires_grad
            ]
            if not first:
                return [np.zeros(len(layout)) for layout in self.layouts]
            found = torch.autograd.grad(
                first, every, directions, retain_graph=True, allow_unused=True, materialize_grads=True
            )
            return self._flat(found)

        return products, size

    def _jax(self, points: Sequence[np.ndarray], data: Sequence[Any], twice: bool) -> Any:
        import jax

        with in_float64(jax):
            if not hasattr(self, "_compiled"):
                self._compiled = self._compile(jax)
            trees = [
                layout.containers([jax.numpy.asarray(p, "float64") for p in layout.parts(point)])
                for layout, point in zip(self.layouts, points, strict=True)
            ]
            converted = [self._converted(x, _jax_double) for x in data]
            if not twice:
                return self._of_trees(self._compiled[0](trees, converted))

        def products(v: np.ndarray) -> list[np.ndarray]:
            with in_float64(jax):
                direction = self.layouts[0].containers([jax.numpy.asarray(p) for p in self.layouts[0].parts(v)])
                return self._of_trees(self._compiled[1](trees, direction, converted))

        return products, sum(point.nbytes for point in points)

    def _compile(self, jax: Any) -> tuple[Any, Any]:
        def value(trees: Any, data: Any) -> Any:
            return self._called(trees, data)

        def along(trees: Any, direction: Any, data: Any) -> Any:
            slope = jax.grad(lambda first: value([first, *trees[1:]], data))(trees[0])
            products = jax.tree_util.tree_map(lambda a, b: (a * b).sum(), slope, direction)
            return sum(jax.tree_util.tree_leaves(products))

        return jax.jit(jax.grad(value)), jax.jit(jax.grad(along))

    def _numpy(self, points: Sequence[np.ndarray], data: Sequence[Any], twice: bool) -> Any:
        from refgrad import grad, vjp

        trees = [layout.containers(layout.parts(point)) for layout, point in zip(self.layouts, points, strict=True)]
        converted = [self._converted(x, _numpy_double) for x in data]
        whole = tuple(range(len(trees)))

        def slope(*trees: Any) -> Any:
            return grad(lambda *given: self._called(given, converted), argnums=whole)(*trees)

        if not twice:
            return self._of_trees(slope(*trees))
        _, back = vjp(slope, *trees)
        zeros = [layout.containers(layout.parts(np.zeros(len(layout)))) for layout in self.layouts[1:]]

        def products(v: np.ndarray) -> list[np.ndarray]:
            return self._of_trees(back((self.layouts[0].containers(self.layouts[0].parts(v)), *zeros)))

        size = sum(point.nbytes for point in points) * 20 + sum(x.nbytes for d in converted for _, x in leaves(d)) * 10
        return products, size

    def _of_trees(self, trees: Sequence[Any]) -> list[np.ndarray]:
        """The containers of each as flat vectors; JAX sorts the keys of dicts."""
        return [layout.flat(found, self.name) for layout, found in zip(self.layouts, trees, strict=True)]

    def _flat(self, arrays: Sequence[Any]) -> list[np.ndarray]:
        """The arrays of all parameters as a flat vector for each."""
        found, left = [], [to_numpy(x).ravel() for x in arrays]
        for layout in self.layouts:
            count = len(layout.shapes)
            found.append(np.concatenate(left[:count]))
            left = left[count:]
        return found

    def _converted(self, data: Any, double: Callable[[Any], Any]) -> Any:
        """Data with all floats in float64, once."""
        if id(data) not in self._data:
            self._data[id(data)] = data, transformed(getattr(data, "tree", data), double)
        return self._data[id(data)][1]


def in_double(torch: Any) -> contextlib.AbstractContextManager[Any]:
    """A mode in which every torch function sees float64, what a person's function has captured included."""
    lower = {torch.float32, torch.float16, torch.bfloat16}

    def raised(x: Any) -> Any:
        if isinstance(x, torch.Tensor):
            return x.double() if x.dtype in lower else x
        if isinstance(x, torch.dtype):
            return torch.float64 if x in lower else x
        if type(x) in (list, tuple, dict):
            return transformed(x, raised)
        return x

    class Double(torch.overrides.TorchFunctionMode):  # type: ignore[misc, name-defined]
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if function in (torch.Tensor.float, torch.Tensor.half, torch.Tensor.bfloat16):
                function = torch.Tensor.double
            if function is torch.nn.functional.batch_norm:  # whose running statistics are the model's own
                args = (args[0], *(x.clone() if isinstance(x, torch.Tensor) else x for x in args[1:3]), *args[3:])
            if function is torch.Tensor.add_ and args[0].ndim == 0 and not args[0].is_floating_point():
                return args[0]  # and so is the number of batches they have seen
            return function(*transformed(args, raised), **transformed(kwargs or {}, raised))

    return Double()  # type: ignore[no-any-return]


def _sized(found: list[np.ndarray]) -> tuple[list[np.ndarray], int]:
    return found, sum(x.nbytes for x in found)


def _digest(x: np.ndarray) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(x).data, digest_size=16).digest()


def _torch_double(x: Any) -> Any:
    return x.detach().double() if hasattr(x, "detach") and x.is_floating_point() else x


def _jax_double(x: Any) -> Any:
    import jax.numpy as jnp

    return x.astype("float64") if hasattr(x, "dtype") and jnp.issubdtype(x.dtype, jnp.floating) else x


def _numpy_double(x: Any) -> Any:
    return np.asarray(x, float) if is_array(x) and np.asarray(x).dtype.kind == "f" else x


def in_float64(jax: Any) -> contextlib.AbstractContextManager[Any]:
    """Float64 in JAX, which is else an option of the whole process."""
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)  # type: ignore[no-any-return]
    from jax.experimental import enable_x64

    return enable_x64()  # type: ignore[no-any-return]
