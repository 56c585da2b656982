"""What is found out before a campaign writes anything, from the initial values alone."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from fitted_runs import source
from torch import Tensor, nn

from tickets.candidate import Candidate
from tickets.catalogue import ARMS
from tickets.config import parse_run
from tickets.errors import InputError
from tickets.fitting import Fitted, fit
from tickets.scores import Weights, by_tensor

FIXED = torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
KEPT = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3))


def net(classes: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, classes))


def seeding(classes: int) -> nn.Module:
    torch.manual_seed(0)
    return net(classes)


def own_generator(classes: int) -> nn.Module:
    made, generator = net(classes), torch.Generator().manual_seed(0)
    for parameter in made.parameters():
        nn.init.normal_(parameter, generator=generator)
    return made


def kept_module(classes: int) -> nn.Module:
    return KEPT


def loaded_first_layer(classes: int) -> nn.Module:
    made = net(classes)
    made[0].weight.data.copy_(FIXED)
    return made


def zero_last_layer(classes: int) -> nn.Module:
    made = net(classes)
    nn.init.zeros_(made[2].weight)
    return made


def ones(classes: int) -> nn.Module:
    made = net(classes)
    for parameter in made.parameters():
        nn.init.ones_(parameter)
    return made


class Gru(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.gru, self.out = nn.GRU(6, 2, batch_first=True), nn.Linear(2, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.gru(x[:, None])[0][:, -1])


def gru(classes: int) -> nn.Module:
    return Gru(classes)


def fitted(model: Any = "mlp", arms: tuple[Any, ...] = ("reinit",), **changes: Any) -> Fitted:
    named = f"{__name__}:{model}" if isinstance(model, str) and model != "mlp" else model
    table = {"name": "t", "data": "digits", "model": named, "arms": ["ticket", *arms], "train": {"batch_size": 8}}
    return fit(parse_run({**table, **changes}), source())


def mlp(init: Any) -> dict[str, Any]:
    return {"name": "mlp", "widths": [4], "init": init}


# Two seeds.


@pytest.mark.parametrize("model", ["seeding", "own_generator", "kept_module"])
def test_a_start_that_is_the_same_for_two_seeds_names_the_function(model: str) -> None:
    with pytest.raises(
        InputError, match=rf"^model = '{__name__}:{model}': two different seeds give the same"
    ) as caught:
        fitted(model)
    assert "take out torch.manual_seed" in str(caught.value)


def test_a_constructor_that_seeds_spoils_what_is_drawn_after_it_too() -> None:
    with pytest.raises(InputError, match="two different seeds give the same initial weights"):
        fitted({"name": f"{__name__}:seeding", "init": "glorot_normal"})


def test_it_matters_to_replicates_and_to_fresh_draws_alone() -> None:
    assert fitted("seeding", arms=("shuffle",), replicates=1).trial.like_ticket == ()
    for changes in ({"arms": ("shuffle",), "replicates": 2}, {"arms": ("reinit",), "replicates": 1}):
        with pytest.raises(InputError, match="two different seeds"):
            fitted("seeding", **changes)


def test_the_catalogues_starts_differ() -> None:
    arms = tuple(name for name in ARMS if name != "ticket")
    for init in ("pytorch", "glorot_normal", "orthogonal", "uniform"):
        assert fitted(mlp(init), rounds=4, arms=arms).trial.like_ticket == ()


def test_where_every_size_is_the_same_what_keeps_the_signs_is_the_ticket() -> None:
    arms = ("shuffle", "reinit", "sign_shuffle", "sign_reinit", "frozen")
    assert fitted(mlp("sign_constant"), arms=arms).trial.like_ticket == ("sign_shuffle", "sign_reinit")
    assert fitted(mlp("constant"), arms=arms).trial.like_ticket == ("shuffle", "reinit", "sign_shuffle", "sign_reinit")


def test_a_tensor_that_starts_alike_among_others_is_said() -> None:
    trial = fitted("loaded_first_layer").trial
    assert trial.like_ticket == ()
    told = "every replicate, and reinit, starts from the same values of 0.weight"
    assert trial.notes == (f"model '{__name__}:loaded_first_layer': {told}",)
    assert fitted("zero_last_layer").trial.notes == ()  # one value in all of a tensor is meant


# Starts that draw nothing.

EVERY = ("reinit", "shuffle", {"name": "constant", "value": 0.5}, "sign_constant", "random_mask_reinit", "repeat")


@pytest.mark.parametrize(
    ("model", "like"),
    [
        (mlp("constant"), ("reinit", "shuffle", "constant")),
        (mlp({"name": "constant", "value": 0.1}), ("reinit", "shuffle")),
        (mlp("zeros"), ("reinit", "shuffle", "sign_constant")),
        (mlp("dct"), ("reinit",)),
        (mlp({"name": "dct", "biases": "model"}), ("reinit",)),
        ("ones", ("reinit", "shuffle")),
    ],
)
def test_arms_that_start_as_the_ticket_does_are_named(model: Any, like: tuple[str, ...]) -> None:
    trial = fitted(model, arms=EVERY).trial
    assert trial.like_ticket == like
    first, second = trial.notes
    assert first.startswith(f"{', '.join(like)}: the same initial weights as the ticket's")
    assert first.endswith("compared as the ticket trained again (a measurement), not as a control")
    assert second.startswith("random_mask_reinit: ")
    assert second.endswith("only the mask is another one")


def test_it_is_labels_that_are_named() -> None:
    arms = ({"name": "reinit", "label": "full", "start": 0}, "shuffle")
    assert fitted(mlp("dct"), arms=arms).trial.like_ticket == ("full",)


def test_what_was_trained_before_the_rewind_step_is_no_constant_any_more() -> None:
    assert fitted(mlp("constant"), arms=EVERY, rewind={"step": 3}).trial.like_ticket == ("reinit",)


def test_a_constant_init_beside_included_weights_that_the_constructor_draws() -> None:
    trial = fitted({"name": f"{__name__}:gru", "init": "constant"}, prune={"include": ["gru.*"]}).trial
    assert (trial.like_ticket, trial.notes) == ((), ())


# Scores.

CALLED: list[Weights] = []


@by_tensor
def remembers(weights: Weights) -> Tensor:
    CALLED.append(weights)
    return weights.trained.abs()


@by_tensor
def writes(weights: Weights) -> Tensor:
    weights.initial.fill_(7)
    return weights.trained.mul_(0)


@by_tensor
def relative_movement(weights: Weights) -> Tensor:
    moved = (weights.trained - weights.initial).abs()
    return moved / moved.max()


@by_tensor
def nan(weights: Weights) -> Tensor:
    return weights.trained * torch.nan


@by_tensor
def flat(weights: Weights) -> Tensor:
    return weights.trained.flatten()


@by_tensor
def fails(weights: Weights) -> Tensor:
    raise ZeroDivisionError("by hand")


@by_tensor
def draws(weights: Weights) -> Tensor:
    return torch.rand_like(weights.trained)


@pytest.mark.parametrize(
    ("score", "told"),
    [
        ("nan", "returned NaN for 24 of 24 surviving weights, must be a number for each, for 0.weight"),
        ("flat", "returned a tensor of shape (24,), must be (4, 6), one number for each weight, for 0.weight"),
        ("fails", "fails (tried on initial values, before any training): ZeroDivisionError: by hand"),
    ],
)
def test_a_score_that_cannot_be_is_refused_before_any_training(score: str, told: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"prune.score = '{__name__}:{score}': {told}")):
        fitted("zero_last_layer", prune={"score": f"{__name__}:{score}"})


def test_a_score_of_movement_is_no_division_of_zero_by_zero() -> None:
    for init in ("pytorch", "zeros"):
        fitted(mlp(init), prune={"score": f"{__name__}:relative_movement"})


def test_every_tensor_is_tried_with_weights_that_have_moved() -> None:
    CALLED.clear()
    fitted("zero_last_layer", prune={"score": f"{__name__}:remembers"})
    assert [tuple(weights.trained.shape) for weights in CALLED] == [(4, 6), (3, 4)]
    assert all((weights.initial != weights.trained).all() for weights in CALLED)


def gradients(candidate: Candidate) -> dict[str, Tensor]:
    SEEN.append(candidate)
    return candidate.gradients(training=False)


SEEN: list[Candidate] = []


def zero_variance(classes: int) -> nn.Module:
    made = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, classes))
    made[1].running_var.zero_()
    return made


def test_a_score_that_uses_gradients_is_tried_with_buffers_and_biases_as_they_are() -> None:
    fitted("zero_variance", prune={"score": f"{__name__}:gradients"})
    values = SEEN[-1].values
    for name, value in values.initial.items():
        assert torch.equal(value, values.trained[name]) == (name not in ("0.weight", "2.weight"))


def test_trying_leaves_the_global_generators_as_they_were() -> None:
    before = torch.default_generator.get_state()
    fitted("zero_last_layer", prune={"score": f"{__name__}:draws"})
    assert torch.equal(torch.default_generator.get_state(), before)


# Rules of arms.


def few_values(origin: Any, mask: Any) -> dict[str, Tensor]:
    return {}


def bad_values(origin: Any, mask: Any) -> dict[str, Tensor]:
    raise KeyError("fc")


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        (
            "few_values",
            f"arm 'mine' (tried on initial values, before any training): value rule {__name__}:few_values must return "
            "every parameter and buffer (0.weight, 0.bias, 2.weight, 2.bias), and nothing else",
        ),
        ("bad_values", "arm 'mine': fails (tried on initial values, before any training): KeyError: 'fc'"),
    ],
)
def test_an_arms_rule_that_cannot_be_is_refused_before_any_training(rule: str, error: str) -> None:
    with pytest.raises(InputError, match=re.escape(error)):
        fitted("ones", arms=({"name": "mine", "values": f"{__name__}:{rule}"},), replicates=1)
