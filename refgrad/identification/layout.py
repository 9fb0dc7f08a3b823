"""Any containers of any framework's arrays as one flat float64 vector, and back.

The order of the elements is that in which the containers give them: of a dict that of insertion, so that a list of
gradients in the order of ``model.parameters()`` belongs to ``dict(model.named_parameters())``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from refgrad.errors import UsageError

__all__ = ["Layout", "dtype_of", "is_array", "leaves", "noisy", "once", "to_numpy", "transformed"]


def is_array(x: Any) -> bool:
    """Whether something is an array of numbers, or a number."""
    return isinstance(x, (int, float, np.generic)) or (hasattr(x, "shape") and hasattr(x, "dtype"))


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The arrays of nested dicts, lists and tuples, each with its place; None counts as one, for it stands for one."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from leaves(value, f"{path}[{key!r}]" if path or not isinstance(key, str) else key)
    elif isinstance(tree, (list, tuple)):
        for place, value in enumerate(tree):
            yield from leaves(value, f"{path}[{place}]")
    else:
        yield path, tree


def transformed(tree: Any, function: Callable[[Any], Any]) -> Any:
    """The same containers with `function` of every leaf."""
    if isinstance(tree, Mapping):
        return {key: transformed(value, function) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        found = [transformed(value, function) for value in tree]
        return type(tree)(*found) if hasattr(tree, "_fields") else type(tree)(found)
    return function(tree)


def to_numpy(x: Any) -> np.ndarray:
    """An array of any framework as float64."""
    if hasattr(x, "detach"):
        x = x.detach().cpu()
        x = x.double().numpy() if x.is_floating_point() else x.numpy()
    elif type(x).__module__.partition(".")[0] == "cupy":
        x = x.get()
    return np.asarray(x, np.float64)


def dtype_of(x: Any) -> str:
    """The name of an array's dtype: ``"float32"``, ``"bfloat16"``."""
    return "float64" if isinstance(x, (int, float)) else str(x.dtype).rpartition(".")[2]


def noisy(x: Any, unit: float, rng: np.random.Generator) -> Any:
    """An array of floats with every number a unit roundoff away, and anything else as it is."""
    if not unit or not is_array(x) or not hasattr(x, "shape") or "float" not in str(x.dtype):
        return x
    factor = 1 + unit * rng.choice([-1.0, 1.0], tuple(x.shape))
    if hasattr(x, "detach"):
        import torch

        return x.detach().double() * torch.as_tensor(factor, device=x.device)
    if isinstance(x, np.ndarray):
        return x.astype(float) * factor
    return to_numpy(x) * factor


def once(arguments: Callable[[float, int], tuple[Any, ...]]) -> Callable[[float, int], tuple[Any, ...]]:
    """Arguments that are built once, so that what is known of their batches is found again."""
    found: dict[tuple[float, int], tuple[Any, ...]] = {}

    def remembered(unit: float, pattern: int) -> tuple[Any, ...]:
        if (unit, pattern) not in found:
            found[unit, pattern] = arguments(unit, pattern)
        return found[unit, pattern]

    return remembered


def _ordered(tree: Any, like: Any) -> Any:
    """Containers with their dicts in the order of those of others with the same keys; JAX sorts them."""
    if isinstance(tree, Mapping) and isinstance(like, Mapping) and tree.keys() == like.keys():
        return {key: _ordered(tree[key], like[key]) for key in like}
    if isinstance(tree, (list, tuple)) and isinstance(like, (list, tuple)) and len(tree) == len(like):
        return [_ordered(*pair) for pair in zip(tree, like, strict=True)]
    return tree


@dataclass(frozen=True)
class Layout:
    """Where the elements of a flat vector lie.

    Attributes
    ----------
    tree : containers
        The person's own, for their shapes alone.
    names : tuple of str
        The place of each array.
    shapes : tuple of tuples
    """

    tree: Any
    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, tree: Any, name: str) -> Layout:
        """That of the containers given as the argument `name`."""
        found = list(leaves(tree))
        wrong = next((x for _, x in found if not is_array(x)), None)
        if not found or wrong is not None:
            came = "no arrays" if not found else type(wrong).__name__
            raise UsageError(
                f"expected {name} to be an array, or a dict, list or tuple of arrays, such as "
                f"dict(model.named_parameters()); got {came}"
            )
        places = tuple(path or name for path, _ in found)
        return cls(tree, places, tuple(tuple(int(n) for n in np.shape(x)) for _, x in found))

    @property
    def sizes(self) -> list[int]:
        return [int(np.prod(shape)) for shape in self.shapes]

    def __len__(self) -> int:
        return sum(self.sizes)

    def flat(self, tree: Any, name: str) -> np.ndarray:
        """A vector, from containers like these, a list of their arrays in order, or a flat vector.

        None stands for zeros, as in the `.grad` of a parameter that nothing reached.
        """
        values = [value for _, value in leaves(_ordered(tree, self.tree))]
        if len(values) == 1 and len(self.shapes) > 1 and np.shape(values[0]) == (len(self),):
            return to_numpy(values[0])
        if len(values) != len(self.shapes):
            raise UsageError(
                f"expected {name} to hold {len(self.shapes)} arrays, as the parameters do ({self._described()}); got "
                f"{len(values)}"
            )
        parts = []
        for place, shape, value in zip(self.names, self.shapes, values, strict=True):
            if value is not None and (not is_array(value) or tuple(np.shape(value)) != shape):
                came = tuple(np.shape(value)) if is_array(value) else type(value).__name__
                raise UsageError(f"expected {name} at {place} to have shape {shape}; got {came}")
            parts.append(np.zeros(int(np.prod(shape))) if value is None else to_numpy(value).ravel())
        return np.concatenate(parts)

    def parts(self, vector: np.ndarray) -> list[np.ndarray]:
        """The arrays in a flat vector."""
        ends = np.cumsum(self.sizes)[:-1]
        return [part.reshape(shape) for part, shape in zip(np.split(vector, ends), self.shapes, strict=True)]

    def containers(self, arrays: Sequence[Any]) -> Any:
        """The containers with other arrays."""
        left = iter(arrays)
        return transformed(self.tree, lambda _: next(left))

    def _described(self) -> str:
        listed = [f"{name} {shape}" for name, shape in zip(self.names[:3], self.shapes, strict=False)]
        return ", ".join(listed) + (", ..." if len(self.names) > 3 else "")
