"""One saved network: its mask, its values before and after training, and a module built from them."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tickets.catalogue import MODELS
from tickets.errors import InputError, nearest
from tickets.store.arrays import Array, Mask
from tickets.store.layout import Layout, cohort_folders, round_folder, round_folders
from tickets.store.manifests import damaged, keeps_own_mask, manifest_arm
from tickets.store.own_models import own_model, whole_masks
from tickets.store.reading import Committed
from tickets.store.shrunk import held_values
from tickets.store.ticket_values import mask_of, values_of

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, eq=False, repr=False)
class Ticket:
    """A ticket, or a network of another arm, of one replicate and round. The arrays are copies.

    Attributes
    ----------
    run
        The run's id.
    replicate, round
        Which network of the arm it is; round 0 is the dense round.
    arm, draw
        The arm's label, and which of its draws.
    density
        The fraction of the prunable weights that remain in the round, in [0, 1]. A network of arm `small_dense` has no
        mask, and at most that fraction of the weights of the run's model.
    mask
        {prunable parameter: its mask}, bool, of the parameter's shape.
    values
        {name: values before training}, for every parameter and buffer.
    trained
        The same after training; None if it was not stored.
    model
        The table `model` of the run's configuration; of arm `small_dense` that of its narrower network.
    input_shape
        The shape of one example.
    classes
        The number of classes, or of values to predict.
    trust_code
        Whether `build` may import and call a model's function that is not in the catalogue.
    pruned
        The values of pruned weights, before and after training: "zero" for 0.0, "initial" for the initial values of
        this replicate, or "zero_if_shrunk" for 0.0 where training had moved the weight towards 0 when it was pruned,
        and the initial value elsewhere.
    """

    run: str
    replicate: int
    round: int
    arm: str
    draw: int
    density: float
    mask: dict[str, Mask]
    values: dict[str, Array]
    trained: dict[str, Array] | None
    model: Mapping[str, Any]
    input_shape: tuple[int, ...]
    classes: int
    trust_code: bool = False
    pruned: str = "zero"

    def __repr__(self) -> str:
        """The fields that identify the network, and counts instead of its arrays."""
        surviving = sum(int(mask.sum()) for mask in self.mask.values())
        return (
            f"Ticket(run={self.run!r}, replicate={self.replicate}, round={self.round}, arm={self.arm!r}, "
            f"draw={self.draw}, density={self.density:.4f}, surviving={surviving}, trained={self.trained is not None})"
        )

    def build(self) -> nn.Module:
        """Build a torch.nn.Module with `values`, on the CPU and in training mode.

        The mask is not attached: code that trains the module must reset its pruned weights after each step. A user's
        model must be importable.

        Raises
        ------
        InputError
            If the model no longer fits the saved values; or if it is not in the catalogue and the run was loaded
            without `trust_code`, in which case nothing is imported or called.
        """
        name = self.model["name"]
        if name not in MODELS and not self.trust_code:
            raise InputError(
                f"run {self.run}: its model is {name!r}, code that is not part of tickets and that whoever wrote this "
                "folder could choose; it was not called. If you trust it: tickets.load(..., trust_code=True)"
            )
        import torch

        from tickets.models import factory
        from tickets.process_state import standard_state

        options = {key: value for key, value in self.model.items() if key not in ("name", "init")}
        # The constructor draws initial values, which are overwritten below; the global generators are restored.
        with standard_state(), torch.device("cpu"):
            network = factory(name, options, self.input_shape, self.classes)()
        own = {**dict(network.named_parameters()), **dict(network.named_buffers())}
        made = {name: tuple(tensor.shape) for name, tensor in own.items()}
        saved = {name: array.shape for name, array in self.values.items()}
        if made != saved:
            differ = sorted(name for name in made.keys() | saved.keys() if made.get(name) != saved.get(name))
            raise InputError(
                f"model {name!r} no longer makes the network of run {self.run}: "
                f"{differ[0]} is {saved.get(differ[0], 'missing')} as saved, "
                f"{made.get(differ[0], 'missing')} as made; "
                "use the version of the model that the run was made with"
            )
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(torch.from_numpy(self.values[name].copy()))
        return network


def read_ticket(
    committed: Committed, run: Path, file: Mapping[str, Any], arm: str, replicate: int, round: int, draw: int
) -> Ticket:
    """Read one network of a run.

    Parameters
    ----------
    committed
        The files whose hashes have been checked.
    run
        The run's folder.
    file
        The content of its run.json.
    arm, replicate, round, draw
        Which network.

    Raises
    ------
    InputError
        If the run has no such network; the message lists those that it has.
    """
    run_id = str(file.get("run", run.name))
    whole, part = _find(committed, run, run_id, arm, replicate, round, draw)
    model = own_model(committed.manifest(part), arm)
    mask = (
        mask_of(committed, part, arm, replicate, draw)
        if keeps_own_mask(committed.manifest(part), arm)
        else mask_of(committed, whole, Layout.TICKET, replicate, 0)
    )
    squeezed = mask if model is None else {}  # the tensors of which the surviving values alone are stored
    kept = Layout.TRAINED in committed.manifest(part)["files"]
    pruned = str(manifest_arm(committed.manifest(part), arm).get("pruned", "zero"))
    elsewhere = held_values(part, replicate, pruned)
    trained = values_of(committed, part, Layout.TRAINED, arm, replicate, draw, squeezed, elsewhere) if kept else {}
    values = values_of(committed, part, Layout.WEIGHTS, arm, replicate, draw, squeezed, elsewhere)
    if not values:
        raise damaged(part / Layout.WEIGHTS, f"arm {arm!r}, replicate {replicate}, draw {draw} is not in it")
    if model is not None:
        mask = whole_masks(values, mask)
    return Ticket(
        run=run_id,
        replicate=replicate,
        round=round,
        arm=arm,
        draw=draw,
        density=float(committed.manifest(whole)["density"][str(replicate)]),
        mask=mask,
        values=values,
        trained=trained or None,
        model=copy.deepcopy(model or file["config"]["model"]),
        input_shape=tuple(file["data"]["input_shape"]),
        classes=int(file["data"]["classes"]),
        pruned=pruned,
    )


def _find(
    committed: Committed, run: Path, run_id: str, arm: str, replicate: int, round: int, draw: int
) -> tuple[Path, Path]:
    """The folder of the round, and the folder of the part that has the arm."""
    by_cohort = {cohort: round_folders(cohort) for _, cohort in cohort_folders(run)}
    rounds = {number for found in by_cohort.values() for number, part, _ in found if part == 0}
    if round not in rounds:
        raise InputError(f"round = {round}: run {run_id} has {_range('round', rounds)}")
    replicates: set[int] = set()
    for cohort, found in by_cohort.items():
        if round_folder(cohort, round) not in {folder for _, _, folder in found}:
            continue
        present = committed.manifest(round_folder(cohort, round))["replicates"]
        replicates.update(present)
        if replicate in present:
            parts = [folder for number, _, folder in found if number == round]
            part = _part(committed, parts, arm, draw, f"run {run_id}, replicate {replicate}, round {round}")
            return round_folder(cohort, round), part
    raise InputError(f"replicate = {replicate}: run {run_id}, round {round} has {_range('replicate', replicates)}")


def _part(committed: Committed, folders: Iterable[Path], arm: str, draw: int, where: str) -> Path:
    draws: dict[str, dict[int, Path]] = {}
    for folder in folders:
        for entry in committed.manifest(folder)["arms"]:
            draws.setdefault(entry["arm"], {})[entry["draw"]] = folder
    if arm not in draws:
        raise InputError(f"arm = {arm!r}: {where} has {', '.join(draws)}{nearest(arm, draws)}")
    if draw not in draws[arm]:
        raise InputError(f"draw = {draw}: {where} has {_range('draw', draws[arm])} of arm {arm!r}")
    return draws[arm][draw]


def _range(what: str, numbers: Collection[int]) -> str:
    """`no rounds`, `round 3`, `rounds 0 to 4` or `rounds 0, 1, 5`."""
    ordered = sorted(numbers)
    if not ordered:
        return f"no {what}s"
    if len(ordered) == 1:
        return f"{what} {ordered[0]}"
    if ordered == list(range(ordered[0], ordered[-1] + 1)):
        return f"{what}s {ordered[0]} to {ordered[-1]}"
    return f"{what}s {', '.join(map(str, ordered))}"
