"""Min-norm weights by fictitious play: every turn adds the gradient that the average so far serves worst.

    u_{n+1} = n/(n+1) u_n + 1/(n+1) g_tau,     tau = argmin_k <g_k, u_n>,     u_1 = g_1

is Frank-Wolfe with the step 1/(n+1), and fictitious play of the game ``max_u min_k``. Its weights after n turns are
counts divided by n, so that n times the weights are integers *exactly*: an implementation whose weights are not such
takes another step size. With D the largest distance between two gradients and ``h_n = |u_n|^2 / 2 - |v|^2 / 2``,

    (n + 1) h_{n+1} <= n h_n + D^2 / (2 (n + 1)),    hence    n h_n <= h_1 + D^2/2 (1/2 + 1/3 + ... + 1/n).

References
----------
Brown 1951, Iterative solution of games by fictitious play; Frank and Wolfe 1956, An algorithm for quadratic
programming; Jaggi 2013, Revisiting Frank-Wolfe, lemma 5, for the recursion of h_n.
"""

from __future__ import annotations

from refgrad.backend import of
from refgrad.contracts.multitask.min_norm import embed
from refgrad.errors import InvalidInput
from refgrad.typing import Array

__all__ = ["fictitious_play"]


def fictitious_play(J: Array, steps: int) -> Array:
    """The weights of ``u_n`` with n = `steps`, shape (K,): how often each row was the worst served, divided by n.

    Parameters
    ----------
    J : array, shape (K, n)
        The first row is taken at the first turn; of several worst ones the first.
    steps : int
        How many turns, at least 1.

    Raises
    ------
    InvalidInput
        If `steps` is below 1.
    """
    if steps < 1:
        raise InvalidInput(f"fictitious_play: expected steps >= 1, got {steps}; no turn leaves no weights")
    G = J @ J.T
    counts = [1] + [0] * (len(G) - 1)
    products = G[0]  # n <g_k, u_n>, whose argmin is that of <g_k, u_n>
    for _ in range(steps - 1):
        worst = int(of(G).argmax(-products, 0))
        counts[worst] += 1
        products = products + G[worst]
    return embed(G, range(len(G)), [0 * G[0, 0] + count for count in counts]) / steps
