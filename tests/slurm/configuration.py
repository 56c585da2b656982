"""The configuration files of the cluster that cluster.py starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Place(NamedTuple):
    """Where a cluster is: the folder of its files, this machine's name, and the port of each daemon."""

    folder: Path
    host: str
    ports: Mapping[str, int]


def slurm_conf(place: Place, processors: int, accounting: bool, settings: Sequence[str]) -> str:
    """slurm.conf of a cluster of one node, this machine, whatever processors it has."""
    # With auth/munge, the password is the path of munge's socket.
    accounts = (
        "AccountingStorageType=accounting_storage/slurmdbd\nAccountingStorageHost=127.0.0.1\n"
        f"AccountingStoragePort={place.ports['slurmdbd']}\nAccountingStoragePass={place.folder}/munge/socket\n"
        if accounting
        else ""
    )
    further = "".join(f"{line}\n" for line in settings)
    return f"""\
ClusterName=testing
SlurmctldHost={place.host}(127.0.0.1)
SlurmctldPort={place.ports["slurmctld"]}
SlurmdPort={place.ports["slurmd"]}
# An element that is queued again waits until what was signed for it has expired, by default 120 s.
{_munge(place)},cred_expire=5
SlurmUser=root
SlurmdUser=root
StateSaveLocation={place.folder}/state
SlurmdSpoolDir={place.folder}/spool
SlurmctldPidFile={place.folder}/slurmctld.pid
SlurmdPidFile={place.folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
JobAcctGatherType=jobacct_gather/none
KillWait=5
InactiveLimit=0
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0,sched_min_interval=0
{accounts}{further}NodeName={place.host} NodeAddr=127.0.0.1 CPUs={processors} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def slurmdbd_conf(place: Place) -> str:
    """slurmdbd.conf."""
    return f"""\
{_munge(place)}
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={place.ports["slurmdbd"]}
SlurmUser=root
PidFile={place.folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={place.ports["database"]}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
"""


def _munge(place: Place) -> str:
    return f"AuthType=auth/munge\nAuthInfo=socket={place.folder}/munge/socket"
