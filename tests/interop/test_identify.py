"""`refgrad.identify` on real models: convolutions and batch normalisation in PyTorch, an MLP of nested dicts in JAX."""

import pytest
from helpers.subjects import double_precision
from helpers.torch_models import (
    LR,
    MISTAKES,
    STEPS,
    conv4,
    convolutional,
    episodes,
    five_way,
    is_named,
    meta_gradient,
    million,
)

import refgrad

pytestmark = pytest.mark.interop


@pytest.fixture
def torch():
    found = pytest.importorskip("torch")
    found.manual_seed(0)
    threads = found.get_num_threads()
    found.set_num_threads(1)  # tests run beside one another
    yield found
    found.set_num_threads(threads)


def identified(torch, model, output, theta, tasks, **options):
    loss = refgrad.torch_loss(model, torch.nn.functional.cross_entropy)
    given = {"loss": loss, "theta": theta, "tasks": tasks, "lr": LR, "steps": STEPS} | options
    return refgrad.identify(output, "maml_gradient", **given)


def after_adam(torch, model, before, output):
    """The first step of Adam, which changes the model."""
    for p, g in zip(model.parameters(), output, strict=True):
        p.grad = g
    torch.optim.Adam(model.parameters(), lr=1e-3).step()
    return {"before": before, "after": dict(model.named_parameters()), "outer_lr": 1e-3}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", MISTAKES)
def test_a_convolutional_network_has_the_name_of_what_was_done(torch, name, dtype):
    kind = getattr(torch, dtype)
    model, tasks = convolutional(torch).to(kind), episodes(torch, 1, kind)
    theta, output = meta_gradient(torch, model, tasks, **MISTAKES[name])
    found = identified(torch, model, output, theta, tasks)
    assert is_named(found, name), str(found)
    assert found.dtype == dtype


@pytest.mark.seeds
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", MISTAKES)
def test_so_it_has_on_other_seeds(torch, name, dtype, seed):
    torch.manual_seed(100 + seed)
    kind = getattr(torch, dtype)
    model, tasks = convolutional(torch).to(kind), episodes(torch, 100 + seed, kind)
    theta, output = meta_gradient(torch, model, tasks, **MISTAKES[name])
    found = identified(torch, model, output, theta, tasks)
    assert is_named(found, name), str(found)


@pytest.mark.seeds
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", MISTAKES)
def test_four_blocks_with_batch_normalisation_have_it_too(torch, name, dtype, seed):
    torch.manual_seed(seed)
    kind = getattr(torch, dtype)
    model, tasks = conv4(torch).to(kind), five_way(torch, seed, kind)
    theta, output = meta_gradient(torch, model, tasks, **MISTAKES[name])
    found = identified(torch, model, output, theta, tasks)
    assert is_named(found, name), str(found)


@pytest.mark.seeds
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", ["maml_gradient", "fomaml"])
def test_four_blocks_are_told_by_the_first_step_of_adam_too(torch, name, seed):
    torch.manual_seed(seed)
    model, tasks = conv4(torch), five_way(torch, seed, torch.float32)
    before = {key: p.detach().clone() for key, p in model.named_parameters()}
    _, output = meta_gradient(torch, model, tasks, **MISTAKES[name])
    found = identified(torch, model, None, before, tasks, **after_adam(torch, model, before, output))
    assert name in found.name.split(" or "), str(found)
    assert ("fomaml" if name == "maml_gradient" else "maml_gradient") not in found.name.split(" or ")


@pytest.mark.seeds
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", MISTAKES)
def test_so_has_a_network_of_a_million_weights(torch, name, dtype):
    kind = getattr(torch, dtype)
    model, tasks = million(torch).to(kind), episodes(torch, 0, kind, tasks=2)
    theta, output = meta_gradient(torch, model, tasks, lr=0.1, **MISTAKES[name])
    found = identified(torch, model, output, theta, tasks, lr=0.1)
    assert is_named(found, name), str(found)


@pytest.mark.seeds
@pytest.mark.parametrize("seed", range(200))
def test_a_random_gradient_of_no_formula_has_no_name(torch, seed):
    torch.manual_seed(seed)
    model, tasks = convolutional(torch), episodes(torch, seed, torch.float32)
    theta, output = meta_gradient(torch, model, tasks)
    size = float(output[0].norm())
    found = identified(torch, model, [size * torch.randn_like(g) for g in output], theta, tasks)
    assert (found.name, found.grade) == ("", "wrong"), str(found)


@pytest.mark.parametrize(("name", "mistakes"), [("maml_gradient", {}), ("fomaml", {"order": "first"})])
def test_the_first_step_of_adam_tells_first_order_from_second(torch, name, mistakes):
    model, tasks = convolutional(torch), episodes(torch, 1, torch.float32)
    before = {key: p.detach().clone() for key, p in model.named_parameters()}
    _, output = meta_gradient(torch, model, tasks, **mistakes)
    found = identified(torch, model, None, before, tasks, **after_adam(torch, model, before, output))
    assert found.name.split(" or ")[0] == name, str(found)
    assert ("fomaml" if name == "maml_gradient" else "maml_gradient") not in found.name.split(" or ")


def test_batch_normalisation_in_train_mode_is_by_each_batch_and_its_statistics_stay(torch):
    model, tasks = convolutional(torch, normalised=True), episodes(torch, 1, torch.float32)
    theta, output = meta_gradient(torch, model, tasks, order="first")
    before = {name: x.clone() for name, x in model.named_buffers()}
    found = identified(torch, model, output, theta, tasks)
    assert found.name == "fomaml", str(found)
    assert any("train mode" in note for note in found.notes)
    assert all(torch.equal(x, before[name]) for name, x in model.named_buffers())
    loss = refgrad.torch_loss(model, torch.nn.functional.cross_entropy)
    model.eval()  # after the loss has been made
    found = identified(torch, model, output, theta, tasks, loss=loss)
    assert (found.name, [note for note in found.notes if "mode" in note]) == ("", loss.notes)
    assert "eval mode" in loss.notes[0]


def test_a_loss_of_ones_own_that_moves_running_statistics_leaves_them_where_they_were(torch):
    model, tasks = convolutional(torch, normalised=True).double(), episodes(torch, 1, torch.float64)
    theta, output = meta_gradient(torch, model, tasks)
    before = {name: x.clone() for name, x in model.named_buffers()}
    own = lambda w, b: torch.nn.functional.cross_entropy(torch.func.functional_call(model, w, (b[0],)), b[1])
    assert identified(torch, model, output, theta, tasks, loss=own).name == "maml_gradient"
    assert all(torch.equal(x, before[name]) for name, x in model.named_buffers())


def test_dropout_in_train_mode_is_random_and_in_eval_mode_is_not(torch):
    model, tasks = convolutional(torch, dropout=0.5), episodes(torch, 1, torch.float32)
    theta, output = meta_gradient(torch, model, tasks)
    found = identified(torch, model, output, theta, tasks)
    assert (found.grade, found.exit_code) == ("inconclusive", 4)
    assert "dropout" in found.summary
    theta, output = meta_gradient(torch, model.eval(), tasks)
    assert identified(torch, model, output, theta, tasks).name == "maml_gradient"


def test_a_loss_that_has_captured_tensors_in_single_precision_is_evaluated_in_double(torch):
    X, y = torch.randn(9, 4), torch.randn(9)
    loss = lambda w, batch: ((X[batch[0]] @ w - y[batch[0]]).float() ** 4).mean()
    w, batch = torch.randn(4), (torch.arange(5),)
    point = w.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(point, batch), point, create_graph=True)
    (output,) = torch.autograd.grad(loss(point - 0.01 * slope, (torch.arange(5, 9),)), point)
    given = {"loss": loss, "theta": w, "tasks": [(batch, (torch.arange(5, 9),))], "lr": 0.01, "steps": 1}
    found = refgrad.identify(output, "maml_gradient", **given)
    assert found.name == "maml_gradient", str(found)
    assert found.ranking[0]["distance"] < 1e-5


def test_second_derivatives_that_are_not_symmetric_are_noted(torch):
    class Leaky(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 3 * x * x.roll(1) * g  # which is no gradient of anything

    loss = lambda w, batch: (Leaky.apply(w) * batch[0]).sum()
    given = {
        "loss": loss,
        "theta": torch.randn(4),
        "tasks": [((torch.ones(4),), (torch.ones(4),))],
        "lr": 0.1,
        "steps": 1,
    }
    found = refgrad.identify(torch.randn(4), "maml_gradient", **given)
    assert any("not symmetric" in note for note in found.notes), str(found)


def test_gradients_that_were_rounded_to_bfloat16_are_compared_to_its_rounding(torch):
    model, tasks = convolutional(torch), episodes(torch, 1, torch.float32)
    theta, output = meta_gradient(torch, model, tasks, order="first")
    found = identified(torch, model, [g.bfloat16() for g in output], theta, tasks)
    assert (found.name, found.dtype) == ("fomaml", "float32"), str(found)


@pytest.mark.parametrize("how", ["without gradients", "with gradients of its own", "as a number"])
def test_a_loss_that_ignores_the_parameters_it_is_given_is_said(torch, how):
    model, tasks = convolutional(torch), episodes(torch, 1, torch.float32)
    theta, output = meta_gradient(torch, model, tasks)
    value = lambda batch: torch.nn.functional.cross_entropy(model(batch[0]), batch[1])
    own = lambda theta, batch: value(batch).item() if how == "as a number" else value(batch)
    for parameter in model.parameters():
        parameter.requires_grad_(how != "without gradients")
    with pytest.raises(refgrad.errors.UsageError, match=r"use refgrad\.torch_loss"):
        identified(torch, model, output, theta, tasks, loss=own)


def a_jax_network_is_named(name, seed, dtype="float32"):
    jax = pytest.importorskip("jax")
    jnp, mistakes = jax.numpy, {"fewer": 0} | MISTAKES[name]
    keys = iter(jax.random.split(jax.random.PRNGKey(seed), 40))
    normal = lambda shape: jax.random.normal(next(keys), shape, dtype)
    theta = [{"w": normal(s) / 2, "b": normal(s[1:]) / 9} for s in [(4, 12), (12, 12), (12, 3)]]
    draw = lambda n: (normal((n, 4)), jax.random.randint(next(keys), (n,), 0, 3))
    tasks = [(draw(5), draw(8)) for _ in range(2)]
    tree_map = jax.tree_util.tree_map

    def loss(theta, batch):
        x, y = batch
        for layer in theta[:-1]:
            x = jnp.tanh(x @ layer["w"] + layer["b"])
        z = x @ theta[-1]["w"] + theta[-1]["b"]
        return -jnp.mean(jax.nn.log_softmax(z)[jnp.arange(len(y)), y])

    def path(theta, support):
        points = [theta]
        for _ in range(3 - mistakes["fewer"]):
            g = jax.grad(loss)(points[-1], support)
            g = jax.lax.stop_gradient(g) if "order" in mistakes else g
            points.append(tree_map(lambda p, g: p - 0.3 * g, points[-1], g))
        return points

    def objective(theta, support, query):
        return loss(path(theta, support)[-1], support if "on_support" in mistakes else query)

    def reversed_product(theta, support, query):
        *points, last = path(theta, support)
        v = jax.grad(loss)(last, query)
        for point in points:
            Hv = jax.jvp(lambda p: jax.grad(loss)(p, support), (point,), (v,))[1]
            v = tree_map(lambda a, b: a - 0.3 * b, v, Hv)
        return v

    one = jax.jit(reversed_product if mistakes.get("order") == "reversed" else jax.grad(objective))
    scale = mistakes.get("factor", 1.0) / (1 if "total" in mistakes else len(tasks))
    output = tree_map(lambda *parts: scale * sum(parts), *(one(theta, *task) for task in tasks))
    found = refgrad.identify(output, "maml_gradient", loss=loss, theta=theta, tasks=tasks, lr=0.3, steps=3)
    assert is_named(found, name), str(found)
    assert (found.engine, found.dtype) == ("jax", dtype)
    assert jax.config.jax_enable_x64 == (dtype == "float64")  # as it was


@pytest.mark.parametrize("name", ["maml_gradient", "fomaml-sum-over-tasks"])
def test_a_jax_network_of_three_layers_has_the_name_of_what_was_done(name):
    a_jax_network_is_named(name, 0)


@pytest.mark.seeds
@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", MISTAKES)
def test_so_it_has_in_jax_on_other_seeds(name, dtype, seed):
    pytest.importorskip("jax")
    with double_precision("jax" if dtype == "float64" else ""):
        a_jax_network_is_named(name, seed, dtype)


@pytest.mark.parametrize("name", ["fisher_diagonal", "empirical", "argmax-label"])
def test_the_fisher_of_a_network_is_named(torch, name):
    model = torch.nn.Sequential(torch.nn.Linear(6, 9), torch.nn.Tanh(), torch.nn.Linear(9, 4))
    X, y = torch.randn(40, 6), torch.randint(4, (40,))
    parameters, output = tuple(model.parameters()), [torch.zeros_like(p) for p in model.parameters()]
    for n in range(40):
        log_p = torch.log_softmax(model(X[n : n + 1])[0], 0)
        labels = {"fisher_diagonal": range(4), "empirical": [y[n]], "argmax-label": [log_p.argmax()]}[name]
        for c in labels:
            weight = log_p[c].exp().detach() if name == "fisher_diagonal" else 1
            slopes = torch.autograd.grad(log_p[c], parameters, retain_graph=True)
            output = [total + weight * g**2 / 40 for total, g in zip(output, slopes, strict=True)]
    given = {"logits": refgrad.torch_logits(model), "theta": dict(model.named_parameters()), "X": X, "y": y}
    found = refgrad.identify(output, "fisher_diagonal", **given)
    assert found.name == name, str(found)


FISHERS = {  # how labels are chosen, whether the order is that of X, and of what scores the squares are taken
    "fisher_diagonal": ("model", True, 1),
    "empirical": ("data", True, 1),
    "argmax-label": ("argmax", True, 1),
    "sampled-label": ("drawn", True, 1),
    "batch-mean-squared-by-thirty-two": ("data", True, 32),
    "batch-mean-squared-by-about-": ("data", False, 32),
    "sampled-label-with-batch-mean-squared-by-about-": ("drawn", False, 32),
}


@pytest.mark.seeds
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FISHERS)
def test_the_fisher_of_ten_thousand_weights_is_named_by_batches_too(torch, name, dtype):
    kind = getattr(torch, dtype)
    model = torch.nn.Sequential(torch.nn.Linear(64, 134), torch.nn.Tanh(), torch.nn.Linear(134, 10)).to(kind)
    X, y = torch.randn(500, 64, dtype=kind), torch.randint(10, (500,))
    theta = {key: p.detach() for key, p in model.named_parameters()}
    log_p = lambda theta, x: torch.log_softmax(torch.func.functional_call(model, theta, (x,)), -1)
    scores = torch.func.vmap(torch.func.grad(lambda theta, x, row: (row * log_p(theta, x)).sum()), (None, 0, 0))
    labels, in_order, size = FISHERS[name]
    rows = torch.eye(10, dtype=kind)
    p = log_p(theta, X).exp()
    given = {"logits": refgrad.torch_logits(model), "theta": dict(model.named_parameters()), "X": X, "y": y}
    if labels == "model":
        weighted = [(p[:, c], scores(theta, X, rows[[c] * 500])) for c in range(10)]
        output = {
            k: sum((w.reshape(-1, *(1,) * t.dim()) * g[k] ** 2).mean(0) for w, g in weighted) for k, t in theta.items()
        }
    else:
        chosen = {"data": y, "argmax": p.argmax(1), "drawn": torch.multinomial(p, 1)[:, 0]}[labels]
        order = torch.arange(500) if in_order else torch.randperm(500)
        found = scores(theta, X[order], rows[chosen[order]])
        parts = {k: [part.mean(0) for part in g.split(size)] for k, g in found.items()}
        output = {k: torch.stack(means).square().mean(0) for k, means in parts.items()}
    answer = refgrad.identify(output, "fisher_diagonal", **given)
    names = answer.name.split(" or ")
    if name.endswith("about-"):
        sizes = [int(one.removeprefix(name)) for one in names if one.removeprefix(name).isdecimal()]
        assert 26 <= min(sizes) <= max(sizes) <= 40, str(answer)
    elif labels == "drawn":
        assert name in names, str(answer)
    else:
        assert names == [name], str(answer)
