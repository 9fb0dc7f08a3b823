"""Losses and logits of an ``nn.Module`` as functions of its parameters, in any precision."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from refgrad.errors import UsageError

__all__ = ["torch_logits", "torch_loss"]


class ModelLogits:
    """``model(X)`` with other parameters, in the mode the model is in; its buffers are copied and stay as they are."""

    def __init__(self, model: Any) -> None:
        self.model = model

    @property
    def notes(self) -> list[str]:
        """What the model's mode is now, if that counts."""
        modes = {module.training for module in self.model.modules() if "BatchNorm" in type(module).__name__}
        said = {
            True: "the model is in train mode: batch normalisation is by each batch",
            False: "the model is in eval mode: batch normalisation is by running statistics",
        }
        return [said[mode] for mode in sorted(modes)]

    def __call__(self, theta: Any, X: Any) -> Any:
        import torch

        names = [name for name, _ in self.model.named_parameters()]
        if not isinstance(theta, Mapping):
            if not isinstance(theta, Sequence) or len(theta) != len(names):
                raise UsageError("expected theta to be dict(model.named_parameters()), or all parameters in that order")
            theta = dict(zip(names, theta, strict=True))
        like = next(iter(theta.values()))
        fixed = {name: x for name, x in self.model.named_parameters() if name not in theta}
        buffers = {name: x.clone() for name, x in self.model.named_buffers()}
        others = {name: _as(x.detach(), like) for name, x in (fixed | buffers).items()}
        return torch.func.functional_call(self.model, {**others, **theta}, (X,))


class ModelLoss:
    """``criterion(model(X), y)`` with other parameters."""

    def __init__(self, model: Any, criterion: Callable[..., Any]) -> None:
        self.logits, self.criterion = ModelLogits(model), criterion

    @property
    def notes(self) -> list[str]:
        """Those of the model."""
        return self.logits.notes

    def __call__(self, theta: Any, batch: Any) -> Any:
        import torch

        if not isinstance(batch, (list, tuple)) or len(batch) != 2:
            came = f"a tensor of shape {tuple(batch.shape)}" if hasattr(batch, "shape") else type(batch).__name__
            raise UsageError(
                f"torch_loss takes batches (X, y); got {came}. Tasks are a list of pairs (support, query) of batches: "
                "list(zip(zip(Xs, ys), zip(Xq, yq))) of stacked tensors; for batches of another form write a function "
                "loss(theta, batch)"
            )
        X, y = batch
        z = self.logits(theta, X)
        if isinstance(self.criterion, torch.nn.Module):
            held = {name: _as(x.detach(), z) for name, x in self.criterion.state_dict().items()}
            return torch.func.functional_call(self.criterion, held, (z, y))
        return self.criterion(z, y)


def torch_loss(model: Any, criterion: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    """``loss(theta, (X, y)) = criterion(model(X), y)`` of the parameters ``theta = dict(model.named_parameters())``.

    Parameters
    ----------
    model : torch.nn.Module
        In the mode in which it was trained: batch normalisation in train mode is by each batch, and the running
        statistics stay as they are.
    criterion : callable
        ``criterion(model(X), y)``, one number, such as `torch.nn.functional.cross_entropy`.
    """
    return ModelLoss(model, criterion)


def torch_logits(model: Any) -> Callable[[Any, Any], Any]:
    """``logits(theta, X) = model(X)`` with ``theta = dict(model.named_parameters())``.

    Parameters
    ----------
    model : as in `torch_loss`
    """
    return ModelLogits(model)


def _as(x: Any, like: Any) -> Any:
    """A tensor of floats in the precision of another."""
    return x.to(like.dtype) if x.is_floating_point() else x
