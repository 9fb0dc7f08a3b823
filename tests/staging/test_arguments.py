"""Which arguments a program is for: containers and their types, the order of keys, static objects, names."""

from __future__ import annotations

import enum
from collections import OrderedDict, namedtuple
from dataclasses import dataclass

import array_api_strict
import numpy as np
import pytest
from helpers.bits import same_bits

from refgrad import grad, source, stage, vmap
from refgrad.errors import NoDerivative

x, v = np.array([0.5, -1.0, 2.0]), np.array([1.0, 2.0, -1.0])


def run(text, *args):
    """The last function of a module, called."""
    module = {}
    exec(text, module)
    return module[text[text.rindex("\ndef ") + 5 :].split("(")[0]](*args)


def agree(f, *args):
    """Whether f, its program and its source say the same."""
    staged = stage(f)
    return all(same_bits(f(*args), g(*args)) for g in (staged, staged, lambda *a: run(source(f, *a), *a)))


Point = namedtuple("Point", "a b")
Turned = namedtuple("Turned", "b a")


@dataclass(frozen=True)
class Weights:
    a: object
    b: object


@dataclass(frozen=True)
class Others:
    b: object
    a: object


class Colour(enum.IntEnum):
    RED = 1
    BLUE = 2


class Mode(enum.StrEnum):
    FAST = "fast"


def test_keyword_arguments_are_told_by_their_names_whatever_their_order():
    def f(a, b):
        return a - 2 * b

    staged = stage(f)
    for _ in range(2):
        assert same_bits(staged(b=x, a=v), f(v, x))
        assert same_bits(staged(a=v, b=x), f(v, x))
        assert same_bits(staged(v, b=x), f(v, x))
        assert same_bits(staged(b=x > 0, a=v), f(v, x > 0))


@pytest.mark.parametrize("name", ["np", "type", "pad", "otherwise", "f", "lambda", "x y", "_x", "1", "\ufb01", "held"])
def test_a_keyword_argument_may_have_any_name(name):
    def f(**given):
        return given[name] * 2

    assert same_bits(stage(f)(**{name: x}), x * 2)


def test_two_spellings_of_one_identifier_are_two_names():
    def f(d):
        return d["\ufb01"] - d["fi"]  # the ligature is fi for Python

    assert agree(f, {"\ufb01": x, "fi": v})


def test_the_order_of_keys_is_the_order_of_the_sum():
    def f(d):
        return sum(d.values()), d

    def g(**d):
        return f(d)

    a, b, c = np.float64(1e16), np.float64(1.0), np.float64(-1e16)
    staged, starred = stage(f), stage(g)
    for d in ({"a": a, "b": b, "c": c}, {"a": a, "c": c, "b": b}, {"b": b, "a": a, "c": c}):
        for found in (staged(d), starred(**d)):
            assert same_bits(found, f(d))
            assert list(found[1]) == list(d)


def test_containers_of_other_types_are_not_taken_for_those_of_the_first_program():
    def difference(p):
        return p.a - p.b if hasattr(p, "a") else p * 2

    for kind, other in ((Point, Turned), (Weights, Others)):
        staged = stage(difference)
        staged(kind(x, v))
        assert same_bits(staged(other(x, v)), v - x)
        assert same_bits(staged(2.0), 4.0)
    same = stage(lambda c: c)
    same(OrderedDict(a=x))
    assert type(same({"a": x})) is dict
    assert type(same(OrderedDict(a=x))) is OrderedDict


def test_members_of_an_enumeration_are_static_values_and_keys():
    staged = stage(lambda a, colour: a * 2 if colour is Colour.RED else a * 3)
    for colour in (Colour.RED, Colour.BLUE, 1, Colour.RED):
        assert same_bits(staged(x, colour), x * 2 if colour is Colour.RED else x * 3)
    assert same_bits(stage(lambda a, mode: a * len(mode))(x, Mode.FAST), x * 4)
    assert same_bits(stage(lambda d: {Mode.FAST: d[Colour.RED]})({Colour.RED: x}), {Mode.FAST: x})
    with pytest.raises(NoDerivative, match="keys"):
        source(lambda d: {Mode.FAST: d}, x)


@pytest.mark.parametrize("text", ['"""', "\n", "\\", "\\N{x}", 'end"', "a  b" * 60, "\t", "\0", 'it\'s "q" ' * 20])
def test_any_string_may_be_a_static_value_or_a_key(text):
    for key in (text, text.encode(), (text, 1.0)):
        assert agree(lambda d, key=key: d[key] * 2, {key: x})
        assert agree(lambda d, key=key: {key: d[key] * 2, "same": key}, {key: x})
        assert agree(lambda a, k: a * len(k), x, text.encode())


def test_keys_that_are_no_names_and_numbers_without_a_literal():
    assert agree(
        lambda d: d["x\u00b2"] + d["1"] + d["a b"] + d[np.inf] + d[-0.5],
        dict.fromkeys(["x\u00b2", "1", "a b", np.inf, -0.5], x),
    )


def test_local_variables_may_have_the_names_that_checks_need():
    def f(d, a):
        set = np.tanh(a)
        dtype_float64 = set * set
        _1 = dtype_float64 + set
        type = _1 * dtype_float64
        return set, dtype_float64, _1, type

    def _1(dtype_float64):
        return dtype_float64 * 2

    assert agree(f, {}, x)
    assert agree(_1, x)


def test_a_set_may_change_and_so_is_not_static():
    staged = stage(lambda a, s: a * len(s))
    names = {1}
    assert same_bits(staged(x, names), x)
    names.add(2)
    assert same_bits(staged(x, names), x * 2)


@pytest.mark.parametrize("result", [lambda a: {1, 2}, lambda a: (b for b in a), lambda a: bytearray(b"a")])
def test_results_that_would_be_one_object_for_all_calls_are_refused(result):
    with pytest.raises(NoDerivative, match="one object for all calls"):
        stage(result)(x)


@pytest.mark.parametrize("wrong", [9, -9])
def test_an_index_out_of_bounds_is_an_error_in_every_run(wrong):
    matrix, places = np.arange(20.0).reshape(4, 5), np.array([0, 4, -5, 2])

    def picked(rows, places):
        return vmap(lambda row, place: row[place])(rows, places), vmap(grad(lambda r, p: r[p] ** 2))(rows, places)

    staged = stage(picked, matrix, np.zeros(4, int))
    assert same_bits(staged(matrix, places), picked(matrix, places))
    for f in (picked, staged):
        with pytest.raises(IndexError):
            f(matrix, np.array([0, 1, wrong, 2]))  # not the element of another row


def test_numbers_that_are_no_doubles_keep_type_and_value():
    third = np.longdouble(1) / 3
    thirds = np.arange(1, 4, dtype=np.longdouble) / 3
    swapped = x.astype(">f8")
    same = np.full(3, third)
    assert agree(lambda a: (a * third, a * thirds, thirds * a + same, third, a * swapped), x)
    assert agree(lambda a: a * thirds + same, thirds)
    assert agree(lambda a: a * 2, np.longlong(3))
    assert agree(lambda a: a * 2, np.arange(3, dtype=np.longlong))
    staged = stage(lambda a, b: a * b)
    assert same_bits(staged(swapped, x), swapped * x)


def test_a_program_is_of_numpys_numbers_and_other_arrays_are_no_examples_of_them():
    f = lambda x: np.sum(x * x)
    for example, said in ((array_api_strict.ones(2), "array_api_strict.Array of dtype"), (x * 1j, "numpy.ndarray of")):
        for make in (stage, source):
            with pytest.raises(NoDerivative, match=f"{make.__name__}.*got {said}.*a program is NumPy source"):
                make(f, example)
    assert float(stage(f)(array_api_strict.ones(2))) == 2.0  # f itself
