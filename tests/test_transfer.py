"""Masks that are taken from another saved run: the masks, the notes and the errors."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from damaged_runs import rehash
from tiny_campaigns import TINY
from torch import Tensor

import tickets
from tickets.errors import InputError
from tickets.forecast import forecast
from tickets.stack.architecture import Prunable
from tickets.store import run_folders, verify
from tickets.store.source_run import find_source, transfer_text
from tickets.transfer import Pairs, drawn_mask, pair

SHORT = {"train": {"steps": 3, "evaluate_every": 3, "batch_size": 10}, "compute": {"threads": 1, "memory_gib": 0.5}}


def made(classes: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(60, 6, generator=generator)
    labels = torch.arange(60) % classes
    return inputs[:40], labels[:40], inputs[40:], labels[40:]


def three() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return made(3)


def five() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return made(5)


def table(**changes: Any) -> dict[str, Any]:
    data = {"name": f"{__name__}:three", "validation": 10}
    own = {"name": "moved", "replicates": 2, "rounds": 2, "data": data, "model": {"name": "mlp", "widths": [4]}}
    return {**TINY, **SHORT, "arms": ["ticket", "reinit"], **own, **changes}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("source") / "out"
    tickets.run(table(name="source", arms=["ticket"], prune={"rate": 0.5}), out=out)
    return out


def problems(out: Path, **changes: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        tickets.run(table(**changes), out=out)
    assert not out.exists()
    return list(caught.value.problems)


def masks(saved: Any, round: int, arm: str = "ticket", replicate: int = 0) -> dict[str, np.ndarray]:
    return saved.arm(arm, replicate=replicate, round=round).mask


def test_each_round_has_the_masks_of_the_same_round_and_replicate(source: Path, watcher: Any, tmp_path: Path) -> None:
    out, there, listener = tmp_path / "out", tickets.load(source), watcher()
    arms = ["ticket", "random_mask"]
    here = tickets.run(table(prune={"masks_from": str(source)}, arms=arms), out=out, listener=listener)
    for replicate in range(2):
        for round in range(3):
            one, other = (masks(saved, round, replicate=replicate) for saved in (here, there))
            assert one.keys() == other.keys() == {"1.weight", "3.weight"}
            for name, mask in one.items():
                assert np.array_equal(mask, other[name])
                assert masks(here, round, "random_mask", replicate)[name].sum() == mask.sum()
    run = run_folders(source)[0].name
    said = f"Masks taken from run {run} ({source}), by replicate and round; the initial values are that run's own"
    assert said in listener.said
    (folder,) = run_folders(out)
    file = json.loads((folder / "run.json").read_text())
    assert transfer_text(file) == said
    files = [f"cohort-000/round-{number:03}/masks.safetensors" for number in (1, 2)]
    assert list(file["masks_from"]["files"]) == files
    assert "score" not in file["config"]["prune"]
    assert verify(out) == []
    (dry,) = forecast(
        table(prune={"masks_from": str(source)}), out=out, data=None, settings=(), device="cpu", workers=1
    )[1]
    assert dry.densities == tuple(here.rounds.groupby("round")["density"].first())
    # Arms that are added to committed rounds need no source; and nothing of it is forgotten.
    gone = source.rename(source.parent / "gone")
    try:
        tickets.run(table(prune={"masks_from": str(source)}, arms=[*arms, "reinit"]), out=out)
        assert json.loads((folder / "run.json").read_text())["masks_from"] == file["masks_from"]
        lines = " ".join(_refused(out, prune={"masks_from": str(source)}, rounds=3))
        assert (
            lines == f'prune.masks_from = "{source}": there is no such folder; give a folder that `tickets run` wrote'
        )
    finally:
        gone.rename(source)


def test_arms_are_added_and_nothing_is_recorded_of_another_run_in_the_sources_place(
    source: Path, watcher: Any, tmp_path: Path
) -> None:
    copy, out = shutil.copytree(source, tmp_path / "copy"), tmp_path / "out"
    prune = {"masks_from": str(copy)}
    tickets.run(table(prune=prune, arms=["ticket"], replicates=1), out=out)
    (folder,) = run_folders(out)
    before = json.loads((folder / "run.json").read_text())["masks_from"]
    tickets.run(table(prune=prune, arms=["ticket"], cohort_size=1), out=out)  # its second cohort, of the same source
    both = json.loads((folder / "run.json").read_text())["masks_from"]
    assert both == before  # one cohort of the source has both replicates
    shutil.rmtree(copy)
    for own in ({"replicates": 1}, {"cohort_size": 1, "rounds": 3}):  # it has fewer replicates; it has more files
        tickets.run(table(name="source", arms=["ticket"], prune={"rate": 0.4}, seed=7, **own), out=copy)
        (dry,) = forecast(table(prune=prune), out=out, data=None, settings=(), device="cpu", workers=1)[1]
        assert len(dry.densities) in (0, 3)
        tickets.run(table(prune=prune, arms=["ticket", *(["reinit"] if "rounds" in own else ["shuffle"])]), out=out)
        assert json.loads((folder / "run.json").read_text())["masks_from"] == both
        shutil.rmtree(copy)
    assert verify(out) == []


def _refused(out: Path, **changes: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        tickets.run(table(**changes), out=out)
    return list(caught.value.problems)


def test_another_output_layer_is_drawn_at_the_sources_density(source: Path, watcher: Any, tmp_path: Path) -> None:
    out, listener = tmp_path / "out", watcher()
    data = {"name": f"{__name__}:five", "validation": 10}
    here = tickets.run(table(data=data, seed=3, prune={"masks_from": str(source)}), out=out, listener=listener)
    there = tickets.load(source)
    counts, before = [], np.ones((5, 4), bool)
    for round in range(3):
        assert np.array_equal(masks(here, round)["1.weight"], masks(there, round)["1.weight"])
        own = masks(here, round)["3.weight"]
        assert not (own & ~before).any()
        counts, before = [*counts, int(own.sum())], own
    # The source's 12 weights are 12, 6 and 3: of 20, these are 20, 10 and 5.
    assert [int(masks(there, round)["3.weight"].sum()) for round in range(3)] == [12, 6, 3]
    assert counts == [20, 10, 5]
    assert not np.array_equal(masks(here, 1)["3.weight"], masks(here, 1, replicate=1)["3.weight"])
    assert any(
        line.endswith(
            "; the initial values are others than that run's; the output layer (3.weight) has another shape, and its "
            "mask is drawn at random at the density that it has there"
        )
        for line in listener.said
    )
    assert verify(out) == []


def test_resumed_with_the_same_source_alone(source: Path, watcher: Any, contents: Any, tmp_path: Path) -> None:
    copy = shutil.copytree(source, tmp_path / "copy")
    campaign = table(prune={"masks_from": str(copy)}, arms=["ticket"])
    tickets.run(campaign, out=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        tickets.run(campaign, out=tmp_path / "out", listener=watcher(stop=(2, 0)))
    (run,) = run_folders(copy)
    first, second = (run / "cohort-000" / f"round-00{number}" for number in (1, 2))
    kept = [shutil.copytree(folder, tmp_path / folder.name) for folder in (first, second)]
    # Another mask with the same counts, and hashes that fit.
    (second / "masks.safetensors").write_bytes((kept[0] / "masks.safetensors").read_bytes())
    rehash(second)
    assert _refused(tmp_path / "out", **{key: campaign[key] for key in ("prune", "arms")}) == [
        f'prune.masks_from = "{copy}": its masks have changed since this run began: '
        "cohort-000/round-002/masks.safetensors; put the same run there again, or train the campaign in another folder "
        "(--out)"
    ]
    shutil.rmtree(second)
    kept[1].rename(second)
    tickets.run(campaign, out=tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_what_a_source_must_have_is_said_before_anything_is_trained(source: Path, tmp_path: Path) -> None:
    (run,) = run_folders(source)
    out, named = tmp_path / "out", f'prune.masks_from = "{source}": run {run.name}'
    prune = {"masks_from": str(source)}
    assert problems(out, prune=prune, replicates=4, rounds=3, model={"name": "mlp", "widths": [5, 4]}) == [
        f"{named}: has no replicate 2, 3; it has 2 replicates: 0, 1",
        f"{named}: 3 rounds after round 0 are wanted, and round 2 is the last that is trained of each replicate: it "
        "asks for 2; take fewer rounds, or raise its own",
        f"{named}: its prunable tensors are not this run's: 1.weight is (5, 6) here and (4, 6) there; 3.weight is (4, "
        "5) here and (3, 4) there; 5.weight is (3, 4) here and not there; all but the output layer's must have the "
        "same names and shapes",
    ]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert problems(out, prune={"masks_from": str(empty)}) == [
        f'prune.masks_from = "{empty}": no saved run in it (no */run.json); give a folder that `tickets run` wrote'
    ]
    several = tmp_path / "several"
    for name in ("one", "two"):
        shutil.copytree(run, several / name)
    assert problems(out, prune={"masks_from": f"{several}/"}) == [
        f'prune.masks_from = "{several}/": holds 2 runs; name one of them: {several}/one, {several}/two'
    ]
    assert find_source(f"{several}/two").folder == several / "two"
    shutil.rmtree(several / "two" / "cohort-000" / "round-002")
    assert problems(out, prune={"masks_from": f"{several}/two"})[0].endswith(
        "2 rounds after round 0 are wanted, and round 1 is the last that is trained of each replicate: finish it first"
    )


def test_a_probe_of_the_masks_that_the_score_would_make_has_none_to_measure(source: Path, tmp_path: Path) -> None:
    for key, probe in (("probes[1]", "early_bird"), ("probes[1].name", {"name": "early_bird", "last": 2})):
        (line,) = problems(tmp_path / "out", prune={"masks_from": str(source)}, probes=["units", probe])
        assert line == (
            f'{key} = "early_bird": compares the masks that the run\'s score makes at successive steps, and '
            "prune.masks_from takes every mask from another run, so that no score is computed; measure it in that run, "
            "and leave it out here"
        )


BODY = Prunable("0.weight", (4, 6), False, False)


def test_masks_that_leave_too_few_weights_for_a_dense_network(tmp_path: Path) -> None:
    source, arms = tmp_path / "source", ["ticket", "small_dense"]
    tickets.run(table(name="source", arms=["ticket"], prune={"rate": 0.6}), out=source)  # 36, 15 and 6 weights
    changes = {"prune": {"masks_from": str(source)}, "arms": arms}
    assert problems(tmp_path / "out", **changes) == [
        "arms.small_dense: a network with hidden widths of 1 still has 9 prunable weights, more than the ticket has "
        "left in round 2 (density 0.1667); end the campaign before (rounds = 1), prune less, or leave small_dense out"
    ]
    saved = tickets.run(table(**changes, rounds=1), out=tmp_path / "out")
    assert saved.arm("small_dense", replicate=0, round=1).model["widths"] == [1]


def output(name: str, *shape: int) -> Prunable:
    return Prunable(name, shape, False, True)


def test_which_tensors_go_together() -> None:
    there = {"0.weight": (4, 6), "2.weight": (3, 4)}
    assert pair([BODY, output("2.weight", 3, 4)], there, "x") == Pairs(dict.fromkeys(there) | {k: k for k in there}, {})
    assert pair([BODY, output("2.weight", 5, 4)], there, "x") == Pairs(
        {"0.weight": "0.weight"}, {"2.weight": "2.weight"}
    )
    assert pair([BODY, output("head.weight", 5, 4)], there, "x").drawn == {"head.weight": "2.weight"}
    assert pair([BODY], {"0.weight": (4, 6)}, "x") == Pairs({"0.weight": "0.weight"}, {})


@pytest.mark.parametrize(
    ("here", "there", "said"),
    [
        ([BODY], {"0.weight": (4, 6), "2.weight": (3, 4)}, "2.weight is not here and (3, 4) there"),
        ([BODY, output("2.weight", 3, 4)], {"0.weight": (4, 6)}, "2.weight is (3, 4) here and not there"),
        (
            [BODY, output("2.weight", 5, 4)],
            {"0.weight": (4, 7), "2.weight": (3, 4)},
            "0.weight is (4, 6) here and (4, 7) there",
        ),
    ],
)
def test_tensors_without_a_counterpart(here: list[Prunable], there: dict[str, tuple[int, ...]], said: str) -> None:
    with pytest.raises(InputError) as caught:
        pair(here, there, "x")
    assert str(caught.value) == (
        f"x: its prunable tensors are not this run's: {said}; all but the output layer's must have the same names and "
        "shapes"
    )


def test_a_drawn_mask_has_the_exact_count_and_is_nested() -> None:
    def like(keep: int, of: int) -> np.ndarray:
        return np.arange(of) < keep

    # Halves to even: 1/4 of 10 are 2, 3/4 of 10 are 8.
    counts = {(1, 4): 2, (3, 4): 8, (0, 3): 0, (3, 3): 10, (1, 3): 3}
    for (keep, of), wanted in counts.items():
        assert int(drawn_mask((2, 5), like(keep, of), seed=1).sum()) == wanted
    many, few = (drawn_mask((2, 5), like(keep, 4), seed=1) for keep in (3, 1))
    assert not (few & ~many).any()
    assert not torch.equal(drawn_mask((2, 5), like(1, 2), 1), drawn_mask((2, 5), like(1, 2), 2))
