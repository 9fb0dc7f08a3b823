"""How times and sizes are measured here, and the summary: figures next to what is wanted of them.

CPU time of this process, in turns: every function once per round, so that a busy machine disturbs all alike, and the
best of all rounds. Only ratios within one run are to be compared.
"""

from __future__ import annotations

import time
import tracemalloc

SUMMARY = []
"""Rows (what, figure, unit, wanted), in the order measured; printed when the session ends."""


def microseconds(functions, rounds=40, inner=25):
    """The best CPU time of each function."""
    best = dict.fromkeys(functions, float("inf"))
    for f in functions.values():
        f()
    for _ in range(rounds):
        for name, f in functions.items():
            start = time.process_time()
            for _ in range(inner):
                f()
            best[name] = min(best[name], (time.process_time() - start) / inner * 1e6)
    return best


def table(title, times, against):
    """Print the times, and the ratio of those that `against` maps to the name of another."""
    print(f"\n{title}")
    for name, value in times.items():
        base = times.get(against.get(name))
        print(f"  {name:<44}{value:>12.1f} us" + (f"{value / base:>8.2f} x {against[name]}" if base else ""))


def peak(f):
    """The most memory in bytes that is in use at once while f runs; NumPy reports its arrays."""
    f()
    tracemalloc.start()
    f()
    _, size = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size


def summarise(what, figure, unit, wanted):
    """Put a figure into the summary, with what is wanted of it, such as ``"<= 6"``."""
    SUMMARY.append((what, figure, unit, wanted))
