"""The same gradient by other engines: PyTorch, JAX, HIPS autograd, MyGrad. Run by ``nox -s bench -- --interop``.

Each has to agree with NumPy by hand, within what rounding may do to either, before it is timed.
"""

from __future__ import annotations

import numpy as np
import pytest
from bench.measure import microseconds, summarise, table
from bench.networks import (
    agree,
    classifier,
    cross_entropy,
    cross_entropy_gradient,
    deep_square_loss,
    meta_gradient,
    regression,
    rounding_of_the_gradient,
    tasks_of,
)

from refgrad import grad, stage
from refgrad.meta import maml_gradient

pytestmark = pytest.mark.bench


def by_refgrad(p, X, Y):
    gradient = grad(cross_entropy)
    engines = {"refgrad, eager": lambda: gradient(p, X, Y)}
    staged = stage(gradient, p, X, Y)
    engines["refgrad, staged"] = lambda: staged(p, X, Y)
    return engines


def by_torch(p, X, Y):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    leaves, X, Y = [torch.tensor(a, requires_grad=True) for a in p], torch.tensor(X), torch.tensor(Y)
    constants = tuple(a.detach() for a in leaves)

    def loss(W, b, V, c):
        z = torch.tanh(X @ W + b) @ V + c
        return (torch.logsumexp(z, dim=1) - (Y * z).sum(dim=1)).mean()

    functional = torch.func.grad(loss, argnums=(0, 1, 2, 3))
    return {
        "torch, eager": lambda: torch.autograd.grad(loss(*leaves), leaves),
        "torch.func.grad": lambda: functional(*constants),
    }


def by_jax(p, X, Y):
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    jax.config.update("jax_enable_x64", True)

    def loss(p, X, Y):
        W, b, V, c = p
        z = jnp.tanh(X @ W + b) @ V + c
        return jnp.mean(jax.nn.logsumexp(z, axis=1) - jnp.sum(Y * z, axis=1))

    compiled = jax.jit(jax.grad(loss))
    p, X, Y = tuple(map(jnp.asarray, p)), jnp.asarray(X), jnp.asarray(Y)
    return {"JAX, jit": lambda: jax.block_until_ready(compiled(p, X, Y))}


def by_autograd(p, X, Y):
    autograd = pytest.importorskip("autograd")
    import autograd.numpy as anp

    def loss(p):
        W, b, V, c = p
        z = anp.dot(anp.tanh(anp.dot(X, W) + b), V) + c
        largest = anp.max(z, axis=1, keepdims=True)
        total = anp.log(anp.sum(anp.exp(z - largest), axis=1)) + largest[:, 0]
        return anp.mean(total - anp.sum(Y * z, axis=1))

    gradient = autograd.grad(loss)
    return {"HIPS autograd": lambda: gradient(p)}


def by_mygrad(p, X, Y):
    mg = pytest.importorskip("mygrad")
    leaves = [mg.tensor(a, copy=True) for a in p]

    def gradient():
        W, b, V, c = leaves
        z = mg.tanh(X @ W + b) @ V + c
        largest = z.data.max(axis=1, keepdims=True)
        total = mg.log(mg.sum(mg.exp(z - largest), axis=1)) + largest[:, 0]
        mg.mean(total - mg.sum(Y * z, axis=1)).backward()
        return tuple(a.grad for a in leaves)

    return {"MyGrad": gradient}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_gradient_of_a_large_network_by_all_engines(dtype):
    p, X, Y = classifier(np.random.default_rng(0), (784, 256, 10), 128, dtype)
    truth, bounds = cross_entropy_gradient(p, X, Y), rounding_of_the_gradient(p, X, Y)
    engines = {}
    for engine in (by_refgrad, by_torch, by_jax, by_autograd, by_mygrad):
        engines |= engine(p, X, Y)
    for name, gradient in engines.items():
        found = [np.asarray(a) for a in gradient()]
        assert all(a.dtype == dtype for a in found), name
        assert agree(found, truth, bounds), name
    times = microseconds({"NumPy by hand": lambda: cross_entropy_gradient(p, X, Y), **engines}, rounds=30, inner=2)
    table(f"gradient, MLP 784-256-10, batch 128, {np.dtype(dtype)}", times, dict.fromkeys(engines, "NumPy by hand"))


def test_the_meta_gradient_of_twenty_five_tasks_by_jax():
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    p, support, query = regression(np.random.default_rng(0), (1, 40, 40, 1), 25, 10, np.float32)
    tasks = tasks_of(support, query)

    def loss(p, batch):
        (A, a, B, b, C, c), (X, Y) = p, batch
        residual = jnp.tanh(jnp.tanh(X @ A + a) @ B + b) @ C + c - Y
        return jnp.mean(residual * residual)

    def adapted(p, support, query):
        for _ in range(5):
            p = tuple(a - 0.01 * g for a, g in zip(p, jax.grad(loss)(p, support), strict=True))
        return loss(p, query)

    compiled = jax.jit(jax.grad(lambda p, s, q: jnp.mean(jax.vmap(adapted, (None, 0, 0))(p, s, q))))
    ours = lambda p, tasks: maml_gradient(deep_square_loss, p, tasks, 0.01, 5)
    staged = stage(ours, p, tasks)
    runs = {
        "JAX, jit and vmap": lambda: jax.block_until_ready(compiled(tuple(map(jnp.asarray, p)), support, query)),
        "NumPy by hand": lambda: meta_gradient(p, support, query, 0.01, 5),
        "maml_gradient": lambda: ours(p, tasks),
        "maml_gradient, staged": lambda: staged(p, tasks),
    }
    expected = runs["NumPy by hand"]()
    for f in runs.values():  # two stable methods in float32, on sums of some thousand terms
        pairs = zip(f(), expected, strict=True)
        assert all(np.linalg.norm(np.asarray(a) - b) <= 1e-5 * np.linalg.norm(b) for a, b in pairs)
    times = microseconds(runs, rounds=20, inner=2)
    table("meta-gradient, 25 tasks, 5 steps, float32", times, dict.fromkeys(list(runs)[1:], "JAX, jit and vmap"))
    for name, wanted in (("maml_gradient", "<= 3"), ("maml_gradient, staged", "<= 1.5")):
        summarise(f"25 tasks, {name}", times[name] / times["JAX, jit and vmap"], "x JAX", wanted)
