"""From outputs to a verdict: the truth, the sweep over problems, the formula that fits, the grade, the smallest input.

Read `referee`, `run`, `diagnosis`, `verdict`, `shrink`, in this order.
"""
