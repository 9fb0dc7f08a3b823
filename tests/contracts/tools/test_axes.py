"""Variants follow from the axes of a recipe, one choice at a time and two at a time."""

from dataclasses import dataclass

from refgrad import exact
from refgrad.contracts.tools import Choice, products, singles


@dataclass(frozen=True)
class Recipe:
    power: int = 1
    scale: int = 1
    shift: int = 0


def compute(recipe):
    return lambda x: recipe.scale * x**recipe.power + recipe.shift


CHOICES = (
    Choice("squared", "x^2", "the square", {"power": 2}, ("A",)),
    Choice("cubed", "x^3", "the cube", {"power": 3}, ("B",)),
    Choice("doubled", "2 x", "twice", {"scale": 2}, declare="scale=two"),
    Choice("raised", "x + 1", "one more", {"shift": 1}, declare="shift=one"),
)


def value(variant):
    return exact.to_fractions(variant.answer(exact.asarray([3])).value).tolist()


def test_single_choices_change_one_field():
    assert {v.name: value(v) for v in singles(compute, Recipe(), CHOICES)} == {
        "squared": [9],
        "cubed": [27],
        "doubled": [6],
        "raised": [4],
    }


def test_products_combine_choices_on_different_axes_alone():
    found = {v.name: value(v) for v in products(compute, Recipe(), CHOICES)}
    assert found == {
        "squared-with-doubled": [18],
        "squared-with-raised": [10],
        "cubed-with-doubled": [54],
        "cubed-with-raised": [28],
        "doubled-with-raised": [7],
    }


def test_a_product_says_what_both_say():
    (first, *_) = products(compute, Recipe(), CHOICES)
    assert (first.formula, first.meaning, first.references) == ("x^2; 2 x", "the square; and twice", ("A",))


def test_only_what_is_all_convention_can_be_declared():
    found = {v.name: v.declare for v in products(compute, Recipe(), CHOICES)}
    assert found["doubled-with-raised"] == "--param scale=two --param shift=one"
    assert found["squared-with-doubled"] == ""


def test_the_base_is_no_variant_of_itself_and_its_default_is_one_of_another_base():
    plain = Choice("plain", "x", "the number", {"power": 1})
    assert [v.name for v in singles(compute, Recipe(power=2), (*CHOICES, plain))] == [
        "cubed",
        "doubled",
        "raised",
        "plain",
    ]
