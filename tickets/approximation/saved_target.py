"""The saved network that is approximated, and the examples that it is tested on."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from tickets.approximation.target import Layer, layers_of
from tickets.code_hashes import named_functions
from tickets.config import Run, parse_run
from tickets.continuing import check_data
from tickets.errors import InputError
from tickets.probing import campaign_folder_of, data_folder_of
from tickets.source import load_source
from tickets.store import load
from tickets.tasks import Task, task_of


@dataclass(frozen=True)
class Which:
    """Which network of a run: replicate, round, arm and draw."""

    replicate: int = 0
    round: int = 0
    arm: str = "ticket"
    draw: int = 0


@dataclass(frozen=True, eq=False)
class SavedTarget:
    """A saved trained network and its test examples.

    Attributes
    ----------
    campaign
        The folder of its campaign.
    run
        The run's id.
    which
        Which network of the run.
    module
        The network, in evaluation mode.
    layers
        Its layers.
    task
        What it was trained for.
    inputs, labels
        The test examples.
    """

    campaign: Path
    run: str
    which: Which
    module: nn.Module
    layers: tuple[Layer, ...]
    task: Task
    inputs: Tensor
    labels: Tensor

    def record(self) -> dict[str, Any]:
        """What identifies the network, and the form of its layers, as JSON values."""
        return {"run": self.run, **dataclasses.asdict(self.which), "sha256": digest_of(self.layers)}


def read_target(
    folder: Path, which: Which, data: str | Path | None, trust_code: bool | Collection[str] = False
) -> SavedTarget:
    """Read a trained network and its data set.

    Parameters
    ----------
    folder
        A campaign's folder with one run, or a run's folder.
    which
        Which network of the run.
    data
        The data folder; by default the campaign's, else $TICKETS_DATA.
    trust_code
        See `tickets.probe`.

    Raises
    ------
    InputError
        If there is no such network, its trained values are not stored, or it is no chain of Linear and ReLU layers; or
        if the data set is not the one that it was trained on.
    """
    saved = load(folder, trust_code=trust_code)
    if len(saved.runs) > 1:
        raise InputError(
            f"{folder}: has {len(saved.runs)} runs; give the folder of one of them: {', '.join(saved.runs)}"
        )
    run_id = saved.runs[0]
    config = {key: value for key, value in saved.config().items() if key != "claim"}
    _check_trusted(folder, config, trust_code)
    ticket = saved.arm(which.arm, which.replicate, which.round, which.draw)
    if ticket.trained is None:
        raise InputError(
            f"run {run_id}, arm {which.arm!r}, replicate {which.replicate}, round {which.round}: its values after "
            f"training are not stored (store.trained = {config['store']['trained']!r}); train it in another folder "
            '(--out) with store.trained = "ticket", or "all" for other arms'
        )
    run: Run = parse_run({key: value for key, value in config.items() if key != "probes"})
    module = dataclasses.replace(ticket, values=ticket.trained).build().eval()
    source = load_source(run.data, data_folder_of(data, campaign_folder_of(folder)))
    check_data(folder, source, saved.file()["data"]["sha256"])
    examples = source.examples
    parts = (examples.train_inputs, examples.validation_inputs, examples.test_inputs)
    layers = layers_of(module, ticket.mask, signed=any(float(part.min()) < 0 for part in parts))
    return SavedTarget(
        campaign_folder_of(folder), run_id, which, module, layers, task_of(run.train),
        examples.test_inputs, examples.test_labels,
    )  # fmt: skip


def digest_of(layers: Collection[Layer]) -> str:
    """SHA-256 of the values and masks of layers, in hexadecimal."""
    total = hashlib.sha256()
    for layer in layers:
        for array in (layer.weight, layer.bias, layer.surviving):
            if array is not None:
                total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()


def _check_trusted(folder: Path, config: dict[str, Any], trusted: bool | Collection[str]) -> None:
    names = {trusted} if isinstance(trusted, str) else trusted
    if untrusted := [
        name for name in named_functions(config) if names is not True and (names is False or name not in names)
    ]:
        raise InputError(
            f"{folder}: names code that is not part of tickets and that whoever wrote this folder could choose: "
            f"{', '.join(untrusted)}; it was not called. If you trust it: --trust-code (in Python trust_code=True)"
        )
