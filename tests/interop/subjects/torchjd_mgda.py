"""The weights of torchjd's MGDA, as its users call it."""

from torchjd.aggregation import MGDAWeighting


def weights(J, max_iters=100):
    return MGDAWeighting(epsilon=1e-12, max_iters=max_iters)(J @ J.T)
