"""Sums of products over named axes: NumPy's values for every spelling, and multilinear derivatives."""

from __future__ import annotations

import itertools
from string import ascii_letters

import array_api_strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import refgrad.numpy as rnp
from refgrad import exact, grad, hessian, jvp, vjp, vmap
from refgrad.errors import InvalidInput, NoDerivative, ShapeError

SPELLINGS = [
    ("ij,jk->ik", (2, 3), (3, 2)),
    ("ij,jk", (2, 3), (3, 2)),
    ("ba", (2, 3)),
    ("bA", (2, 3)),
    ("ii", (3, 3)),
    ("ii->i", (3, 3)),
    ("iii->i", (2, 2, 2)),
    ("iij->ji", (2, 2, 3)),
    ("ijij->j", (2, 3, 2, 3)),
    ("i->", (3,)),
    ("ij->j", (2, 3)),
    ("ijk->kij", (2, 3, 2)),
    ("i,i", (3,), (3,)),
    ("i,i", (1,), (3,)),
    ("i,i", (3,), (1,)),
    ("i,i->i", (1,), (3,)),
    ("ij,ij->", (1, 3), (2, 1)),
    ("ij,jk->ik", (2, 1), (3, 2)),
    ("i,i,i", (1,), (1,), (3,)),
    ("i,i", (1,), (1,)),
    ("ii,i", (1, 1), (3,)),
    ("i,j", (2,), (3,)),
    ("i,j->", (2,), (3,)),
    ("i,ij->i", (2,), (2, 3)),
    ("i,ij->ij", (2,), (2, 3)),
    ("ij,i->ij", (2, 3), (2,)),
    (",i", (), (3,)),
    ("ij,->ji", (2, 3), ()),
    (",", (), ()),
    ("", ()),
    ("i,,j->ji", (2,), (), (3,)),
    ("...", (2, 3)),
    ("...i->...", (2, 3)),
    ("i...->...", (2, 3, 2)),
    ("i...", (2, 3, 2)),
    ("i...i", (2, 3, 2)),
    ("...ij,...jk->...ik", (2, 1, 2, 3), (3, 3, 2)),
    ("...i,...i", (2, 1, 3), (2, 3)),
    ("...,...", (2, 1, 3), (2, 3)),
    ("...i,ij->...j", (2, 2, 3), (3, 2)),
    ("a...b,b->a...", (2, 3, 2), (2,)),
    ("bij,bjk->bik", (2, 2, 3), (2, 3, 2)),
    ("bij,jk->bki", (2, 2, 3), (3, 2)),
    ("ij,jk,kl->il", (2, 3), (3, 2), (2, 2)),
    ("i,ij,j", (2,), (2, 3), (3,)),
    ("ij,kj,lj->ikl", (2, 3), (2, 3), (1, 3)),
    ("i,i,ij->j", (2,), (2,), (2, 2)),
    (" i j , j k -> i k ", (2, 3), (3, 2)),
    ("ij,jk->ik", (2, 0), (0, 3)),
    ("ij,jk->ik", (0, 2), (2, 3)),
]
ids = [f"{s[0]} {s[1:]}" for s in SPELLINGS]


def whole(rng, shape):
    """Whole numbers as NumPy's and as exact arrays."""
    x = rng.integers(-5, 6, shape)
    return x, exact.asarray(x.astype(object))


@pytest.mark.parametrize("spelling", SPELLINGS, ids=ids)
def test_every_spelling_has_numpys_value_on_every_kind_of_array(spelling):
    subscripts, *shapes = spelling
    rng = np.random.default_rng(0)
    plain, rational = zip(*(whole(rng, s) for s in shapes), strict=True)
    expected = np.einsum(subscripts, *plain)
    for optimize in (False, True, "optimal"):
        found = rnp.einsum(subscripts, *rational, optimize=optimize)
        assert found.shape == expected.shape
        assert (found == exact.asarray(expected)).all() if expected.shape else found == int(expected)
    floats = [x.astype(float) for x in plain]
    assert np.array_equal(rnp.einsum(subscripts, *floats), expected)
    strict = rnp.einsum(subscripts, *map(array_api_strict.asarray, floats))
    assert np.array_equal(np.asarray(strict), expected)
    singles = rnp.einsum(subscripts, *(x.astype("float32") for x in plain))
    assert singles.dtype == np.float32


@pytest.mark.parametrize("spelling", SPELLINGS, ids=ids)
def test_derivatives_of_all_orders_are_those_of_a_multilinear_function(spelling):
    subscripts, *shapes = spelling
    rng = np.random.default_rng(1)
    plain, xs = zip(*(whole(rng, s) for s in shapes), strict=True)
    steps, vs = zip(*(whole(rng, s) for s in shapes), strict=True)
    weights, u = whole(rng, np.einsum(subscripts, *plain).shape)
    f = lambda *x: rnp.sum(np.einsum(subscripts, *x) * u)

    def truth(order):
        """``order!`` times the coefficient of t^order in f(x + t v): the sum over which operands are directions."""
        total = 0
        for chosen in itertools.combinations(range(len(plain)), order):
            operands = [steps[k] if k in chosen else plain[k] for k in range(len(plain))]
            total += int((np.einsum(subscripts, *operands) * weights).sum())
        return total * (1, 1, 2, 6)[order]

    def forward(g):
        return lambda *x: jvp(g, x, vs)[1]

    def reverse(g):
        return lambda *x: sum(
            (rnp.sum(a * b) for a, b in zip(grad(g, tuple(range(len(x))))(*x), vs, strict=True)), exact.asarray(0)
        )

    for order in (1, 2, 3):
        for modes in itertools.product((forward, reverse), repeat=order):
            g = f
            for mode in modes:
                g = mode(g)
            assert g(*xs) == truth(order), modes
    gradients = grad(f, tuple(range(len(xs))))(*xs)
    assert [g.shape for g in gradients] == list(shapes)
    # the cotangent of one element: what the sum is with that operand a basis array
    for k, gradient in enumerate(gradients):
        for at in np.ndindex(*shapes[k]):
            basis = np.zeros(shapes[k], int)
            basis[at] = 1
            value = (np.einsum(subscripts, *plain[:k], basis, *plain[k + 1 :]) * weights).sum()
            assert gradient[at] == int(value)


@st.composite
def spelling(draw):
    """Subscripts with repeated letters, lengths of 1, ``...`` and explicit or implicit results; and shapes that fit."""
    length = {c: draw(st.integers(0, 3)) for c in "ijA"}
    wild = draw(st.lists(st.integers(0, 3), max_size=2))
    parts, shapes = [], []
    for _ in range(draw(st.integers(1, 3))):
        names = draw(st.text("ijA", max_size=4))
        short = {c: names.count(c) == 1 and draw(st.booleans()) and draw(st.booleans()) for c in sorted(set(names))}
        shape = [1 if short[c] else length[c] for c in names]
        if draw(st.booleans()):
            at = draw(st.integers(0, len(names)))
            rank = draw(st.integers(0, len(wild)))
            extra = [1 if draw(st.booleans()) else n for n in wild[len(wild) - rank :]]
            names, shape = names[:at] + "..." + names[at:], shape[:at] + extra + shape[at:]
        parts.append(names)
        shapes.append(tuple(shape))
    subscripts = ",".join(parts)
    if draw(st.booleans()):
        letters = sorted(set(subscripts) - set(",."))
        result = "".join(draw(st.lists(st.sampled_from(letters), unique=True))) if letters else ""
        at = draw(st.integers(0, len(result)))
        subscripts += "->" + (result[:at] + "..." + result[at:] if "..." in subscripts else result)
    return subscripts, shapes


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(spelling())
def test_any_spelling_has_numpys_value_and_a_gradient_that_is_its_transpose(drawn):
    subscripts, shapes = drawn
    rng = np.random.default_rng(2)
    plain, xs = zip(*(whole(rng, s) for s in shapes), strict=True)
    expected = np.einsum(subscripts, *plain)
    y, back = vjp(lambda *x: rnp.einsum(subscripts, *x), *xs)
    assert y.shape == expected.shape
    assert np.all(y == exact.asarray(expected))
    gs = back(y)
    assert [g.shape for g in gs] == shapes
    # y is linear in each operand, so <y, y> = <x_k, its cotangent> for every k
    for x, g in zip(xs, gs, strict=True):
        assert rnp.sum(x * g) == int((expected * expected).sum())


def test_a_dot_product_with_a_vector_of_length_one_has_the_gradient_of_its_repetition():
    # an engine that forgets the repetition gives a gradient of shape (3,) or only its first element
    x, y = np.array([2.0]), np.array([1.0, 3.0, 5.0])
    a, b = grad(lambda x, y: np.einsum("i,i", x, y), (0, 1))(x, y)
    assert a.tolist() == [9.0]
    assert b.tolist() == [2.0, 2.0, 2.0]
    assert hessian(lambda x: np.einsum("i,i", x * x, y))(x).tolist() == [[18.0]]


def test_lists_of_numbers_name_axes_too():
    a, b = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 2, 2)
    for result in ([], [[0, Ellipsis]]):
        expected = np.einsum(a, [0, 1], b, [1, Ellipsis], *result)
        y, _ = vjp(lambda a, r=result: np.einsum(a, [0, 1], b, [1, Ellipsis], *r), a)
        assert np.array_equal(y, expected)


def test_constants_may_be_integers_booleans_lists_and_python_numbers_and_keep_float32():
    x = np.array([[1.5, -2.0], [0.5, 4.0]], np.float32)
    mask, small = np.array([True, False]), np.array([100, 100, 100], np.int8)
    y, back = vjp(lambda x: np.einsum("ij,j,,k->i", x, mask, 2, small), x)
    assert y.tolist() == [900.0, 300.0]
    assert y.dtype == np.float32
    assert back(y)[0].tolist() == [[900.0 * 600, 0], [300.0 * 600, 0]]
    assert back(y)[0].dtype == np.float32
    g = grad(lambda x: np.einsum("ij,i,->", x, [1, 2], 0.5))(exact.asarray([[1, 2], [3, 4]]).astype("float64"))
    assert g.tolist() == [[0.5, 0.5], [1.0, 1.0]]
    e = exact.asarray([[1, 2], [3, 4]])
    assert (
        grad(lambda x: np.einsum("ij,i,", x, np.array([1, 2]), 3).sum())(e) == exact.asarray([[3, 3], [6, 6]])
    ).all()
    assert vjp(lambda x: np.einsum("ij,j", x, np.array([1, 2])), x)[0].dtype == np.float64  # as NumPy has it


def test_batches_are_the_loop_over_examples():
    rng = np.random.default_rng(0)
    A, B = (exact.asarray(rng.integers(-3, 4, s).astype(object)) for s in ((3, 2, 2), (3, 2)))
    f = lambda a, b: rnp.einsum("ii,ij,j->j", a, a, b)
    for axes in ((0, 0), (0, None), (None, 0)):
        given = [X if axis == 0 else X[0] for X, axis in zip((A, B), axes, strict=True)]
        of = lambda n, axes=axes: [X[n if axis == 0 else 0] for X, axis in zip((A, B), axes, strict=True)]
        assert (vmap(f, axes)(*given) == np.stack([f(*of(n)) for n in range(3)])).all()
        g = grad(lambda a, b: rnp.sum(f(a, b) ** 2), 0)
        assert (vmap(g, axes)(*given) == np.stack([g(*of(n)) for n in range(3)])).all()


def test_a_batch_needs_a_letter_for_its_examples():
    x = np.ones((2, *(1,) * 26))
    left, right = ascii_letters[:26], ascii_letters[26:]
    assert vmap(lambda x: rnp.einsum(f"{left},{right[1:]}->{left}{right[1:]}", x, x[0]))(x).shape == (2, *(1,) * 51)
    with pytest.raises(ShapeError, match="none of the 52 letters for the examples"):
        vmap(lambda x: rnp.einsum(f"{left},{right}->{left}{right}", x, x))(x)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: rnp.einsum("i", x), ShapeError, "operand with 2 axes"),
        (lambda x: rnp.einsum("...ijk", x), ShapeError, "operand with 2 axes"),
        (lambda x: rnp.einsum("ij,ij", x), InvalidInput, "2 parts for 1 operands"),
        (lambda x: rnp.einsum("ij->ik", x), InvalidInput, "each letter of the result once"),
        (lambda x: rnp.einsum("ij->ii", x), InvalidInput, "each letter of the result once"),
        (lambda x: rnp.einsum("i.j", x), InvalidInput, "expected letters"),
        (lambda x: rnp.einsum("......ij", x), InvalidInput, "expected letters"),
        (lambda x: vjp(lambda x: rnp.einsum("...j->j", x), x), ShapeError, r"no \.\.\."),
        (lambda x: rnp.einsum("ii", x), ShapeError, r"twice in an operand of shape \(2, 3\)"),
        (lambda x: rnp.einsum("ii", x[:, :1]), ShapeError, "twice"),
        (lambda x: rnp.einsum("ij,ji", x, x), ShapeError, "length 3 in one operand and 2 in another"),
        (lambda x: rnp.einsum(x, [0, 60]), InvalidInput, "ints below 52"),
        (lambda x: rnp.einsum(x, x), InvalidInput, "in turn"),
        (lambda x: rnp.einsum(ascii_letters + "...", rnp.reshape(x, (*(1,) * 52, 6))), InvalidInput, "52 letters"),
        (lambda x: grad(lambda x: np.einsum("ij->", x, out=x))(x), NoDerivative, "einsum"),
    ],
)
def test_what_does_not_fit_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call(np.ones((2, 3)))
