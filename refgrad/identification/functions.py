"""A person's functions and batches as formulas ask for them: gradients, Hessian-vector products, sizes."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.contracts.tools.answer import NotApplicable
from refgrad.errors import UsageError
from refgrad.identification.engines import Derivatives
from refgrad.identification.layout import is_array, leaves

__all__ = ["Batch", "Function", "Inner", "Loss", "Outer"]


class Batch(tuple[Any, ...]):
    """A person's batch, whatever it is, that says its size as a pair (X, y) does."""

    tree: Any

    @classmethod
    def of(cls, tree: Any) -> Batch:
        """A batch; its size is the length of its first array."""
        first = next((x for _, x in leaves(tree) if is_array(x) and np.shape(x)), None)
        if first is None:
            raise UsageError(f"expected a batch to hold at least one array of examples; got {type(tree).__name__}")
        batch = cls((first, first))
        batch.tree = tree
        return batch


class Loss:
    """What formulas ask of ``loss(theta, batch)``."""

    def __init__(self, derivatives: Derivatives) -> None:
        self.derivatives = derivatives

    def grad(self, theta: np.ndarray, batch: Any) -> np.ndarray:
        return self.derivatives.gradients([theta], [batch])[0]

    def hvp(self, theta: np.ndarray, batch: Any, v: np.ndarray) -> np.ndarray:
        return self.derivatives.products([theta], v, [batch])[0]


class Function(Loss):
    """What formulas ask of ``f(x)``."""

    def grad(self, x: np.ndarray) -> np.ndarray:  # type: ignore[override]
        return self.derivatives.gradients([x])[0]

    def hvp(self, x: np.ndarray, v: np.ndarray) -> np.ndarray:  # type: ignore[override]
        return self.derivatives.products([x], v)[0]


class Cross:
    """B: ``B^T u`` is a product with u, and ``B u`` takes one for each row of B, those of the Hessian's rows."""

    def __init__(self, inner: Inner, at: tuple[np.ndarray, np.ndarray], transposed: bool = False) -> None:
        self.inner, self.at, self.transposed = inner, at, transposed
        self.shape = (len(at[0]), len(at[1]))

    @property
    def T(self) -> Cross:
        return Cross(self.inner, self.at, True)

    def __matmul__(self, u: np.ndarray) -> np.ndarray:
        if not self.transposed:
            return np.array([self.inner.mixed(*self.at, unit) @ u for unit in np.eye(self.shape[0])])
        return self.inner.mixed(*self.at, u)


class Outer:
    """What formulas ask of ``outer(w, phi)``, and of `inner` what is common to both."""

    def __init__(self, derivatives: Derivatives) -> None:
        self.derivatives = derivatives
        self._dense: dict[bytes, np.ndarray] = {}

    def grad_w(self, w: np.ndarray, phi: np.ndarray) -> np.ndarray:
        return self.derivatives.gradients([w, phi])[0]

    def grad_phi(self, w: np.ndarray, phi: np.ndarray) -> np.ndarray:
        return self.derivatives.gradients([w, phi])[1]

    def hvp(self, w: np.ndarray, phi: np.ndarray, v: np.ndarray) -> np.ndarray:
        return self.derivatives.products([w, phi], v)[0]

    def hessian(self, w: np.ndarray, phi: np.ndarray) -> np.ndarray:
        """H, row by row."""
        place = w.tobytes() + phi.tobytes()
        if place not in self._dense:
            rows = [self.hvp(w, phi, unit) for unit in np.eye(len(w))]
            self._dense[place] = (np.array(rows) + np.array(rows).T) / 2
        return self._dense[place]


class Inner(Outer):
    """What formulas ask of ``inner(w, phi)``."""

    grad, slope_phi = Outer.grad_w, Outer.grad_phi

    def mixed(self, w: np.ndarray, phi: np.ndarray, u: np.ndarray) -> np.ndarray:
        return self.derivatives.products([w, phi], u)[1]

    def cross(self, w: np.ndarray, phi: np.ndarray) -> Cross:
        return Cross(self, (w, phi))

    def penalty(self, phi: np.ndarray) -> np.ndarray:
        raise NotApplicable("which part of the Hessian phi weighs is not known")

    def second_order(self, w: np.ndarray, phi: np.ndarray) -> np.ndarray:
        raise NotApplicable("whether the loss has residuals is not known")
