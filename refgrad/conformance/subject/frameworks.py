"""Frameworks: how the numbers of a problem become a library's arrays, and how a subject's result comes back.

Each class implements `refgrad.contracts.contract.Framework` for one library, which is imported only when its
framework is asked for. The tables are what the contracts' loss callables may use: `refgrad.contracts.tools.Table`, with
NumPy's meaning, so that torch and jax differentiate through them.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np

from refgrad.errors import MissingExtra, UsageError
from refgrad.typing import Array

__all__ = ["FRAMEWORKS", "NotAnArray", "advice", "choose", "framework", "to_numpy"]

FRAMEWORKS = ("torch", "jax", "cupy", "numpy")


class NotAnArray(TypeError):
    """What a subject returned is no array of numbers, so there is nothing to judge."""


class ArrayNamespaceTable:
    """The table of a library that follows NumPy's names: NumPy, CuPy and jax.numpy."""

    def __init__(self, namespace: Any) -> None:
        self.exp, self.log, self.tanh = namespace.exp, namespace.log, namespace.tanh
        self._sum, self._max, self.reshape = namespace.sum, namespace.max, namespace.reshape
        self.concatenate = namespace.concatenate
        self._eye, self._asarray = namespace.eye, namespace.asarray

    def sum(self, x: Array, axis: int | None = None) -> Array:
        return self._sum(x, axis=axis)

    def amax(self, x: Array, axis: int | None = None) -> Array:
        return self._max(x, axis=axis)

    def onehot(self, labels: Any, classes: int, like: Array) -> Array:
        return self._eye(classes, dtype=like.dtype)[self._asarray(labels)]


class TorchTable:
    """The table of torch, whose reductions take the axis under another name."""

    def __init__(self, torch: Any) -> None:
        self.exp, self.log, self.tanh, self.reshape = torch.exp, torch.log, torch.tanh, torch.reshape
        self.concatenate = torch.concatenate
        self._sum, self._amax, self._eye, self._as_tensor = torch.sum, torch.amax, torch.eye, torch.as_tensor

    def sum(self, x: Array, axis: int | None = None) -> Array:
        return self._sum(x) if axis is None else self._sum(x, dim=axis)

    def amax(self, x: Array, axis: int | None = None) -> Array:
        return self._amax(x) if axis is None else self._amax(x, dim=axis)

    def onehot(self, labels: Any, classes: int, like: Array) -> Array:
        return self._eye(classes, dtype=like.dtype, device=like.device)[self._as_tensor(labels)]


class NumPy:
    """NumPy arrays of one dtype."""

    name = "numpy"

    def __init__(self, dtype: str, private: bool = True) -> None:
        self.dtype = dtype
        self.library = _library(self.name)
        self.xp: Any = ArrayNamespaceTable(self.library)

    def array(self, values: Any) -> Array:
        return self.library.asarray(values, dtype=self.dtype)

    def labels(self, values: Any) -> Array:
        return self.library.asarray(values, dtype="int64")

    def scalar(self, value: float) -> float:
        return float(value)

    def prepare(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments as this library's users expect them; for torch, parameters require a gradient."""
        return arguments


class CuPy(NumPy):
    """CuPy arrays on the current device."""

    name = "cupy"


class Jax(NumPy):
    """JAX arrays. Double precision has to be switched on for the whole process, which only a private one may do."""

    name = "jax"

    def __init__(self, dtype: str, private: bool = True) -> None:
        jax = _library("jax")
        if dtype == "float64" and not jax.config.jax_enable_x64:
            if not private:
                raise UsageError(
                    "JAX computes in float32 in this process, float64 was asked for: call "
                    "jax.config.update('jax_enable_x64', True) first, or pass dtype='float32'."
                )
            jax.config.update("jax_enable_x64", True)
        self.dtype = dtype
        self.library = importlib.import_module("jax.numpy")
        self.xp = ArrayNamespaceTable(self.library)


class Torch:
    """Torch tensors on the CPU.

    A floating-point vector that is passed directly (``theta``, ``w``, ``phi``) is a leaf that requires a
    gradient, as a parameter does; data inside tasks and matrices such as ``X`` and ``J`` do not.
    """

    name = "torch"

    def __init__(self, dtype: str, private: bool = True) -> None:
        self.dtype = dtype
        self.torch = _library("torch")
        self.xp: Any = TorchTable(self.torch)

    def array(self, values: Any) -> Array:
        return self.torch.tensor(values, dtype=getattr(self.torch, self.dtype))

    def labels(self, values: Any) -> Array:
        return self.torch.tensor(values, dtype=self.torch.int64)

    def scalar(self, value: float) -> float:
        return float(value)

    def prepare(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        for x in arguments:
            if isinstance(x, self.torch.Tensor) and x.ndim == 1 and x.is_floating_point():
                x.requires_grad_()
        return arguments


_FRAMEWORKS: dict[str, Any] = {"numpy": NumPy, "torch": Torch, "jax": Jax, "cupy": CuPy}


def framework(name: str, dtype: str, private: bool = True) -> Any:
    """The framework called `name` for arrays of `dtype`.

    Parameters
    ----------
    name : str
        ``"numpy"``, ``"torch"``, ``"jax"`` or ``"cupy"``.
    dtype : str
        ``"float32"`` or ``"float64"``.
    private : bool
        Whether this process belongs to the subject alone, so that settings of the whole process may be changed.

    Raises
    ------
    MissingExtra
        If the library is not installed.
    """
    return _FRAMEWORKS[name](dtype, private)


def choose(modules: Iterable[str]) -> str:
    """The first of torch, jax, cupy whose name is among the imported `modules`; ``"numpy"`` if none is."""
    found = set(modules)
    return next((name for name in FRAMEWORKS if name in found), "numpy")


def to_numpy(output: Any, field: str) -> tuple[np.ndarray, str]:
    """What a subject returned, as a NumPy array of its own, and the name of its dtype.

    Parameters
    ----------
    output : array, number, sequence of numbers, or an object with the attribute `field`
        Torch, JAX and CuPy arrays are brought to the host; a gradient graph is dropped. Python numbers have the
        dtype ``"python"``, for they carry none.
    field : str
        The attribute of a result object that counts as the output.

    Raises
    ------
    NotAnArray
        If there are no numbers to be found in `output`.
    """
    library = type(output).__module__.partition(".")[0]
    if library == "torch" and hasattr(output, "detach"):
        return _from_torch(output)
    if library == "cupy" and hasattr(output, "get"):
        output = output.get()
    elif library in ("jax", "jaxlib") and hasattr(output, "dtype"):
        if str(output.dtype) in ("bfloat16", "float16"):
            return np.array(output.astype("float32")), str(output.dtype)
        output = np.asarray(output)
    if isinstance(output, np.ma.MaskedArray) and np.ma.is_masked(output):
        raise NotAnArray("expected an array, got one with masked entries")
    if isinstance(output, (np.ndarray, np.generic)):
        return np.array(output, order="C"), str(output.dtype)
    if isinstance(output, (int, float)) and not isinstance(output, bool):
        return np.array(float(output)), "python"
    if hasattr(output, field):
        return to_numpy(getattr(output, field), field)
    if isinstance(output, (list, tuple)) and output:
        parts = [to_numpy(element, field) for element in output]
        if len({part.shape for part, _ in parts}) == 1:
            return np.stack([part for part, _ in parts]), min((name for _, name in parts), key=_width)
    raise NotAnArray(_describe(output))


def advice(output: Any, shape: tuple[int, ...], field: str) -> str:
    """What to return in place of `output`, if one element of it has the right shape; empty if none or several have."""
    if not isinstance(output, (list, tuple, dict)):
        return ""
    items = output.items() if isinstance(output, dict) else enumerate(output)
    fitting = [key for key, element in items if _shape(element, field) == shape]
    kind = f"a {type(output).__name__} of {len(output)}"
    return f": {kind}, return its element [{fitting[0]!r}]" if len(fitting) == 1 else f": {kind}"


def _shape(element: Any, field: str) -> tuple[int, ...] | None:
    try:
        return to_numpy(element, field)[0].shape
    except NotAnArray:
        return None


def _from_torch(output: Any) -> tuple[np.ndarray, str]:
    tensor = output.detach().cpu()
    if tensor.is_sparse:
        tensor = tensor.to_dense()
    name = str(tensor.dtype).removeprefix("torch.")
    if name == "bfloat16":
        tensor = tensor.float()
    return np.array(tensor.resolve_conj().resolve_neg().contiguous().numpy()), name


def _width(name: str) -> int:
    return 128 if name == "python" else int("".join(c for c in name if c.isdigit()) or 0)


def _describe(output: Any) -> str:
    kind = type(output)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    inside = " of arrays of unequal shapes" if isinstance(output, (list, tuple)) and output else ""
    return f"expected an array, got {name}{inside}"


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        how = "pip install 'refgrad[gpu]'" if name == "cupy" else f"pip install {name}"
        raise MissingExtra(
            f"the framework {name} was asked for, and {name} is not installed in {sys.executable}: {how} ({error})"
        ) from error
