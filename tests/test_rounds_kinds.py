"""What is rewound, in the rounds of a tiny run: each kind against a plain PyTorch loop over the module itself."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from small_rounds import CPU, assert_equal, masked, norm_net, of, play, rounds_of
from torch import Tensor, nn
from torch.nn import functional

from tickets.arms import Origin, Start
from tickets.chains import first_chain
from tickets.config import ArmConfig, parse_run
from tickets.data import Examples
from tickets.fitting import fit
from tickets.planning import plan_execution
from tickets.ready import ReadyRun, ready_run
from tickets.rewinding import slow_note
from tickets.seeds import stream
from tickets.source import Source
from tickets.stack.order import epoch_order

pytestmark = pytest.mark.usefixtures("one_thread")

STEPS, MORE, STEP, BATCH, EXAMPLES = 9, 5, 4, 10, 50
CLOSE = {"mlp": {"rtol": 1e-4, "atol": 1e-6}, "norms": {"rtol": 1e-9, "atol": 1e-11}}  # float32 and float64


class Norms(nn.Sequential):
    """In double precision."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.double())


def norms(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    return Norms(*norm_net(input_shape, classes)).double()


MODELS = {"mlp": {"name": "mlp", "widths": [7]}, "norms": f"{__name__}:norms"}


def made() -> Source:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(80, 10, generator=generator)
    labels = inputs[:, :3].argmax(1)
    cuts = [slice(0, EXAMPLES), slice(EXAMPLES, 62), slice(62, 80)]
    return Source("made", "00", Examples(*[part for cut in cuts for part in (inputs[cut], labels[cut])], classes=3))


SGD = {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.01}
ADAM = {"optimizer": "adam", "weight_decay": 0.01}


def setting_of(kind: str, model: str = "norms", optimizer: Any = ADAM, **changes: Any) -> ReadyRun:
    rewind = {"kind": kind, **({} if kind == "none" else {"step": STEP})}
    table: dict[str, Any] = {
        "name": "tiny",
        "seed": 7,
        "data": "digits",
        "model": MODELS[model],
        "train": {
            **{"steps": STEPS, "batch_size": BATCH, "evaluate_every": 100, "learning_rate": 0.03},
            **{"schedule": "cosine", "warmup_steps": 3},
            **optimizer,
        },
        "prune": {"rate": 0.5},
        "rewind": rewind,
        **({"fine_tune": {"steps": MORE}} if kind == "none" else {}),
        **changes,
    }
    fitted = fit(parse_run(table), made())
    return ready_run(fitted, plan_execution(fitted, CPU), CPU)


def rate_at(step: int) -> float:
    """Cosine with a warm-up of 3 steps; after the schedule has ended, as at its last step."""
    step = min(step, STEPS - 1)
    return 0.03 * (1 + math.cos(math.pi * step / STEPS)) / 2 * min(1.0, (step + 1) / 3)


class PlainLoop:
    """One network in training by torch.optim: pruned weights and their momenta are set to 0, and held at 0."""

    def __init__(self, setting: ReadyRun, optimizer: dict[str, Any]) -> None:
        self.module = setting.build()
        self.module.load_state_dict(first_chain(setting, 0).theta0)
        self.examples, self.kind = made().examples, optimizer
        self.masks = {
            name: torch.ones_like(value, dtype=torch.bool)
            for name, value in self.module.named_parameters()
            if value.ndim > 1
        }
        self.forget()

    def forget(self) -> None:
        kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[self.kind["optimizer"]]
        options = {key: value for key, value in self.kind.items() if key != "optimizer"}
        self.optimizer = kind(self.module.parameters(), 0.03, **options)

    def train(self, first: int, last: int) -> None:
        order = stream(7, 0, "order")
        self.module.train()
        for step in range(first, last):
            epoch, place = divmod(step, EXAMPLES // BATCH)
            at = epoch_order(order, epoch, EXAMPLES)[place * BATCH : (place + 1) * BATCH]
            self.optimizer.param_groups[0]["lr"] = rate_at(step)
            self.optimizer.zero_grad()
            logits = self.module(self.examples.train_inputs[at])
            functional.cross_entropy(logits, self.examples.train_labels[at]).backward()
            for name, mask in self.masks.items():
                self.module.get_parameter(name).grad[~mask] = 0
            self.optimizer.step()
            self.hold()

    def prune(self) -> None:
        for name, mask in self.masks.items():
            alive, score = int(mask.sum()), self.module.get_parameter(name).detach().abs().masked_fill(~mask, -1)
            kept = score.flatten().topk(alive - round(0.5 * alive)).indices
            self.masks[name] = torch.zeros(mask.numel(), dtype=torch.bool).index_fill(0, kept, True).view(mask.shape)
        self.hold()

    @torch.no_grad()
    def hold(self) -> None:
        for name, mask in self.masks.items():
            parameter = self.module.get_parameter(name)
            parameter[~mask] = 0
            for state in self.optimizer.state[parameter].values():
                if isinstance(state, Tensor) and state.shape == mask.shape:
                    state[~mask] = 0


@pytest.mark.parametrize(("model", "optimizer"), [("mlp", ADAM), ("norms", SGD)], ids=["mlp adam", "norms sgd"])
@pytest.mark.parametrize("kind", ["learning_rate", "none"])
def test_trained_values_go_on_as_in_a_plain_loop(kind: str, model: str, optimizer: dict[str, Any]) -> None:
    setting = setting_of(kind, model, optimizer)
    results, loop = rounds_of(setting, 3), PlainLoop(setting, optimizer)
    loop.train(0, STEPS)
    for number, result in enumerate(results):
        if number and kind == "none":
            loop.train(STEPS + (number - 1) * MORE, STEPS + number * MORE)
        elif number:
            loop.forget()
            loop.train(STEP, STEPS)
        ticket = of(result, "ticket")
        assert set(ticket.trained) == set(loop.module.state_dict())
        for name, value in loop.module.state_dict().items():
            torch.testing.assert_close(ticket.trained[name], value, **CLOSE[model])
        for name, mask in loop.masks.items():
            assert torch.equal(ticket.mask[name], mask)
        loop.prune()


@pytest.mark.parametrize("kind", ["learning_rate", "none"])
def test_a_ticket_starts_from_every_trained_value_of_the_round_before_bit_for_bit(kind: str) -> None:
    first, second, third = rounds_of(setting_of(kind), 2)
    for before, after in ((first, second), (second, third)):
        ticket = of(after, "ticket")
        assert_equal(ticket.initial, masked(of(before, "ticket").trained, ticket.mask))
        assert ticket.initial["1.running_mean"].abs().min() > 0
    ends = [of(result, "ticket").trained["1.num_batches_tracked"] for result in (first, second, third)]
    each = MORE if kind == "none" else STEPS - STEP
    assert [int(end) for end in ends] == [STEPS, STEPS + each, STEPS + 2 * each]


@pytest.mark.parametrize("kind", ["learning_rate", "none"])
def test_every_arm_starts_where_the_ticket_does_and_a_mask_of_its_own_from_theta0(kind: str) -> None:
    setting = setting_of(kind)
    theta0 = first_chain(setting, 0).theta0
    full = ArmConfig(name="reinit", label="full", start=0)
    arms = ("ticket", "repeat", "shuffle", "reinit", "random_mask", "constant", full)
    first = play(setting, [first_chain(setting, 0)], 0, *arms)
    second = play(setting, list(first.chains), 1, *arms)
    begins, ends = (STEPS, STEPS + MORE) if kind == "none" else (STEP, STEPS)
    steps = {arm: rows["step"].tolist() for arm, rows in second.curves.groupby("arm")}
    assert steps == {**{arm: [begins, ends] for arm in steps}, "full": [0, STEPS]}
    assert len(steps) == 7
    ticket, trained = of(second, "ticket"), of(first, "ticket").trained
    assert_equal(of(second, "repeat").initial, ticket.initial)
    random = of(second, "random_mask")
    assert_equal(random.initial, masked(theta0, random.mask))
    shuffled = of(second, "shuffle").initial
    for name, mask in ticket.mask.items():
        assert torch.equal(shuffled[name][mask].sort().values, trained[name][mask].sort().values)
        assert not torch.equal(shuffled[name], ticket.initial[name])
    assert torch.equal(shuffled["0.bias"], trained["0.bias"])
    # The whole schedule from a fresh draw is the training that round 0 gave the same draw, but for the mask.
    assert of(second, "full").trained["1.num_batches_tracked"] == STEPS


def trained_before(origin: Origin, mask: Any) -> dict[str, Tensor]:
    return origin.trained


def whole_schedule(origin: Origin, mask: Any) -> Start:
    return Start(origin.trained, None, 0, origin.train)


def test_a_rule_of_the_users_starts_where_the_ticket_does_unless_it_asks_for_the_whole_schedule() -> None:
    arms = [ArmConfig(name=rule, values=f"{__name__}:{rule}") for rule in ("trained_before", "whole_schedule")]
    setting = setting_of("none", arms=["ticket", *(arm.model_dump() for arm in arms)])
    starts = {label: (one.step, one.before, one.steps) for label, one in setting.fitted.trial.starts.items()}
    assert starts["trained_before"] == starts["ticket"] == (STEPS, STEPS, MORE)
    assert starts["whole_schedule"] == (0, STEPS, STEPS)
    assert setting.fitted.trial.like_ticket == ()  # with a fresh optimizer it is another training
    (chain,) = rounds_of(setting, 0)[0].chains
    curves = play(setting, [chain], 1, "ticket", *arms).curves
    steps = {arm: rows["step"].tolist() for arm, rows in curves.groupby("arm")}
    assert steps["trained_before"] == steps["ticket"] == [STEPS, STEPS + MORE]
    assert steps["whole_schedule"] == [0, STEPS]


def test_only_the_ticket_goes_on_with_the_optimizers_state() -> None:
    setting = setting_of("none", optimizer=SGD, arms=["ticket"])
    (chain,) = rounds_of(setting, 0)[0].chains
    assert (chain.optimizer["momentum_buffer"]["0.weight"] != 0).all(), "the state at the end, not masked yet"
    emptied = {"momentum_buffer": {k: torch.zeros_like(v) for k, v in chain.optimizer["momentum_buffer"].items()}}
    lost = type(chain)(**{**vars(chain), "optimizer": emptied})
    arms = ("ticket", "reinit", "random_mask", "shuffle")
    one, other = (play(setting, [start], 1, *arms) for start in (chain, lost))
    differ = [
        arm for arm in arms if not torch.equal(of(one, arm).trained["0.weight"], of(other, arm).trained["0.weight"])
    ]
    assert differ == ["ticket"]


def test_a_diverged_ticket_goes_on_diverged() -> None:
    blown = {"optimizer": "sgd", "learning_rate": 1e30, "schedule": "constant", "warmup_steps": 0}
    for kind in ("learning_rate", "none"):
        results = rounds_of(setting_of(kind, "mlp", blown), 2)
        assert [bool(result.rounds["diverged"].all()) for result in results] == [True] * 3
        assert [int(sum(mask.sum() for mask in of(one, "ticket").mask.values())) for one in results] == [91, 46, 22]


def test_fine_tuning_at_a_rate_that_is_almost_0_is_said() -> None:
    def notes(**train: Any) -> list[str]:
        table = {"name": "x", "data": "digits", "model": "mlp", "rewind": {"kind": "none"}, "fine_tune": {"steps": 3}}
        return list(slow_note(parse_run({**table, "train": {"steps": 1000, "learning_rate": 0.1, **train}})))

    (line,) = notes(schedule="cosine")
    assert line.startswith(
        'warning: rewind.kind = "none" fine-tunes at the learning rate of the last step, 2e-06 times the full rate '
        '(train.schedule = "cosine")'
    )
    assert notes() == notes(schedule="step", milestones=[500, 800]) == []
