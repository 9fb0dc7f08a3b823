"""Fisher information and quadratic penalties by their definitions, and what is computed in their place."""
