"""Trainings that diverge in the rounds of a tiny run: which rows are marked, and what comes after."""

from __future__ import annotations

import dataclasses
import math

import pytest
from small_rounds import counts, play, setting_of

from tickets.chains import first_chain
from tickets.config import ArmConfig

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_ticket_that_diverges_marks_the_later_rounds_of_its_replicate() -> None:
    setting = setting_of(prune={"rate": 0.5})
    sound, ill = (first_chain(setting, replicate) for replicate in (0, 1))
    broken = {name: value.clone() for name, value in ill.theta0.items()}
    broken["1.weight"][0, 0] = math.nan
    first = play(setting, [sound, dataclasses.replace(ill, theta0=broken, rewound=broken)], 0)
    assert dict(zip(first.rounds["replicate"], first.rounds["diverged"], strict=True)) == {0: False, 1: True}
    assert [chain.diverged for chain in first.chains] == [False, True]
    assert counts(first.chains[1].masks) == [40, 24, 9], "the count holds even so"
    # Even where nothing fails any more: masks that came from a failure say nothing.
    healed = dataclasses.replace(first.chains[1], theta0=ill.theta0, rewound=ill.theta0)
    second = play(setting, [first.chains[0], healed], 1, "ticket", "reinit")
    assert second.rounds.groupby("replicate")["diverged"].all().tolist() == [False, True]
    assert second.rounds.groupby("replicate")["diverged"].any().tolist() == [False, True]
    assert second.rounds.loc[second.rounds["replicate"] == 1, "final_test_accuracy"].isna().all()
    assert [chain.diverged for chain in second.chains] == [False, True]


def test_a_control_that_diverges_marks_itself_alone() -> None:
    setting = setting_of(prune={"rate": 0.5})
    result = play(setting, [first_chain(setting, 0)], 0, "ticket", ArmConfig(name="constant", value=1e38), "reinit")
    rows = result.rounds.set_index("arm")["diverged"]
    assert rows.to_dict() == {"ticket": False, "constant": True, "reinit": False}
    assert not result.chains[0].diverged


def test_without_the_ticket_there_is_no_next_round() -> None:
    setting = setting_of()
    assert play(setting, [first_chain(setting, 0)], 0, "reinit").chains == ()
