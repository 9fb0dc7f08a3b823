"""Every primitive, its gradient and its Hessian-vector product: staged is eager, bit for bit, and so is the source."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
from helpers.bits import same_bits
from helpers.sampling import arguments
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from refgrad import grad, hvp, source, stage
from refgrad.autodiff.core import PRIMITIVES
from refgrad.numpy import sum as total
from refgrad.staging import buffers

CASES = [pytest.param(p, c, id=f"{p.name}-{i}") for p in PRIMITIVES.values() for i, c in enumerate(p.cases)]
few = settings(max_examples=2, deadline=None, derandomize=True, database=None, phases=[Phase.generate])


def floats(arrays, dtype, order="C"):
    """The arguments as NumPy arrays: numbers of `dtype` in the memory order asked for, others as they are."""
    return tuple(
        np.asarray(a.astype(dtype), order=order) if hasattr(a, "field") else np.asarray(a, order=order) for a in arrays
    )


def derivatives(primitive, case, arrays):
    """The primitive, and where it has rules the gradient and the HVP of the sum of its squares."""

    def value(*xs):
        return primitive(*xs, **case.params)

    functions = {"value": value}
    places = tuple(i for i, a in enumerate(arrays) if a.dtype.kind == "f")
    if primitive.vjp is not None and places:

        def loss(*xs):
            y = primitive(*xs, **case.params)
            return total(y * y)

        def product(*xs):
            def of_reals(reals):
                args = list(xs)
                for i, x in zip(places, reals, strict=True):
                    args[i] = x
                return loss(*args)

            reals = tuple(xs[i] for i in places)
            return hvp(of_reals, reals, reals)

        functions["gradient"] = grad(loss, places)
        functions["product"] = product
    return functions


@pytest.mark.parametrize("smallest", [0, buffers.SMALLEST])
@pytest.mark.parametrize(("primitive", "case"), CASES)
@few
@given(data=st.data())
def test_staged_is_eager_bit_for_bit(primitive, case, smallest, data):
    drawn = data.draw(arguments(case))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(buffers, "SMALLEST", smallest)
        for dtype in ("float64", "float32"):
            xs = floats(drawn, dtype)
            for name, f in derivatives(primitive, case, xs).items():
                staged = stage(f, *xs)
                assert same_bits(staged(*xs), f(*xs)), (name, dtype)
                other = tuple(
                    x[::-1] if x.ndim and x.dtype.kind == "f" and primitive.name not in PARTICULAR else x for x in xs
                )
                assert same_bits(staged(*other), f(*other)), (name, dtype, "other values, other strides")
                columns = floats(drawn, dtype, "F")
                assert same_bits(staged(*columns), f(*columns)), (name, dtype, "column-major")
                assert len(staged.programs) == 1


PARTICULAR = {"cholesky"}
"""Primitives whose argument, turned upside down, is no argument."""

RUN = """
import pickle, sys
for name in list(sys.modules):
    assert not name.startswith("refgrad")
sys.modules["refgrad"] = None  # any import of it fails
results = []
for source, name, args in pickle.load(sys.stdin.buffer):
    module = {}
    exec(source, module)
    results.append(module[name](*args))
sys.stdout.buffer.write(pickle.dumps(results))
"""


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_exported_source_gives_the_same_bits_where_refgrad_cannot_be_imported(dtype):
    programs, expected, labels = [], [], []

    @settings(max_examples=1, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
    @given(data=st.data())
    def collect(data):
        for parameter in CASES:
            primitive, case = parameter.values
            xs = floats(data.draw(arguments(case)), dtype)
            for name, f in derivatives(primitive, case, xs).items():
                text = source(f, *xs)
                function = text[text.rindex("\ndef ") + 5 :].split("(")[0]
                programs.append((text, function, xs))
                expected.append(f(*xs))
                labels.append((parameter.id, name))

    collect()
    ran = subprocess.run([sys.executable, "-c", RUN], input=pickle.dumps(programs), capture_output=True, check=True)
    results = pickle.loads(ran.stdout)
    assert len(results) == len(labels) > len(CASES)
    different = [label for label, a, b in zip(labels, results, expected, strict=True) if not same_bits(a, b)]
    assert different == []
