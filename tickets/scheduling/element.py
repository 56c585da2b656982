"""The elements of submitted arrays: in which state they are, and why, in plain words."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from typing import Literal

State = Literal[
    "running", "queued", "preempted", "requeued", "failed", "cancelled", "timeout", "done", "unknown"
]  # fmt: skip
LIVE = ("running", "queued", "requeued")  # the states of elements that will still work


@dataclass(frozen=True)
class Element:
    """One element of an array. What is not known is "".

    Parameters
    ----------
    id
        The job's number and the element's: "123_4".
    state
        Its state.
    why
        Why it is in this state.
    node
        Where it runs or has run.
    since
        When it started, or was submitted if it has not; in the scheduler's local time.
    left
        The time until its limit, "[days-]hours:minutes:seconds".
    """

    id: str
    state: State
    why: str = ""
    node: str = ""
    since: str = ""
    left: str = ""

    @property
    def is_live(self) -> bool:
        """Whether it runs or is going to."""
        return self.state in LIVE


_STATES: dict[str, State] = {
    "PENDING": "queued",
    "RUNNING": "running",
    "CONFIGURING": "running",
    "COMPLETING": "running",
    "SUSPENDED": "running",
    "STOPPED": "running",
    "SIGNALING": "running",
    "STAGE_OUT": "running",
    "RESIZING": "running",
    "REQUEUED": "requeued",
    "REQUEUE_FED": "requeued",
    "REQUEUE_HOLD": "requeued",
    "SPECIAL_EXIT": "requeued",
    "RESV_DEL_HOLD": "queued",
    "COMPLETED": "done",
    "FAILED": "failed",
    "BOOT_FAIL": "failed",
    "NODE_FAIL": "failed",
    "OUT_OF_MEMORY": "failed",
    "LAUNCH_FAILED": "failed",
    "RECONFIG_FAIL": "failed",
    "CANCELLED": "cancelled",
    "REVOKED": "cancelled",
    "PREEMPTED": "preempted",
    "TIMEOUT": "timeout",
    "DEADLINE": "timeout",
}
# Of states that do not say it all.
_WHY = {
    "COMPLETING": "it is ending",
    "BOOT_FAIL": "its node did not start",
    "NODE_FAIL": "its node failed",
    "OUT_OF_MEMORY": "it took more memory than it asked for ([submit] memory)",
    "LAUNCH_FAILED": "its node could not start it",
    "SUSPENDED": "suspended for now",
    "REQUEUE_HOLD": "held: release it with scontrol release",
    "SPECIAL_EXIT": "held: release it with scontrol release",
    "PREEMPTED": "others with a higher priority took its place",
    "TIMEOUT": "its time limit was reached",
    "DEADLINE": "its deadline was reached",
}
_REASONS = {
    "Resources": "waits for free resources",
    "Priority": "waits behind jobs with a higher priority",
    "JobArrayTaskLimit": "waits for others of the array: as many run as may at once",
    "BeginTime": "waits for a while before it starts again",
    "Dependency": "waits for other jobs",
    "DependencyNeverSatisfied": "waits for a job that did not succeed, for ever",
    "JobHeldUser": "held by its user: release it with scontrol release",
    "JobHeldAdmin": "held by an administrator, or after a failed start: see scontrol show job",
    "PartitionDown": "its partition is down",
    "PartitionInactive": "its partition is inactive",
    "PartitionTimeLimit": "its time limit is above the partition's",
    "PartitionNodeLimit": "the partition has no such nodes",
    "ReqNodeNotAvail": "the nodes that it needs are not available",
    "NodeDown": "its node is down",
    "Reservation": "waits for its reservation",
    "Licenses": "waits for a licence",
    "TimeLimit": "its time limit was reached",
    "OutOfMemory": "it took more memory than it asked for ([submit] memory)",
    "JobLaunchFailure": "it could not be started, or was ended by a signal",
    "Cleaning": "it was queued again and its node is not ready yet",
    "launch failed requeued held": "held: it could not be started (scontrol release starts it again)",
    "Nodes required for job are DOWN": "its nodes are down, drained or reserved for others",
}
_STATUSES = {
    1: "a run failed",
    2: "the input is wrong",
    75: "it was told to end and is not queued again",
    126: "the command could not be run",
    127: "there is no such command",
}
_NO_OUTPUT = 53  # in the place of a signal; 125 means a lack of memory there
_SIGNALS = frozenset(map(int, signal.Signals))
_WORD = re.compile(r"[A-Za-z_]+")


def state_of(word: str) -> tuple[State, str]:
    """(state, why) by Slurm's word for a state, such as "CANCELLED by 1000"."""
    name = _first_word(word)
    state = _STATES.get(name, "unknown")
    why = _WHY.get(name, "") if state != "unknown" else f"Slurm says {shown(word)}"
    return state, why


def reason_of(text: str) -> str:
    """Why an element waits or has ended, by Slurm's reason; "" for none."""
    reason = text.strip().strip("()")
    if reason in ("", "None", "NonZeroExitCode"):
        return ""
    known = _REASONS.get(reason.partition(",")[0])
    if known is not None:
        return known
    if reason.startswith(("QOS", "Assoc")):
        return f"waits: a limit of the {'QOS' if reason.startswith('QOS') else 'account'} is reached ({shown(reason)})"
    return shown(reason)


def ended_by(code: str) -> str:
    """How a program ended, by Slurm's "status:signal"; "" for a success or what is no such text."""
    match = re.fullmatch(r"(\d{1,3}):(\d{1,3})", code)
    if match is None:
        return ""
    status, number = int(match[1]), int(match[2])
    if number == _NO_OUTPUT:
        return "its output file could not be opened: is jobs/ there on its node?"
    if number in _SIGNALS:
        return f"ended by {_signal(number)}"
    if status - 128 in _SIGNALS:
        return f"ended by {_signal(status - 128)}"
    if status:
        return f"exit status {status}" + (f": {_STATUSES[status]}" if status in _STATUSES else "")
    return ""


def shown(word: str) -> str:
    """A word of Slurm's, at most 100 letters without control characters."""
    return "".join(letter for letter in word if letter.isprintable())[:100]


def _signal(number: int) -> str:
    return f"signal {number} ({signal.Signals(number).name})"


def _first_word(text: str) -> str:
    match = _WORD.match(text.strip())
    return match[0] if match else ""
