"""Other losses than plain cross-entropy: each strategy against a plain loop, network by network."""

from __future__ import annotations

import pytest
import torch
from made_workloads import workload
from sklearn.metrics import r2_score
from torch import Tensor, nn
from torch.nn import functional

from tickets.errors import InputError
from tickets.stack.evaluation import METRICS
from tickets.stack.strategies import choose

CLOSE = {"rtol": 1e-9, "atol": 1e-11}
WEIGHTS = (0.5, 2.0, 1.25)
LOSSES = """
from torch.nn import functional

def huber(outputs, targets):
    return functional.huber_loss(outputs, targets, delta=0.3)

def focal(outputs, labels):
    losses = functional.cross_entropy(outputs, labels, reduction="none")
    return ((1 - (-losses).exp()) ** 2 * losses).mean()

def branches(outputs, targets):
    loss = functional.mse_loss(outputs, targets)
    return loss if loss > 0 else loss.sqrt()
"""
OPTIMIZERS = {
    "sgd": {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.01, "warmup_steps": 4},
    "adam": {"optimizer": "adam", "weight_decay": 0.01},
}
TASKS = {
    "mse": ({"loss": "mse"}, functional.mse_loss),
    "huber": ({"loss": "huber"}, lambda o, t: functional.huber_loss(o, t.to(o.dtype), delta=0.3)),
    "focal": (
        {"loss": "focal"},
        lambda o, y: (-((1 - o.softmax(1)) ** 2 * o.log_softmax(1)).gather(1, y[:, None])).mean(),
    ),
    "smoothed": ({"label_smoothing": 0.2}, lambda o, y: functional.cross_entropy(o, y, label_smoothing=0.2)),
    "weighted": (
        {"class_weights": WEIGHTS},
        lambda o, y: functional.cross_entropy(o, y, torch.tensor(WEIGHTS, dtype=o.dtype)),
    ),
    "both": (  # torch 2.13's vmap cannot run it
        {"class_weights": WEIGHTS, "label_smoothing": 0.1},
        lambda o, y: functional.cross_entropy(o, y, torch.tensor(WEIGHTS, dtype=o.dtype), label_smoothing=0.1),
    ),
}


def numbers(examples: Tensor) -> Tensor:
    """Three numbers to predict for each example."""
    return torch.stack([examples[:, 0] * examples[:, 1], examples[:, 2].sin(), examples.sum(1)], 1).float()


def of_task(bench, module, task: str, **changes):
    """The recipe, the plain loss and the examples, in double precision."""
    options, plain = TASKS[task]
    if options.get("loss", "mse") != "mse":
        options = {"loss": f"{module('losses', LOSSES)}:{options['loss']}"}
    examples = bench.examples((6,), torch.float64)
    if task in ("mse", "huber"):
        parts = {
            f"{part}_labels": numbers(getattr(examples, f"{part}_inputs")) for part in ("train", "validation", "test")
        }
        examples = bench.examples((6,), torch.float64, **parts)
    return bench.recipe(**options, **changes), plain, examples


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("strategy", ["vectorised", "looped", "plain"])
@pytest.mark.parametrize("task", TASKS)
def test_a_stack_is_the_plain_loop(bench, module, task: str, strategy: str, optimizer: str) -> None:
    if (task, strategy) == ("both", "vectorised"):
        pytest.skip("never chosen")
    recipe, plain, examples = of_task(bench, module, task, **OPTIMIZERS[optimizer])
    values, masks = bench.networks(bench.mlp, dtype=torch.float64)
    start, seeds = bench.stack(bench.mlp, dtype=torch.float64), bench.seeds(3)
    trained = bench.train(bench.mlp, start, recipe, examples, strategy, seeds=seeds)
    for index in range(3):
        network, _ = bench.plain(bench.mlp, values[index], masks[index], recipe, examples, seeds[index].order, plain)
        for name, value in network.state_dict().items():
            torch.testing.assert_close(trained.stack.network(index)[name], value, **CLOSE)
        row = dict(zip(METRICS, trained.curves.values[-1, index].tolist(), strict=True))
        for part in ("validation", "test"):
            x, y = getattr(examples, f"{part}_inputs"), getattr(examples, f"{part}_labels")
            with torch.no_grad():
                outputs = network(x)
            assert row[f"{part}_loss"] == pytest.approx(float(plain(outputs, y)), rel=1e-6)
            floats = y.dtype.is_floating_point
            right = r2_score(y, outputs) if floats else float((outputs.argmax(1) == y).double().mean())
            assert row[f"{part}_accuracy"] == pytest.approx(right, rel=1e-6)


def test_early_stopping_on_a_few_examples_of_a_regression(bench, module) -> None:
    """What `evaluate_on` gives at the early-stop step is what the whole evaluation gives there."""
    recipe, _, examples = of_task(bench, module, "mse", evaluate_every=1)
    start = bench.stack(bench.mlp, dtype=torch.float64)
    whole = bench.train(bench.mlp, start, recipe, examples, "vectorised")
    few = bench.train(bench.mlp, start, recipe.model_copy(update={"evaluate_on": 4}), examples, "vectorised")
    for network in range(3):
        at = int(few.curves.early_stop[network])
        torch.testing.assert_close(few.curves.early_score[network], whole.curves.values[at, network], rtol=1e-9, atol=0)


def choice(bench, module, task: str, model: nn.Module | None = None, shape: tuple[int, ...] = (6,), wanted="auto"):
    recipe, _, examples = of_task(bench, module, task)
    return choose(workload(model or bench.mlp(), shape, recipe=recipe, targets=examples.train_labels[:1]), wanted)


@pytest.mark.parametrize("task", TASKS)
def test_what_has_its_gradient_written_out_is_not_chosen(bench, module, task: str) -> None:
    chosen = choice(bench, module, task)
    assert (chosen.strategy, chosen.takes_over.get("sparse", 0.0)) == (
        "looped" if task == "both" else "vectorised",
        0.0,
    )
    assert choice(bench, module, task, bench.convnet(), (1, 4, 4)).takes_over == {}
    for strategy in ("layered", "sparse"):
        with pytest.raises(
            InputError, match=f"compute.strategy = '{strategy}': its gradient is that of train.loss = 'cross_"
        ):
            choice(bench, module, task, wanted=strategy)


def test_sparse_convolutions_train_by_any_loss(bench, module) -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Conv2d(1, 1, 3, padding=1), nn.Linear(16, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.last((x + self.first(x).relu()).flatten(1))

    assert choice(bench, module, "mse", Residual(), (1, 4, 4), "sparse").strategy == "sparse"


def test_a_loss_that_vmap_cannot_run_is_looped(bench, module) -> None:
    name = module("losses", LOSSES)
    recipe = bench.recipe(loss=f"{name}:branches")
    chosen = choose(workload(bench.mlp(), recipe=recipe, targets=torch.zeros(1, 3)))
    assert chosen.strategy == "looped"
    assert "data-dependent control flow" in chosen.reason
