"""What a round of a tiny run counts and how it is computed: steps, hidden units, strategies."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
import torch
from small_rounds import (
    assert_equal,
    norm_net,  # noqa: F401 - named in strings
    of,
    play,
    rounds_of,
    setting_of,
)

from tickets import groups
from tickets.chains import first_chain
from tickets.config import ArmConfig
from tickets.density import density
from tickets.errors import InputError
from tickets.rounds import train_round
from tickets.stack.strategies import begin

pytestmark = pytest.mark.usefixtures("one_thread")


def test_tick_counts_every_step_of_every_network() -> None:
    setting, taken = setting_of(rewind={"step": 5}), []
    chains = [first_chain(setting, r) for r in (0, 1)]
    arms = [(ArmConfig(name="ticket"), 0), (ArmConfig(name="constant", start=0), 0)]
    first = train_round(setting, "id", chains, 0, arms, taken.append)
    assert sum(taken) == 2 * 2 * 12
    taken.clear()
    train_round(setting, "id", first.chains, 1, arms, taken.append)
    assert sum(taken) == 2 * (7 + 12)


def test_hidden_units_are_counted_if_the_run_says_so_and_nothing_else_changes() -> None:
    arms = ("ticket", ArmConfig(name="constant", value=0.5))
    counted, plain = setting_of(store={"units": True}), setting_of()
    result, without = (play(setting, [first_chain(setting, 0)], 0, *arms) for setting in (counted, plain))
    assert without.tables == {}
    units = result.tables["units"]
    pd.testing.assert_frame_equal(
        result.curves.drop(columns="density"), without.curves.drop(columns="density"), check_exact=True
    )
    for arm in ("ticket", "constant"):
        assert_equal(of(result, arm).trained, of(without, arm).trained)
    last = units[(units["step"] == 12) & (units["arm"] == "ticket")]
    ends = of(result, "ticket").trained
    for row, (name, after) in zip(last.to_dict("records"), [("1", "3"), ("3", "5")], strict=True):
        vectors = torch.cat([ends[f"{name}.weight"], ends[f"{name}.bias"][:, None], ends[f"{after}.weight"].T], 1)
        assert (row["layer"], row["distinct"]) == (name, len(torch.unique(vectors, dim=0)))
    start = units[(units["step"] == 0) & (units["arm"] == "constant")]
    assert start["distinct"].tolist() == [1.0, 1.0]


def test_a_model_whose_units_cannot_be_counted_is_refused() -> None:
    with pytest.raises(InputError, match=r"store\.units = true: hidden units are counted in an nn\.Sequential"):
        setting_of(model=f"{__name__}:norm_net", store={"units": True})


def test_rounds_are_sparse_or_elsewhere_from_half_the_weights_on_or_as_the_run_says(monkeypatch) -> None:
    def strategies(**changes: Any) -> list[str]:
        names = []

        def watched(name, *arguments, **options):
            names.append(name)
            return begin(name, *arguments, **options)

        setting = setting_of(prune={"rate": 0.25}, compute={"threads": 1, **changes})
        with monkeypatch.context() as patch:
            patch.setattr(groups, "begin", watched)
            assert [round(density(of(result, "ticket").mask), 2) for result in rounds_of(setting, 3)][2] > 0.5
        return names

    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert strategies() == ["sparse"] * 4
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert strategies() == ["layered", "layered", "layered", "sparse"]
    assert strategies(strategy="layered") == ["layered"] * 4
    assert strategies(strategy="sparse") == ["sparse"] * 4
