"""A contract with wide problems: the path that `steps` equal steps of a vector make, ``theta + steps lr x``."""

from dataclasses import dataclass

from hypothesis import strategies as st

from refgrad.contracts.contract import Contract, each_kind
from refgrad.contracts.tools import Choice, measured, products, singles
from refgrad.contracts.wide import Wide
from refgrad.strategies.numbers import entries, vector

LRS = {"positive": 0.5, "negative": -0.25, "zero": 0.0}


@dataclass(frozen=True)
class Recipe:
    steps: int = 0
    scale: int = 1
    start: bool = True


def compute(recipe):
    def path(theta, x, lr, steps):
        moved = recipe.scale * (steps + recipe.steps) * lr * x
        return theta + moved if recipe.start else moved

    return path


CHOICES = (
    Choice("one-step-fewer", "theta + (k - 1) lr x", "one step fewer", {"steps": -1}),
    Choice("doubled", "theta + 2 k lr x", "steps of twice the length", {"scale": 2}),
    Choice("move", "k lr x", "the move alone", {"start": False}, declare="output=move"),
)


@st.composite
def paths(draw, kind):
    n = draw(st.integers(1, 2))
    theta, x = (draw(vector(entries(kind), n)) for _ in range(2))
    return {"theta": theta, "x": x, "lr": draw(st.sampled_from(list(LRS.values()))), "steps": draw(st.integers(1, 3))}


def build(numbers, steps, parameters, lr):
    theta, x = numbers.vector(parameters), numbers.vector(parameters)
    return {"theta": theta, "x": x, "lr": LRS[lr], "steps": steps}


def measure(inputs):
    sign = "positive" if inputs["lr"] > 0 else "negative" if inputs["lr"] < 0 else "zero"
    return {"steps": inputs["steps"], "parameters": len(inputs["x"]), "lr": sign}


def arguments(inputs, framework):
    theta, x = (framework.array(inputs[name]) for name in ("theta", "x"))
    return theta, x, framework.scalar(inputs["lr"]), int(inputs["steps"])


def shape(inputs):
    return (len(inputs["x"]),)


def made(recipe):
    return Contract(
        name="path",
        version="1.0",
        summary="Where equal steps lead.",
        signature="subject(theta, x, lr, steps)",
        returns="theta + steps lr x",
        references=(),
        problems=each_kind(paths),
        arguments=arguments,
        quantity=measured(compute(recipe)),
        shape=shape,
        variants=singles(compute, recipe, CHOICES),
        products=lambda: products(compute, recipe, CHOICES),
        wide=Wide({"steps": range(1, 7), "parameters": range(1, 9), "lr": tuple(LRS)}, build, measure),
        conventions={"output": ("path", "move")},
        declared=lambda output: made(Recipe(start=output == "path")),
    )


PATH = made(Recipe())
