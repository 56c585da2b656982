"""Arms of one's own, and arms whose pruned weights keep their initial values: trained, saved, grown, resumed."""

from __future__ import annotations

import importlib
import json
import re

import numpy as np
import pytest
import torch

import tickets
from tickets.arms import Start
from tickets.errors import InputError
from tickets.store import read_values, status, verify

SELF = __name__


def largest(origin, *, by_tensor=False):
    """A mask from theta0 alone, at the round's density over all tensors or in each."""
    if by_tensor:
        return {name: top(origin.theta0[name].abs(), int(kept.sum())) for name, kept in origin.mask.items()}
    flat = torch.cat([origin.theta0[name].abs().flatten() for name in origin.mask])
    kept = top(flat, sum(int(mask.sum()) for mask in origin.mask.values()))
    parts = kept.split([mask.numel() for mask in origin.mask.values()])
    return {name: part.reshape(origin.mask[name].shape) for name, part in zip(origin.mask, parts, strict=True)}


def top(values, count):
    mask = torch.zeros(values.numel(), dtype=torch.bool)
    mask[values.flatten().argsort(descending=True, stable=True)[:count]] = True
    return mask.reshape(values.shape)


def learning_rate_rewound(origin, mask, *, factor=1.0):
    """Trained values, of which only the schedule goes back (Renda et al. 2020)."""
    recipe = origin.recipe.model_copy(update={"learning_rate": origin.recipe.learning_rate * factor})
    return Start(origin.trained, None, origin.step, recipe)


def tuned(origin, mask):
    return Start(origin.trained, recipe=origin.recipe.model_copy(update={"steps": 4, "evaluate_every": 2}))


def as_it_is(origin, mask):
    return Start(origin.rewound, origin.optimizer, origin.step)


def scaled(origin, mask, scale):
    return {name: value * scale if name in mask else value for name, value in origin.theta0.items()}


def large_batches(origin, mask):
    return Start(origin.theta0, recipe=origin.recipe.model_copy(update={"batch_size": 10**6}))


def own(name, **table):
    return {
        "name": name,
        **{key: f"{SELF}:{value}" if key in ("mask", "values") else value for key, value in table.items()},
    }


LARGEST = own("largest", mask="largest")
EACH = own("largest", label="each", mask="largest", by_tensor=True, pruned="initial")
LATE = own("late", values="learning_rate_rewound", factor=0.5)
TUNED = own("tuned", values="tuned", role="measurement")
SCALED = own("scaled", values="scaled", scale=2, draws=2)
FROZEN = {"name": "frozen", "values": "tickets.arms:rewound", "pruned": "initial"}
PLACES = {"name": "random_mask", "label": "places", "pruned": "initial", "start": 0}
OWN = [LARGEST, EACH, LATE, TUNED, SCALED, FROZEN, PLACES]
ARMS = ["ticket", "reinit"]
BASE = {
    "rewind": {"step": 5}, "store": {"trained": "all"}, "train": {"weight_decay": 0.01, "evaluate_every": 5},
    "arms": [*ARMS, *OWN],
}  # fmt: skip


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
        assert saved.arm("frozen", replicate, 2).mask.keys() == ticket.mask.keys()
        assert all(
            np.array_equal(saved.arm("late", replicate, 2).mask[name], ticket.mask[name]) for name in ticket.mask
        )


def test_the_manifest_says_what_an_arm_is(out):
    arms = {arm["arm"]: arm for arm in manifest(out)["arms"] if arm["draw"] == 0}
    assert arms["ticket"] == {"arm": "ticket", "draw": 0}
    assert arms["largest"] == {"arm": "largest", "draw": 0, "own_mask": True}
    assert arms["each"] == {"arm": "each", "draw": 0, "name": "largest", "own_mask": True, "pruned": "initial"}
    assert arms["frozen"] == {"arm": "frozen", "draw": 0, "pruned": "initial"}
    assert arms["places"] == {"arm": "places", "draw": 0, "name": "random_mask", "pruned": "initial"}
    options = manifest(out)["arm_options"]
    mask = "tickets.arms:round_mask"
    assert options["late"] == {"mask": mask, "values": f"{SELF}:learning_rate_rewound", "factor": 0.5}
    assert options["tuned"] == {"mask": mask, "values": f"{SELF}:tuned"}
    assert options["frozen"] == {"mask": mask, "values": "tickets.arms:rewound", "pruned": "initial"}


@pytest.mark.parametrize("label", ["frozen", "each", "places"])
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
        assert arrays["0/frozen/1.weight"].shape == arrays["0/ticket/1.weight"].shape
        assert arrays["0/frozen/1.weight"].ndim == 1


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
    assert compared >= {"largest", "each", "late", "scaled", "frozen", "places"}
    assert "tuned" not in compared


def test_the_report_draws_them_in_the_campaigns_order_and_with_their_own_looks(out, command, tmp_path):
    labels = ["ticket", "reinit", "largest", "each", "late", "tuned", "scaled", "frozen", "places"]
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
    for label in ("largest", "each", "late", "tuned", "scaled", "frozen", "places"):
        for number in (0, 1, 2):
            one, other = (each.arm(label, 1, number) for each in (grown, saved))
            for which in ("mask", "values", "trained"):
                ours, theirs = getattr(one, which), getattr(other, which)
                assert all(np.array_equal(ours[name], theirs[name]) for name in ours), (label, number, which)
    execution = run_file(tmp_path / "out")["execution"]
    assert execution["pruned_initial"]["strategy"] == "layered"
    assert execution["pruned_initial"]["compared"]["passed_over"] == []


@pytest.mark.parametrize("stop", [(1, 0), (2, 3)])
def test_a_run_that_is_resumed_has_the_same_bits(campaign_file, contents, out, watcher, tmp_path, stop):
    file = campaign_file(tmp_path, **BASE)
    with pytest.raises(KeyboardInterrupt):
        tickets.run(file, out=tmp_path / "out", listener=watcher(stop=stop))
    tickets.run(file, out=tmp_path / "out")
    one, other = contents(out), contents(tmp_path / "out")
    assert one.keys() == other.keys()
    assert [key for key in one if one[key] != other[key]] == []


# What is refused


def test_trained_values_that_are_not_kept_are_asked_for_before_training(campaign_file, tmp_path):
    file = campaign_file(tmp_path, arms=["ticket", LATE], store={"trained": "none"})
    with pytest.raises(InputError, match=re.escape('write store.trained = "ticket"')) as caught:
        tickets.run(file, out=tmp_path / "out")
    assert str(caught.value).startswith("arm 'late': its rules read the trained values of the round before")
    assert not (tmp_path / "out").exists()


def test_a_run_that_kept_none_cannot_grow_by_an_arm_that_reads_them(campaign_file, tmp_path):
    tickets.run(campaign_file(tmp_path, arms=["ticket"], store={"trained": "none"}), out=tmp_path / "out")
    with pytest.raises(InputError, match=r"round-000 was saved without them \(store\.trained = \"none\"\)"):
        tickets.run(campaign_file(tmp_path, arms=["ticket", LATE], store={"trained": "ticket"}), out=tmp_path / "out")
    # Arms that do not read them are free to join.
    tickets.run(campaign_file(tmp_path, arms=["ticket", LARGEST], store={"trained": "ticket"}), out=tmp_path / "out")
    assert verify(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("arm", "says"),
    [
        (own("mine", values="nothing"), f"'{SELF}:nothing': module '{SELF}' has no function 'nothing'"),
        (
            own("mine", values="scaled"),
            "arms.mine.scale: 'mine' needs this option and it is not given (allowed: scale)",
        ),
        (
            own("mine", values="scaled", scale=1, size=2),
            "arms.mine.size = 2: 'mine' has no such option (allowed: scale)",
        ),
        (own("mine", values="large_batches"), "returned a recipe with batch_size = 1000000, must be at most 1097"),
        (own("mine", values="scaled", scale="a"), "arm 'mine': fails (tried on initial values, before any training)"),
    ],
)
def test_rules_that_fail_are_found_before_training(campaign_file, tmp_path, arm, says):
    with pytest.raises(InputError, match=re.escape(says)):
        tickets.run(campaign_file(tmp_path, arms=["ticket", arm]), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arm", "then", "now"),
    [
        (SCALED, {"scale": 3}, "scale = 2; the campaign now says 3"),
        (SCALED, {"pruned": "initial"}, "pruned = zero; the campaign now says initial"),
        (SCALED, {"mask": f"{SELF}:largest"}, f"mask = tickets.arms:round_mask; the campaign now says {SELF}:largest"),
        (FROZEN, {"pruned": "zero"}, "pruned = initial; the campaign now says zero"),
        ({"name": "reinit"}, {"pruned": "initial"}, "pruned = zero; the campaign now says initial"),
        (LARGEST, {"by_tensor": True}, "by_tensor = none; the campaign now says True"),
    ],
)
def test_an_arm_that_was_trained_is_not_changed(campaign_file, tmp_path, arm, then, now):
    tickets.run(campaign_file(tmp_path, arms=["ticket", arm], rounds=0), out=tmp_path / "out")
    with pytest.raises(InputError, match=re.escape(now)):
        tickets.run(campaign_file(tmp_path, arms=["ticket", {**arm, **then}], rounds=0), out=tmp_path / "out")


def test_its_role_may_change_later(campaign_file, tmp_path):
    tickets.run(campaign_file(tmp_path, arms=["ticket", FROZEN], rounds=0), out=tmp_path / "out")
    arms = ["ticket", {**FROZEN, "role": "measurement"}]
    assert (
        tickets.run(campaign_file(tmp_path, arms=arms, rounds=0), out=tmp_path / "out").roles()["frozen"]
        == "measurement"
    )


def test_a_control_of_ones_own_that_is_the_ticket_again_is_a_measurement(campaign_file, tmp_path):
    again = own("again", values="as_it_is")
    frozen = own("frozen", values="as_it_is", pruned="initial")
    slower = own("slower", values="learning_rate_rewound", factor=0.5)
    saved = tickets.run(campaign_file(tmp_path, arms=["ticket", again, frozen, slower], rounds=0), out=tmp_path / "out")
    assert saved.roles() == {"ticket": "ticket", "again": "measurement", "frozen": "control", "slower": "control"}


def test_saved_rules_are_never_called_by_readers(out, monkeypatch):
    def called(*arguments):
        raise AssertionError("a reader called a rule")

    for name in ("largest", "learning_rate_rewound", "tuned", "scaled"):
        monkeypatch.setattr(f"{SELF}.{name}", called)
    saved = tickets.load(out)
    assert saved.arm("largest", 0, 1).mask.keys() == saved.ticket(0, 1).mask.keys()
    assert verify(out) == []
