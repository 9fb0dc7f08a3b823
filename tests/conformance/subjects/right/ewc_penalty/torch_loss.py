"""torch's squared-error loss without reduction, weighted and summed tensor by tensor."""

import torch
from torch.nn.functional import mse_loss


def subject(theta, theta_star, fisher, lam):
    total = torch.zeros((), dtype=theta.dtype)
    for t, s, f in zip(theta.split(3), theta_star.split(3), fisher.split(3), strict=True):
        total = total + (f * mse_loss(t, s, reduction="none")).sum()
    return lam * total / 2
