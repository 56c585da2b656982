"""The arm pruned_at_init: masks from theta0 alone, shuffled and inverted; in campaigns, on disk and verified."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from candidates import CLASSES, candidates_of, first_share, inputs_of, values_of
from torch import Tensor, nn

import tickets
from tickets.arms import Origin
from tickets.errors import InputError, UserCodeError
from tickets.pruned_at_init import pruned_at_init
from tickets.seeds import stream
from tickets.store import contents, verify

NAMES = ("0.weight", "2.weight")  # 48 and 24 weights
KEPT = 14 + 7  # at 0.3


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, CLASSES))


def origin(*, density: float = 0.3, replicate: int = 0, number: int = 1, draw: int = 0) -> Origin:
    """As a round makes it, but for values at the rewind step that no mask may depend on."""
    made, theta0 = candidates_of(net, inputs_of(6)), values_of(net, replicate)
    mask = {name: first_share(tuple(theta0[name].shape), density) for name in NAMES}
    return Origin(
        mask=mask,
        theta0=theta0,
        rewound={name: torch.full_like(value, torch.nan) for name, value in theta0.items()},
        biases=frozenset(),
        fresh=lambda seed: values_of(net, seed),
        stream=lambda purpose: stream(0, replicate, purpose, number, draw),
        round=number,
        step=5,
        candidate=lambda scope="global", inverted=False: made.at_start(
            number, replicate, theta0, mask, scope, stream(0, replicate, "score", number, draw), inverted
        ),
    )


def counts(mask: dict[str, Tensor]) -> list[int]:
    return [int(kept.sum()) for kept in mask.values()]


def flat(tensors: dict[str, Tensor]) -> Tensor:
    return torch.cat([tensors[name].reshape(-1) for name in NAMES])


@pytest.mark.parametrize("score", ["magnitude", "snip", "grasp", {"name": "synflow", "iterations": 5}, "random"])
def test_as_many_weights_stay_as_in_the_rounds_mask_in_all_or_in_each_tensor(score: Any) -> None:
    assert sum(counts(pruned_at_init(origin(), score=score))) == KEPT
    assert counts(pruned_at_init(origin(), score=score, scope="layer")) == [14, 7]
    assert counts(pruned_at_init(origin(), score=score, scope="layer", invert=True)) == [14, 7]
    assert sum(counts(pruned_at_init(origin(), score=score, invert=True, shuffle=True))) == KEPT


def test_the_highest_of_theta0_stay_and_inverted_the_lowest() -> None:
    size = flat({name: value.abs() for name, value in origin().theta0.items() if name in NAMES})
    order = size.argsort(stable=True)
    for invert, stay in ((False, order[-KEPT:]), (True, order[:KEPT])):
        mask = flat(pruned_at_init(origin(), score="magnitude", invert=invert))
        assert mask.nonzero()[:, 0].tolist() == sorted(stay.tolist())
    for invert in (False, True):
        masks = pruned_at_init(origin(), score="magnitude", invert=invert, scope="layer")
        for name, keep in zip(NAMES, (14, 7), strict=True):
            sizes = origin().theta0[name].abs().reshape(-1).sort(descending=not invert).values
            assert torch.equal(
                origin().theta0[name].abs()[masks[name]].sort(descending=not invert).values, sizes[:keep]
            )


def test_of_equal_scores_the_lower_index_stays_inverted_or_not() -> None:
    for invert in (False, True):
        mask = pruned_at_init(origin(), score=f"{__name__}:equal", invert=invert)
        assert flat(mask).tolist() == [True] * KEPT + [False] * (72 - KEPT)


def equal(candidate: Any) -> dict[str, Tensor]:
    return {name: torch.zeros(mask.shape, dtype=torch.int64) for name, mask in candidate.mask.items()}


def test_shuffled_each_tensor_keeps_its_number_at_other_places_that_the_draw_decides() -> None:
    plain = pruned_at_init(origin(), score="snip")
    one, same, other, later, elsewhere = (
        pruned_at_init(origin(**keys), score="snip", shuffle=True)
        for keys in ({}, {}, {"draw": 1}, {"number": 2}, {"replicate": 1})
    )
    assert counts(one) == counts(other) == counts(later) == counts(plain) != [14, 7]
    assert torch.equal(flat(one), flat(same))
    for mask in (plain, other, later, elsewhere):
        assert not torch.equal(flat(one), flat(mask))
    seen = torch.zeros(72)
    for draw in range(30):
        seen += flat(pruned_at_init(origin(draw=draw), score="magnitude", shuffle=True))
    assert seen.min() > 0
    assert seen.max() < 30


@pytest.mark.parametrize(("score", "random"), [("random", True), ("erk", True), ("uniform", True), ("snip", False)])
def test_only_random_scores_differ_from_draw_to_draw(score: str, random: bool) -> None:
    one, same, other = (flat(pruned_at_init(origin(draw=draw), score=score)) for draw in (0, 0, 1))
    assert torch.equal(one, same)
    assert torch.equal(one, other) is not random


@pytest.mark.parametrize("score", ["magnitude", "snip", "grasp"])
def test_masks_of_a_ranking_that_is_the_same_in_each_round_are_nested(score: str) -> None:
    dense, late = (pruned_at_init(origin(density=share), score=score) for share in (0.5, 0.2))
    assert not (flat(late) & ~flat(dense)).any()


def test_in_the_dense_round_every_weight_stays_and_no_score_is_called() -> None:
    masks = pruned_at_init(origin(density=1.0), score=f"{__name__}:fails", shuffle=True, invert=True)
    assert counts(masks) == [48, 24]


def fails(candidate: Any) -> dict[str, Tensor]:
    raise RuntimeError("called")


# In campaigns

SALIENCY = """
def size(candidate, *, power=1):
    return {name: value.abs() ** power for name, value in candidate.theta0.items()}

def broken(candidate):
    return 1 / 0
"""


def at_init(label: str, **keys: Any) -> dict[str, Any]:
    return {"name": "pruned_at_init", "label": label, **keys}


LABELS = ("own", "size", "each", "least")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A campaign with a score of the user's, and the module that it is in."""
    folder = tmp_path_factory.mktemp("pruned")
    (folder / "own_scores_of_theta0.py").write_text(SALIENCY)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        own = {"name": "own_scores_of_theta0:size", "power": 2}
        arms = [
            "ticket", at_init("own", score=own), at_init("size", score="magnitude"),
            at_init("each", score="magnitude", scope="layer"), at_init("drawn", score="erk", draws=2),
            at_init("least", score="magnitude", invert=True),
            {"name": "pruned_at_init_reinit", "label": "anew", "score": "magnitude"},
        ]  # fmt: skip
        table = {
            "name": "t", "data": "digits", "model": {"name": "mlp", "widths": [8]}, "arms": arms, "replicates": 1,
            "rounds": 2, "train": {"steps": 6, "evaluate_every": 3}, "rewind": {"step": 2}, "prune": {"rate": 0.5},
            "compute": {"threads": 1},
        }  # fmt: skip
        tickets.run(table, out=folder / "out")
        yield folder / "out", "own_scores_of_theta0"


def test_the_masks_are_those_of_the_initial_values_and_the_values_the_rewound_ones(saved: Any) -> None:
    loaded = tickets.load(saved[0])
    theta0 = loaded.ticket(0, 0).values
    for number in (1, 2):
        ticket, arms = loaded.ticket(0, number), {name: loaded.arm(name, 0, number) for name in LABELS}
        total = sum(int(mask.sum()) for mask in ticket.mask.values())
        size = np.concatenate([np.abs(theta0[name]).ravel() for name in ticket.mask])
        for label in ("own", "size"):
            mask = np.concatenate([mask.ravel() for mask in arms[label].mask.values()])
            assert mask.sum() == total
            assert size[mask].min() >= size[~mask].max()
        least = np.concatenate([mask.ravel() for mask in arms["least"].mask.values()])
        assert least.sum() == total
        assert size[least].max() <= size[~least].min()
        anew = loaded.arm("anew", 0, number)
        for name, mask in ticket.mask.items():
            assert arms["each"].mask[name].sum() == mask.sum()
            both = arms["size"].mask[name] & mask
            assert both.any()
            assert np.array_equal(arms["size"].values[name][both], ticket.values[name][both])
            assert np.array_equal(anew.mask[name], arms["size"].mask[name])
            assert not np.array_equal(anew.values[name], arms["size"].values[name])
        network = arms["size"].build()
        assert int(sum((parameter == 0).sum() for parameter in network.parameters())) >= 64 * 8 + 80 - total
        assert not np.array_equal(
            loaded.arm("drawn", 0, number).mask[name], loaded.arm("drawn", 0, number, 1).mask[name]
        )


def test_run_json_holds_the_source_of_a_score_that_an_arm_names(saved: Any) -> None:
    (file,) = saved[0].glob("*/run.json")
    told = json.loads(file.read_text())
    assert saved[1] in told["began_with"]["sources"]
    (arm,) = (arm for arm in told["config"]["arms"] if isinstance(arm, dict) and arm.get("label") == "own")
    assert arm["score"] == {"name": f"{saved[1]}:size", "power": 2}


def test_a_saved_campaign_verifies_and_masks_with_other_counts_do_not(saved: Any) -> None:
    assert verify(saved[0]) == []
    (folder,) = saved[0].glob("*/cohort-000/round-001")
    manifest = json.loads((folder / "manifest.json").read_text())
    round_ = contents.Round(folder, manifest, folder.parents[1].name, 1, 0)
    of_round = contents.ticket_masks(contents.read_masks(round_.read("masks.safetensors")))

    def told(label: str, change: Any) -> list[str]:
        masks = contents.read_masks(round_.read("masks.safetensors"))
        change(*masks[0, label, 0].values())
        return list(contents.mask_problems(round_, masks, of_round))

    def move(first: Any, second: Any) -> None:  # one weight from the first tensor to the second
        first.ravel()[np.flatnonzero(first)[0]] = False
        second.ravel()[np.flatnonzero(~second)[0]] = True

    def lose(first: Any, second: Any) -> None:
        first.ravel()[np.flatnonzero(first)[0]] = False

    assert told("size", move) == []
    for label, change in (("size", lose), ("each", move), ("each", lose)):
        (line,) = told(label, change)
        assert line.startswith(f"replicate 0, arm '{label}', draw 0: ")
        assert line.endswith("survive, but the round's mask has other counts")


@pytest.mark.parametrize(
    ("score", "kind", "told"),
    [
        (
            {"name": "{}:size", "powr": 2},
            InputError,
            "arm 'mine' .tried on initial values, .*: score.powr = 2: .* has no such option; did you mean 'power'",
        ),
        (
            "{}:broken",
            UserCodeError,
            "arm 'mine' .tried on initial values, .*: score = '.*:broken': fails .round 1, replicate 0.: ZeroDivision",
        ),
        (
            {"name": "snip", "per_class": 10000},
            InputError,
            "arm 'mine' .tried on .*: score = 'snip': per_class = 10000: must be from 1 to",
        ),
    ],
)
def test_a_score_that_cannot_be_is_told_before_anything_is_written(
    score: Any, kind: type[Exception], told: str, module: Any, campaign_file: Any, tmp_path: Path
) -> None:
    name = module("scores", SALIENCY)
    text = json.loads(json.dumps(score).replace("{}:", f"{name}:"))
    file = campaign_file(tmp_path, arms=["ticket", at_init("mine", score=text)])
    with pytest.raises(kind, match=told):
        tickets.run(file, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_that_is_resumed_has_the_masks_of_one_without_a_stop(
    campaign_file: Any, contents: Any, watcher: Any, tmp_path: Path
) -> None:
    arms = ["ticket", at_init("shuffled", score="snip", shuffle=True, draws=2), at_init("drawn", score="erk")]
    file = campaign_file(tmp_path, arms=arms, compute={"threads": 1}, rounds=2, train={"steps": 4})
    tickets.run(file, out=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        tickets.run(file, out=tmp_path / "resumed", listener=watcher((1, 2)))
    tickets.run(file, out=tmp_path / "resumed")
    whole, resumed = (
        {key: value for key, value in contents(tmp_path / folder).items() if "masks" in key}
        for folder in ("whole", "resumed")
    )
    assert whole
    assert resumed == whole
