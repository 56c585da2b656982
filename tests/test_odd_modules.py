"""Modules that a shortcut might train as another network: every strategy against a plain torch.optim loop over each."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import pytest
import torch
from made_workloads import workload
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

import tickets
from tickets.config import Campaign, parse_run
from tickets.current_network import current_network
from tickets.data import load_dataset, split
from tickets.earlier import check_earlier
from tickets.errors import InputError
from tickets.fitting import fit
from tickets.guard import guarded
from tickets.planning import plan_execution
from tickets.ready import ready_run
from tickets.seeds import stream
from tickets.source import load_source
from tickets.stack.evaluation import evaluate
from tickets.stack.feed import NetworkSeeds
from tickets.stack.networks import stack_networks
from tickets.stack.order import epoch_order
from tickets.stack.strategies import begin, choose
from tickets.tasks import task_of

# Of two modules below: PyTorch's own old weight_norm, and its old checkpoint on inputs without a gradient.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*weight_norm:FutureWarning", "ignore:None of the inputs have requires_grad:UserWarning"
)
STEPS, BATCH, CLASSES = 4, 8, 3
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def data(shape: Any = (6,)) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(60, *shape, generator=generator) + 0.5
    labels = torch.arange(60) % CLASSES
    return inputs[:40], labels[:40], inputs[40:], labels[40:]


# --- Layers and weights that stand there more than once


def one_relu_twice() -> nn.Module:
    act = nn.ReLU()
    return nn.Sequential(nn.Linear(6, 8), act, nn.Linear(8, 8), act, nn.Linear(8, CLASSES))


def one_dropout_twice() -> nn.Module:
    act, drop = nn.ReLU(inplace=True), nn.Dropout(0.3)
    return nn.Sequential(nn.Linear(6, 8), act, drop, nn.Linear(8, 8), act, drop, nn.Linear(8, CLASSES))


def one_pooling_twice() -> nn.Module:
    act, pool = nn.ReLU(), nn.MaxPool2d(2)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), act, pool, nn.Conv2d(4, 4, 3, padding=1), act, pool,
        nn.Flatten(), nn.Linear(16, CLASSES),
    )  # fmt: skip


def nested() -> nn.Module:
    act = nn.ReLU()
    inner = nn.Sequential(nn.Linear(6, 8), act, nn.Linear(8, 8), act)
    return nn.Sequential(nn.Identity(), inner, nn.Sequential(act, nn.Linear(8, CLASSES)))


def one_block_twice() -> nn.Module:
    block = nn.Sequential(nn.Linear(6, 6), nn.Tanh())
    return nn.Sequential(block, block, nn.Linear(6, CLASSES))


def one_linear_twice() -> nn.Module:
    layer = nn.Linear(6, 6)
    return nn.Sequential(layer, nn.ReLU(), layer, nn.ReLU(), nn.Linear(6, CLASSES))


class ConvTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.conv = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.norm, self.last = nn.BatchNorm2d(4), nn.Linear(4, CLASSES)

    def forward(self, x):
        x = torch.relu(self.first(x))
        x = torch.relu(self.norm(self.conv(x)))
        return self.last(self.norm(self.conv(x)).mean((2, 3)))


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, CLASSES)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.last(torch.tanh(self.second(torch.tanh(self.first(x)))))


def tied_chain() -> nn.Module:
    net = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, CLASSES))
    net[2].weight = net[0].weight
    return net


class FromAList(nn.Module):
    """It reaches its weight by a reference that is no attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, CLASSES)
        self.weights = [self.first.weight]

    def forward(self, x):
        return self.last(torch.tanh(functional.linear(x, self.weights[0], self.first.bias)))


# --- Buffers


class Centred(nn.Module):
    """how: its mean is changed in place, assigned, or both; changed in evaluation mode too."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.first, self.last, self.how = nn.Linear(6, 8), nn.Linear(8, CLASSES), how
        self.register_buffer("mean", torch.zeros(8))
        self.register_buffer("seen", torch.tensor(0))
        self.register_buffer("scale", torch.tensor(1.0), persistent=False)

    def forward(self, x):
        h = torch.tanh(self.first(x))
        if self.training or self.how == "always":
            now = h.detach().mean(0)
            if self.how == "in place":
                self.mean.mul_(0.5).add_(now, alpha=0.5)
            else:
                self.mean = 0.5 * self.mean + 0.5 * now
            self.seen += 1
            self.scale = self.scale * 1.5
        return self.last((h - self.mean) * self.scale)


class Norms(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 4, 3), nn.Linear(4, CLASSES)
        self.average = nn.BatchNorm2d(4, momentum=None)
        self.untracked = nn.BatchNorm2d(4, track_running_stats=False, affine=False)

    def forward(self, x):
        x = self.average(self.first(x))
        return self.last(torch.tanh(self.untracked(x)).mean((2, 3)))


def chain_with_a_buffer() -> nn.Module:
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, CLASSES))
    net[1].register_buffer("idle", torch.arange(3))
    return net


# --- What is frozen, and what no loss reaches


def frozen_chain(names: tuple[str, ...] = ("0.weight", "0.bias")) -> nn.Module:
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, CLASSES))
    for name in names:
        net.get_parameter(name).requires_grad_(False)
    return net


def frozen_convolution() -> nn.Module:
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, CLASSES),
    )  # fmt: skip
    net[0].requires_grad_(False)
    net[1].requires_grad_(False)
    return net


def frozen_image_chain() -> nn.Module:
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, CLASSES))
    net[0].weight.requires_grad_(False)
    return net


def chain_with_a_parameter() -> nn.Module:
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, CLASSES))
    net.register_parameter("idle", nn.Parameter(torch.ones(3)))
    return net


class Unreached(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last, self.idle = nn.Linear(6, 8), nn.Linear(8, CLASSES), nn.Linear(8, 8)

    def forward(self, x):
        return self.last(torch.tanh(self.first(x)))


class SometimesReached(nn.Module):
    """A layer that chance leaves out, as in stochastic depth."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, CLASSES)

    def forward(self, x):
        h = torch.tanh(self.first(x))
        if not self.training or torch.rand(()) < 0.5:
            h = h + torch.tanh(self.middle(h))
        return self.last(h)


class Scalars(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, CLASSES)
        self.scale, self.shift = nn.Parameter(torch.tensor(1.5)), nn.Parameter(torch.tensor(0.0))

    def forward(self, x):
        return self.last(torch.tanh(self.first(x)) + self.shift) * self.scale


# --- What is hung onto modules, or stands in their place


def hooked(kind: str) -> nn.Module:
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, CLASSES))
    if kind == "forward":
        net[0].register_forward_hook(lambda module, inputs, output: output * 0.5)
    elif kind == "before":
        net[2].register_forward_pre_hook(lambda module, inputs: (inputs[0] + 1,))
    elif kind == "backward":
        net[1].register_full_backward_hook(lambda module, grads, outputs: (grads[0] * 3,))
    elif kind == "gradient":
        net[0].weight.register_hook(lambda gradient: gradient * 3)
    else:
        net[1].forward = torch.tanh
    return net


def patched_convolution() -> nn.Module:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten(), nn.Linear(144, CLASSES))
    conv, norm = net[0], net[1]
    conv.forward = lambda x: 2 * functional.conv2d(x, conv.weight, conv.bias)
    norm.forward = lambda x: x * norm.weight.view(1, -1, 1, 1)
    return net


def normalised_weights(old: bool) -> nn.Module:
    wrap = nn.utils.weight_norm if old else nn.utils.parametrizations.weight_norm
    return nn.Sequential(wrap(nn.Linear(6, 8)), nn.ReLU(), nn.Linear(8, CLASSES))


class TwiceLinear(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


class Leaky(nn.ReLU):
    def forward(self, x):
        return functional.leaky_relu(x, 0.3)


class Doubled(nn.Conv2d):
    def forward(self, x):
        return 2 * super().forward(x)


class Skipping(nn.Sequential):
    def forward(self, x):
        return super().forward(x) + x[:, :CLASSES]


def own_classes() -> nn.Module:
    return Skipping(TwiceLinear(6, 8), Leaky(), nn.Linear(8, CLASSES))


def own_layers_in_a_chain() -> nn.Module:
    return nn.Sequential(TwiceLinear(6, 8), nn.ReLU(), nn.Linear(8, 8), Leaky(), nn.Linear(8, CLASSES))


def own_convolution() -> nn.Module:
    return nn.Sequential(Doubled(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, CLASSES))


# --- Options of convolutions and pooling


def odd_convolutions() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, padding_mode="circular"), nn.ReLU(inplace=True),
        nn.Conv2d(4, 4, 3, padding="same", dilation=2), nn.ReLU(), nn.MaxPool2d(3, ceil_mode=True),
        nn.Conv2d(4, 4, 3, padding=2, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(100, CLASSES),
    )  # fmt: skip


class Indices(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.pool = nn.Conv2d(1, 4, 3, padding=1), nn.MaxPool2d(2, return_indices=True)
        self.back, self.last = nn.MaxUnpool2d(2), nn.Linear(256, CLASSES)

    def forward(self, x):
        return self.last(torch.tanh(self.back(*self.pool(self.conv(x)))).flatten(1))


def flattened_twice() -> nn.Module:
    return nn.Sequential(nn.Flatten(2), nn.Linear(64, 4), nn.ReLU(), nn.Flatten(), nn.Linear(4, CLASSES))


# --- What depends on the mode, on chance, on recomputation


class Recomputed(nn.Module):
    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.first, self.norm, self.drop = nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.3)
        self.last, self.reentrant = nn.Linear(8, CLASSES), reentrant

    def forward(self, x):
        def middle(h):
            return self.drop(self.norm(torch.tanh(h)))

        return self.last(checkpoint(middle, self.first(x), use_reentrant=self.reentrant))


class Noisy(nn.Module):
    """Scaled noise while it trains, another function in evaluation."""

    def __init__(self, always: bool = False) -> None:
        super().__init__()
        self.first, self.last, self.always = nn.Linear(6, 8), nn.Linear(8, CLASSES), always

    def forward(self, x):
        h = torch.tanh(self.first(x))
        if self.training or self.always:
            h = functional.dropout(h, 0.3, training=True)
        return self.last(h if self.training else 2 * h)


class Counting(nn.Module):
    """It counts its training steps in an attribute that is no buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last, self.calls = nn.Linear(6, 8), nn.Linear(8, CLASSES), 0

    def forward(self, x):
        h = torch.tanh(self.first(x))
        if self.training:
            self.calls += 1
            h = h / self.calls
        return self.last(h)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru, self.last = nn.GRU(8, 5, batch_first=True), nn.Linear(5, CLASSES)

    def forward(self, x):
        return self.last(self.gru(x[:, 0])[0][:, -1])


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attend, self.last = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, CLASSES)

    def forward(self, x):
        x = x[:, 0]
        return self.last(self.attend(x, x, x, need_weights=False)[0].mean(1))


FLAT, IMAGE = (6,), (1, 8, 8)
TRAINED: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "one ReLU twice": (one_relu_twice, FLAT),
    "one Dropout twice": (one_dropout_twice, FLAT),
    "one pooling twice": (one_pooling_twice, IMAGE),
    "nested, one ReLU everywhere": (nested, FLAT),
    "one block twice": (one_block_twice, FLAT),
    "one Linear twice": (one_linear_twice, FLAT),
    "one Conv2d and one norm twice": (ConvTwice, IMAGE),
    "tied weights": (Tied, FLAT),
    "tied weights in a chain": (tied_chain, FLAT),
    "a weight in a list": (FromAList, FLAT),
    "a buffer changed in place": (functools.partial(Centred, "in place"), FLAT),
    "a buffer assigned": (functools.partial(Centred, "assigned"), FLAT),
    "a buffer assigned in evaluation too": (functools.partial(Centred, "always"), FLAT),
    "odd norms": (Norms, IMAGE),
    "a chain with a buffer": (chain_with_a_buffer, FLAT),
    "a frozen layer": (frozen_chain, FLAT),
    "a frozen last layer": (functools.partial(frozen_chain, ("4.weight", "4.bias")), FLAT),
    "frozen biases": (functools.partial(frozen_chain, ("0.bias", "2.bias")), FLAT),
    "a frozen convolution and norm": (frozen_convolution, IMAGE),
    "a frozen weight in a chain of images": (frozen_image_chain, IMAGE),
    "a chain with a parameter beside it": (chain_with_a_parameter, FLAT),
    "a layer that nothing reaches": (Unreached, FLAT),
    "a layer that is sometimes reached": (SometimesReached, FLAT),
    "scalar parameters": (Scalars, FLAT),
    "a forward hook": (functools.partial(hooked, "forward"), FLAT),
    "a hook before": (functools.partial(hooked, "before"), FLAT),
    "a backward hook": (functools.partial(hooked, "backward"), FLAT),
    "a hook of a gradient": (functools.partial(hooked, "gradient"), FLAT),
    "a forward of one object": (functools.partial(hooked, "own forward"), FLAT),
    "a forward of one convolution and norm": (patched_convolution, IMAGE),
    "weight_norm": (functools.partial(normalised_weights, False), FLAT),
    "weight_norm, the old one": (functools.partial(normalised_weights, True), FLAT),
    "classes of its own": (own_classes, FLAT),
    "layers of its own in a chain": (own_layers_in_a_chain, FLAT),
    "a convolution of its own": (own_convolution, IMAGE),
    "odd convolutions": (odd_convolutions, IMAGE),
    "pooling with indices": (Indices, IMAGE),
    "flattened twice": (flattened_twice, IMAGE),
    "recomputation": (functools.partial(Recomputed, False), FLAT),
    "recomputation, the old one": (functools.partial(Recomputed, True), FLAT),
    "noise in training": (Noisy, FLAT),
    "noise in evaluation too": (functools.partial(Noisy, True), FLAT),
    "steps counted in an attribute": (Counting, FLAT),
    "a GRU": (Recurrent, IMAGE),
    "attention": (Attention, IMAGE),
}


def net(which: str) -> nn.Module:
    return TRAINED[which][0]() if which in TRAINED else REFUSED[which][0]()


def campaign(which: str, strategy: str = "auto", shape: tuple[int, ...] = FLAT, **changes: Any) -> Campaign:
    table: dict[str, Any] = {
        "name": "odd",
        "replicates": 2,
        "rounds": 1,
        "data": {"name": f"{__name__}:data", "validation": 8, "shape": list(shape)},
        "model": {"name": f"{__name__}:net", "which": which},
        "arms": ["ticket", "reinit"],
        "prune": {"rate": 0.5},
        "train": {
            "optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.05, "warmup_steps": 2,
            "batch_size": BATCH, "steps": STEPS, "evaluate_every": 2,
        },
        "store": {"trained": "all"},
        "compute": {"strategy": strategy},
    }  # fmt: skip
    return Campaign((parse_run({**table, **changes}),))


def plain(which: str, ticket: Any, shape: tuple[int, ...], train: Any, replicate: int, round: int, arm: str):
    """The same network trained as anyone would: the module itself, torch.optim, and the mask on its gradients."""
    examples = split(load_dataset({"shape": list(shape)}, f"{__name__}:data", None), 8)
    module = net(which)
    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            tensor.copy_(torch.from_numpy(ticket.values[name].copy()))
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[train.optimizer]
    more = {"momentum": train.momentum} if train.optimizer == "sgd" else {}
    optimizer = kind(module.parameters(), train.learning_rate, weight_decay=train.weight_decay, **more)
    order = stream(0, replicate, "order")
    noise = stream(0, replicate, "noise", round, arm, 0)
    for step in range(STEPS):
        epoch, place = divmod(step, 32 // BATCH)
        batch = epoch_order(order, epoch, 32)[place * BATCH : (place + 1) * BATCH]
        for group in optimizer.param_groups:
            group["lr"] = train.learning_rate * min(1, (step + 1) / max(1, train.warmup_steps))
        torch.manual_seed(stream(noise, step))
        module.train()
        optimizer.zero_grad()
        functional.cross_entropy(module(examples.train_inputs[batch]), examples.train_labels[batch]).backward()
        for name, mask in ticket.mask.items():
            parameter = module.get_parameter(name)
            if parameter.grad is not None:
                parameter.grad[~torch.from_numpy(mask)] = 0
        optimizer.step()
    return (
        {name: tensor.detach() for name, tensor in [*module.named_parameters(), *module.named_buffers()]},
        module,
        examples,
    )


def assert_as_plain(saved: Any, which: str, shape: tuple[int, ...], arms: tuple[str, ...], replicates: int) -> None:
    train = saved_train(saved)
    frozen = [name for name, parameter in net(which).named_parameters() if not parameter.requires_grad]
    for arm in arms:
        for replicate in range(replicates):
            for round in (0, 1):
                ticket = saved.arm(arm, replicate, round)
                with torch.random.fork_rng():
                    wanted, module, examples = plain(which, ticket, shape, train, replicate, round, arm)
                for name, tensor in wanted.items():
                    found = torch.from_numpy(ticket.trained[name])
                    torch.testing.assert_close(
                        found, tensor, rtol=1e-4, atol=2e-6, msg=f"{arm} {replicate} {round} {name}"
                    )
                for name in frozen:
                    assert ticket.trained[name].tobytes() == ticket.values[name].tobytes(), name
                row = saved.rounds.query("arm == @arm and replicate == @replicate and round == @round")
                with torch.random.fork_rng(), torch.no_grad():
                    torch.manual_seed(0)
                    outputs = module.eval()(examples.test_inputs)
                loss = functional.cross_entropy(outputs, examples.test_labels)
                assert row["final_test_loss"].item() == pytest.approx(loss.item(), rel=1e-3)


def saved_train(saved: Any) -> Any:
    return saved.campaign.runs[0].train


@pytest.mark.parametrize("which", TRAINED)
def test_it_trains_as_written(which: str, tmp_path) -> None:
    shape = TRAINED[which][1]
    saved = run(campaign(which, shape=shape), tmp_path)
    assert_as_plain(saved, which, shape, ("ticket", "reinit"), 2)


@pytest.mark.torture
@pytest.mark.parametrize("strategy", ["layered", "sparse", "vectorised", "looped"])
@pytest.mark.parametrize("which", TRAINED)
def test_it_trains_as_written_by_every_strategy_that_takes_it(which: str, strategy: str, tmp_path) -> None:
    shape = TRAINED[which][1]
    wanted = campaign(which, strategy, shape, replicates=1, arms=["ticket"])
    if refused(wanted):
        with pytest.raises(InputError, match=r"compute\.strategy"):
            run(wanted, tmp_path)
        assert not (tmp_path / "out").exists()
        return
    assert_as_plain(run(wanted, tmp_path), which, shape, ("ticket",), 1)


def refused(wanted: Campaign) -> bool:
    """Whether the strategy is not for this model."""
    one = wanted.runs[0]
    try:
        choose(workload(net(one.model.options["which"]), one.data.options["shape"]), one.compute.strategy)
    except InputError:
        return True
    return False


class Saved:
    def __init__(self, saved: Any, of: Campaign) -> None:
        self.campaign, self.arm, self.rounds = of, saved.arm, saved.rounds


def run(of: Campaign, tmp_path) -> Saved:
    return Saved(tickets.run(of, out=tmp_path / "out"), of)


# --- What is refused, before anything is written


class Hidden(nn.Module):
    """Its mean is an attribute that is no buffer, and decides what it computes in evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last, self.mean = nn.Linear(6, 8), nn.Linear(8, CLASSES), torch.zeros(8)

    def forward(self, x):
        h = torch.tanh(self.first(x))
        if self.training:
            self.mean = 0.5 * self.mean + 0.5 * h.detach().mean(0)
        return self.last(h - self.mean)


class Drawn(nn.Module):
    """Its constructor keeps random numbers that are no buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.places = nn.Linear(6, CLASSES), torch.randperm(6)

    def forward(self, x):
        return self.last(x[:, self.places])


class Unseeded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(6, CLASSES)

    def forward(self, x):
        return self.last(x * (1 + int.from_bytes(os.urandom(2)) / 2**16) if self.training else x)


class Auxiliary(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(6, CLASSES)

    def forward(self, x):
        return (self.last(x), x) if self.training else self.last(x)


class Growing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(6, CLASSES)
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x):
        if self.training:
            self.seen = torch.cat([self.seen, x[:1, 0]])
        return self.last(x + self.seen.mean())


class CountedInEvaluation(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last, self.calls = nn.Linear(6, CLASSES), 0

    def forward(self, x):
        self.calls += 1
        return self.last(x / self.calls if self.training else x)


class Undetached(nn.Module):
    """The gradient would go back through the steps before."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, CLASSES)
        self.register_buffer("mean", torch.zeros(8))

    def forward(self, x):
        h = torch.tanh(self.first(x))
        if self.training:
            self.mean = 0.5 * self.mean + h.mean(0)
        return self.last(h - self.mean)


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "a mean that is no buffer": (Hidden, r"a new module with the trained parameters.*register_buffer"),
    "random numbers of the constructor": (Drawn, r"two plain PyTorch loops.*of its constructor.*register_buffer"),
    "random numbers without a seed": (Unseeded, r"the same values and seeds give other outputs the next time"),
    "two outputs in training": (Auxiliary, r"a plain PyTorch loop over it fails in training: TypeError"),
    "a buffer that grows": (Growing, r"fails in training: ValueError: 'seen': came, went or changed"),
    "evaluations that are counted": (CountedInEvaluation, r"an evaluation must have no side effects"),
    "a buffer with a history": (Undetached, r"fails in training: RuntimeError: Trying to backward"),
    "everything frozen": (
        lambda: frozen_chain(tuple(f"{layer}.{kind}" for layer in (0, 2, 4) for kind in ("weight", "bias"))),
        r"has no parameter to train",
    ),
}


@pytest.mark.parametrize("strategy", ["auto", "looped"])
@pytest.mark.parametrize("which", REFUSED)
def test_what_cannot_be_trained_is_refused_before_anything_is_written(which: str, strategy: str, tmp_path) -> None:
    with pytest.raises(InputError, match=REFUSED[which][1]):
        run(campaign(which, strategy), tmp_path)
    assert not (tmp_path / "out").exists()


def test_state_that_no_rewinding_restores_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match=r"a new module with the trained parameters.*rewound"):
        run(campaign("steps counted in an attribute", rewind={"step": 2}), tmp_path)


def test_a_hook_of_every_module_is_heard(tmp_path) -> None:
    handle = nn.modules.module.register_module_forward_hook(
        lambda module, inputs, output: output * 1.5 if isinstance(module, nn.Linear) else None
    )
    try:
        saved = run(campaign("one ReLU twice"), tmp_path)
        assert_as_plain(saved, "one ReLU twice", FLAT, ("ticket",), 1)
    finally:
        handle.remove()


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
@pytest.mark.parametrize(
    "which",
    ["a frozen layer", "a layer that nothing reaches", "a layer that is sometimes reached", "scalar parameters"],
)
def test_it_trains_as_written_by_other_optimizers(which: str, optimizer: str, tmp_path) -> None:
    train = {"optimizer": optimizer, "learning_rate": 0.01, "weight_decay": 0.1, "batch_size": BATCH, "steps": STEPS}
    saved = run(campaign(which, train=train), tmp_path)
    assert_as_plain(saved, which, FLAT, ("ticket", "reinit"), 2)


# --- Models that write to their input


class Writing(nn.Module):
    def __init__(self, way: str) -> None:
        super().__init__()
        self.first, self.last, self.way = nn.Linear(6, 8), nn.Linear(8, CLASSES), way

    def forward(self, x):
        written = {"clamp_": lambda: x.clamp_(0), "add_": lambda: x.add_(1.0), "relu": lambda: functional.relu(x, True)}
        return self.last(torch.tanh(self.first(written[self.way]())))


@pytest.mark.parametrize("strategy", ["auto", "looped"])
@pytest.mark.parametrize("way", ["clamp_", "add_", "relu", "a chain"])
def test_a_model_that_writes_to_its_input_does_not_write_to_the_data(
    way: str, strategy: str, monkeypatch, tmp_path
) -> None:
    def writing() -> nn.Module:
        chain = (nn.ReLU(inplace=True), nn.Linear(6, 8), nn.ReLU(inplace=True), nn.Linear(8, CLASSES))
        return nn.Sequential(*chain) if way == "a chain" else Writing(way)

    monkeypatch.setitem(TRAINED, "writing", (writing, FLAT))
    wanted = campaign("writing", strategy)
    one = wanted.runs[0]
    fitted = fit(one, load_source(one.data, None))
    before = [tensor.clone() for tensor in tensors_of(fitted.source.examples)]
    plan = plan_execution(fitted, CPU)
    current_network(fitted)
    guarded(fitted, plan, CPU)
    check_earlier(tmp_path, fitted, plan, plan)
    ready = ready_run(fitted, plan, CPU)
    assert all(map(torch.equal, tensors_of(fitted.source.examples), before))
    masks = {tensor.name: torch.ones(tensor.shape, dtype=torch.bool) for tensor in fitted.prunable}
    stack = stack_networks([fitted.fresh(0)], [masks], fitted.trained)
    given = (stack, [NetworkSeeds(0, 0)], ready.examples, one.train, CPU)
    for each in (plan.strategy, "plain"):
        evaluate(task_of(one.train), begin(each, ready.workload, *given).logits, ready.examples, 5)
    assert all(map(torch.equal, tensors_of(ready.examples), before))
    assert_as_plain(run(wanted, tmp_path), "writing", FLAT, ("ticket",), 1)


def tensors_of(examples: Any) -> list[torch.Tensor]:
    return [value for value in vars(examples).values() if isinstance(value, torch.Tensor)]
