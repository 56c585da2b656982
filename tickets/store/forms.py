"""The forms of run.json and of manifests: which keys they must have, and of which types.

A file whose hash is right may still have been written by somebody else. Whatever reads a key relies on this check.
Further keys are allowed, as those of later versions.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

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


class _Form(BaseModel):  # a default by a factory is not copied
    model_config = ConfigDict(extra="allow", strict=True)


class _File(_Form):
    bytes: Count
    sha256: Sha256


class _Arm(_Form):
    arm: str
    draw: Count
    name: str = ""
    own_mask: bool = False
    pruned: str = ""
    model: Object | None = None
    shapes: dict[str, list[Count]] | None = None


class _Probe(_Form):
    name: str = ""
    options: Object = Field(default_factory=dict)
    rows: Count = 0


class Manifest(_Form):
    """A manifest of any folder. cohort: its number; run: the run's id. Earlier versions have neither."""

    kind: str
    replicates: list[Count]
    files: dict[FileName, _File]
    run: str | None = None
    cohort: Count | None = None


class RoundManifest(Manifest):
    """The manifest of a part of a round, or of probes that were measured of one afterwards."""

    round: Count
    part: Count
    arms: list[_Arm]
    density: dict[Number, Fraction]
    probes: dict[str, _Probe] = Field(default_factory=dict)


class WholeRoundManifest(RoundManifest):
    """The manifest of a part of a round."""

    surviving: dict[Number, dict[str, Count]]
    diverged: Count
    arm_options: dict[str, Object] = Field(default_factory=dict)
    rows: dict[str, Count] = Field(default_factory=dict)


_FORMS: dict[str, type[BaseModel]] = {"round": WholeRoundManifest, "probes": RoundManifest}


class _Data(_Form):
    sha256: str
    input_shape: list[Count]
    classes: Count


class _LeftOut(_Form):
    weights: Count
    why: str


class _Coverage(_Form):
    prunable: dict[str, Count]
    left_out: dict[str, _LeftOut]


class _Narrow(_Form):
    round: Count
    widths: list[Count]
    weights: Count
    left: Annotated[int, Field(gt=0)]


class _SmallDense(_Form):
    rounds: list[_Narrow] = Field(default_factory=list)


class _Start(_Form):
    model_config = ConfigDict(extra="forbid", strict=True)

    step: int
    continues: bool
    before: int
    steps: int
    dense_steps: int
    more: int = 0


class _Registered(_Form):
    sha256: str
    rounds_seen: Count


class _MasksFrom(_Form):
    run: str = ""
    files: dict[str, str] = Field(default_factory=dict)
    same_initial: bool = False
    drawn: list[str] = Field(default_factory=list)


class _Named(_Form):
    name: str


class _Config(_Form):
    """The tables of a configuration, which a campaign file may write shorter. Their keys are checked by `parse_run`."""

    seed: int
    data: _Named
    model: _Named
    arms: list[_Named]
    train: Object
    prune: Object
    rewind: Object
    store: Object = Field(default_factory=dict)
    compute: Object = Field(default_factory=dict)
    verdict: Object = Field(default_factory=dict)


class _Learned(_Form):
    strategy: str
    reason: str = ""


class _Compared(_Form):
    passed_over: list[str] = Field(default_factory=list)


class _Execution(_Form):
    """How a run is computed; a plan that is written has more than these keys must be."""

    strategy: str = ""
    reason: str = ""
    lanes: Amount = 1
    networks_at_once: Amount = 1
    threads: Amount = 1
    takes_over: dict[str, float] = Field(default_factory=dict)
    sparse_up_to: float = 0.0
    compared: _Compared | None = None
    never_run: str | None = None
    pruned_initial: _Execution | None = None
    learned: _Learned | None = None


class RunFile(_Form):
    """run.json."""

    run: str
    config: _Config
    data: _Data
    fingerprint: Object
    execution: _Execution
    coverage: _Coverage | None = None
    small_dense: _SmallDense = Field(default_factory=_SmallDense)
    began_with: Object | None = None
    like_ticket: list[str] = Field(default_factory=list)
    starts: dict[str, _Start] = Field(default_factory=dict)
    registered: list[_Registered] = Field(default_factory=list)
    masks_from: _MasksFrom = Field(default_factory=_MasksFrom)
    accuracy: str = ""


def manifest_problem(value: Mapping[str, Any]) -> str | None:
    """How a manifest differs from its form, or None."""
    kind = value.get("kind")
    form = _FORMS.get(kind, Manifest) if isinstance(kind, str) else Manifest
    if problem := _problem(form, value):
        return problem
    if len(set(value["replicates"])) < len(value["replicates"]):
        return "replicates: one is there twice"
    if Layout.MANIFEST in value["files"]:
        return f"files: {Layout.MANIFEST} cannot be one of them"
    keyed = [key for key in ("density", "surviving") if form is not Manifest and key in value]
    for key in keyed:
        if set(value[key]) != set(map(str, value["replicates"])):
            return f"{key}: is not of the replicates {shortened(value['replicates'])}"
    return None


def run_problem(value: Mapping[str, Any]) -> str | None:
    """How run.json differs from its form, or None. Nothing that it names is imported."""
    if problem := _problem(RunFile, value):
        return problem
    # The runs of a campaign often differ in their seeds alone.
    return _config_problem(json.dumps({**value["config"], "seed": 0}, sort_keys=True))


@functools.lru_cache(maxsize=4096)
def _config_problem(config: str) -> str | None:
    try:
        parse_run(json.loads(config))
    except InputError as error:
        return f"config: {error.problems[0]}"
    return None


def _problem(form: type[BaseModel], value: Mapping[str, Any]) -> str | None:
    try:
        form.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)[0]
        key = ".".join(str(part)[:60] for part in found["loc"])
        what = "Input should be an object" if found["type"] == "model_type" else found["msg"][:120]
        return f"{key}: {what}"
    except RecursionError:
        return "nested too deep"
    return None
