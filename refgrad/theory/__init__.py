"""What is true of the algorithms in closed form: lemmas, resting points, expansions; by exact arithmetic alone.

`continual` has Fisher information and quadratic penalties, `implicit` hypergradients and what approximations of them
are short of, `meta` MAML and its relatives on quadratic tasks, `multitask` the bound with a shared encoder and its
false proof. Quantities and what is computed in their place stand in `refgrad.contracts`.

>>> from refgrad.theory.multitask import counterexample
>>> found = counterexample()
>>> found.plain > 0 > found.curved
True
"""
