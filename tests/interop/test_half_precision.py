"""In half precision, networks with kinks are left open where rounding leaves them open: no name is false."""

from __future__ import annotations

import pytest

from refgrad import identify, torch_loss

torch = pytest.importorskip("torch", reason="the models are torch's")
pytestmark = pytest.mark.interop

NETS = {
    "conv relu pool": lambda nn: nn.Sequential(
        nn.Conv2d(2, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(72, 4)
    ),
    "conv relu": lambda nn: nn.Sequential(nn.Conv2d(2, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 4)),
    "conv tanh": lambda nn: nn.Sequential(nn.Conv2d(2, 8, 3), nn.Tanh(), nn.Flatten(), nn.Linear(288, 4)),
}


def gradient(model, tasks, create_graph):
    from torch.func import functional_call
    from torch.nn.functional import cross_entropy

    for support, query in tasks:
        fast = dict(model.named_parameters())
        for _ in range(3):
            loss = cross_entropy(functional_call(model, fast, (support[0],)), support[1])
            slopes = torch.autograd.grad(loss, fast.values(), create_graph=create_graph)
            fast = {name: p - 0.05 * g for (name, p), g in zip(fast.items(), slopes, strict=True)}
        (cross_entropy(functional_call(model, fast, (query[0],)), query[1]) / len(tasks)).backward()
    return [p.grad for p in model.parameters()]


@pytest.mark.parametrize("seed", [100, *(pytest.param(s, marks=pytest.mark.seeds) for s in range(101, 106))])
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("create_graph", [True, False])
@pytest.mark.parametrize("net", NETS)
def test_a_right_gradient_is_never_called_wrong_or_by_another_name(net, create_graph, precision, seed):
    from torch.nn.functional import cross_entropy

    torch.manual_seed(seed)
    dtype = getattr(torch, precision)
    draw = lambda n: (torch.randn(n, 2, 8, 8).to(dtype), torch.randint(4, (n,)))
    tasks = [(draw(a), draw(b)) for a, b in ((5, 9), (8, 4), (3, 14))]
    model = NETS[net](torch.nn).to(dtype)
    given = {"theta": dict(model.named_parameters()), "tasks": tasks, "lr": 0.05, "steps": 3}
    found = identify(gradient(model, tasks, create_graph), loss=torch_loss(model, cross_entropy), **given)
    right = "maml_gradient" if create_graph else "fomaml"
    assert found.grade in ("inconclusive", "variant:fomaml", "accurate"), found
    assert right in found.name.split(" or "), found


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_gradient_of_no_formula_has_no_name_there_either(precision):
    from torch.nn.functional import cross_entropy

    torch.manual_seed(0)
    dtype = getattr(torch, precision)
    draw = lambda n: (torch.randn(n, 2, 8, 8).to(dtype), torch.randint(4, (n,)))
    tasks, model = [(draw(5), draw(9)), (draw(8), draw(4))], NETS["conv relu"](torch.nn).to(dtype)
    given = {"theta": dict(model.named_parameters()), "tasks": tasks, "lr": 0.05, "steps": 3}
    random = [torch.randn_like(p) for p in model.parameters()]
    found = identify(random, loss=torch_loss(model, cross_entropy), **given)
    assert found.grade == "wrong"
    assert found.name == ""
