"""The imaginary part of the penalty at theta + i h e_j."""

import numpy as np

H = 1e-100


def subject(theta, theta_star, fisher, lam):
    steps = theta + 1j * H * np.eye(len(theta)) - theta_star
    return (lam / 2 * (fisher * steps**2).sum(1)).imag / H
