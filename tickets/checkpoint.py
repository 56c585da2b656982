"""The checkpoint of a round that is being trained: what is saved of it, and whether it may be gone on from.

A checkpoint is used only where everything that decides the bits is as it was: the run, the round and its arms, the
machine, the packages and the user's source files, how the networks are computed, and, as a SHA-256, the very values
that they start from. Otherwise the round begins anew, and a note says why. So it does if the file is damaged.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tickets.errors import InputError, LeaseLostError
from tickets.fingerprint import changes
from tickets.finished import Finished
from tickets.probes.measuring import Measurements
from tickets.stack.progress import Interval, Measured, Progress
from tickets.stack.trees import MisfitError, Tree, decode, encode, given
from tickets.store import Permit
from tickets.store.checkpoint import (
    DamagedCheckpointError,
    SavedCheckpoint,
    read_checkpoint,
    remove_checkpoint,
    write_checkpoint,
)

VERSION = 1  # of what a checkpoint holds; raised when a state means something else


class RoundCheckpoint:
    """The checkpoint of one round of a cohort.

    Attributes
    ----------
    resumed
        Where the round goes on, as JSON values ("step", "seconds"); None if it begins anew.
    """

    def __init__(
        self,
        folder: Path,
        key: Mapping[str, Any],
        made_with: Callable[[], Mapping[str, Any]],
        minutes: float,
        note: Callable[[str], None],
        permit: Permit | None = None,
    ) -> None:
        """Read the checkpoint that is on disk, and use it if it is of this round and was made in the same way.

        Parameters
        ----------
        folder
            The cohort's folder.
        key
            Which round it is, as JSON values: "run", "cohort", "round", "part", "replicates", "arms".
        made_with
            Returns what else decides the bits of the round, as JSON values by name; called only if needed.
        minutes
            The time between two checkpoints; 0 for none.
        note
            Is called with what a user should know.
        permit
            Called before the file is replaced; raises if this process no longer has the cohort.
        """
        self._folder, self._key = folder, _json({"version": VERSION, **key})
        self._made_with, self._permit, self._note = made_with, permit, note
        self._name = f"{key['run']}: round {key['round']}"
        self._groups: list[GroupCheckpoint] = []
        self._measurements: Measurements | None = None
        self._failed = False  # to write
        self._foreign = False  # whether what is on disk is of another round
        self.resumed: dict[str, Any] | None = None
        self._saved = self._usable()
        self.interval = Interval(minutes * 60 if minutes > 0 else math.inf)

    def measure(self, measurements: Measurements, networks: int) -> None:
        """Restore the round's measurements from the checkpoint, and save them in later ones.

        Parameters
        ----------
        measurements
            The measurements.
        networks
            The number of networks of the round.
        """
        self._measurements = measurements
        if self._saved is not None:
            try:
                measurements.restore(decode(self._saved.about.get("measured"), self._saved.buffers), networks)
            except MisfitError as error:
                self.reject(f"what was measured {error}")

    def group(self, start: Callable[[], str], first: int = 0) -> GroupCheckpoint:
        """The part of the checkpoint that is of the next group of the round.

        Parameters
        ----------
        start
            Returns a digest of all that decides the group's bits; called only if needed.
        first
            The number of the group's first network among those that the round's probes measure.
        """
        group = GroupCheckpoint(self, start)
        place = len(self._groups)
        self._groups.append(group)
        if self._saved is not None:
            try:
                group.find(self._saved, place)
            except MisfitError as error:
                self.reject(f"its group {place} {error}")
                if self._measurements is not None:
                    # Trained in another way, a network may be measured at other steps.
                    self._measurements.forget(first)
        return group

    def write(self) -> None:
        """Write the state of every group so far. If the disk refuses, training goes on without."""
        if not self._folder.is_dir():
            return  # nothing may be made anew where a campaign's folder has been removed
        buffers: list[memoryview] = []
        groups = [group.encoded(buffers) for group in self._groups]
        about = {
            **self._key,
            "made_with": _json(self._made_with()),
            "step": self._groups[-1].step,
            "seconds": sum(group.seconds for group in self._groups),
            "groups": groups,
            "measured": None if self._measurements is None else encode(self._measurements.tree(), buffers),
        }
        try:
            write_checkpoint(self._folder, about, buffers, self._permit)
            self._foreign = False
        except LeaseLostError:
            raise
        except (InputError, OSError) as error:
            if not self._failed:
                self._note(f"{self._name}: its checkpoint could not be written; the round goes on without: {error}")
            self._failed = True

    def remove(self) -> None:
        """Remove the file, since the round is committed. A checkpoint of another round stays."""
        if not self._foreign:
            remove_checkpoint(self._folder)

    def reject(self, why: str) -> None:
        """Stop using the checkpoint that was on disk, and say why."""
        self._saved = None
        self._note(f"{self._name}: its checkpoint is not used, and what it is of begins anew: {why}")

    def refuse(self, why: str) -> None:
        """Say that no checkpoint of this round can be written, and why."""
        self._note(f"{self._name}: has no checkpoints, and begins anew if it is interrupted: {why}")

    def _usable(self) -> SavedCheckpoint | None:
        """The checkpoint of this round that is on disk, if the round may go on from it."""
        try:
            saved = read_checkpoint(self._folder)
        except DamagedCheckpointError as error:
            self.reject(str(error))
            return None
        if saved is None:
            return None
        if {name: saved.about.get(name) for name in self._key} != self._key:
            self._foreign = (
                True  # perhaps of a later round, which arms that were added to earlier ones have to wait for
            )
            return None
        before = saved.about.get("made_with")
        if differ := changes(before if isinstance(before, dict) else {}, _json(self._made_with())):
            self.reject(f"it was made by another machine, other packages, other code or another plan: {differ[0]}")
            return None
        self.resumed = {
            name: saved.about[name] for name in ("step", "seconds") if isinstance(saved.about.get(name), int | float)
        }
        return saved


class GroupCheckpoint:
    """The part of a round's checkpoint that is of one group; see Keeper."""

    def __init__(self, round: RoundCheckpoint, start: Callable[[], str]) -> None:
        self._round, self._start = round, start
        self._digest: str | None = None
        self._found: dict[str, Tree] = {}
        self._shards: Mapping[str, Tree] = {}
        self._finished: Finished | None = None
        self.seconds = 0.0

    @property
    def step(self) -> int | None:
        """The lowest step of the shards in training; None if no shard is in training."""
        courses = (tree.get("course") for tree in self._shards.values())
        return min((course["step"] for course in courses if isinstance(course, dict)), default=None)

    def find(self, saved: SavedCheckpoint, place: int) -> None:
        """Take the state of this group from a checkpoint. Raises MisfitError if that is of another group.

        Parameters
        ----------
        saved
            The checkpoint.
        place
            The position of the group in the round.
        """
        groups = saved.about.get("groups")
        if not isinstance(groups, list):
            raise MisfitError("is not there")
        if place >= len(groups):
            return  # it had not begun
        one = groups[place]
        if not isinstance(one, dict) or one.get("start") != self._begins():
            raise MisfitError("is of networks that start from other values, or are trained in another way")
        found = decode(one.get("content"), saved.buffers)
        shards, seconds, finished = given(found, "shards", "seconds", "finished")
        if not isinstance(seconds, float) or not 0 <= seconds < math.inf:
            raise MisfitError("must have the seconds that it was trained")
        if not isinstance(shards, dict) or not all(map(_is_of_shard, shards.values())):
            raise MisfitError("must have its shards")
        self._found, self.seconds = {"shards": shards, "finished": finished}, seconds

    def finished(self, of_tree: Callable[[Tree], Finished]) -> Finished | None:
        """The group's result, if an earlier process has trained it; else None. of_tree: see Finished.of_tree."""
        tree = self._found.pop("finished", None)
        if tree is None:
            return None
        try:
            self._finished = of_tree(tree)
        except MisfitError as error:
            self.reject(str(error))
            self.seconds = 0.0
        return self._finished

    def progress(self, measured: Measured | None) -> Progress:
        """The progress of the group's training. measured: what is measured of it; None if nothing is."""
        return Progress(self._round.interval, self, measured, self._found.pop("shards", None), self.seconds)

    def end(self, finished: Finished) -> None:
        """Take the group's result, for later checkpoints."""
        self._finished, self.seconds = finished, finished.seconds

    def write(self, shards: Mapping[str, Tree], seconds: float) -> None:
        """See Keeper."""
        self._shards, self.seconds = shards, seconds
        self._round.write()
        self._shards = {}

    def refuse(self, why: str) -> None:
        """See Keeper."""
        self._round.refuse(why)

    def reject(self, why: str) -> None:
        """See Keeper."""
        self._round.reject(why)

    def encoded(self, buffers: list[memoryview]) -> dict[str, Any]:
        """The state of the group, as JSON values; the tensors are appended to the buffers."""
        content = {
            "shards": dict(self._shards),
            "seconds": self.seconds,
            "finished": None if self._finished is None else self._finished.tree(),
        }
        return {"start": self._begins(), "content": encode(content, buffers)}

    def _begins(self) -> str:
        if self._digest is None:
            self._digest = self._start()
        return self._digest


def _is_of_shard(tree: Tree) -> bool:
    """Whether a tree is of a shard that was trained, or is being trained."""
    if not isinstance(tree, dict):
        return False
    course = tree.get("course")
    return "result" in tree or (isinstance(course, dict) and isinstance(course.get("step"), int))


def _json(value: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON has it: tuples are lists."""
    found: dict[str, Any] = json.loads(json.dumps(value))
    return found
