"""The starting values and masks of each arm in the rounds of a tiny run."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch
from small_rounds import (
    assert_equal,
    counts,
    masked,
    norm_net,  # noqa: F401 - named in strings
    of,
    play,
    rounds_of,
    setting_of,
)

from tickets.arms import Origin
from tickets.binding import resolve
from tickets.catalogue import ARMS
from tickets.chains import Chain, first_chain
from tickets.config import ArmConfig
from tickets.ready import ReadyRun
from tickets.seeds import stream

pytestmark = pytest.mark.usefixtures("one_thread")


def origin_of(setting: ReadyRun, chain: Chain, number: int, draw: int, value: float = 0.0) -> Origin:
    return Origin(
        chain.masks,
        chain.theta0,
        chain.rewound,
        frozenset(name for name in setting.parameters if name.endswith("bias")),
        setting.fresh,
        lambda purpose: stream(setting.run.seed, chain.replicate, purpose, number, draw),
    )


@pytest.mark.parametrize("step", [0, 5])
def test_every_arm_starts_from_what_its_rules_say(step: int) -> None:
    setting = setting_of(model={"name": f"{__name__}:norm_net"}, rewind={"step": step}, arms=["ticket", "frozen"])
    chains = list(rounds_of(setting, 2, 2)[-1].chains)
    # Not those of another network, nor those whose masks are trained or computed by a score (see test_pruned_at_init).
    names = [name for name, entry in ARMS.items() if not entry.scaled and not entry.learned and entry.by_tensor]
    arms = [ArmConfig(name=name) for name in names if name != "constant"] + [ArmConfig(name="constant", value=0.25)]
    result = play(setting, chains, 3, *arms)
    assert len(result.networks) == 2 * len(names)
    for chain in chains:
        for arm in arms:
            network = of(result, arm.name, chain.replicate)
            origin = origin_of(setting, chain, 3, 0)
            mask = resolve(ARMS[arm.name].mask)(origin)
            assert_equal(network.mask, mask)
            assert_equal(
                masked(network.initial, mask),
                masked(resolve(ARMS[arm.name].values)(origin, mask, **arm.options).values, mask),
            )
            assert counts(network.mask) == counts(chain.masks)
            for name, kept in mask.items():
                pruned = network.trained[name][~kept]
                assert torch.equal(pruned, chain.theta0[name][~kept] if arm.entry.pruned == "initial" else pruned * 0)
            assert not all(torch.equal(network.trained[name], value) for name, value in network.initial.items())


def test_random_mask_starts_from_the_unmasked_values() -> None:
    setting = setting_of(prune={"rate": 0.5})
    (chain,) = rounds_of(setting, 1)[1].chains
    network = of(play(setting, [chain], 2, "ticket", "random_mask"), "random_mask")
    elsewhere = 0
    for name, places in network.mask.items():
        assert torch.equal(network.initial[name][places], chain.theta0[name][places])
        assert (network.initial[name][places] != 0).all()
        elsewhere += int((places & ~chain.masks[name]).sum())
    assert elsewhere > 20


def test_draws_differ_and_share_what_they_should() -> None:
    setting = setting_of(prune={"rate": 0.5})
    (chain,) = rounds_of(setting, 1)[1].chains
    arms = [(name, draw) for name in ARMS if ARMS[name].random for draw in (0, 1)]
    result = play(setting, [chain], 2, "ticket", *arms)
    for name, draw in arms:
        if draw == 1:
            zero, one = of(result, name), of(result, name, draw=1)
            same = ARMS[name].own_order or name == "pruned_at_init"  # whose score here draws nothing
            assert torch.equal(zero.initial["1.weight"], one.initial["1.weight"]) == same
            assert torch.equal(zero.trained["1.weight"], one.trained["1.weight"]) == (name == "pruned_at_init")
            drawn = ARMS[name].has_own_mask and ARMS[name].by_tensor
            assert torch.equal(zero.mask["1.weight"], one.mask["1.weight"]) != drawn
    # Two arms with one rule in common differ in the other rule alone.
    assert_equal(of(result, "random_mask").mask, of(result, "random_mask_reinit").mask)
    there = of(result, "random_mask_reinit").mask["1.weight"] & chain.masks["1.weight"]
    one, other = (of(result, arm).initial["1.weight"] for arm in ("reinit", "random_mask_reinit"))
    assert torch.equal(one[there], other[there])


def test_rounds_and_replicates_have_random_masks_and_draws_of_their_own() -> None:
    setting = setting_of(prune={"rate": 0})
    chains = [first_chain(setting, replicate) for replicate in (0, 1)]
    half = [dataclasses.replace(chain, masks={k: v.clone() for k, v in chain.masks.items()}) for chain in chains]
    for chain in half:
        for mask in chain.masks.values():
            mask[:, ::2] = False
    results = [play(setting, half, number, "ticket", "random_mask", "reinit") for number in (1, 2)]
    for arm, part in (("random_mask", "mask"), ("reinit", "initial")):
        seen = {
            tuple(getattr(of(result, arm, r), part)["1.weight"].flatten().tolist())
            for result in results
            for r in (0, 1)
        }
        assert len(seen) == 4
    assert not torch.equal(chains[0].theta0["1.weight"], chains[1].theta0["1.weight"])


def test_the_ticket_once_more_is_the_ticket_and_another_order_is_another() -> None:
    setting = setting_of(compute={"strategy": "looped"})
    result = play(setting, [first_chain(setting, 0)], 0, "ticket", "repeat", "reorder", ("reorder", 1))
    ticket, repeat, reorder, another = (
        of(result, *which) for which in (("ticket",), ("repeat",), ("reorder",), ("reorder", 0, 1))
    )
    for network in (repeat, reorder, another):
        assert_equal(network.initial, ticket.initial)
        assert_equal(network.mask, ticket.mask)
    for name, value in ticket.trained.items():
        torch.testing.assert_close(repeat.trained[name], value, rtol=1e-5, atol=1e-6)
    apart = [
        (one.trained["1.weight"] - other.trained["1.weight"]).abs().max()
        for one, other in itertools.combinations([ticket, reorder, another], 2)
    ]
    assert min(apart) > 1e-3
