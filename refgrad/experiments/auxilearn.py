"""AuxiLearn on handwritten digits: does it find out which auxiliary task helps?

The main task is to read digits, with two labels for each. There are 400 further images without, on which three
auxiliary tasks share the main task's hidden layer:

=========  ==========================================================================================
helpful    the digit modulo 5, by a head of its own
useless    labels that were drawn at random, by a head of its own
harmful    the digit that comes next, by the head of the main task
=========  ==========================================================================================

100 labelled images are the auxiliary set; the others are for testing. Compared are the main task alone, weights of 1,
descent on the training loss by weights and network at once, and `refgrad.implicit.auxilearn`.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from refgrad.autodiff import grad
from refgrad.data import digits
from refgrad.experiments.session import Experiment, Results
from refgrad.implicit.alignment import joint_descent
from refgrad.implicit.auxilearn import auxilearn
from refgrad.implicit.combiners import Linear
from refgrad.models import SGD, init_mlp
from refgrad.numpy.nn import cross_entropy
from refgrad.typing import Array, Scalar, Tree

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["EXPERIMENT"]

TASKS = ("helpful", "useless", "harmful")
METHODS = ("single task", "equal weights", "joint descent", "AuxiLearn")

combine = Linear(tasks=len(TASKS))


def settings(quick: bool, seed: int) -> dict[str, Any]:
    """What decides the numbers; a quick run has one seed and half the rounds."""
    return {
        "seeds": [seed + k for k in range(1 if quick else 5)],
        "methods": METHODS,
        "labels of each digit": 2,
        "unlabelled": 400,
        "auxiliary set": 100,
        "hidden": 32,
        "weight decay": 5e-3,
        "rounds": 30 if quick else 60,
        "steps of W a round": 20,
        "step of W": 0.1,
        "momentum": 0.9,
        "step of joint phi": 0.01,
        "step of phi": 20.0,
        "longest hypergradient": 0.05,
        "terms": 20,
        "step of the series": 0.2,
    }


def parts(settings: Mapping[str, Any]) -> list[str]:
    """Each method on each seed."""
    return [f"{method}, seed {seed}" for seed in settings["seeds"] for method in settings["methods"]]


def layer(p: Tree, x: Array) -> Array:
    """``x W + b``."""
    return x @ p["W"] + p["b"]


def hidden(W: Tree, images: Array) -> Array:
    """What all tasks share."""
    return np.tanh(layer(W["shared"], images))


def main_loss(W: Tree, batch: Any) -> Scalar:
    """The mean cross-entropy of the digits."""
    return cross_entropy(layer(W["main"], hidden(W, batch["labelled"])), batch["digit"])


def aux_losses(W: Tree, batch: Any) -> Array:
    """Of each unlabelled image and task, shape (N, 3)."""
    h = hidden(W, batch["unlabelled"])
    heads = {"helpful": W["helpful"], "useless": W["useless"], "harmful": W["main"]}
    losses = [cross_entropy(layer(heads[task], h), batch[task], reduction="none") for task in TASKS]
    return np.stack(losses, -1)


def problem(settings: Mapping[str, Any], seed: int) -> tuple[Tree, Any, Any, Any]:
    """Initial weights, and the batches for training, the auxiliary set and testing."""
    X, y = digits()
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(X))
    few = np.concatenate([order[y[order] == digit][: settings["labels of each digit"]] for digit in range(10)])
    rest = order[~np.isin(order, few)]
    pool, held_out, test = np.split(rest, np.cumsum([settings["unlabelled"], settings["auxiliary set"]]))
    train = {"labelled": X[few], "digit": y[few], "unlabelled": X[pool], "helpful": y[pool] % 5}
    train |= {"useless": rng.integers(0, 10, len(pool)), "harmful": (y[pool] + 1) % 10}
    h = settings["hidden"]
    shapes = {"shared": (X.shape[1], h), "main": (h, 10), "helpful": (h, 5), "useless": (h, 10)}
    W = {name: init_mlp(shape, rng)[0] for name, shape in shapes.items()}
    labelled = [{"labelled": X[rows], "digit": y[rows]} for rows in (held_out, test)]
    return W, train, labelled[0], labelled[1]


def compute(settings: Mapping[str, Any], part: str) -> Results:
    """The accuracy on the images for testing, and the weights after each round."""
    method, seed = part.rsplit(", seed ", 1)
    W, train, aux_set, test = problem(settings, int(seed))
    decay, rounds, every = settings["weight decay"], settings["rounds"], settings["steps of W a round"]
    optimizer = SGD(settings["step of W"], momentum=settings["momentum"])

    def main(W: Tree, batch: Any) -> Scalar:
        return main_loss(W, batch) + decay / 2 * sum(np.sum(W[name]["W"] ** 2) for name in sorted(W))

    def auxiliary(W: Tree, phi: Array, batch: Any) -> Scalar:
        return combine(phi, aux_losses(W, batch))

    phi = combine.init()
    path, residuals = [phi.tolist()], []
    if method == "AuxiLearn":
        run = auxilearn(
            main, auxiliary, W, phi, lambda t: train, lambda s: aux_set, aux_loss=main_loss,
            optimizer=optimizer, aux_optimizer=SGD(settings["step of phi"]), every=every,
            terms=settings["terms"], lr=settings["step of the series"], max_norm=settings["longest hypergradient"],
        )  # fmt: skip
        for state in islice(run, rounds):
            W = state.W
            path.append(state.phi.tolist())
            residuals.append(state.hypergradient.residual)
    elif method == "joint descent":
        aux_optimizer = SGD(settings["step of joint phi"])
        run_jointly = joint_descent(
            main, auxiliary, W, phi, lambda t: train, optimizer=optimizer, aux_optimizer=aux_optimizer
        )
        for both in islice(run_jointly, every - 1, rounds * every, every):
            W, phi = both
            path.append(phi.tolist())
    else:
        phi = phi if method == "equal weights" else 0 * phi
        path, state = [phi.tolist()] * (rounds + 1), optimizer.init(W)
        for _ in range(rounds * every):
            W, state = optimizer.step(W, grad(lambda W: main(W, train) + auxiliary(W, phi, train))(W), state)
    right = np.argmax(layer(W["main"], hidden(W, test["labelled"])), -1) == test["digit"]
    return {"accuracy": float(right.mean()), "phi": path, "residuals": residuals}


def of(results: Results, method: str) -> list[Results]:
    """The results of a method, by seeds."""
    return [result for part, result in results.items() if part.startswith(f"{method}, ")]


def table(settings: Mapping[str, Any], results: Results) -> str:
    """Accuracy and weights at the end, mean and standard deviation over the seeds."""
    lines = [f"{'':15}{'accuracy':>18}   weights at the end: " + ", ".join(TASKS)]
    for method in settings["methods"]:
        found = of(results, method)
        accuracy = np.array([result["accuracy"] for result in found])
        ends = np.array([result["phi"][-1] for result in found])
        spread = f" +- {accuracy.std(ddof=1):.3f}" if len(found) > 1 else ""
        lines.append(
            f"{method:15}{f'{accuracy.mean():.3f}{spread}':>18}   " + ", ".join(f"{x:.2f}" for x in ends.mean(0))
        )
    learned = [result["phi"][-1] for result in of(results, "AuxiLearn")]
    ranked = sum(helpful > useless >= harmful for helpful, useless, harmful in learned)
    lines.append(f"AuxiLearn ranks helpful > useless >= harmful on {ranked} of {len(learned)} seeds.")
    return "\n".join(lines)


def draw(settings: Mapping[str, Any], results: Results) -> Figure:
    """Weights over the rounds, and accuracies."""
    from matplotlib.figure import Figure

    from refgrad.plot import BLUE, GREEN, RED

    figure = Figure(figsize=(9.5, 3.2), layout="constrained")
    joint, learned, accuracy = figure.subplots(1, 3, width_ratios=(1, 1, 0.8))
    for ax, method in ((joint, "joint descent"), (learned, "AuxiLearn")):
        for k, (task, colour) in enumerate(zip(TASKS, (GREEN, BLUE, RED), strict=True)):
            for i, result in enumerate(of(results, method)):
                ax.plot(np.array(result["phi"])[:, k], color=colour, lw=1.2, alpha=0.8, label=None if i else task)
        ax.set_title(method)
        ax.set_xlabel("rounds")
    joint.set_ylabel("weight")
    joint.legend(frameon=False)
    for k, method in enumerate(settings["methods"]):
        values = [result["accuracy"] for result in of(results, method)]
        accuracy.plot([k] * len(values), values, "o", color=BLUE, alpha=0.6)
        accuracy.plot([k - 0.3, k + 0.3], [np.mean(values)] * 2, color=BLUE)
    accuracy.set_xticks(range(len(settings["methods"])), [method.replace(" ", "\n") for method in settings["methods"]])
    accuracy.set_title("accuracy")
    accuracy.set_ylim(0, 1)
    return figure


EXPERIMENT = Experiment("auxilearn", "weights of auxiliary tasks on digits", settings, parts, compute, table, draw)
