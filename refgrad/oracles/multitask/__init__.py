"""The shortest vector in the hull of several gradients, exactly, and what is computed in its place."""
