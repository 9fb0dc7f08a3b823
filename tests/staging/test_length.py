"""How long a program may be, and that the work on it grows no faster than its length."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.bits import same_bits

from refgrad import grad, hvp, source, stage, tree, vmap
from refgrad.cli import main
from refgrad.continual import fisher_diagonal
from refgrad.errors import InvalidInput, LongProgram
from refgrad.staging import reassociate
from refgrad.staging.program import MAX_OPERATIONS, record
from refgrad.staging.simplify import simplify

rng = np.random.default_rng(0)
SIZES = ((1, 40), (40, 40), (40, 1))
theta = [(rng.normal(size=s).astype("f4") / np.float32(s[0] ** 0.5), np.zeros(s[1], "f4")) for s in SIZES]


def loss(p, x, y):
    for i, (W, b) in enumerate(p):
        x = x @ W + b if i + 1 == len(p) else np.tanh(x @ W + b)
    return np.mean((x - y) ** 2)


def batches(count):
    """Support and query of `count` tasks, of ten examples each."""
    return tuple(rng.uniform(-1, 1, size=(count, 10, 1)).astype("f4") for _ in range(4))


def descend(p, x, y):
    return tree.map(lambda a, g: a - 0.01 * g, p, grad(loss)(p, x, y))


def query_loss(p, x, y, x_query, y_query):
    for _ in range(5):
        p = descend(p, x, y)
    return loss(p, x_query, y_query)


def meta_gradient(p, *data):
    return grad(lambda p: np.mean(vmap(query_loss, in_axes=(None, 0, 0, 0, 0))(p, *data)))(p)


def explicit_meta_gradient(p, *data):
    def of_task(x, y, x_query, y_query):
        path = [p]
        for _ in range(5):
            path.append(descend(path[-1], x, y))
        v = grad(loss)(path[-1], x_query, y_query)
        for before in path[-2::-1]:
            v = tree.map(lambda a, h: a - 0.01 * h, v, hvp(lambda q: loss(q, x, y), before, v))
        return v

    return tree.map(lambda g: np.mean(g, axis=0), vmap(of_task)(*data))


@pytest.mark.parametrize("f", [meta_gradient, explicit_meta_gradient])
def test_a_batch_of_tasks_is_as_long_a_program_as_two_and_gives_the_bits_of_eager(f):
    two, many = batches(2), batches(25)
    assert len(record(f, (theta, *two), {}).equations) == len(record(f, (theta, *many), {}).equations) < 2000
    staged = stage(f)
    for data in (two, many, batches(25)):
        assert same_bits(staged(theta, *data), f(theta, *data))
    assert len(staged.programs) == 2


def test_a_loop_over_tasks_is_refused_while_it_is_recorded():
    seen = []

    def over_tasks(p, data):
        def counted(p, batch):
            seen.append(1)
            return loss(p, *batch)

        def outer(p, support, query):
            for _ in range(5):
                p = tree.map(lambda a, g: a - 0.01 * g, p, grad(counted)(p, support))
            return counted(p, query)

        return [grad(outer)(p, (x, y), (x_query, y_query)) for x, y, x_query, y_query in data]

    data = list(zip(*batches(100), strict=True))
    runs = 100 * 6  # of the loss: five steps, one query
    for attempt in (
        lambda: stage(over_tasks)(theta, data),
        lambda: stage(over_tasks, theta, data),
        lambda: stage(over_tasks, reassociate=True)(theta, data),
        lambda: source(over_tasks, theta, data),
    ):
        seen.clear()
        with pytest.raises(LongProgram, match=rf"over_tasks\): .* {MAX_OPERATIONS} operations.*refgrad\.vmap"):
            attempt()
        assert len(seen) < runs / 4


def test_the_length_is_that_of_the_recorded_operations():
    def f(x):
        for _ in range(10):
            x = np.sin(x)
        return x

    x = np.ones(3)
    assert same_bits(stage(f, max_operations=10)(x), f(x))
    assert source(f, x, max_operations=10)
    for attempt in (lambda: stage(f, x, max_operations=9), lambda: source(f, x, max_operations=9)):
        with pytest.raises(LongProgram, match="more than 9 operations"):
            attempt()
    assert stage(lambda x: sum(np.sin(x * k) for k in range(4000)), max_operations=20_000)(x).shape == (3,)


@pytest.mark.parametrize("length", [0, -1, 1.5, "10", None])
def test_a_length_is_a_positive_int(length):
    for attempt in (lambda: stage(np.sin, max_operations=length), lambda: source(np.sin, 1.0, max_operations=length)):
        with pytest.raises(InvalidInput, match="max_operations"):
            attempt()


def test_the_command_line_refuses_long_programs_too(tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text("import numpy as np\ndef f(x):\n    for _ in range(30):\n        x = np.sin(x)\n    return x\n")
    assert main(["source", f"{path}:f", "f8[3]", "--max-operations", "20"]) == 2
    assert "stage(f): the function has more than 20 operations" in capsys.readouterr().err
    assert main(["source", f"{path}:f", "f8[3]", "--max-operations", "30"]) == 0
    assert capsys.readouterr().out.count("np.sin") == 30


def passes(monkeypatch, f, *args):
    """How often the equations of f are gone through until no rearrangement applies."""
    made = []
    before = reassociate._Rewriter.rewrite
    with monkeypatch.context() as patch:
        patch.setattr(reassociate._Rewriter, "rewrite", lambda self: made.append(1) or before(self))
        reassociate.rearrange(simplify(record(f, args, {})))
    return len(made)


def test_a_sum_over_examples_is_rearranged_in_as_many_passes_as_a_short_one(monkeypatch):
    def logits(theta, X):
        return np.tanh(X @ theta[:32].reshape(8, 4)) @ theta[32:].reshape(4, 3)

    f = lambda theta, X: fisher_diagonal(logits, theta, X)
    weights, X = rng.normal(size=44), rng.normal(size=(24, 8))
    few, many = passes(monkeypatch, f, weights, X[:6]), passes(monkeypatch, f, weights, X)
    assert few == many < 6

    def chain(a, b):
        total = a @ b[0]
        for c in b[1:]:
            total = total + a @ c
        return total

    a, b = rng.normal(size=(2, 2)), list(rng.normal(size=(30, 2, 2)))
    assert passes(monkeypatch, chain, a, b[:5]) == passes(monkeypatch, chain, a, b)
    assert source(chain, a, b, reassociate=True).count("@") == 1


def test_powers_by_repeated_squaring_are_not_multiplied_out(monkeypatch):
    def f(x):
        t = 1 + np.sin(x[:, None]) * np.cos(x) / 2**20
        for _ in range(18):
            t = t * t
        return np.sum(t, axis=0)

    looked = []
    before = reassociate._Rewriter._factors
    monkeypatch.setattr(reassociate._Rewriter, "_factors", lambda self, x: looked.append(1) or before(self, x))
    x = rng.normal(size=5)
    assert np.allclose(stage(f, reassociate=True)(x), f(x), rtol=1e-9, atol=0)
    assert len(looked) < 1000


def test_a_sum_of_thousands_of_terms_is_rearranged_without_recursion():
    def f(x):
        total = x[:, None] * x
        for k in range(1200):
            total = total + x * np.sin(x * k)[:, None]
        return np.sum(total, axis=0)

    x = rng.normal(size=3)
    terms = [x[:, None] * x, *(x * np.sin(x * k)[:, None] for k in range(1200))]
    bound = 2 * 3700 * 2.0**-53 * sum(np.sum(abs(t), axis=0) for t in terms)
    assert (abs(stage(f, reassociate=True)(x) - f(x)) <= bound).all()
