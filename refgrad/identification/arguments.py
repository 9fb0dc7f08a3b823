"""What a person hands over, as the arguments of a contract's formulas: flat float64 vectors and their own functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from refgrad.contracts.contract import Contract
from refgrad.contracts.implicit.bilevel_variants import ANY_INVERSE, EXACT, NUMBERS, deviating
from refgrad.contracts.meta import maml, maml_variants, reductions
from refgrad.contracts.tools.answer import Variant
from refgrad.contracts.tools.axes import Choice, products, singles
from refgrad.errors import UsageError
from refgrad.identification.engines import Derivatives, engine_of
from refgrad.identification.fisher import fisher_arguments
from refgrad.identification.functions import Batch, Function, Inner, Loss, Outer
from refgrad.identification.layout import Layout, dtype_of, is_array, leaves, noisy, once, transformed
from refgrad.identification.recorded import UNITS, Recorded

__all__ = ["LIKE", "NAMES", "record"]

_DENSE = 2000
_OF_THE_TERMS = ("missing-direct", "indirect-sign-flipped")
_FEW = 8
"""So many times more components than rows are worth turning."""


def few_shot(recorded: Recorded, given: Mapping[str, Any]) -> None:
    """``maml_gradient``, ``fomaml_gradient``, ``reptile_update``: a loss, parameters, tasks, a rate and one more."""
    name, last = recorded.contract.name, NAMES[recorded.contract.name][-1]
    loss = Loss(_derivatives(recorded, given, "loss", "theta"))
    theta = recorded.layout.flat(given["theta"], "theta")
    tasks, lr, number = given["tasks"], _number(given, "lr"), _number(given, last)
    pairs = name != "reptile_update"
    if not isinstance(tasks, (list, tuple)) or not tasks or not all(isinstance(t, (list, tuple)) for t in tasks):
        what = "pairs (support, query)" if pairs else "lists of batches"
        raise UsageError(f"expected tasks to be a list of {what}; got {_described(tasks)}")
    if pairs and any(len(task) != 2 for task in tasks):
        raise UsageError(
            f"expected tasks to be a list of pairs (support, query), each a batch such as (X, y); got "
            f"{_described(tasks[0])} in place of a pair. One task is a list of one pair: [(support, query)]"
        )
    if last == "steps" and (number != int(number) or number < 0):
        raise UsageError(f"expected steps to be the number of inner steps, 0 or more; got {number:g}")

    def arguments(unit: float, pattern: int) -> tuple[Any, ...]:
        rng = np.random.default_rng(pattern)
        batches = [[Batch.of(transformed(b, lambda x: noisy(x, unit, rng))) for b in task] for task in tasks]
        return loss, noisy(theta, unit, rng), batches, lr, int(number) if last == "steps" else number

    recorded.arguments = once(arguments)
    batches = recorded.arguments(0.0, 0)[2]
    count = len(batches[0][0][1])
    recorded.said += [_plural(len(tasks), "task"), f"{last} {number:g}", f"lr {lr:g}"]
    recorded.constants = {"the number of tasks": len(tasks), "lr": lr, "the number of examples": count}
    recorded.derivatives = [loss.derivatives]
    lower = "a larger lr" if abs(lr) < 1 else "other parameters"
    fewer = ", more tasks" if len(tasks) < 3 else ""
    sizes = [{len(batch[1]) for batch in kind} for kind in zip(*batches, strict=False)]
    unequal = ", or sets of unequal sizes" if any(len(some) == 1 for some in sizes) else ""
    recorded.advice = f"{lower}, more {last if pairs else 'batches'}{fewer}{unequal or ', or other data'}"
    if pairs:
        recorded.trivial = {name for name, k in _LAST.items() if number <= k}
        recorded.further = partial(other_steps, recorded.contract, int(number))


_LAST = {"last-step-only": 1, "last-two-steps-only": 2, "last-three-steps-only": 3}
"""Formulas that are the contract by definition where there are no more steps than that."""


def other_steps(contract: Contract, steps: int) -> tuple[Variant, ...]:
    """The gradient after another number of steps than was said, also in first order or summed over tasks."""
    order = maml.first_order if contract.name == "fomaml_gradient" else maml.full
    base = maml.Recipe(backward=order, tasks=reductions.REDUCTIONS[contract.options.get("reduction", "mean")])
    counts = [n for n in range(1, 2 * steps + 3) if abs(n - steps) > 1]
    found = [
        Choice(f"{n}-step{'s' * (n > 1)}", f"g, k = {n}",
               f"the gradient after {_plural(n, 'step')} where {steps} were said", {"steps": lambda k, n=n: n})
        for n in counts
    ]  # fmt: skip
    others = [c for c in maml_variants.CHOICES if c.name in ("maml", "fomaml", "sum-over-tasks", "mean-over-tasks")]
    pairs = products(maml.compute, base, [*others, *found])
    return (*singles(maml.compute, base, found), *(pair for pair in pairs if any(c.name in pair.name for c in found)))


def of_losses(recorded: Recorded, given: Mapping[str, Any]) -> None:
    """``hypergradient``: two losses of w and phi."""
    inner = Inner(_derivatives(recorded, given, "inner", "w", "phi"))
    outer = Outer(_derivatives(recorded, given, "outer", "w", "phi"))
    layout, w = inner.derivatives.layouts[0], given["w"]
    w, phi = layout.flat(w, "w"), recorded.layout.flat(given["phi"], "phi")
    if len(w) > _DENSE:
        raise UsageError(f"expected at most {_DENSE} inner weights, whose Hessian is built row by row; got {len(w)}")
    slope = np.linalg.norm(inner.grad(w, phi))
    if slope > 1e-3 * float(np.linalg.norm(outer.grad_w(w, phi))):
        recorded.notes.append(
            f"w does not solve the inner problem: the gradient of the inner loss has length {slope:.3g}"
        )

    def arguments(unit: float, pattern: int) -> tuple[Any, ...]:
        rng = np.random.default_rng(pattern)
        return inner, outer, noisy(w, unit, rng), noisy(phi, unit, rng)

    recorded.arguments = once(arguments)
    recorded.said += [f"{len(w)} inner weights"]
    recorded.derivatives = [inner.derivatives, outer.derivatives]
    choices = settings(_number(given, "lr") if "lr" in given else None)
    signs = [choice for choice in ANY_INVERSE if choice.name in _OF_THE_TERMS]
    pairs = [(sign, choice) for sign in signs for choice in choices]
    recorded.settings = singles(deviating, EXACT, choices)
    recorded.further = lambda: [v for pair in pairs for v in products(deviating, EXACT, pair)]
    recorded.advice = "a worse conditioned inner problem, or an outer loss that depends on phi directly"


def settings(lr: float | None) -> list[Choice]:
    """Approximations of the inverse Hessian by their counts: conjugate gradients, a series, damping."""

    def plural(n: int, word: str) -> str:
        return f"{n} {word}{'s' * (n > 1)}"

    found = [
        Choice(f"cg-{plural(n, 'iteration').replace(' ', '-')}", f"d - B^T x_{n}",
               f"{plural(n, 'iteration')} of conjugate gradients", {"inverse": "cg", "iterations": n})
        for n in range(1, 51)
        if n not in NUMBERS
    ]  # fmt: skip
    if lr is not None:
        p, q = Fraction(lr).as_integer_ratio()
        found += [
            Choice(f"neumann-{plural(n + 1, 'term').replace(' ', '-')}{name}",
                   f"d - {'B^T' if without else 'lr B^T'} sum_{{j=0..{n}}} (I - lr H)^j g, lr = {lr:g}",
                   f"a Neumann series of {plural(n + 1, 'term')} with a step of {lr:g}{words}",
                   {"inverse": "neumann", "lr": (p, q), "terms": n, "factor": 0 if without else 1})
            for n in range(1, 101)
            for without, name, words in ((False, "", ""), (True, "-without-lr", ", without its factor lr"))
        ]  # fmt: skip
    for exponent in range(-6, 2):
        for digit in (1, 2, 5):
            mu = Fraction(digit) * Fraction(10) ** exponent
            found.append(Choice(f"damped-by-{float(mu):g}", f"d - B^T (H + {float(mu):g} I)^-1 g",
                                f"the Hessian with {float(mu):g} added to its diagonal",
                                {"shift": mu.as_integer_ratio()}))  # fmt: skip
    return found


def of_function(recorded: Recorded, given: Mapping[str, Any]) -> None:
    """``gradient``, ``hvp``: a function and a point, and a direction."""
    f = Function(_derivatives(recorded, given, "f", "x"))
    vectors = [recorded.layout.flat(given[name], name) for name in ("x", "v") if name in given]

    def arguments(unit: float, pattern: int) -> tuple[Any, ...]:
        rng = np.random.default_rng(pattern)
        return (f, *(noisy(vector, unit, rng) for vector in vectors))

    recorded.arguments = once(arguments)
    recorded.derivatives = [f.derivatives]
    recorded.advice = "another point, where the gradient is neither small nor of length 1"


def of_vectors(recorded: Recorded, given: Mapping[str, Any]) -> None:
    """``ewc_penalty``, ``ewc_gradient``: three vectors and a number."""
    layout = Layout.of(given["theta"], "theta")
    vectors = [layout.flat(given[name], name) for name in ("theta", "theta_star", "fisher")]
    lam = _number(given, "lam")

    def arguments(unit: float, pattern: int) -> tuple[Any, ...]:
        rng = np.random.default_rng(pattern)
        return (*(noisy(vector, unit, rng) for vector in vectors), lam)

    recorded.arguments = once(arguments)
    recorded.said += [f"lam {lam:g}"]
    recorded.constants = {"lam": lam, "the number of weights": len(layout)}
    if len(layout.sizes) > 1:
        recorded.settings = means_within(recorded.contract.name, layout.sizes)
    recorded.advice = "a theta that is not close to theta_star, and a lam that is not 1 or 2"


def means_within(name: str, sizes: Sequence[int]) -> tuple[Variant, ...]:
    """The penalty, or its gradient, by the means over each array that are then added up, with and without 1/2."""
    shares = np.repeat(1 / np.array(sizes, float), sizes)

    def answer(theta: np.ndarray, star: np.ndarray, fisher: np.ndarray, lam: float, *, half: bool) -> Any:
        moved, factor = theta - star, lam * (1.0 if half else 2.0)
        return (
            factor * (shares * fisher * moved**2).sum() / 2
            if name == "ewc_penalty"
            else factor * shares * fisher * moved
        )

    what = "lam {}sum_a mean_(i in a) F_i d_i^2" + (", its gradient" if name == "ewc_gradient" else "")
    words = "the means over each array of parameters, added up, where the sum over all of them is asked for"
    return (
        Variant("mean-within-arrays", what.format("1/2 "), words, (), partial(answer, half=True)),
        Variant("mean-within-arrays-with-missing-half", what.format(""), f"{words}; without 1/2", (),
                partial(answer, half=False)),
    )  # fmt: skip


def of_rows(recorded: Recorded, given: Mapping[str, Any]) -> None:
    """``min_norm``, ``mgda_direction``: one gradient for each task."""
    J, rows = given["J"], list(given["J"])
    one = Layout.of(rows[0], "J[0]")
    J = np.array([one.flat(row, f"J[{k}]") for k, row in enumerate(rows)])
    if len(one) > _FEW * len(J):
        J, recorded.output = _turned(J, recorded.output, recorded.contract.name == "mgda_direction")
    lengths = np.linalg.norm(J, axis=1, keepdims=True) / np.sqrt(J.shape[1])

    def arguments(unit: float, pattern: int) -> tuple[Any, ...]:
        return (J + unit * lengths * np.random.default_rng(pattern).choice([-1.0, 1.0], J.shape),)

    recorded.arguments = once(arguments)
    recorded.said = [_plural(len(rows), "gradient"), f"{len(one)} weights", *recorded.said[1:]]
    recorded.constants = {"the number of tasks": len(rows)}
    recorded.advice = "gradients of three or more tasks, of unequal lengths, none the negative of another"


def _turned(J: np.ndarray, output: np.ndarray, direction: bool) -> tuple[np.ndarray, np.ndarray]:
    """Rows, and a direction, turned into few dimensions; formulas know rows by their inner products alone.

    The last component is what of the direction is no combination of the rows.
    """
    Q, R = np.linalg.qr(J.T)
    turned = np.hstack([R.T, np.zeros((len(J), 1))])
    if direction:
        inside = Q.T @ output
        output = np.append(inside, np.linalg.norm(output - Q @ inside))
    return turned, output


_KINDS: dict[Callable[[Recorded, Mapping[str, Any]], None], dict[str, tuple[str, ...]]] = {
    few_shot: {
        "maml_gradient": ("loss", "theta", "tasks", "lr", "steps"),
        "fomaml_gradient": ("loss", "theta", "tasks", "lr", "steps"),
        "reptile_update": ("loss", "theta", "tasks", "lr", "epsilon"),
    },
    fisher_arguments: dict.fromkeys(
        ("fisher_diagonal", "empirical_fisher_diagonal"), ("logits", "theta", "X", "y")
    ),
    of_losses: {"hypergradient": ("inner", "outer", "w", "phi")},
    of_vectors: dict.fromkeys(("ewc_penalty", "ewc_gradient"), ("theta", "theta_star", "fisher", "lam")),
    of_function: {"gradient": ("f", "x"), "hvp": ("f", "x", "v")},
    of_rows: {"min_norm": ("J",), "mgda_direction": ("J",)},
}  # fmt: skip
NAMES = {name: names for kinds in _KINDS.values() for name, names in kinds.items()}
"""The contracts that can be asked about, and what each is computed from."""
OPTIONAL = {"hypergradient": ("lr",)}
LIKE = {"hypergradient": "phi", "gradient": "x", "hvp": "x"}
"""Whose containers an output has, if it is not theta."""


def record(contract: Contract, output: Any, given: Mapping[str, Any]) -> Recorded:
    """The arguments of a contract's formulas, from the keywords that a person has given; raises `UsageError`."""
    wanted = NAMES[contract.name]
    allowed = (*wanted, *OPTIONAL.get(contract.name, ()))
    missing = [name for name in wanted if name not in given]
    unknown = [name for name in given if name not in allowed]
    if missing or unknown:
        came = " and ".join(
            [f"without {', '.join(missing)}"] * bool(missing)
            + [f"with {', '.join(unknown)}, which it does not take"] * bool(unknown)
        )
        raise UsageError(f"{contract.name} is identified from {', '.join(wanted)}; it was asked {came}")
    like = given["J"][0] if "J" in given else given[LIKE.get(contract.name, "theta")]
    like_name = "J" if "J" in given else LIKE.get(contract.name, "theta")
    layout = Layout.of(like, like_name)
    if contract.name == "min_norm":
        layout = Layout.of(np.zeros(len(given["J"])), "output")
    elif contract.name == "ewc_penalty":
        layout = Layout.of(0.0, "output")
    arrays = [x for _, x in leaves(output) if is_array(x)]
    strange = next((x for _, x in leaves(output) if x is not None and not is_array(x)), None)
    if strange is not None and not hasattr(strange, contract.result_field):
        raise UsageError(
            f"expected the output to be an array, or a list, tuple or dict of arrays; got {type(strange).__name__}"
        )
    if not arrays and strange is None:
        raise UsageError("no gradient reached any parameter: every part of the output is None")
    if strange is not None:
        output = getattr(output, contract.result_field)
        arrays = [output]
    came, own = _coarsest(arrays, "the output"), _coarsest([x for _, x in leaves(like) if is_array(x)], like_name)
    dtype = max(came, own, key=lambda d: UNITS[d])
    if UNITS[came] > UNITS["float32"]:  # networks compute in such a precision here and there, and round to it at last
        dtype = own
    if contract.name == "ewc_penalty" and sum(int(np.size(x)) for x in arrays) > 1:
        raise UsageError("expected the penalty, one number; of its gradient ask for the contract ewc_gradient")
    flat = layout.flat(output, "the output")
    if not np.isfinite(flat).all():
        raise UsageError(f"the output holds {'NaN' if np.isnan(flat).any() else 'infinity'}, which no formula gives")
    found = Recorded(contract, flat, layout, lambda unit, pattern: (), dtype, engine_of(like), [])
    found.noise = 2 * UNITS[came] * float(np.linalg.norm(flat)) if came != dtype else 0.0
    found.said.append(_plural(len(layout), "weight") if contract.name != "ewc_penalty" else "a penalty")
    left_out = [path for path, x in leaves(output) if x is None]
    if left_out:
        found.notes.append(
            f"no gradient reached {', '.join(left_out[:3])}: taken for zero. If they are frozen, give only the trained "
            f"ones, as {like_name} too"
        )
    next(kind for kind, names in _KINDS.items() if contract.name in names)(found, given)
    return found


def _derivatives(recorded: Recorded, given: Mapping[str, Any], function: str, *parameters: str) -> Derivatives:
    layouts = [Layout.of(given[name], name) for name in parameters]
    engine = engine_of([given[name] for name in parameters])
    recorded.notes += getattr(given[function], "notes", [])
    return Derivatives(engine, given[function], layouts, function)


def _coarsest(arrays: Sequence[Any], name: str) -> str:
    """The dtype of the lowest precision."""
    dtypes = [dtype_of(x) for x in arrays]
    other = next((dtype for dtype in dtypes if dtype not in UNITS), None)
    if other is not None:
        how = ".float() in torch, .astype(float) elsewhere; buffers that count, as in a state_dict, are no parameters"
        raise UsageError(f"expected {name} to hold floats, got {other}: convert with {how}")
    return max(dtypes, key=lambda dtype: UNITS[dtype])


def _number(given: Mapping[str, Any], name: str) -> float:
    try:
        return float(given[name])
    except (TypeError, ValueError):
        raise UsageError(f"expected {name} to be a number; got {_described(given[name])}") from None


def _plural(count: int, word: str) -> str:
    return f"{count:,} {word}{'s' * (count != 1)}"


def _described(x: Any) -> str:
    shape = f" of shape {tuple(np.shape(x))}" if is_array(x) else f" of {len(x)}" if hasattr(x, "__len__") else ""
    return f"{type(x).__name__}{shape}"
