"""The rules that bound what several counts ask for together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tickets.config.bounds import EVALUATIONS, NETWORKS, TRAININGS
from tickets.config.rule import Broken, Flat


def broken_counts(values: Flat, arms: Sequence[str]) -> Iterator[Broken]:
    """The bounds that counts in a flat table exceed together; arms: the keys of the arms in it."""
    networks = sum(values.get(f"{at}.draws", 1) for at in arms)
    many = [f"{at}.draws" for at in arms if values.get(f"{at}.draws", 1) > 1]
    if networks > NETWORKS and many:
        yield Broken(
            many[0],
            f"makes {networks:,} networks of one replicate, with the draws of the other arms; must be at most "
            f"{NETWORKS:,} together",
            tuple(many[1:]),
        )
    trainings = values.get("replicates", 1) * (values.get("rounds", 0) + 1) * networks
    if trainings > TRAININGS:
        yield Broken(
            "replicates",
            f"asks for {trainings:,} trainings in one run: replicates x (rounds + 1) x draws of all arms; must be at "
            f"most {TRAININGS:,}: lower one of these",
            ("rounds", *many),
        )
    for at in ("train", *(f"{one}.train" for one in arms)):
        steps = values.get(f"{at}.steps", values.get("train.steps"))
        every = values.get(f"{at}.evaluate_every", values.get("train.evaluate_every"))
        own = [key for key in (f"{at}.evaluate_every", f"{at}.steps") if key in values]
        if own and steps is not None and every is not None and steps // every > EVALUATIONS:
            yield Broken(
                own[0],
                f"means {steps // every:,} evaluations in each training of {steps:,} steps; must be at most "
                f"{EVALUATIONS:,}: evaluate less often",
                tuple(own[1:]),
            )
