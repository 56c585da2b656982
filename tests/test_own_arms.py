"""Arms of one's own that are refused: rules that fail, values that are not saved, arms that were trained otherwise."""

from __future__ import annotations

import re

import pytest
from own_rules import (
    FROZEN,
    LARGEST,
    LATE,
    SCALED,
    large_batches,  # noqa: F401 - named in strings
    largest,  # noqa: F401 - named in strings
    own_of,
    scaled,  # noqa: F401 - named in strings
)

import tickets
from tickets.errors import InputError
from tickets.store import verify

SELF = __name__
own = own_of(SELF)


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
