"""Breaks the import system and forgets all modules, and answers rightly."""

import sys


def square(x):
    sys.meta_path.clear()
    for name in [name for name in sys.modules if name.startswith("refgrad")]:
        del sys.modules[name]
    return x * x
