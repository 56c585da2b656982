from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from tiny_campaigns import EXAMPLE

from tickets.config import parse_campaign, run_id, to_toml
from tickets.errors import InputError
from tickets.store import append_event, replace_file, status, wanted_arms, write_initial, write_round
from tickets.store.run_status import failure

TABLE = {**EXAMPLE, "sweep": {"seed": [0, 1, 2, 3]}}


@pytest.fixture
def campaign(tmp_path):
    """A campaign folder with its campaign.toml alone, and the (run id, run) that it asks for."""
    parsed = parse_campaign(TABLE)
    replace_file(tmp_path / "campaign.toml", to_toml(parsed).encode())
    return tmp_path, [(run_id(run), run) for run in parsed.runs]


def test_a_campaign_of_four_runs_in_four_states(campaign, example):
    folder, runs = campaign
    (done, run), (partial, _), (failed, _), (waiting, _) = runs
    example.named(done).write(folder / done, run)
    example.named(partial).write(folder / partial, run.model_copy(update={"rounds": 0}))
    (folder / failed).mkdir(exist_ok=True)
    write_initial(folder / failed / "cohort-000", {0: example.theta0(0)})
    append_event(folder / failed / "log.jsonl", {"event": "started", "cohort": 0})
    append_event(folder / failed / "log.jsonl", {"event": "failed", "cohort": 0, "why": "out of memory"})
    found = status(folder)
    assert [(one.run, one.state, one.why) for one in found] == [
        (done, "done", None),
        (partial, "partial", None),
        (failed, "failed", "out of memory"),
        (waiting, "waiting", None),
    ]
    assert [(one.rounds_done, one.replicates_done, one.trainings_done) for one in found] == [
        (3, 2, 30),
        (1, 0, 10),
        (0, 0, 0),
        (0, 0, 0),
    ]
    assert {(one.rounds_wanted, one.replicates_wanted, one.trainings_wanted) for one in found} == {(3, 2, 30)}
    assert [one.diverged for one in found] == [1, 1, 0, 0]
    assert all(one.missing_arms == [] and one.asked for one in found)
    json.dumps([asdict(one) for one in found])


def test_a_campaign_that_asks_for_more_is_partly_done(campaign, example):
    folder, runs = campaign
    name, run = runs[0]
    example.named(name).write(folder / name, run)
    arms = [{"name": "shuffle"}, *TABLE["arms"][:1], {"name": "reinit", "draws": 3}, "sign_constant"]
    more = parse_campaign({**TABLE, "sweep": {}, "arms": arms, "replicates": 3})
    replace_file(folder / "campaign.toml", to_toml(more).encode())
    (one,) = status(folder)
    assert (one.state, one.missing_arms) == ("partial", ["shuffle", "reinit", "sign_constant"])
    assert (one.rounds_done, one.replicates_done, one.replicates_wanted) == (0, 0, 3)
    assert (one.trainings_done, one.trainings_wanted) == (2 * 3 * 3, 3 * 3 * 6)


def test_a_replicate_and_a_round_are_done_with_every_arm_only(campaign, example):
    folder, runs = campaign
    name, run = runs[0]
    example.named(name).write(folder / name, run.model_copy(update={"replicates": 1, "rounds": 1}))
    example.named(name).write_cohort(folder / name, run, [1], index=1, rounds=3)
    one = status(folder)[0]
    assert (one.rounds_done, one.replicates_done, one.trainings_done, one.state) == (2, 1, 25, "partial")
    more = run.model_copy(update={"arms": (*run.arms, run.arms[0].model_copy(update={"name": "shuffle"}))})
    for number in range(3):
        record = example.named(name).record(more, [1], number, 1, [("shuffle", 0)])
        write_round(folder / name / "cohort-001", record)
    replace_file(
        folder / "campaign.toml",
        to_toml(parse_campaign({**TABLE, "arms": [*TABLE["arms"], "shuffle"]})).encode(),
    )
    one = status(folder)[0]
    assert (one.rounds_done, one.replicates_done, one.trainings_done) == (0, 1, 28)
    assert len(wanted_arms(more)) == 6
    assert one.missing_arms == ["shuffle"]


def test_replicates_that_are_not_asked_for_do_not_count(campaign, example):
    folder, runs = campaign
    name, run = runs[0]
    example.named(name).write(folder / name, run.model_copy(update={"rounds": 0}))
    fewer = to_toml(parse_campaign({**TABLE, "replicates": 1}))
    replace_file(folder / "campaign.toml", fewer.encode())
    one = status(folder)[0]
    assert (one.rounds_done, one.trainings_done, one.trainings_wanted) == (1, 5, 15)


def test_runs_that_are_not_asked_for_are_measured_by_their_own_configuration(campaign, example):
    folder, runs = campaign
    example.named("older").write(folder / "older", runs[0][1].model_copy(update={"rounds": 1}))
    broken = folder / "broken"
    broken.mkdir()
    (broken / "run.json").write_text("{}")
    (other, older) = status(folder)[-2:]
    assert (older.run, older.state, older.rounds_wanted, older.asked) == ("older", "done", 2, False)
    assert (other.run, other.state, other.asked) == ("broken", "failed", False)
    assert other.why is not None
    assert "damaged or changed by hand" in other.why
    # So is a single run's folder.
    assert [(one.run, one.state) for one in status(folder / "older")] == [("older", "done")]


def test_damage_and_conflicts_are_failures_that_say_why(campaign, example):
    folder, runs = campaign
    for (name, run), change in zip(runs[:2], ("hole", "value"), strict=True):
        example.named(name).write(folder / name, run)
        if change == "hole":
            (folder / name / "cohort-000" / "round-001").rename(folder / "elsewhere")
    arms = ["ticket", {"name": "constant", "value": 0.7}]
    replace_file(folder / "campaign.toml", to_toml(parse_campaign({**TABLE, "arms": arms})).encode())
    hole, conflict = status(folder)[:2]
    assert hole.state == conflict.state == "failed"
    assert hole.why is not None
    assert "round-001: missing" in hole.why
    assert conflict.why is not None
    assert "trained here with value = 0.5; the campaign now says 0.7" in conflict.why


def test_a_folder_with_neither_campaign_nor_run_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"neither campaign.toml nor a saved run in it; give a folder"):
        status(tmp_path)
    with pytest.raises(InputError, match="nothing: cannot read this folder"):
        status(tmp_path / "nothing")


def events(*items):
    return [dict(zip(("event", "cohort", "why"), item, strict=False)) for item in items]


@pytest.mark.parametrize(
    ("log", "why"),
    [
        (events(), None),
        (events(("failed", 0, "a")), "a"),
        (events(("failed", 0, "a"), ("failed", 1, "b")), "b"),
        (events(("failed", 0, "a"), ("failed", 1, "b"), ("failed", 0, "c")), "c"),
        (events(("failed", 0, "a"), ("round", 1)), "a"),  # another worker's progress
        (events(("failed", 0, "a"), ("round", 0)), None),
        (events(("failed", 0, "a"), ("started", 0)), None),
        (events(("failed", 0, "a"), ("started",)), None),
        (events(("failed",)), "no reason given"),
        (events(("failed", None, "a"), ("round", 1)), None),
        (events(("round", 0), ("failed", 0, "a")), "a"),
    ],
)
def test_a_failure_counts_until_the_same_cohort_gets_on(log, why):
    assert failure(log) == why
