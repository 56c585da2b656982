"""The forms of run.json and of manifests: which keys they must have, and of which types.

A file whose hash is right may still have been written by somebody else. Whatever reads a key relies on this check.
Further keys are allowed, as those of later versions.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Annotated, Any, NotRequired

from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError
from pydantic_core import to_json
from typing_extensions import TypedDict

from tickets.config import parse_run
from tickets.errors import InputError
from tickets.store.layout import Layout
from tickets.store.sealed import shortened

Count = Annotated[int, Field(ge=0, lt=2**53)]
Amount = Annotated[int, Field(gt=0, lt=2**31)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Object = dict[str, Any]
# A name in the folder itself: without separators, and not hidden.
FileName = Annotated[str, StringConstraints(pattern=r"^[^./\\\x00][^/\\\x00]*$", max_length=255)]
Number = Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,15})$")]  # of a replicate, as a key


class _File(TypedDict):
    bytes: Count
    sha256: Sha256


class _Arm(TypedDict):
    arm: str
    draw: Count
    name: NotRequired[str]
    own_mask: NotRequired[bool]
    pruned: NotRequired[str]
    model: NotRequired[Object | None]
    shapes: NotRequired[dict[str, list[Count]] | None]


class _Probe(TypedDict):
    name: NotRequired[str]
    options: NotRequired[Object]
    rows: NotRequired[Count]


class Manifest(TypedDict):
    """A manifest of any folder. cohort: its number; run: the run's id. Earlier versions have neither."""

    kind: str
    replicates: list[Count]
    files: dict[FileName, _File]
    run: NotRequired[str | None]
    cohort: NotRequired[Count | None]


class RoundManifest(Manifest):
    """The manifest of a part of a round, or of probes that were measured of one afterwards."""

    round: Count
    part: Count
    arms: list[_Arm]
    density: dict[Number, Fraction]
    probes: NotRequired[dict[str, _Probe]]


class WholeRoundManifest(RoundManifest):
    """The manifest of a part of a round."""

    surviving: dict[Number, dict[str, Count]]
    diverged: Count
    arm_options: NotRequired[dict[str, Object]]
    rows: NotRequired[dict[str, Count]]


class _Data(TypedDict):
    sha256: str
    input_shape: list[Count]
    classes: Count


class _LeftOut(TypedDict):
    weights: Count
    why: str


class _Coverage(TypedDict):
    prunable: dict[str, Count]
    left_out: dict[str, _LeftOut]


class _Narrow(TypedDict):
    round: Count
    widths: list[Count]
    weights: Count
    left: Annotated[int, Field(gt=0)]


class _SmallDense(TypedDict):
    rounds: NotRequired[list[_Narrow]]


class _Start(TypedDict):
    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    step: int
    continues: bool
    before: int
    steps: int
    dense_steps: int
    more: NotRequired[int]


class _Registered(TypedDict):
    sha256: str
    rounds_seen: Count


class _MasksFrom(TypedDict):
    run: NotRequired[str]
    files: NotRequired[dict[str, str]]
    same_initial: NotRequired[bool]
    drawn: NotRequired[list[str]]


class _Named(TypedDict):
    name: str


class _Config(TypedDict):
    """The tables of a configuration, which a campaign file may write shorter. Their keys are checked by `parse_run`."""

    seed: int
    data: _Named
    model: _Named
    arms: list[_Named]
    train: Object
    prune: Object
    rewind: Object
    store: NotRequired[Object]
    compute: NotRequired[Object]
    verdict: NotRequired[Object]
    claim: NotRequired[list[Object]]


class _Learned(TypedDict):
    strategy: str
    reason: NotRequired[str]


class _Compared(TypedDict):
    passed_over: NotRequired[list[str]]


class _Execution(TypedDict):
    """How a run is computed; a plan that is written has more than these keys must be."""

    strategy: NotRequired[str]
    reason: NotRequired[str]
    lanes: NotRequired[Amount]
    networks_at_once: NotRequired[Amount]
    threads: NotRequired[Amount]
    takes_over: NotRequired[dict[str, float]]
    sparse_up_to: NotRequired[float]
    compared: NotRequired[_Compared | None]
    never_run: NotRequired[str | None]
    pruned_initial: NotRequired[_Execution | None]
    learned: NotRequired[_Learned | None]


class RunFile(TypedDict):
    """run.json."""

    run: str
    config: _Config
    data: _Data
    fingerprint: Object
    execution: _Execution
    coverage: NotRequired[_Coverage | None]
    small_dense: NotRequired[_SmallDense]
    began_with: NotRequired[Object | None]
    like_ticket: NotRequired[list[str]]
    starts: NotRequired[dict[str, _Start]]
    registered: NotRequired[list[_Registered]]
    masks_from: NotRequired[_MasksFrom]
    accuracy: NotRequired[str]


_MANIFEST: TypeAdapter[Any] = TypeAdapter(Manifest)
_FORMS: dict[str, TypeAdapter[Any]] = {"round": TypeAdapter(WholeRoundManifest), "probes": TypeAdapter(RoundManifest)}
_RUN: TypeAdapter[Any] = TypeAdapter(RunFile)


def manifest_problem(value: Mapping[str, Any]) -> str | None:
    """How a manifest differs from its form, or None."""
    kind = value.get("kind")
    form = _FORMS.get(kind, _MANIFEST) if isinstance(kind, str) else _MANIFEST
    if problem := _problem(form, value):
        return problem
    if len(set(value["replicates"])) < len(value["replicates"]):
        return "replicates: one is there twice"
    if Layout.MANIFEST in value["files"]:
        return f"files: {Layout.MANIFEST} cannot be one of them"
    keyed = [key for key in ("density", "surviving") if form is not _MANIFEST and key in value]
    for key in keyed:
        if set(value[key]) != set(map(str, value["replicates"])):
            return f"{key}: is not of the replicates {shortened(value['replicates'])}"
    return None


def run_problem(value: Mapping[str, Any]) -> str | None:
    """How run.json differs from its form, or None. Nothing that it names is imported."""
    if problem := _problem(_RUN, value):
        return problem
    # The runs of a campaign often differ in their seeds alone.
    return _config_problem(to_json({**value["config"], "seed": 0}))


@functools.lru_cache(maxsize=4096)
def _config_problem(config: bytes) -> str | None:
    try:
        parse_run(json.loads(config))
    except InputError as error:
        return f"config: {error.problems[0]}"
    return None


def _problem(form: TypeAdapter[Any], value: Mapping[str, Any]) -> str | None:
    try:
        form.validate_python(value, strict=True)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)[0]
        key = ".".join(str(part)[:60] for part in found["loc"])
        what = "Input should be an object" if found["type"] == "dict_type" else found["msg"][:120]
        return f"{key}: {what}"
    except RecursionError:
        return "nested too deep"
    return None
