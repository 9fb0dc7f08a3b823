"""The algorithms of the four families as programs."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.bits import same_bits

from refgrad import checkpoint, source, stage
from refgrad.continual import empirical_fisher_diagonal, ewc_penalty, fisher_diagonal
from refgrad.errors import NoDerivative, StagedValue
from refgrad.implicit import hypergradient
from refgrad.meta import fomaml_gradient, maml_gradient, reptile_update
from refgrad.multitask import min_norm

A = np.array([[2.0, 1.0], [1.0, 3.0]])
rng = np.random.default_rng(0)
theta = rng.normal(size=3)
batches = [(rng.normal(size=(4, 3)), rng.normal(size=4)) for _ in range(4)]
tasks = [(batches[0], batches[1]), (batches[2], batches[3])]


def inner(w, phi):
    return w @ A @ w / 2 - w @ phi


def outer(w, phi):
    return np.sum((w - 1) ** 2) + np.sum(phi**2)


def loss(theta, batch):
    X, y = batch
    residual = np.tanh(X @ theta) - y
    return np.mean(residual * residual)


def logits(theta, X):
    return X @ theta.reshape((3, 1)) * np.array([1.0, -0.5])


ALGORITHMS = {
    "hypergradient": (lambda w, phi: hypergradient(inner, outer, w, phi).value, (np.linalg.solve(A, A[0]), A[0])),
    "MAML": (lambda t, tasks, lr: maml_gradient(loss, t, tasks, lr, 3), (theta, tasks, 0.25)),
    "FOMAML": (lambda t, tasks, lr: fomaml_gradient(loss, t, tasks, lr, 3), (theta, tasks, 0.25)),
    "Reptile": (
        lambda t, tasks, lr: reptile_update(loss, t, tasks, lr, 0.5),
        (theta, [batches[:2], batches[2:]], 0.25),
    ),
    "Fisher": (lambda t, X: fisher_diagonal(logits, t, X), (theta, batches[0][0])),
    "empirical Fisher": (
        lambda t, X: empirical_fisher_diagonal(logits, t, X, np.array([0, 1, 1, 0])),
        (theta, batches[0][0]),
    ),
    "EWC": (lambda t, star, fisher: ewc_penalty(t, star, fisher, 2.0), (theta, theta * 2, theta * theta)),
}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_an_algorithm_as_a_program_gives_the_same_bits_for_any_values(name):
    f, args = ALGORITHMS[name]
    staged = stage(f, *args)
    assert same_bits(staged(*args), f(*args))
    if name != "hypergradient":  # whose w must be stationary at phi
        from refgrad import tree

        other = tree.map(lambda a: a * 0.5, args)
        assert same_bits(staged(*other), f(*other))
    assert len(staged.programs) == 1


def test_the_meta_gradient_reads_as_its_textbook():
    text = source(ALGORITHMS["MAML"][0], *ALGORITHMS["MAML"][1])
    steps = [line.split("  #")[0].strip() for line in text.split("\n") if " - lr * g" in line]
    assert steps[:3] == ["theta_2 = theta - lr * g", "theta_3 = theta_2 - lr * g_2", "theta_4 = theta_3 - lr * g_3"]
    assert "residual_bar_dot = " in text  # the Hessian-vector products on the way back


def test_a_number_of_steps_that_depends_on_the_values_is_refused():
    with pytest.raises(StagedValue, match="number of steps"):
        stage(lambda w, phi: hypergradient(inner, outer, w, phi, solver="cg").value)(*ALGORITHMS["hypergradient"][1])


def test_a_certificate_is_not_frozen():
    with pytest.raises(NoDerivative, match="certificate"):
        stage(lambda w, phi: hypergradient(inner, outer, w, phi))(*ALGORITHMS["hypergradient"][1])


def test_a_solver_that_compares_values_is_refused():
    with pytest.raises(NoDerivative, match="min_norm"):
        stage(lambda J: min_norm(J).weights)(A)


def test_what_is_checkpointed_is_a_program_like_any_other():
    from refgrad import grad

    def chain(x):
        for _ in range(3):
            x = checkpoint(lambda y: np.sin(y) * y)(x)
        return np.sum(x)

    assert same_bits(stage(grad(chain))(theta), grad(chain)(theta))
