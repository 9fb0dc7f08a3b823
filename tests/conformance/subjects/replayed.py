"""A function that returns what has been written for it: the numbers of a formula, on their way through a process."""

import json
import os
from pathlib import Path

import numpy as np


def subject(*arguments):
    written = json.loads(Path(os.environ["REFGRAD_REPLAYED"]).read_text())
    return np.array([float.fromhex(x) for x in written["hex"]], written["dtype"]).reshape(written["shape"])
