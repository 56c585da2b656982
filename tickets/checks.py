"""What is looked at before a campaign writes anything, so that wrong input is refused whole."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tickets.config import Campaign, Run, read_campaign
from tickets.errors import InputError, Problems, nearest
from tickets.setting import Fitted, Plan, Source, fit, load_source, plan_execution
from tickets.stack.jit import OFF, jit_is_off
from tickets.store import Layout, read_run, run_folders


def find_device(name: str) -> torch.device:
    """The device with this name. Raises InputError if there is no such device here."""
    kind = name.partition(":")[0]
    if kind not in ("cpu", "cuda"):
        raise InputError(f"--device = {name!r}: must be cpu or cuda{nearest(name, ('cpu', 'cuda'))}")
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError(
            f"--device = {name!r}: this PyTorch ({torch.__version__}) finds no CUDA device here; use cpu, or install "
            "a CUDA build of PyTorch (see the README)"
        )
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"--device = {name!r}: must be cpu, cuda or cuda:0, cuda:1, ...") from error
    if kind == "cuda" and device.index is not None and device.index >= torch.cuda.device_count():
        raise InputError(f"--device = {name!r}: there are {torch.cuda.device_count()} CUDA devices, from cuda:0")
    return device


def check_folder(folder: Path, campaign: Campaign) -> None:
    """Whether a campaign may be written to a folder: empty, not there yet, or holding this campaign already.

    Raises InputError if it holds another campaign, something else, or runs of another schema version.
    """
    try:
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    except OSError as error:
        raise InputError(f"{folder}: cannot be a folder ({error.strerror}); give another one (--out)") from error
    if not there.is_dir():
        raise InputError(f"{there}: is a file; give a folder for the campaign (--out)")
    if there != folder:
        return
    file = folder / Layout.CAMPAIGN
    if not file.exists():
        others = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
        if others:
            raise InputError(
                f"{folder}: is not empty ({others[0]} ...) and holds no campaign; give an empty or new folder (--out)"
            )
        return
    for path in run_folders(folder):
        read_run(path)  # refuses another schema version
    name = read_campaign(file).name
    if name != campaign.name:
        raise InputError(
            f"{folder}: holds the campaign {name!r}, not {campaign.name!r}; give another folder (--out), or the "
            "file of the campaign that is there"
        )


def find_data_folder(data: str | Path | None, campaign: Campaign) -> Path | None:
    """The folder that data sets are read from: as given, else the campaign's, else $TICKETS_DATA, else none."""
    given = data or campaign.data_folder or os.environ.get("TICKETS_DATA")
    return Path(given) if given else None


def fit_all(runs: Mapping[str, Run], data_folder: Path | None, problems: Problems) -> dict[str, Fitted]:
    """Every run that fits its data, each data set loaded once; what does not goes into `problems`."""
    sources: dict[str, Source] = {}
    fitted = {}
    for name, one in runs.items():
        key = one.data.model_dump_json()
        with problems.noted():
            if key not in sources:
                sources[key] = load_source(one.data, data_folder)
            fitted[name] = fit(one, sources[key])
    return fitted


def plan_all(
    folder: Path, fitted: Mapping[str, Fitted], device: torch.device, workers: int, problems: Problems
) -> dict[str, Plan]:
    """How each run is computed: as it began, so that its bits stay the same."""
    plans = {}
    for name, one in fitted.items():
        with problems.noted():
            saved = read_if_saved(folder / name)
            if saved is not None and saved["data"]["sha256"] != one.source.sha256:
                raise InputError(
                    f"{folder / name}: was trained on {one.source.name!r} with SHA-256 "
                    f"{saved['data']['sha256'][:12]}..., but the data there now has {one.source.sha256[:12]}...; "
                    "put the same data back, or use another folder (--out)"
                )
            if saved is not None and saved["config"]["compute"] == one.run.compute.model_dump(mode="json"):
                plans[name] = Plan(**saved["execution"])
                if jit_is_off() and (plans[name].strategy == "sparse" or plans[name].sparse_up_to > 0):
                    raise InputError(f"{folder / name}: began with kernels, and goes on with them; {OFF}")
            else:
                plans[name] = plan_execution(one, device, workers)
    return plans


def read_if_saved(folder: Path) -> dict[str, Any] | None:
    """What a run's run.json holds, if there is one."""
    return read_run(folder) if (folder / Layout.RUN).exists() else None
