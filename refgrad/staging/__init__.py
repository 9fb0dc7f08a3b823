"""From an execution to a program: any function of arrays, derivatives included, as straight-line NumPy source.

`stage` runs a function as a recorded program, `source` prints that program. The way from one to the other, file by
file: `refgrad.autodiff.record` lists the primitives of a run; `program` keeps them with the arguments and results,
`provenance` finds what they are called; `simplify` drops what is not needed; `buffers` finds results that may be
written into memory no longer needed; `expressions`, `constants`, `guard` and `emit` write it all down; `module` makes
it a function of this process or a module of its own. `surroundings` sees, when it is called, whether a variable that
the function read while it was recorded has another value.

>>> import numpy as np
>>> from refgrad import grad, source
>>> def loss(w, x):
...     h = np.exp(w * x)
...     return np.sum(h * h)
>>> text = source(grad(loss), 0.5, np.ones(3))
>>> print(text[text.index("    h ="):])
    h = np.exp(w * x)  # (3,)
    h_bar = h + h  # (3,)
    w_bar = (h_bar * h * x).sum()
    return w_bar
<BLANKLINE>
"""

from __future__ import annotations

from refgrad.staging.staged import Staged, source, stage

__all__ = ["Staged", "source", "stage"]
