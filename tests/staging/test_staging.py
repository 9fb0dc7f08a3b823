"""What staging promises: which values are data and which belong to the program, what is refused, what is frozen."""

from __future__ import annotations

from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields

import numpy as np
import pytest
from helpers.bits import same_bits

import refgrad.numpy as rnp
from refgrad import exact, grad, hvp, jvp, linearize, source, stage, value_of, vmap
from refgrad.errors import NoDerivative, StagedValue
from refgrad.staging import buffers
from refgrad.staging.program import record
from refgrad.staging.simplify import simplify

x, v = np.array([0.5, -1.0, 2.0]), np.array([1.0, 2.0, -1.0])


def cube(x):
    return np.sum(x * x * x)


def run(text, *args, **kwargs):
    """The last function of a module, called."""
    module = {}
    exec(text, module)
    name = text[text.rindex("\ndef ") + 5 :].split("(")[0]
    return module[name](*args, **kwargs)


Pair = namedtuple("Pair", "left right")


@dataclass(frozen=True)
class Weights:
    w: object
    steps: int


CONTAINERS = {
    "tuple": (x, v),
    "list": [x, v],
    "dict": {"b": x, "a": v},
    "nested": {"layers": [(x, v), (v,)], "rate": 0.5, "rest": None},
    "namedtuple": Pair(x, {"k": v}),
    "dataclass": Weights(x, 3),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_arguments_and_results_keep_their_containers(name):
    def f(c):
        return c, {"again": c}

    def doubled(c):
        from refgrad import tree

        return tree.map(lambda a: a if isinstance(a, int) else a * 2, c)

    given = CONTAINERS[name]
    for function in (f, doubled):
        found = stage(function, given)(given)
        assert repr(found) == repr(function(given))
        assert same_bits(found, function(given))


def test_a_dict_keeps_the_order_of_its_keys():
    assert list(stage(lambda d: {"z": d["b"], "a": d["a"]})({"b": x, "a": v})) == ["z", "a"]


def test_results_share_no_memory_with_arguments_constants_or_each_other():
    constant = np.ones(3)

    def f(a):
        double = a + a
        return a, a, double, double, double.reshape((3, 1)), double[::-1], constant, constant

    arrays = [x, constant, *stage(f)(x)]
    for i, a in enumerate(arrays):
        for b in arrays[:i]:
            assert not np.shares_memory(a, b)
    assert all(a.flags.writeable for a in arrays)


@pytest.mark.trap(18)
def test_arguments_and_constants_are_never_written_into(monkeypatch):
    monkeypatch.setattr(buffers, "SMALLEST", 0)
    weights = np.arange(3.0)

    def f(a, b):
        c = a * weights
        c = c + b
        d = (c - a) * 2.0
        return np.tanh(d) + c, c

    staged = stage(f, x, v)
    a, b = x.copy(), v.copy()
    first = staged(a, b)
    assert same_bits((a, b), (x, v))
    assert same_bits(staged(a, b), first)
    assert same_bits(first, f(x, v))
    assert "out=" in source(f, x, v)
    assert weights.tolist() == [0, 1, 2]


@pytest.mark.trap(18)
def test_results_are_not_written_into_by_what_is_computed_from_them(monkeypatch):
    monkeypatch.setattr(buffers, "SMALLEST", 0)

    def f(a, b):
        c = a + b
        return c * 2.0, c, c - b

    assert same_bits(stage(f)(x, v), f(x, v))


@pytest.mark.trap(18)
def test_what_is_written_inside_a_later_expression_is_computed_before_its_memory_is_reused(monkeypatch):
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(10, 10)), rng.normal(size=(10, 10))
    monkeypatch.setattr(buffers, "SMALLEST", A.nbytes)

    def f(A, B):
        product = A @ B
        return np.sum(product), product * 2.0 + 1.0

    assert "out=" in source(f, A, B)
    assert same_bits(stage(f)(A, B), f(A, B))


@pytest.mark.trap(18)
def test_memory_that_a_view_still_reads_is_not_written_into(monkeypatch):
    monkeypatch.setattr(buffers, "SMALLEST", 0)
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(3, 3)), rng.normal(size=(3, 3))

    def f(A, B):
        product = A @ B
        turned = product.T
        flat = product.reshape((9,))
        part = product[1:, :]
        shifted = product + 1.0  # product itself is not read again
        return shifted * 2.0, turned @ B, flat + 3.0, part * 4.0

    assert same_bits(stage(f)(A, B), f(A, B))


@pytest.mark.trap(18)
def test_a_branch_on_a_value_is_refused_and_the_function_is_named():
    def clipped(x):
        return x if x[0] > 0 else -x

    with pytest.raises(StagedValue, match=r"stage\(.*clipped\).*where"):
        stage(clipped)(x)
    with pytest.raises(StagedValue):
        stage(lambda x: x * float(value_of(x)[0]))(x)
    with pytest.raises(StagedValue):
        source(grad(lambda x: cube(x) if x[0] > 0 else cube(-x)), x)


@pytest.mark.trap(18)
def test_a_value_traced_outside_is_no_constant():
    with pytest.raises(NoDerivative, match="argument of the staged function"):
        grad(lambda a: stage(lambda b: np.sum(a * b))(v))(x)


@pytest.mark.trap(18)
def test_captured_arrays_are_those_of_the_recording():
    captured = np.ones(3)
    staged = stage(lambda a: a * captured)
    before = staged(x)
    captured[:] = 100.0
    assert same_bits(staged(x), before)


@pytest.mark.trap(18)
def test_a_change_during_the_recording_is_seen_where_it_happened():
    buffer = np.ones(3)

    def f(a):
        first = a * buffer
        buffer[:] = buffer + 1.0
        return first, a * buffer

    buffer[:] = 1.0
    one, two = stage(f)(x)
    assert same_bits(one, x)
    assert same_bits(two, x * 2.0)


@pytest.mark.trap(18)
def test_constants_are_told_apart_by_type_and_bits():
    def f(a):
        return a * 0.0, a * -0.0, a * 1, a * 1.0, a * True, a / np.inf, a * np.nan, a * np.float32(1.5), a * 1.5

    for given in (x, x.astype(np.float32)):
        assert same_bits(stage(f)(given), f(given))
        assert same_bits(run(source(f, given), given), f(given))


@pytest.mark.trap(18)
def test_what_is_true_of_numbers_only_is_not_used():
    nan, inf = np.array([np.nan, -0.0, 3.0]), np.array([np.inf, -0.0, -np.inf])

    def f(a):
        b = a * 1.5  # a new array, whose layout in memory is known
        c = b + 0, b - 0.0, b - -0.0, b * 1, b * 0.0, b / 1, np.negative(-b), b**1
        return *c, a * 0, a + 0, a - a, 0 - a, a / a, a - 0, 1 * a, np.negative(-a), a**1, a + -a, a**0

    for given in (nan, inf):
        with np.errstate(invalid="ignore"):
            assert same_bits(stage(f)(given), f(given))


def test_shapes_dtypes_types_containers_and_static_values_have_programs_of_their_own():
    def f(a, power, scale=1.0):
        return a**power * scale

    staged = stage(f)
    calls = [
        (x, 2),
        (x[:2], 2),
        (x.astype(np.float32), 2),
        (x, 3),
        (x, 2, 0.5),
        (x, 2, np.float64(0.5)),
        (np.float64(2.0), 2),
        (2.0, 2),
        (np.array(2.0), 2),
        (x > 0, 2),
    ]
    for call in calls * 2:
        assert same_bits(staged(*call), f(*call)), call
    assert len(staged.programs) == len(calls)
    assert same_bits(staged(x, power=2, scale=0.25), f(x, 2, 0.25))
    assert same_bits(staged(a=x, power=2), f(x, 2))


def test_one_program_serves_all_values():
    calls = []

    def f(a, rate):
        calls.append(1)
        return a * rate

    staged = stage(f)
    for rate in (0.5, -0.0, np.pi, float("nan")):
        assert same_bits(staged(x, rate), x * rate)
    assert len(calls) == 1


def test_true_and_one_are_different_static_values():
    staged = stage(lambda a, flag: a * 2 if flag is True else a * 3)
    assert staged(x, True).tolist() == (x * 2).tolist()
    assert staged(x, 1).tolist() == (x * 3).tolist()


def test_a_function_among_the_arguments_is_static():
    staged = stage(lambda f, a: f(a))
    assert same_bits(staged(np.tanh, x), np.tanh(x))
    assert same_bits(staged(np.sin, x), np.sin(x))
    assert len(staged.programs) == 2


def test_arrays_that_numpy_does_not_know_as_its_own_dtype_object_are_no_trouble():
    odd = np.dtype("float64", metadata={"unit": "m"})
    staged = stage(cube, x)
    assert staged(x.astype(odd)) == cube(x)
    assert staged(x.astype(">f8")) == cube(x)


def test_on_traced_and_exact_arrays_the_function_itself_runs():
    staged = stage(lambda a: cube(a), x)
    assert same_bits(grad(staged)(x), grad(cube)(x))
    assert same_bits(hvp(staged, x, v), hvp(cube, x, v))
    assert same_bits(jvp(staged, (x,), (v,)), jvp(cube, (x,), (v,)))
    assert same_bits(vmap(staged)(np.stack([x, v])), vmap(cube)(np.stack([x, v])))
    assert staged(exact.asarray([1, "1/2"])) == exact.asarray("9/8")


def test_programs_of_nested_transformations_are_those_transformations():
    f = lambda a: np.sum(np.tanh(a) * a) / (1 + np.sum(a * a))
    third = lambda a, b: jvp(lambda t: hvp(f, t, b), (a,), (b,))[1]
    batched = vmap(lambda a: hvp(f, a, a))
    stack = np.stack([x, v, x * v])
    assert same_bits(stage(third)(x, v), third(x, v))
    assert same_bits(stage(batched)(stack), batched(stack))
    assert same_bits(stage(vmap(grad(f)))(stack), vmap(grad(f))(stack))


def test_a_hessian_as_an_operator_keeps_nothing_but_what_depends_on_the_direction():
    f = lambda a: np.sum(np.tanh(a) ** 2)
    operator = stage(lambda b: hvp(f, x, b))
    assert same_bits(operator(v), hvp(f, x, v))
    assert "tanh" not in source(lambda b: hvp(f, x, b), v)
    assert same_bits(stage(linearize(grad(f), x)[1])(v), linearize(grad(f), x)[1](v))


def test_programs_run_in_threads():
    staged = stage(lambda a: np.sum(np.tanh(a)))
    sizes = list(range(1, 9)) * 8
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: staged(np.arange(float(n))), sizes))
    assert found == [np.sum(np.tanh(np.arange(float(n)))) for n in sizes]


def test_equal_computations_are_done_once_and_unused_ones_not_at_all():
    def f(a):
        np.exp(a)
        return np.sin(a) * np.sin(a)

    names = [e.primitive.name for e in simplify(record(f, (x,), {})).equations]
    assert names == ["sin", "mul"]


def test_the_source_is_readable():
    X = np.ones((4, 2))

    def loss(W, b):
        hidden = np.exp(X @ W + b)
        return np.sum(hidden * hidden)

    lines = source(grad(loss, (0, 1)), np.ones((2, 3)), np.zeros(3)).split("\n")
    start = lines.index("    hidden = np.exp(X @ W + b)  # (4, 3)")
    assert lines[start + 1 :] == [
        "    hidden_bar = hidden + hidden  # (4, 3)",
        "    t1 = hidden_bar * hidden  # (4, 3)",
        "    b_bar = t1.sum(axis=0)  # (3,)",
        "    W_bar = X.T @ t1  # (2, 3)",
        "    return (W_bar, b_bar)",
        "",
    ]
    assert lines[0] == "import numpy as np"
    assert "def gradient_of_loss(W, b):" in lines
    assert "X = np.full((4, 2), 1.0, np.float64)" in lines
    assert "    W : float64[2, 3]" in lines

    def with_names(W, b):
        before = X @ W + b
        hidden = np.tanh(before)
        return np.sum(hidden * hidden)

    text = source(grad(with_names), np.ones((2, 3)), np.zeros(3))
    assert "    before_bar = hidden_bar * sech_squared(before, hidden)  # (4, 3)\n    W_bar = X.T @ before_bar" in text
    product = source(lambda W, D: hvp(lambda W: loss(W, np.zeros(3)), W, D), np.ones((2, 3)), np.ones((2, 3)))
    assert "hidden_dot = " in product
    assert "hidden_bar_dot = " in product

    def by_difference(x):
        h = np.exp(x)
        d = 1 - h
        return np.sum(d * d * d)

    product = source(lambda x, v: hvp(by_difference, x, v), np.ones(3), np.ones(3))
    assert "h_bar = -d_bar  # (3,)\n    h_bar_dot = -d_bar_dot  # (3,)" in product


def test_exported_constants_are_exact_and_large_ones_are_arguments():
    rng = np.random.default_rng(0)
    odd = np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324, 1e308, 0.1, 1 / 3])
    small, large = rng.normal(size=(25, 40)), rng.normal(size=(1001,))
    whole, mask = rng.integers(-5, 5, (2, 3)), np.array([True, False])
    single = np.float32(0.1) * np.ones((3, 2), np.float32).cumsum(0).T

    def f(a):
        return a * odd[0], odd * a, small * a, np.sum(large * a), whole * a, np.where(mask, a, 1.0), single * a

    text = source(f, 1.5)
    assert same_bits(run(text, 1.5, large=large), f(1.5))
    with pytest.raises(TypeError, match="large"):
        run(text, 1.5)


def test_a_transposed_constant_keeps_its_order_in_memory():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(40, 24))
    B = np.asfortranarray(rng.normal(size=(24, 24)))
    C = rng.normal(size=(3, 4, 5)).transpose(1, 2, 0)

    def f(w):
        return A.T @ (A @ w), B @ w, np.sum(C * w[:3], axis=(0, 1))

    w = rng.normal(size=24)
    assert same_bits(stage(f)(w), f(w))
    assert same_bits(run(source(f, w), w), f(w))
    assert "A.T" in source(f, w)
    rows = rng.normal(size=(33, 33))
    columns = np.asfortranarray(rows)
    both = lambda M: (
        M @ rows,
        M @ columns,
        rows @ M,
        columns @ M,
        np.sum(M * rows, axis=0),
        np.sum(M.T * columns, axis=0),
    )
    M = rng.normal(size=(33, 33))
    assert same_bits(stage(both)(M), both(M))


def test_the_exported_function_says_what_it_expects():
    text = source(grad(cube), x)
    for wrong in (x[:2], x.astype(np.float32), x.tolist(), 1.0):
        with pytest.raises(TypeError, match="other types, dtypes or shapes"):
            run(text, wrong)


def test_what_has_no_literal_cannot_be_exported():
    with pytest.raises(NoDerivative, match="tuples, lists and dicts"):
        source(lambda a: Weights(a, 1), x)


def test_examples_that_are_no_numpy_arrays_are_refused():
    with pytest.raises(NoDerivative, match="NumPy"):
        stage(cube, exact.asarray([1]))


def test_labels_and_masks_are_data():
    def loss(W, X, labels, use):
        logits = X @ W
        picked = rnp.take_along_axis(logits - rnp.logsumexp(logits, axis=1, keepdims=True), labels[:, None], axis=1)
        return -np.sum(np.where(use[:, None], picked, 0.0))

    rng = np.random.default_rng(0)
    W, X = rng.normal(size=(3, 4)), rng.normal(size=(5, 3))
    staged = stage(grad(loss))
    for seed in range(3):
        labels = np.random.default_rng(seed).integers(0, 4, 5)
        use = np.random.default_rng(seed).integers(0, 2, 5) > 0
        assert same_bits(staged(W, X, labels, use), grad(loss)(W, X, labels, use))
    assert len(staged.programs) == 1


def test_names_that_python_or_the_module_needs_are_not_taken():
    def f(np_, sum, otherwise, lambda_=1.0):
        len = np_ * sum
        t1 = len + otherwise
        pad = t1 * lambda_
        return len, t1, pad

    args = (x, v, x)
    assert same_bits(stage(f)(*args), f(*args))
    assert same_bits(run(source(f, *args), *args), f(*args))


def test_a_function_without_arguments_or_results_is_a_program_too():
    assert stage(lambda: (1.5, None))() == (1.5, None)
    assert stage(lambda a: ())(x) == ()
    assert [f.name for f in fields(stage(lambda a: Weights(a * 2, 3))(x))] == ["w", "steps"]


def test_traced_integers_in_several_places_pick_elements():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4, 3, 2))
    rows, labels = np.array([0, 1, 2, 3]), np.array([2, 0, -1, 1])

    def f(logits, labels):
        return np.sum(logits[rows, labels] ** 2), logits[1, labels], logits[labels]

    staged = stage(f, logits, np.zeros(4, int))
    assert same_bits(staged(logits, labels), f(logits, labels))
    gradient = stage(grad(lambda a, labels: f(a, labels)[0]), logits, np.zeros(4, int))
    assert same_bits(gradient(logits, labels), grad(lambda a, labels: f(a, labels)[0])(logits, labels))
    one = lambda a, label: a[label, 0] * a[0, 1]
    batched = vmap(one)
    assert same_bits(stage(batched)(logits, labels), batched(logits, labels))
    assert same_bits(batched(logits, labels), np.stack([one(a, k) for a, k in zip(logits, labels, strict=True)]))


@pytest.mark.parametrize("wrong", [3, -4])
def test_an_index_out_of_bounds_is_an_error_in_a_program_too(wrong):
    logits, labels = np.ones((4, 3)), np.array([0, 1, 2, 0])
    bad = np.array([0, 1, wrong, 0])
    rows = np.arange(4)
    functions = [
        lambda a, k: a[rows, k],
        lambda a, k: vmap(lambda row, label: row[label])(a, k),
        lambda a, k: rnp.take_along_axis(a, k[:, None], axis=1),
        lambda a, k: grad(lambda a: np.sum(a[rows, k]))(a),
        lambda a, k: vmap(grad(lambda row, label: row[label]))(a, k),
    ]
    for f in functions:
        staged = stage(f, logits, labels)
        assert same_bits(staged(logits, labels), f(logits, labels))
        with pytest.raises(IndexError):
            staged(logits, bad)
        with pytest.raises(IndexError):
            f(logits, bad)
