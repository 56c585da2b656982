"""Arms whose pruned weights are held at theta0, or at 0 if training had moved them towards 0: trained and saved."""

from __future__ import annotations

import hashlib
import json
import shutil

import numpy as np
import pytest

import tickets
from tickets.config import parse_run
from tickets.errors import InputError
from tickets.probes import at_steps
from tickets.store import Committed, read_networks, verify
from tickets.store.arrays import decode, decode_shapes, encode
from tickets.store.sealed import json_bytes

FREED = {"name": "frozen", "label": "freed", "pruned": "zero_if_shrunk"}
DRAWN = {"name": "reinit", "label": "drawn", "pruned": "zero_if_shrunk", "start": 0}
SOME = ["ticket", "reinit"]
SEEN: dict = {}
BASE = {
    "arms": [*SOME, "frozen", FREED, DRAWN], "rounds": 3, "rewind": {"step": 5}, "store": {"trained": "all"},
    "train": {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.05, "learning_rate": 0.05, "steps": 10,
              "evaluate_every": 5},
    "prune": {"rate": 0.4},
}  # fmt: skip


@pytest.fixture(scope="module")
def out(campaign_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("frozen")
    tickets.run(campaign_file(folder, **BASE), out=folder / "out")
    return folder / "out"


@pytest.fixture(scope="module")
def saved(out):
    return tickets.load(out)


@at_steps
def watched(networks):
    """Keeps what is computed with, at each evaluated step, by network."""
    for place, label in enumerate(networks.labels):
        values = {name: networks.values[name][place].cpu().numpy().copy() for name in networks.masks}
        SEEN[label.replicate, label.round, label.arm, networks.step] = values
    return [{"network": place, "seen": 1} for place in range(len(networks))]


def test_what_is_trained_holds_at_every_step_what_is_read_back(campaign_file, tmp_path):
    SEEN.clear()
    changes = {**BASE, "arms": ["ticket", "frozen", FREED], "rounds": 2, "probes": [f"{__name__}:watched"]}
    saved = tickets.run(campaign_file(tmp_path, **changes, seed=3), out=tmp_path / "out")
    steps = {step for _, number, arm, step in SEEN if (number, arm) == (2, "freed")}
    assert steps == {5, 10}
    kept = [0, 0]
    for replicate in (0, 1):
        theta0 = saved.ticket(replicate, 0).values
        held = wanted(saved, replicate, 2, theta0)
        for label, where in (("frozen", theta0), ("freed", held)):
            for name, mask in saved.ticket(replicate, 2).mask.items():
                for step in steps:
                    values = SEEN[replicate, 2, label, step][name]
                    assert values[~mask].tobytes() == where[name][~mask].tobytes(), (label, name, step)
                kept[label == "freed"] += int(np.count_nonzero(where[name][~mask]))
    assert 0 < kept[1] < kept[0]


def wanted(saved, replicate, number, theta0):
    """The values of pruned weights one by one: from the trained values of the round that pruned each."""
    tickets_before = [saved.ticket(replicate, round) for round in range(number + 1)]
    masks = [ticket.mask for ticket in tickets_before]
    held = {}
    for name, last in masks[number].items():
        values = np.full(last.shape, np.nan, dtype=np.float32)
        for place in zip(*np.nonzero(~last), strict=True):
            round = next(round for round in range(number) if not masks[round + 1][name][place])
            shrank = abs(tickets_before[round].trained[name][place]) < abs(theta0[name][place])
            values[place] = 0 if shrank else theta0[name][place]
        held[name] = values
    return held


def test_pruned_weights_are_what_they_must_be_before_and_after_and_in_what_is_built(saved):
    zeros = []
    for replicate in (0, 1):
        theta0 = saved.ticket(replicate, 0).values
        for number in (1, 2, 3):
            held = wanted(saved, replicate, number, theta0)
            for label, where in (("frozen", theta0), ("freed", held), ("drawn", held)):
                found = saved.arm(label, replicate, number)
                made = found.build().state_dict()
                for name, mask in found.mask.items():
                    assert np.array_equal(mask, saved.ticket(replicate, number).mask[name])
                    for values in (found.values[name], found.trained[name], made[name].numpy()):
                        assert values[~mask].tobytes() == where[name][~mask].tobytes(), (label, name)
                    assert (found.trained[name][mask] != found.values[name][mask]).any()
            zeros.append(np.mean([(values[~np.isnan(values)] == 0).mean() for values in held.values()]))
    assert 0 < min(zeros) <= max(zeros) < 1


def test_survivors_start_as_the_rule_says_and_counts_are_the_rounds(saved):
    rewound = saved.ticket(0, 3)
    for label in ("frozen", "freed"):
        found = saved.arm(label, 0, 3)
        assert all(np.array_equal(found.values[name][m], rewound.values[name][m]) for name, m in found.mask.items())
        assert found.density == rewound.density
        assert np.array_equal(found.values["1.bias"], rewound.values["1.bias"])
    density = saved.rounds.groupby(["round", "replicate"])["density"].nunique()
    assert (density == 1).all()
    assert (saved.arm("freed", 0, 0).values["1.weight"] == saved.ticket(0, 0).values["1.weight"]).all()


def test_both_train_in_one_stack_that_is_not_sparse_and_run_json_says_so(out, saved):
    execution = json.loads(next(out.glob("*/run.json")).read_bytes())["execution"]
    assert execution["pruned_initial"]["strategy"] == "layered"
    assert "sparse" not in execution["pruned_initial"]["takes_over"]
    assert execution["pruned_initial"]["compared"]["passed_over"] == []
    assert saved.roles()["frozen"] == saved.roles()["freed"] == "control"


def test_probes_of_later_rounds_read_them_too(out, saved):
    cohort = next(out.glob("*/cohort-000"))
    for network in read_networks(cohort, 2):
        whole = saved.arm(network.arm, network.replicate, 2, network.draw)
        for name, values in whole.values.items():
            assert values.tobytes() == network.initial[name].tobytes()
            assert whole.trained[name].tobytes() == network.trained[name].tobytes()


def test_it_verifies_and_a_wrong_mark_is_found(out, tmp_path):
    assert verify(out) == []
    copy = shutil.copytree(out, tmp_path / "copy")
    folder = next(copy.glob("*/cohort-000/round-002"))
    damage(folder, lambda packed: packed & 0)
    found = [one.what for one in verify(copy) if "shrunk" in one.path]
    assert any("are not what the trained values of the rounds before say" in what for what in found)
    damage(folder, lambda packed: packed | 255)
    found = [one.what for one in verify(copy) if "shrunk" in one.path]
    assert any("surviving weights of 1.weight are marked as pruned" in what for what in found)


def damage(folder, change):
    """Change the marks of one tensor, and have the manifest agree."""
    path, manifest = folder / "shrunk.safetensors", json.loads((folder / "manifest.json").read_bytes())
    data = path.read_bytes()
    arrays = decode(data)
    arrays["1/ticket/1.weight"] = change(arrays["1/ticket/1.weight"])
    path.write_bytes(encode(arrays, decode_shapes(data)))
    content = path.read_bytes()
    manifest["files"][path.name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "manifest.json").write_bytes(json_bytes(manifest))


def test_a_run_grows_by_them_to_the_same_bits(campaign_file, out, saved, tmp_path):
    tickets.run(campaign_file(tmp_path, **{**BASE, "arms": SOME}), out=tmp_path / "out")
    assert not list((tmp_path / "out").rglob("shrunk.safetensors"))
    grown = tickets.run(campaign_file(tmp_path, **BASE), out=tmp_path / "out")
    assert verify(tmp_path / "out") == []
    for label in ("frozen", "freed", "drawn"):
        for number in (0, 1, 2, 3):
            one, other = grown.arm(label, 1, number), saved.arm(label, 1, number)
            for which in ("values", "trained"):
                ours, theirs = getattr(one, which), getattr(other, which)
                assert all(ours[name].tobytes() == theirs[name].tobytes() for name in ours), (label, number, which)


@pytest.mark.parametrize("stop", [(2, 3)])
def test_a_run_that_is_resumed_has_the_same_bits(campaign_file, contents, out, watcher, tmp_path, stop):
    file = campaign_file(tmp_path, **BASE)
    with pytest.raises(KeyboardInterrupt):
        tickets.run(file, out=tmp_path / "out", listener=watcher(stop=stop))
    tickets.run(file, out=tmp_path / "out")
    one, other = contents(out), contents(tmp_path / "out")
    assert one.keys() == other.keys()
    assert [key for key in one if one[key] != other[key]] == []


def test_without_trained_values_it_is_refused_before_training(campaign_file, tmp_path):
    changes = {"arms": ["ticket", FREED], "rounds": 1, "store": {"trained": "none"}}
    with pytest.raises(InputError) as caught:
        parse_run({"name": "x", "data": "digits", "model": "mlp", **changes})
    assert caught.value.problems == (
        'arms[1].pruned = "zero_if_shrunk": compares the trained values of every earlier round with theta0, and '
        'store.trained = "none" keeps none; write store.trained = "ticket"',
    )
    tickets.run(campaign_file(tmp_path, **{**changes, "arms": ["ticket"]}), out=tmp_path / "out")
    with pytest.raises(InputError, match=r"arm 'freed': pruned = 'zero_if_shrunk' .* was saved without them"):
        tickets.run(campaign_file(tmp_path, **{**changes, "store": {"trained": "ticket"}}), out=tmp_path / "out")


@pytest.mark.parametrize("arm", [{"name": "random_mask"}, {"name": "mine", "mask": "m:f"}])
def test_an_arm_with_its_own_mask_cannot_have_it(arm):
    with pytest.raises(InputError) as caught:
        parse_run(
            {"name": "x", "data": "digits", "model": "mlp", "arms": ["ticket", {**arm, "pruned": "zero_if_shrunk"}]}
        )
    (line,) = caught.value.problems
    assert line.startswith('arms[1].pruned = "zero_if_shrunk": needs the round\'s mask, since it asks how each weight')
    assert line.endswith('write pruned = "initial" or "zero"')


def test_what_a_round_lacks_is_said(out, tmp_path):
    copy = shutil.copytree(out, tmp_path / "copy")
    folder = next(copy.glob("*/cohort-000/round-001"))
    (folder / "shrunk.safetensors").unlink()
    assert [(one.path, one.what) for one in verify(copy)] == [(str(folder / "shrunk.safetensors"), "missing")]
    with pytest.raises(InputError, match=r"shrunk\.safetensors"):
        tickets.load(copy).arm("freed", 0, 1)
    assert Committed().manifest(folder)["files"].keys() >= {"shrunk.safetensors"}
