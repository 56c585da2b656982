"""Pairs of networks that a probe compares with one another, and the columns that say which."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tickets.errors import InputError
from tickets.measures import Label
from tickets.probes.networks import Networks, Tensors

TICKET = "ticket"
NEIGHBOURS = 5  # replicates before and after each one that it is compared with: all of them up to 11 replicates

Chosen = Callable[[Label], bool]


@dataclass(frozen=True)
class Pair:
    """A network that is measured and the one that it is compared with.

    Attributes
    ----------
    network
        The place of the one among the networks that are measured.
    among, place
        The other one: the networks that it is one of, and its place there.
    between
        The kind of the pair.
    """

    network: int
    among: Networks
    place: int
    between: str

    @property
    def other(self) -> Label:
        """Which network the other one is."""
        return self.among.labels[self.place]

    @property
    def columns(self) -> dict[str, Any]:
        """network, between, with_replicate, with_round, with_arm and with_draw, for a row of the pair."""
        other = self.other
        return {
            "network": self.network,
            "between": self.between,
            "with_replicate": other.replicate,
            "with_round": other.round,
            "with_arm": other.arm,
            "with_draw": other.draw,
        }


class Pairs:
    """The pairs of networks of one round.

    A network whose other one is not there, since it is not stored, has no pair.

    Parameters
    ----------
    networks
        The networks that are measured.
    trained
        Whether the trained values of the others are needed; without them, masks are there of every network.
    """

    def __init__(self, networks: Networks, trained: bool) -> None:
        self._networks, self._trained = networks, trained

    def of_replicates(self, chosen: Chosen) -> Iterator[Pair]:
        """The same arm and draw of two replicates, each pair once.

        Each replicate is compared with the NEIGHBOURS that follow it, the last ones with the first: every pair where
        there are few replicates, and rows in proportion to the replicates where there are many.
        """
        alike: dict[tuple[str, int], list[int]] = {}
        for place, label in enumerate(self._networks.labels):
            if chosen(label):
                alike.setdefault((label.arm, label.draw), []).append(place)
        for places in alike.values():
            count = len(places)
            found = {
                tuple(sorted((places[first], places[(first + apart) % count])))
                for apart in range(1, min(NEIGHBOURS, count // 2) + 1)
                for first in range(count)
            }
            for one, other in sorted(found):
                yield Pair(one, self._networks, other, "replicates")

    def with_ticket(self, between: str, chosen: Chosen) -> Iterator[Pair]:
        """Other arms with the ticket of the same replicate and round."""
        label_of = self._networks.labels
        wanted = [place for place, label in enumerate(label_of) if label.arm != TICKET and chosen(label)]
        for place in wanted:
            mine = label_of[place]
            yield from self._found(place, self._networks, mine.replicate, TICKET, 0, between)
        here = {label.replicate for label in label_of if label.arm == TICKET}
        missing = [place for place in wanted if label_of[place].replicate not in here]
        # Arms that were added later are measured without the ticket beside them.
        committed = self._networks.earlier(self._networks.round, self._trained) if missing else None
        for place in missing:
            yield from self._found(place, committed, label_of[place].replicate, TICKET, 0, between)

    def with_dense(self, chosen: Chosen = lambda label: True) -> Iterator[Pair]:
        """Networks of later rounds with the dense ticket of the same replicate."""
        if self._networks.round > 0:
            dense = self._networks.earlier(0, self._trained)
            for place, label in enumerate(self._networks.labels):
                if chosen(label):
                    yield from self._found(place, dense, label.replicate, TICKET, 0, "dense")

    def with_round_before(self, chosen: Chosen) -> Iterator[Pair]:
        """Networks with the same replicate, arm and draw in the round before."""
        if self._networks.round > 0 and any(map(chosen, self._networks.labels)):
            before = self._networks.earlier(self._networks.round - 1, self._trained)
            for place, label in enumerate(self._networks.labels):
                if chosen(label):
                    yield from self._found(place, before, label.replicate, label.arm, label.draw, "rounds")

    def _found(
        self, network: int, among: Networks | None, replicate: int, arm: str, draw: int, between: str
    ) -> Iterator[Pair]:
        for place, label in enumerate(among.labels if among is not None else ()):
            if among is not None and (label.replicate, label.arm, label.draw) == (replicate, arm, draw):
                yield Pair(network, among, place, between)


def is_ticket(label: Label) -> bool:
    """Whether a network is a ticket."""
    return label.arm == TICKET


def arms_with_own_masks(networks: Networks) -> frozenset[str]:
    """The labels of the arms whose masks are not the round's."""
    return frozenset(arm.label for arm in networks.run.arms if arm.entry.has_own_mask)


def values_at(networks: Networks, place: int) -> Tensors:
    """The values of one network as a stack of one: (1, *shape)."""
    return {name: value[place : place + 1] for name, value in networks.values.items()}


def classifies(networks: Networks) -> bool:
    """Whether the targets are classes and the networks have one output for each."""
    examples = networks.examples
    if examples.test_labels.dtype.is_floating_point:
        return False
    outputs = networks.logits(examples.test_inputs[:1], values_at(networks, 0))
    return outputs.dim() == 3 and outputs.shape[2] > 1


def check_stored(networks: Networks, probe: str) -> None:
    """Raise InputError if the run keeps no trained values, with which later rounds are compared."""
    if networks.run.store.trained == "none":
        raise InputError(
            f'store.trained = "none": the probe {probe!r} compares networks with trained values of earlier rounds; set '
            'it to "ticket" (the default) or "all", or leave the probe out'
        )
