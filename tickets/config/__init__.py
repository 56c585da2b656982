"""Campaign files: reading, checking, expanding into runs, naming runs, and writing back."""

from tickets.config.checking import parse_run
from tickets.config.identity import SCHEMA_VERSION, identity, run_id, run_ids
from tickets.config.own_train import recipe_of
from tickets.config.reading import parse_campaign, read_campaign, read_once
from tickets.config.repeated import RunParser
from tickets.config.resolving import resolved, with_validation
from tickets.config.schema import (
    Campaign,
    ComputeConfig,
    PruneConfig,
    RewindConfig,
    Run,
    StoreConfig,
)
from tickets.config.submit import SubmitConfig
from tickets.config.tables import ArmConfig, DataConfig, InitConfig, ModelConfig, ProbeConfig, ScoreConfig
from tickets.config.train import TrainConfig
from tickets.config.writing import to_toml, without_submit

__all__ = [
    "SCHEMA_VERSION",
    "ArmConfig",
    "Campaign",
    "ComputeConfig",
    "DataConfig",
    "InitConfig",
    "ModelConfig",
    "ProbeConfig",
    "PruneConfig",
    "RewindConfig",
    "Run",
    "RunParser",
    "ScoreConfig",
    "StoreConfig",
    "SubmitConfig",
    "TrainConfig",
    "identity",
    "parse_campaign",
    "parse_run",
    "read_campaign",
    "read_once",
    "recipe_of",
    "resolved",
    "run_id",
    "run_ids",
    "to_toml",
    "with_validation",
    "without_submit",
]
