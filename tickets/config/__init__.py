"""What a campaign file says: read, checked, expanded into runs, named, and written back."""

from tickets.config.checking import parse_run
from tickets.config.identity import SCHEMA_VERSION, identity, run_id
from tickets.config.reading import parse_campaign, read_campaign
from tickets.config.resolving import resolved, same_but_for_validation, with_validation
from tickets.config.schema import (
    ArmConfig,
    Campaign,
    ComputeConfig,
    PruneConfig,
    RewindConfig,
    Run,
    StoreConfig,
    TrainConfig,
)
from tickets.config.sweep import expand
from tickets.config.variants import DataConfig, ModelConfig
from tickets.config.writing import to_toml

__all__ = [
    "SCHEMA_VERSION",
    "ArmConfig",
    "Campaign",
    "ComputeConfig",
    "DataConfig",
    "ModelConfig",
    "PruneConfig",
    "RewindConfig",
    "Run",
    "StoreConfig",
    "TrainConfig",
    "expand",
    "identity",
    "parse_campaign",
    "parse_run",
    "read_campaign",
    "resolved",
    "run_id",
    "same_but_for_validation",
    "to_toml",
    "with_validation",
]
