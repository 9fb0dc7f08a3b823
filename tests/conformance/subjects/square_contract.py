"""A contract such as a user may register: the square of a vector."""

from functools import partial

from hypothesis import strategies as st

from refgrad.contracts.contract import Contract, Problem
from refgrad.contracts.tools.answer import Answer, NotApplicable, Variant


def arguments(inputs, framework):
    return (framework.array(inputs["x"]),)


def vectors(kind):
    integers = st.integers(-3, 3).map(float)
    floats = st.floats(-4, 4, width=32).filter(lambda v: v == 0 or abs(v) > 2**-6)
    return st.lists(integers if kind == "crisp" else floats, min_size=1, max_size=3).map(
        lambda x: Problem(kind, {"x": x})
    )


def power(n, x):
    return Answer(x**n, abs(x) ** n)


def cube_of_pairs(x):
    if x.shape != (2,):
        raise NotApplicable("two numbers only")
    return power(3, x)


def exponential(x):
    from refgrad.backend import of

    e = of(x).exp(x)
    return Answer(e, e)


SQUARE = Contract(
    name="square",
    version="1.0",
    summary="The square of every component.",
    signature="subject(x)",
    returns="x^2, shape of x",
    references=("Euclid, Elements II",),
    problems={kind: partial(vectors, kind) for kind in ("crisp", "rough")},
    arguments=arguments,
    quantity=partial(power, 2),
    shape=lambda inputs: (len(inputs["x"]),),
    variants=(
        Variant("cube", "x^3", "the cube", ("Euclid, Elements XI",), partial(power, 3)),
        Variant("cube-of-pairs", "x^3", "the cube, for two numbers", (), cube_of_pairs),
        Variant("absolute", "|x|", "the absolute value", (), lambda x: Answer(abs(x), abs(x))),
        Variant("exponential", "exp(x)", "the exponential, which is not rational", (), exponential),
    ),
)
