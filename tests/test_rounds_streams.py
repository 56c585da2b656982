"""Random streams in the rounds of a tiny run: what an arm or replicate draws depends on no other."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from small_rounds import assert_equal, play, rounds_of, setting_of

from tickets import groups
from tickets.chains import Chain, first_chain
from tickets.config import ArmConfig
from tickets.ready import ReadyRun
from tickets.rounds import Network
from tickets.seeds import stream

pytestmark = pytest.mark.usefixtures("one_thread")


def test_more_arms_or_replicates_change_nobody_elses_start() -> None:
    setting = setting_of(prune={"rate": 0.5})
    chains = list(rounds_of(setting, 0, 3)[0].chains)

    def starts(some: list[Chain], *arms: Any) -> dict[tuple, Network]:
        return {(n.label.replicate, n.label.arm, n.label.draw): n for n in play(setting, some, 1, *arms).networks}

    everyone = starts(chains, "ticket", "reinit", ("reinit", 1), "random_mask", "shuffle", "random_sign_constant")
    fewer = [
        starts(chains[:1], "ticket"),
        starts(chains[2:], "shuffle", "ticket", "random_mask"),
        starts(chains[1:], ("reinit", 1), "random_sign_constant"),
    ]
    for some in fewer:
        for key, network in some.items():
            assert_equal(network.mask, everyone[key].mask)
            assert_equal(network.initial, everyone[key].initial)


def test_first_chain_is_a_function_of_the_seed_and_the_replicate() -> None:
    one, other = setting_of(), setting_of(replicates=9, rounds=2, arms=["ticket"])
    assert_equal(first_chain(one, 3).theta0, first_chain(other, 3).theta0)
    for chain in (first_chain(one, 4), first_chain(setting_of(seed=8), 3)):
        assert not torch.equal(chain.theta0["1.weight"], first_chain(one, 3).theta0["1.weight"])


def seeds_of(monkeypatch, setting: ReadyRun, chains: list[Chain], number: int, *arms: Any) -> dict[tuple, Any]:
    """What each network trained with: its data order and its noise."""
    handed = []
    real = groups.train

    def watched(make, stack, seeds, *rest, **options):
        handed.extend(seeds)
        return real(make, stack, seeds, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(groups, "train", watched)
        result = play(setting, chains, number, *arms)
    labels = [(n.label.replicate, n.label.arm, n.label.draw) for n in result.networks]
    return dict(zip(labels, handed, strict=True))


def test_the_arms_of_a_replicate_have_its_data_order_in_every_round(monkeypatch) -> None:
    setting = setting_of(rewind={"step": 5})
    arms = ("ticket", "reinit", ("reinit", 1), "random_mask", ArmConfig(name="constant", start=0))
    first = play(setting, [first_chain(setting, r) for r in (0, 1)], 0)
    both = [
        seeds_of(monkeypatch, setting, [first_chain(setting, r) for r in (0, 1)], 0, *arms),
        seeds_of(monkeypatch, setting, list(first.chains), 1, *arms),
    ]
    for replicate in (0, 1):
        orders = {seeds.order for found in both for key, seeds in found.items() if key[0] == replicate}
        assert orders == {stream(7, replicate, "order")}
    noises = [seeds.noise for found in both for seeds in found.values()]
    assert len(set(noises)) == len(noises) == 20
    reordered = seeds_of(monkeypatch, setting, list(first.chains), 1, "ticket", "reorder", ("reorder", 1), "repeat")
    for replicate in (0, 1):
        own = [reordered[replicate, *which].order for which in (("ticket", 0), ("reorder", 0), ("reorder", 1))]
        assert len(set(own)) == 3
        assert reordered[replicate, "repeat", 0].order == own[0]
    alone = seeds_of(monkeypatch, setting, list(first.chains)[1:], 1, ("reinit", 1))
    assert alone[1, "reinit", 1] == both[1][1, "reinit", 1]
