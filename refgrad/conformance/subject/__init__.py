"""The function under test: found, given arrays of its framework, called in a process of its own, its outcome noted."""
