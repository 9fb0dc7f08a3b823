"""Min-norm weights by Wolfe's active set, with least squares on differences of gradients, in float32."""

from right.min_norm.wolfe_least_squares import subject  # noqa: F401

DTYPE = "float32"
