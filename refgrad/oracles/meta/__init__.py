"""Meta-gradients by explicit recursions, and what is computed in their place."""
