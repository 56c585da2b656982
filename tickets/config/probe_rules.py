"""The rules of the probes of a campaign file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tickets.catalogue import table_of
from tickets.config.rule import Broken, Flat

# The other files of a round's folder.
_RESERVED = ("curves", "rounds", "masks", "next_masks", "weights", "trained", "manifest")
_MEND = {True: "leave one out", False: "give the function another name"}


def broken_probes(values: Flat) -> Iterator[Broken]:
    """The rules about probes that a flat table breaks."""
    # A short form is converted to a table with its name. Wrong names have been left out.
    names = [
        one if isinstance(one, str) else values.get(f"probes[{at}].name")
        for at, one in enumerate(values.get("probes", ()))
    ]
    # "units" is measured without being named where `store.units` asks for it.
    yield from _tables_of_probes(names, "units" if values.get("store.units") is True else None)
    yield from _without_scores(values.get("prune.masks_from"), names)


def _tables_of_probes(names: Sequence[str | None], unnamed: str | None) -> Iterator[Broken]:
    """Probes whose tables would have the same file name, on a file system with or without capital letters.

    A function of the user's may have the name of a probe of the catalogue that the campaign does not name. unnamed: a
    probe that is measured although it need not be among the names.
    """
    tables = [None if name is None else table_of(name).casefold() for name in names]
    for index, (name, table) in enumerate(zip(names, tables, strict=True)):
        key = f"probes[{index}].name"
        if table is not None and table in tables[:index]:
            first = tables.index(table)
            same = name == names[first]
            why = "each probe is measured once" if same else f"both tables would be {table}.parquet"
            yield Broken(key, f"is there already as probes[{first}]; {why}; {_MEND[same]}")
        elif table in _RESERVED:
            yield Broken(key, f"its table would be {table}.parquet, which is taken; {_MEND[False]}")
        elif table == unnamed and name != unnamed:
            yield Broken(key, f"its table would be that of the probe {table} (store.units = true); {_MEND[False]}")


def _without_scores(masks_from: str | None, probes: Sequence[str | None]) -> Iterator[Broken]:
    """Probes that ask which weights the run's score would prune next, beside masks that are another run's.

    probes: the names of the probes, None where one is wrong.
    """
    for index, name in enumerate(probes):
        if masks_from is not None and name == "early_bird":
            yield Broken(
                f"probes[{index}].name",
                "compares the masks that the run's score makes at successive steps, and prune.masks_from takes every "
                "mask from another run, so that no score is computed; measure it in that run, and leave it out here",
                ("prune.masks_from",),
            )
