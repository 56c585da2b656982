"""Campaigns of odd modules, and a plain torch.optim loop over the very module to compare them with."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from candidates import CLASSES
from odd_modules import FLAT, TRAINED
from refused_modules import REFUSED
from torch import nn
from torch.nn import functional

import tickets
from tickets.config import Campaign, parse_run
from tickets.data import load_dataset, split
from tickets.seeds import stream
from tickets.stack.order import epoch_order

STEPS, BATCH = 4, 8


def data(shape: Any = (6,)) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(60, *shape, generator=generator) + 0.5
    labels = torch.arange(60) % CLASSES
    return inputs[:40], labels[:40], inputs[40:], labels[40:]


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


class Saved:
    def __init__(self, saved: Any, of: Campaign) -> None:
        self.campaign, self.arm, self.rounds = of, saved.arm, saved.rounds


def run(of: Campaign, tmp_path) -> Saved:
    return Saved(tickets.run(of, out=tmp_path / "out"), of)
