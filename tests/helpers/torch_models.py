"""Networks of PyTorch, tasks for them, and their MAML gradients with the mistakes that people make."""

import pytest

LR, STEPS = 0.4, 5

MISTAKES = {
    "maml_gradient": {},
    "fomaml": {"order": "first"},
    "reversed-product": {"order": "reversed"},
    "sum-over-tasks": {"total": True},
    "one-step-fewer": {"fewer": 1},
    "support-loss-in-outer": {"on_support": True},
    "fomaml-sum-over-tasks": {"order": "first", "total": True},
    "3 times maml_gradient": {"factor": 3.0},
}


def convolutional(torch, *, normalised=False, dropout=0.0):
    """One layer of eight filters for images of 8 x 8; 1525 weights, without batch normalisation."""
    nn = torch.nn
    between = [nn.BatchNorm2d(8)] if normalised else []
    between += [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(nn.Conv2d(1, 8, 3), *between, nn.ReLU(), nn.Flatten(), nn.Linear(8 * 6 * 6, 5))


def conv4(torch):
    """The field's network for images of 28 x 28: four blocks with batch normalisation, 112,261 weights."""
    nn = torch.nn
    block = lambda n: [nn.Conv2d(n, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*block(1), *block(64), *block(64), *block(64), nn.Flatten(), nn.Linear(64, 5))


def million(torch):
    """A network of three layers for images of 8 x 8 with 1,004,205 weights."""
    nn = torch.nn
    layers = nn.Linear(64, 920), nn.Tanh(), nn.Linear(920, 1020), nn.Tanh(), nn.Linear(1020, 5)
    return nn.Sequential(nn.Flatten(), *layers)


def episodes(torch, seed, dtype, *, size=8, tasks=4, shots=5, queries=lambda t: 7 + 2 * t):
    """Tasks of images and labels of five classes, `shots` in the support and ``queries(t)`` in the query set."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda n: (
        torch.randn(n, 1, size, size, generator=generator, dtype=dtype),
        torch.randint(5, (n,), generator=generator),
    )
    return [(draw(shots), draw(queries(t))) for t in range(tasks)]


def five_way(torch, seed, dtype):
    """Two tasks of five classes, one image and fifteen queries each, 28 x 28."""
    return episodes(torch, seed, dtype, size=28, tasks=2, queries=lambda t: 75)


def meta_gradient(torch, model, tasks, *, order="second", fewer=0, on_support=False, total=False, factor=1.0, lr=LR):
    """The MAML gradient of a model by the names of its parameters, with the mistakes that people make."""
    cross_entropy, second = torch.nn.functional.cross_entropy, order == "second"
    theta = {name: p.detach().clone().requires_grad_() for name, p in model.named_parameters()}
    loss = lambda w, batch: cross_entropy(torch.func.functional_call(model, w, (batch[0],)), batch[1])
    grads = []
    for support, query in tasks:
        path, w = [], theta
        for _ in range(STEPS - fewer):
            path.append(w)
            slopes = torch.autograd.grad(loss(w, support), tuple(w.values()), create_graph=second)
            w = {name: p - lr * g for (name, p), g in zip(w.items(), slopes, strict=True)}
            if not second:
                w = {name: p.detach().requires_grad_() for name, p in w.items()}
        outer = loss(w, support if on_support else query)
        v = torch.autograd.grad(outer, tuple((theta if second else w).values()))
        for point in path if order == "reversed" else []:
            at = tuple(p.detach().requires_grad_() for p in point.values())
            slopes = torch.autograd.grad(loss(dict(zip(theta, at, strict=True)), support), at, create_graph=True)
            v = tuple(a - lr * b for a, b in zip(v, torch.autograd.grad(slopes, at, v), strict=True))
        grads.append(v)
    scale = factor / (1 if total else len(tasks))
    return theta, [scale * sum(parts) for parts in zip(*grads, strict=True)]


def is_named(found, name):
    """Whether an answer has the name of a mistake; a factor to float32's rounding, unless the answer says it is off."""
    if "times" not in name:
        return found.name == name
    factor, _, rest = found.name.partition(" times ")
    return rest == "maml_gradient" and float(factor) == pytest.approx(
        3, abs=5e-3 if "turns decisions" in found.summary else 1e-5
    )
