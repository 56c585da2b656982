"""The rules for `pruned = "zero_if_shrunk"`: pruned weights of an arm are 0 if training had moved them towards 0."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tickets.config.rule import Broken, Flat, entry_at

SHRUNK = "zero_if_shrunk"


def broken_pruned(values: Flat, places: Sequence[str]) -> Iterator[Broken]:
    """What arms cannot have it, given a flat table and the keys of the arms in it: "arms[0]", ..."""
    for at in places:
        if values.get(f"{at}.pruned") != SHRUNK or values.get(f"{at}.name") == "ticket":
            continue  # the ticket has no choice at all, which is another rule
        entry = entry_at(values, at)
        if entry is not None and entry.has_own_mask:
            yield Broken(
                f"{at}.pruned",
                "needs the round's mask, since it asks how each weight had moved when the ticket's rounds pruned it, "
                'and this arm has a mask of its own; write pruned = "initial" or "zero"',
                (f"{at}.name",),
            )
        if values.get("store.trained") == "none":
            yield Broken(
                f"{at}.pruned",
                'compares the trained values of every earlier round with theta0, and store.trained = "none" keeps '
                'none; write store.trained = "ticket"',
                ("store.trained",),
            )
