"""The checkpoints of a cohort's rounds: what a round must have in common with one to go on from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tickets.checkpoint import RoundCheckpoint
from tickets.code_hashes import named_functions, source_hashes
from tickets.config import Run
from tickets.probes import Probe, record_of
from tickets.store import Layout, Permit, RoundPlan, append_event, cohort_folder


@dataclass(frozen=True)
class Resuming:
    """The checkpoints of one cohort.

    Parameters
    ----------
    run, run_id, folder
        The run: its configuration, its id and its folder.
    cohort
        The cohort's index.
    made_with
        Where and how the cohort trains, as JSON values: "fingerprint" and "execution".
    probes
        The run's.
    permit
        Called before a checkpoint is replaced; raises if this process no longer has the cohort.
    note
        Is called with what a user should know.
    """

    run: Run
    run_id: str
    folder: Path
    cohort: int
    made_with: Mapping[str, Any]
    probes: Sequence[Probe]
    permit: Permit
    note: Callable[[str], None]

    def __post_init__(self) -> None:
        """Hash the source files now. Modules that are imported do not change when their files change later."""
        _ = self._sources

    def checkpoint_of(self, plan: RoundPlan, replicates: Sequence[int]) -> RoundCheckpoint:
        """The checkpoint of a round. If it goes on from one that is on disk, the log says from which step.

        Parameters
        ----------
        plan
            The round.
        replicates
            The cohort's replicates.
        """
        names = {"cohort": self.cohort, "round": plan.number, "part": plan.part}
        checkpoint = RoundCheckpoint(
            cohort_folder(self.folder, self.cohort),
            {"run": self.run_id, **names, "replicates": replicates, "arms": plan.arms},
            self._all_that_matters,
            self.run.store.checkpoint_minutes,
            self.note,
            self.permit,
        )
        if checkpoint.resumed is not None:
            append_event(self.folder / Layout.LOG, {"event": "resumed", **names, **checkpoint.resumed})
        return checkpoint

    @cached_property
    def _sources(self) -> dict[str, str]:
        return source_hashes(named_functions(self.run.model_dump(mode="json")))

    def _all_that_matters(self) -> dict[str, Any]:
        # The free memory decides only the plan, which is compared anyway.
        plan = {key: value for key, value in self.made_with["execution"].items() if key != "free_memory_bytes"}
        return {
            "fingerprint": self.made_with["fingerprint"],
            "execution": plan,
            "sources": self._sources,
            "probes": record_of(self.probes),
        }
