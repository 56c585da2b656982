"""The store: writes campaigns and runs to disk and reads them back. Importing it imports neither torch nor pandas."""

from tickets.store.arrays import expand, squeeze, unpack
from tickets.store.asked import saved_campaign
from tickets.store.begun import record_begun
from tickets.store.commit import commit, replace_file
from tickets.store.durable import settle
from tickets.store.ends import read_end_states
from tickets.store.finding import Finding
from tickets.store.holder import Holder, Progress, holder_of
from tickets.store.layout import (
    SCHEMA_VERSION,
    Layout,
    cohort_folder,
    cohort_folders,
    round_folder,
    round_folders,
    run_folders,
)
from tickets.store.lease import HeldError, Lease, take, taken
from tickets.store.left_over import left_over, networks_of, runs_left_over
from tickets.store.loading import load
from tickets.store.lock import at_work, lock, sweep_temporary
from tickets.store.log import append_event, read_events
from tickets.store.manifests import read_manifest, read_run, trusting_form
from tickets.store.measured import check_measured, check_tables, unmeasured
from tickets.store.plan import CohortPlan, RoundPlan, arm_options, missing, wanted_arms
from tickets.store.probed import tables_of, write_tables
from tickets.store.processes import who
from tickets.store.reading import (
    Committed,
    read_initial,
    read_next_masks,
    read_optimizer,
    read_round_table,
    read_values,
)
from tickets.store.records import ArmRecord, RoundRecord
from tickets.store.registered import register, rounds_committed
from tickets.store.repair import repair
from tickets.store.run_status import RunStatus
from tickets.store.saved import Saved
from tickets.store.shrunk import Shrunk
from tickets.store.status import refresh_index, status
from tickets.store.stored_networks import StoredNetwork, read_networks, read_part
from tickets.store.survey import survey
from tickets.store.temporary import Permit, check_writable
from tickets.store.ticket import Ticket
from tickets.store.ticket_values import read_trained
from tickets.store.unmoved import unmoved
from tickets.store.verify import notes_of, verify
from tickets.store.watch import Watch, look_again_after
from tickets.store.whole import check_cohorts, check_names, check_whole
from tickets.store.writing import write_initial, write_rewind, write_round, write_run

__all__ = [
    "SCHEMA_VERSION",
    "ArmRecord",
    "CohortPlan",
    "Committed",
    "Finding",
    "HeldError",
    "Holder",
    "Layout",
    "Lease",
    "Permit",
    "Progress",
    "RoundPlan",
    "RoundRecord",
    "RunStatus",
    "Saved",
    "Shrunk",
    "StoredNetwork",
    "Ticket",
    "Watch",
    "append_event",
    "arm_options",
    "at_work",
    "check_cohorts",
    "check_measured",
    "check_names",
    "check_tables",
    "check_whole",
    "check_writable",
    "cohort_folder",
    "cohort_folders",
    "commit",
    "expand",
    "holder_of",
    "left_over",
    "load",
    "lock",
    "look_again_after",
    "missing",
    "networks_of",
    "notes_of",
    "read_end_states",
    "read_events",
    "read_initial",
    "read_manifest",
    "read_networks",
    "read_next_masks",
    "read_optimizer",
    "read_part",
    "read_round_table",
    "read_run",
    "read_trained",
    "read_values",
    "record_begun",
    "refresh_index",
    "register",
    "repair",
    "replace_file",
    "round_folder",
    "round_folders",
    "rounds_committed",
    "run_folders",
    "runs_left_over",
    "saved_campaign",
    "settle",
    "squeeze",
    "status",
    "survey",
    "sweep_temporary",
    "tables_of",
    "take",
    "taken",
    "trusting_form",
    "unmeasured",
    "unmoved",
    "unpack",
    "verify",
    "wanted_arms",
    "who",
    "write_initial",
    "write_rewind",
    "write_round",
    "write_run",
    "write_tables",
]
