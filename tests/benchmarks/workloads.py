"""What is timed: networks with their batch and stack sizes, on made-up examples; each written down once, here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from tickets.chains import Chain
from tickets.config import Campaign, parse_campaign, parse_run
from tickets.data import Examples
from tickets.fitting import Fitted, fit
from tickets.masks import keep_highest
from tickets.planning import plan_execution
from tickets.ready import ReadyRun, ready_run
from tickets.seeds import stream
from tickets.source import Source
from tickets.stack.networks import Tensors

from . import modules

CLASSES = 10
HALF = 0.5
ARMS = 5  # of a replicate, where a whole workload is timed
DENSITIES = (1.0, 0.5, 0.2, 0.1, 0.05, 0.01)


@dataclass(frozen=True)
class Workload:
    """networks: R, in the stack. examples: for training, so many that gathering a batch costs what it does in life.

    held_out: for validation, and twice as many for the test; 1 where evaluation is not what is timed.
    """

    name: str
    model: Mapping[str, Any]
    input_shape: tuple[int, ...]
    batch_size: int
    networks: int
    examples: int
    held_out: int = 1

    def __str__(self) -> str:
        return f"{self.name}, batch {self.batch_size}, R {self.networks}"

    @property
    def id(self) -> str:
        """The same, for the names of tests."""
        return f"{self.name}-b{self.batch_size}-R{self.networks}"


def _mlp(*sizes: int, batch_size: int, networks: int, examples: int) -> Workload:
    name = "-".join(map(str, (*sizes, CLASSES)))
    model = {"name": "mlp", "widths": list(sizes[1:])}
    return Workload(name, model, sizes[:1], batch_size, networks, examples)


SMALL = _mlp(40, 100, 100, batch_size=100, networks=25, examples=3_500)
LENET = _mlp(784, 300, 100, batch_size=60, networks=20, examples=20_000)
TRAINING = (
    _mlp(64, 64, 64, batch_size=32, networks=50, examples=1_000),
    SMALL,
    _mlp(40, 500, 500, batch_size=100, networks=25, examples=3_500),
    LENET,
    _mlp(784, 300, 100, batch_size=128, networks=20, examples=20_000),
)
IMAGES = tuple(
    Workload(name, {"name": name}, (3, 32, 32), batch_size=60, networks=10, examples=500)
    for name in ("conv2", "conv4", "conv6")
)
RESIDUAL = Workload("resnet20", {"name": "resnet20"}, (3, 32, 32), batch_size=60, networks=10, examples=500)
BY_DENSITY = (LENET, SMALL, *IMAGES, RESIDUAL)
# What a loop or vmap trains: (network, numbers of an example, width, batch size), half of them where vmap is chosen.
OTHERS = tuple(
    Workload(
        f"{network} {inputs}-{width}",
        {"name": f"{modules.__name__}:{network}", "width": width},
        (inputs,),
        batch_size=batch_size,
        networks=25,
        examples=3_500,
    )
    for network, inputs, width, batch_size in (
        ("residual", 40, 16, 10),
        ("residual", 40, 50, 100),
        ("residual", 40, 100, 100),
        ("residual", 40, 200, 100),
        ("residual", 40, 500, 100),
        ("residual", 40, 1000, 10),
        ("tanh", 40, 16, 500),
        ("tanh", 40, 300, 100),
        ("normalised", 40, 100, 10),
        ("normalised", 40, 300, 100),
        ("attention", 64, 8, 100),
        ("attention", 1024, 64, 100),
    )
)
CAMPAIGN = replace(LENET, examples=55_000, held_out=5_000)
ZOO = (
    SMALL,
    Workload("lenet_300_100", {"name": "lenet_300_100"}, (784,), batch_size=60, networks=20, examples=20_000),
    *(
        Workload(name, {"name": name}, (3, 32, 32), batch_size=8, networks=5, examples=500)
        for name in ("conv2", "conv4", "conv6", "resnet20")
    ),
)


@dataclass(frozen=True)
class Ready:
    """A workload with everything that its training needs, on a device; the setting is the one a campaign makes.

    chains: replicates before round 1; on the CPU, as in a campaign. draws: networks that each of them stands for: they
    share its data order and masks, as a ticket shares them with its controls.
    """

    workload: Workload
    fitted: Fitted
    setting: ReadyRun
    chains: tuple[Chain, ...]
    draws: int = 1

    @property
    def networks(self) -> int:
        """R, of the stack."""
        return len(self.chains) * self.draws

    def start(self, index: int) -> Tensors:
        """What one network starts from: every parameter and buffer, pruned weights 0."""
        chain = self.chains[index]
        return {
            name: value.masked_fill(~chain.masks[name], 0.0) if name in chain.masks else value
            for name, value in chain.theta0.items()
        }

    def alone(self, index: int) -> tuple[nn.Module, Tensors]:
        """One network as a module of its own, and its masks as the numbers 0 and 1, on the device."""
        module, device = self.fitted.build(), self.setting.device
        module.load_state_dict(self.start(index))
        masks = {name: mask.to(device, torch.float32) for name, mask in self.chains[index].masks.items()}
        return module.to(device).train(), masks

    def order(self, index: int) -> int:
        """The seed of one network's data order."""
        return stream(self.setting.run.seed, self.chains[index].replicate, "order")


def make_ready(
    workload: Workload,
    density: float,
    device: torch.device,
    *,
    first: int = 0,
    networks: int | None = None,
) -> Ready:
    """The workload's networks, each tensor at the density, at places drawn at random.

    first, networks: only so many of them, from this one on, each a replicate of its own; default all, ARMS a replicate.
    """
    count = networks or workload.networks // ARMS
    fitted = _fit(workload, networks or workload.networks)
    setting = ready_run(fitted, plan_execution(fitted, device), device)
    chains = []
    for replicate in range(first, first + count):
        theta0 = setting.fresh(replicate)
        masks = {
            tensor.name: _mask(tensor.shape, density, 1000 * replicate + place)
            for place, tensor in enumerate(fitted.prunable)
        }
        chains.append(Chain(replicate, theta0=theta0, rewound=theta0, optimizer={}, masks=masks))
    return Ready(workload, fitted, setting, tuple(chains), 1 if networks else ARMS)


def campaign_data() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The examples of CAMPAIGN as a data set: with those for validation at the end of those for training."""
    made = _examples(CAMPAIGN)
    inputs = torch.cat([made.train_inputs, made.validation_inputs])
    return inputs, torch.cat([made.train_labels, made.validation_labels]), made.test_inputs, made.test_labels


def lenet_campaign(
    name: str, *, replicates: int, rounds: int, arms: Sequence[Any], learning_rate: float, steps: int, every: int
) -> Campaign:
    """A campaign of CAMPAIGN's network on its examples, pruned as Frankle and Carbin (2019) prune it.

    rounds: prunings. every: steps from one evaluation to the next.
    """
    data = {"name": f"{campaign_data.__module__}:{campaign_data.__name__}", "validation": CAMPAIGN.held_out}
    train = {"learning_rate": learning_rate, "batch_size": CAMPAIGN.batch_size, "steps": steps, "evaluate_every": every}
    return parse_campaign(
        {
            "name": name,
            "replicates": replicates,
            "rounds": rounds,
            "data": data,
            "model": {**CAMPAIGN.model, "init": "glorot_normal"},
            "arms": list(arms),
            "train": train,
            "prune": {"rate": 0.2, "output_rate": 0.1},
        }
    )


def by_strategy(ready: Ready, strategy: str) -> Ready:
    """The same networks, computed as compute.strategy = `strategy` has it; InputError if the model cannot be."""
    run = ready.fitted.run
    compute = run.compute.model_copy(update={"strategy": strategy})
    fitted = replace(ready.fitted, run=run.model_copy(update={"compute": compute}))
    device = ready.setting.device
    return replace(ready, fitted=fitted, setting=ready_run(fitted, plan_execution(fitted, device), device))


def step_flops(ready: Ready) -> int:
    """Floating-point operations of one training step of one network: its dense matrix products and convolutions.

    Forward, weight gradients, and input gradients but for the first layer's; two for each multiply-add.
    """
    module = ready.fitted.build()
    inputs = torch.zeros(ready.workload.batch_size, *ready.workload.input_shape)
    labels = torch.zeros(ready.workload.batch_size, dtype=torch.int64)
    with FlopCounterMode(display=False) as counter:
        functional.cross_entropy(module(inputs), labels).backward()
    return int(counter.get_total_flops())


def _fit(workload: Workload, networks: int) -> Fitted:
    run = parse_run(
        {
            "name": "timing",
            "data": "digits",  # by name only: the examples are made up
            "replicates": networks,
            "arms": ["ticket"],
            "model": {**workload.model, "init": "glorot_normal"},
            "train": {"optimizer": "adam", "learning_rate": 1e-3, "batch_size": workload.batch_size},
        }
    )
    return fit(run, Source("made up", "none", _examples(workload)))


def _examples(workload: Workload) -> Examples:
    """Noise, labelled by a random linear map."""
    generator = torch.Generator().manual_seed(1)
    count, held_out = workload.examples, workload.held_out
    inputs = torch.randn(count + 3 * held_out, *workload.input_shape, generator=generator)
    labels = (inputs.flatten(1) @ torch.randn(math.prod(workload.input_shape), CLASSES, generator=generator)).argmax(1)
    return Examples(
        train_inputs=inputs[:count],
        train_labels=labels[:count],
        validation_inputs=inputs[count : count + held_out],
        validation_labels=labels[count : count + held_out],
        test_inputs=inputs[count + held_out :],
        test_labels=labels[count + held_out :],
        classes=CLASSES,
    )


def _mask(shape: tuple[int, ...], density: float, seed: int) -> Tensor:
    scores = torch.rand(shape, generator=torch.Generator().manual_seed(seed))
    return keep_highest(scores, round(density * scores.numel()))
