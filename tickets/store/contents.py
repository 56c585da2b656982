"""Compare the files of a round with its manifest. Functions ending in `_problems` yield a sentence per difference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np

from tickets.catalogue import ARMS, Pruned
from tickets.density import density
from tickets.opening import read_regular
from tickets.store.arrays import Array, Mask, Shapes, decode, decode_shapes, parse_arm_key, replicate_of, unpack
from tickets.store.layout import Layout
from tickets.store.manifests import Manifest, keeps_own_mask, manifest_arm
from tickets.store.own_models import own_model
from tickets.store.records import same_counts
from tickets.store.tables import SCHEMAS, decode_probe_table, decode_table, row_limit

if TYPE_CHECKING:
    import pandas as pd

Network = tuple[int, str, int]  # replicate, arm, draw
Masks = Mapping[int, Mapping[str, Mask]]  # by replicate and parameter
Values = Mapping[int, Mapping[str, Array]]


@dataclass(frozen=True)
class Round:
    """The folder of a round, or of a part of one, whose files all have the hashes of the manifest.

    Attributes
    ----------
    folder
        The path.
    manifest
        The content of its manifest.
    run
        The run's id.
    number
        The round that the folder's name says.
    part
        The part that the folder's name says; 0 for the round itself.
    """

    folder: Path
    manifest: Manifest
    run: str
    number: int
    part: int

    @property
    def replicates(self) -> list[int]:
        """The replicates, by the manifest."""
        return list(self.manifest["replicates"])

    @property
    def trained(self) -> set[Network]:
        """The networks that were trained in this part, by the manifest."""
        arms = [(entry["arm"], entry["draw"]) for entry in self.manifest["arms"]]
        return {(replicate, arm, draw) for replicate in self.replicates for arm, draw in arms}

    def has_own_mask(self, arm: str) -> bool:
        """Whether an arm has a mask of its own instead of the round's."""
        return keeps_own_mask(self.manifest, arm)

    def read(self, name: str) -> bytes:
        """The bytes of one of the files."""
        return read_regular(self.folder / name, at_most=self.manifest["files"][name]["bytes"])


def networks(data: bytes) -> dict[Network, dict[str, Array]]:
    """The arrays of a safetensors file with keys `<replicate>/<arm>[.drawN]/<parameter>`, by network."""
    grouped: dict[Network, dict[str, Array]] = {}
    for key, array in sorted(decode(data).items()):
        replicate, arm, parameter = key.split("/", 2)
        grouped.setdefault((replicate_of(replicate), *parse_arm_key(arm)), {})[parameter] = array
    return grouped


def read_masks(data: bytes) -> dict[Network, dict[str, Mask]]:
    """The masks in a masks file, by network.

    Raises
    ------
    ValueError
        If a mask lacks a tensor, or a tensor has the wrong size.
    """
    shapes = decode_shapes(data)
    packed = networks(data)
    for network, arrays in packed.items():
        if arrays.keys() != shapes.keys():
            raise ValueError(f"{_named(network)}: has masks of {sorted(arrays)}, not of {sorted(shapes)}")
    return {
        network: {name: unpack(arrays[name], shape) for name, shape in shapes.items()}
        for network, arrays in packed.items()
    }


def ticket_masks(masks: Mapping[Network, Mapping[str, Mask]]) -> Masks:
    """The ticket's masks among those of a round, by replicate."""
    return {replicate: mask for (replicate, arm, _), mask in masks.items() if arm == Layout.TICKET}


def manifest_problems(saved: Round, cohort: list[int] | None) -> Iterator[str]:
    """The manifest names another round or part, other replicates than the cohort's, or an unknown `pruned` rule."""
    manifest = saved.manifest
    if (manifest["kind"], manifest["round"], manifest["part"]) != ("round", saved.number, saved.part):
        yield f"is the manifest of {manifest['kind']} {manifest['round']}, part {manifest['part']}"
    for entry in manifest["arms"]:
        if entry.get("pruned", "zero") not in get_args(Pruned):
            yield f"arm {entry['arm']!r}: pruned = {entry['pruned']!r} is not one of {', '.join(get_args(Pruned))}"
    if cohort is not None and sorted(saved.replicates) != sorted(cohort):
        yield f"replicates {saved.replicates}, but the cohort's are {cohort}"


def mask_problems(saved: Round, masks: Mapping[Network, Mapping[str, Mask]], of_round: Masks) -> Iterator[str]:
    """masks.safetensors lacks masks, has additional ones, or has other numbers of weights than the manifest."""
    wanted = {network for network in saved.trained if network[1] == Layout.TICKET or saved.has_own_mask(network[1])}
    yield from _set_problems(set(masks), wanted)
    surviving = saved.manifest["surviving"]
    for replicate in saved.replicates:
        counts = _counts(of_round.get(replicate, {}))
        if counts != surviving[str(replicate)]:
            said = surviving[str(replicate)]
            yield f"replicate {replicate}: {counts} survive, but the manifest says {said}"
        left = density(of_round.get(replicate, {}))
        said = saved.manifest["density"][str(replicate)]
        if left != said:
            yield f"replicate {replicate}: density {left}, but the manifest says {said}"
    for network, mask in masks.items():
        by_tensor = _keeps_counts(saved.manifest, network[1])
        wanted_counts = _counts(of_round.get(network[0], {}))
        if saved.has_own_mask(network[1]) and not same_counts(_counts(mask), wanted_counts, by_tensor):
            yield f"{_named(network)}: {_counts(mask)} survive, but the round's mask has other counts"


def _keeps_counts(manifest: Manifest, arm: str) -> bool:
    """Whether an own mask has as many weights in each tensor as the round's. "own_mask": it may keep only the total."""
    entry = manifest_arm(manifest, arm)
    each = manifest.get("arm_options", {}).get(arm, {}).get("scope") == "layer" and entry.get("name", arm) in ARMS
    return each or not entry.get("own_mask")


def nesting_problems(masks: Masks, earlier: Masks) -> Iterator[str]:
    """A weight that an earlier round pruned is in a mask."""
    for replicate, by_name in masks.items():
        for name, mask in by_name.items():
            before = earlier.get(replicate, {}).get(name)
            if before is None or before.shape != mask.shape:
                yield f"replicate {replicate}: {name} has no mask of this shape in the round before"
            elif (back := int(np.count_nonzero(mask & ~before))) > 0:
                yield f"replicate {replicate}: {back} weights of {name} that were pruned before are back"


def following_problems(masks: Masks, announced: Masks) -> Iterator[str]:
    """The masks differ from next_masks.safetensors of the round before."""
    for replicate, by_name in masks.items():
        after = announced.get(replicate, {})
        differ = [n for n in by_name.keys() | after.keys() if not _same_mask(by_name.get(n), after.get(n))]
        if differ:
            what = f"the mask of {min(differ)} is not that of the round before's {Layout.NEXT_MASKS}"
            yield f"replicate {replicate}: {what}"


def value_problems(
    saved: Round,
    arrays: Mapping[Network, Mapping[str, Array]],
    masks: Mapping[Network, Mapping[str, Mask]],
    of_round: Masks,
    shapes: Shapes,
) -> Iterator[str]:
    """A tensor is missing, has another shape, or has another number of surviving values than its mask.

    Parameters
    ----------
    saved
        The round.
    arrays
        The values of each network.
    masks
        The masks in the round's own file, for arms with masks of their own.
    of_round
        The masks of the round.
    shapes
        The shape of every parameter and buffer, from the cohort's initial values.
    """
    for network, by_name in arrays.items():
        if own_model(saved.manifest, network[1]) is not None:
            continue  # `own_model_problems`
        mask = masks.get(network, {}) if saved.has_own_mask(network[1]) else of_round.get(network[0], {})
        lengths = {**shapes, **{name: (count,) for name, count in _counts(mask).items()}}
        for name in sorted(by_name.keys() | lengths.keys()):
            found = by_name[name].shape if name in by_name else "missing"
            if found != lengths.get(name, "unknown"):
                yield f"{_named(network)}: {name} is {found}, but must be {lengths.get(name, 'unknown')}"


def weights_problems(saved: Round, arrays: Mapping[Network, object]) -> Iterator[str]:
    """weights.safetensors lacks networks that were trained, or has others."""
    yield from _set_problems(set(arrays), saved.trained)


def trained_problems(saved: Round, arrays: Mapping[Network, object]) -> Iterator[str]:
    """trained.safetensors has networks that were not trained in this part; it need not have all that were."""
    yield from _set_problems(set(arrays) - saved.trained, set())


def start_problems(arrays: Mapping[Network, Mapping[str, Array]], of_round: Masks, starts: Values) -> Iterator[str]:
    """A surviving value of the ticket differs, in any bit, from the value that it starts from.

    Parameters
    ----------
    arrays
        The values of each network.
    of_round
        The masks of the round.
    starts
        The values that it starts from: rewound, or trained in the round before; in round 0 the initial values.
    """
    for (replicate, arm, _), by_name in arrays.items():
        if arm != Layout.TICKET:
            continue
        mask = of_round.get(replicate, {})
        for name, found in by_name.items():
            whole = starts.get(replicate, {}).get(name)
            if whole is None or (name in mask and mask[name].shape != whole.shape):
                continue  # `value_problems` reports a missing tensor or another shape
            wanted = whole[mask[name]] if name in mask else whole
            if found.dtype != wanted.dtype or found.tobytes() != wanted.tobytes():
                yield f"replicate {replicate}: the ticket's {name} is not what it starts from, where its mask keeps"


def table_problems(saved: Round, name: str) -> Iterator[str]:
    """A table has duplicate rows, rows of networks that were not trained, or other labels than the manifest."""
    frame: pd.DataFrame = decode_table(saved.read(name), SCHEMAS[name], row_limit(saved.manifest, name)).to_pandas()
    key = ["replicate", "arm", "draw", *(["step"] if "step" in frame else [])]
    if frame.duplicated(key).any():
        yield "rows repeat"
    rows = _networks_in(frame)
    yield from _set_problems(
        rows if name == Layout.ROUNDS else rows - saved.trained,
        saved.trained if name == Layout.ROUNDS else set(),
    )
    yield from _label_problems(saved, frame)
    if name == Layout.ROUNDS and int(frame["diverged"].sum()) != saved.manifest["diverged"]:
        yield f"{int(frame['diverged'].sum())} diverged, but the manifest says {saved.manifest['diverged']}"


def probe_table_problems(saved: Round, table: str) -> Iterator[str]:
    """A probe's table has rows of networks that were not trained, or another number of rows than the manifest says.

    Manifests of earlier versions do not record the number of rows.
    """
    file = table + Layout.TABLE
    frame: pd.DataFrame = decode_probe_table(saved.read(file), row_limit(saved.manifest, file)).to_pandas()
    yield from _set_problems(_networks_in(frame) - saved.trained, set())
    yield from _label_problems(saved, frame)
    rows = saved.manifest.get("probes", {}).get(table, {}).get("rows", len(frame))
    if rows != len(frame):
        yield f"{len(frame):,} rows, but the manifest says {rows:,}"


def _networks_in(frame: pd.DataFrame) -> set[Network]:
    return set(frame[["replicate", "arm", "draw"]].itertuples(index=False, name=None))


def _label_problems(saved: Round, frame: pd.DataFrame) -> Iterator[str]:
    """A table has rows of another run, round or density."""
    if not (frame["run"] == saved.run).all() or not (frame["round"] == saved.number).all():
        yield f"has rows that are not of run {saved.run}, round {saved.number}"
    recorded = frame["replicate"].astype(str).map(saved.manifest["density"])
    if not (frame["density"] == recorded).all():
        yield "has rows of another density than the manifest's"


def _set_problems(found: set[Network], wanted: set[Network]) -> Iterator[str]:
    if wanted - found:
        yield f"lacks {_some(wanted - found)}"
    if found - wanted:
        yield f"holds {_some(found - wanted)}, which does not belong here"


def _some(networks: set[Network]) -> str:
    more = f" and {len(networks) - 1} more" if len(networks) > 1 else ""
    return _named(min(networks)) + more


def _named(network: Network) -> str:
    replicate, arm, draw = network
    return f"replicate {replicate}, arm {arm!r}, draw {draw}"


def _counts(masks: Mapping[str, Mask]) -> dict[str, int]:
    return {name: int(np.count_nonzero(mask)) for name, mask in masks.items()}


def _same_mask(one: Mask | None, other: Mask | None) -> bool:
    return one is not None and other is not None and np.array_equal(one, other)
