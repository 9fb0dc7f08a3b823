"""From outputs to a verdict: the truth, the sweep over problems, the formula that fits, the grade, the smallest input.

Read `referee`, `run`, `diagnosis`, `verdict`, `shrink`, in this order; beside them stand what some problems have in
common (`groups`), factors (`factor`), iterative subjects (`certificate`, `iterative`), rounding (`precision`) and what
is left to say (`unexplained`).
"""
