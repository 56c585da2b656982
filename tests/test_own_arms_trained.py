"""Arms of one's own, and arms whose pruned weights keep their initial values: trained, saved, grown, resumed."""

from __future__ import annotations

import importlib
import json

import numpy as np
import pytest
from own_rules import ARMS, BASE, FROZEN, SELF, own

import tickets
from tickets.store import read_values, status, verify


@pytest.fixture(scope="module")
def out(campaign_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    tickets.run(campaign_file(folder, **BASE), out=folder / "out")
    return folder / "out"


@pytest.fixture(scope="module")
def saved(out):
    return tickets.load(out)


def run_file(out):
    return json.loads(next(out.glob("*/run.json")).read_bytes())


def manifest(out, name="round-001"):
    return json.loads(next(out.glob(f"*/cohort-000/{name}/manifest.json")).read_bytes())


def initial(out, name="initial"):
    return read_values(next(out.glob(f"*/cohort-000/{name}")))


def test_it_verifies_and_is_done(out):
    assert verify(out) == []
    assert [one.state for one in status(out)] == ["done"]


def test_own_masks_are_stored_like_random_ones(out, saved):
    theta0 = initial(out)
    for replicate in (0, 1):
        ticket = saved.ticket(replicate, 2)
        for label in ("largest", "each"):
            found = saved.arm(label, replicate, 2)
            counts = {name: int(mask.sum()) for name, mask in found.mask.items()}
            assert sum(counts.values()) == sum(int(mask.sum()) for mask in ticket.mask.values())
            assert (counts == {name: int(mask.sum()) for name, mask in ticket.mask.items()}) == (label == "each")
            sizes = np.concatenate([np.abs(theta0[replicate][name]).ravel() for name in found.mask])
            kept = np.concatenate([mask.ravel() for mask in found.mask.values()])
            assert label == "each" or sizes[kept].min() >= sizes[~kept].max()
        assert saved.arm("held", replicate, 2).mask.keys() == ticket.mask.keys()
        assert all(
            np.array_equal(saved.arm("late", replicate, 2).mask[name], ticket.mask[name]) for name in ticket.mask
        )


def test_the_manifest_says_what_an_arm_is(out):
    arms = {arm["arm"]: arm for arm in manifest(out)["arms"] if arm["draw"] == 0}
    assert arms["ticket"] == {"arm": "ticket", "draw": 0}
    assert arms["largest"] == {"arm": "largest", "draw": 0, "own_mask": True}
    assert arms["each"] == {"arm": "each", "draw": 0, "name": "largest", "own_mask": True, "pruned": "initial"}
    assert arms["held"] == {"arm": "held", "draw": 0, "pruned": "initial"}
    assert arms["places"] == {"arm": "places", "draw": 0, "name": "random_mask", "pruned": "initial"}
    options = manifest(out)["arm_options"]
    mask = "tickets.arms:round_mask"
    assert options["late"] == {"mask": mask, "values": f"{SELF}:learning_rate_rewound", "factor": 0.5}
    assert options["tuned"] == {"mask": mask, "values": f"{SELF}:tuned"}
    assert options["held"] == {"mask": mask, "values": "tickets.arms:rewound", "pruned": "initial"}


@pytest.mark.parametrize("label", ["held", "each", "places"])
def test_pruned_weights_are_theta0_before_and_after_and_a_ticket_is_built_with_them(out, saved, label):
    theta0, survivors = initial(out), read_values(next(out.glob("*/cohort-000/rewind")))
    for replicate in (0, 1):
        found = tickets.load(out, trust_code=True).arm(label, replicate, 2)
        assert found.pruned == "initial"
        made = found.build().state_dict()
        for name, mask in found.mask.items():
            assert (~mask).any()
            for values in (found.values[name], found.trained[name]):
                assert values[~mask].tobytes() == theta0[replicate][name][~mask].tobytes()
            assert (found.values[name][mask] == survivors[replicate][name][mask]).all() or label == "places"
            assert (found.trained[name][mask] != found.values[name][mask]).any()
            assert np.array_equal(made[name].numpy(), found.values[name])
    assert saved.ticket(0, 2).pruned == "zero"
    assert not saved.ticket(0, 2).values["1.weight"][~saved.ticket(0, 2).mask["1.weight"]].any()


def test_what_is_on_disk_are_the_survivors_alone(out):
    from safetensors.numpy import load_file

    folder = next(out.glob("*/cohort-000/round-002"))
    for name in ("weights", "trained"):
        arrays = load_file(folder / f"{name}.safetensors")
        assert arrays["0/held/1.weight"].shape == arrays["0/ticket/1.weight"].shape
        assert arrays["0/held/1.weight"].ndim == 1


def test_a_rule_gets_the_trained_values_of_the_round_before(saved):
    for number in (1, 2):
        for replicate in (0, 1):
            before, late = saved.ticket(replicate, number - 1), saved.arm("late", replicate, number)
            for name, value in before.trained.items():
                kept = late.mask.get(name, ...)
                assert np.array_equal(late.values[name][kept], value[kept])
    theta0, first = saved.ticket(0, 0), saved.arm("late", 0, 0)
    assert all(np.array_equal(first.values[name], value) for name, value in theta0.values.items())


def test_an_arm_has_its_own_recipe_and_step(saved):
    later = saved.curves[saved.curves["round"] > 0]
    steps = {arm: sorted(rows["step"].unique().tolist()) for arm, rows in later.groupby("arm")}
    assert steps["tuned"] == [0, 2, 4]
    assert steps["late"] == steps["ticket"] == steps["scaled"] == [5, 10, 15, 20]
    assert steps["places"] == [0, 5, 10, 15, 20]


def test_run_json_says_where_trainings_start_and_comparisons_use_it(out, saved):
    starts = run_file(out)["starts"]
    assert starts["ticket"] == {"step": 5, "continues": True, "before": 5, "steps": 15, "dense_steps": 20}
    assert starts["late"] == {"step": 5, "continues": False, "before": 20, "steps": 15, "dense_steps": 20}
    assert starts["tuned"] == {"step": 0, "continues": False, "before": 20, "steps": 4, "dense_steps": 4}
    assert starts["places"] == {"step": 0, "continues": False, "before": 5, "steps": 20, "dense_steps": 20}
    assert starts["scaled"]["before"] == 0
    assert saved.notes() == [
        "training steps after round 0: the ticket has had 20 in all, 5 of them before the rewind step; "
        "reinit, scaled: 5 fewer; late: 15 more; tuned: 4 more; places: 5 more; "
        "`start = 0` gives an arm the whole schedule"
    ]


def test_roles_are_those_that_the_campaign_says(saved, out, command):
    roles = saved.roles()
    assert roles["ticket"] == "ticket"
    assert {arm for arm, role in roles.items() if role == "measurement"} == {"tuned"}
    compared = {row["arm"] for row in json.loads(command("compare", out, "--json").out)}
    assert compared >= {"largest", "each", "late", "scaled", "held", "places"}
    assert "tuned" not in compared


@pytest.mark.usefixtures("page_only")
def test_the_report_draws_them_in_the_campaigns_order_and_with_their_own_looks(out, command, tmp_path):
    labels = ["ticket", "reinit", "largest", "each", "late", "tuned", "scaled", "held", "places"]
    assert list(tickets.load(out).rounds["arm"].unique()) == labels
    looks = importlib.import_module("tickets.analysis.report.look").looks_of(labels)
    assert len(set(looks.values())) == len(labels)
    assert command("report", out, "--out", tmp_path / "report").code == 0
    assert all(f"{label}" in (tmp_path / "report" / "index.html").read_text() for label in labels)


def test_a_run_grows_by_them_to_the_same_bits(campaign_file, out, saved, watcher, tmp_path):
    tickets.run(campaign_file(tmp_path, **{**BASE, "arms": ARMS}), out=tmp_path / "out")
    listener = watcher()
    grown = tickets.run(campaign_file(tmp_path, **BASE), out=tmp_path / "out", listener=listener)
    assert listener.promised == listener.networks
    assert verify(tmp_path / "out") == []
    for label in ("largest", "each", "late", "tuned", "scaled", "held", "places"):
        for number in (0, 1, 2):
            one, other = (each.arm(label, 1, number) for each in (grown, saved))
            for which in ("mask", "values", "trained"):
                ours, theirs = getattr(one, which), getattr(other, which)
                assert all(np.array_equal(ours[name], theirs[name]) for name in ours), (label, number, which)
    execution = run_file(tmp_path / "out")["execution"]
    assert execution["pruned_initial"]["strategy"] == "layered"
    assert execution["pruned_initial"]["compared"]["passed_over"] == []


def test_a_run_that_is_resumed_has_the_same_bits(campaign_file, contents, out, watcher, tmp_path):
    file = campaign_file(tmp_path, **BASE)
    for stop in ((1, 0), (1, 3)):  # after round 0; after round 1, in round 2
        with pytest.raises(KeyboardInterrupt):
            tickets.run(file, out=tmp_path / "out", listener=watcher(stop=stop))
    tickets.run(file, out=tmp_path / "out")
    one, other = contents(out), contents(tmp_path / "out")
    assert one.keys() == other.keys()
    assert [key for key in one if one[key] != other[key]] == []


def test_its_role_may_change_later(campaign_file, tmp_path):
    tickets.run(campaign_file(tmp_path, arms=["ticket", FROZEN], rounds=0), out=tmp_path / "out")
    arms = ["ticket", {**FROZEN, "role": "measurement"}]
    assert (
        tickets.run(campaign_file(tmp_path, arms=arms, rounds=0), out=tmp_path / "out").roles()["held"] == "measurement"
    )


def test_a_control_of_ones_own_that_is_the_ticket_again_is_a_measurement(campaign_file, tmp_path):
    again = own("again", values="as_it_is")
    held = own("held", values="as_it_is", pruned="initial")
    slower = own("slower", values="learning_rate_rewound", factor=0.5)
    saved = tickets.run(campaign_file(tmp_path, arms=["ticket", again, held, slower], rounds=0), out=tmp_path / "out")
    assert saved.roles() == {"ticket": "ticket", "again": "measurement", "held": "control", "slower": "control"}


def test_saved_rules_are_never_called_by_readers(out, monkeypatch):
    def called(*arguments):
        raise AssertionError("a reader called a rule")

    for name in ("largest", "learning_rate_rewound", "tuned", "scaled"):
        monkeypatch.setattr(f"{SELF}.{name}", called)
    saved = tickets.load(out)
    assert saved.arm("largest", 0, 1).mask.keys() == saved.ticket(0, 1).mask.keys()
    assert verify(out) == []
