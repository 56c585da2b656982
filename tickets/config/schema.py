"""Every key of a campaign file: its type, its default, its unit and what is legal.

The tables are frozen and strict: a whole number may stand for a decimal one, and nothing else is converted. The tables
that name a function (data, model, prune.score, arms, probes) are in tables.py, and the rules that relate one key to
another in rules.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from tickets.catalogue import STRATEGIES
from tickets.config.named import written
from tickets.config.rules import broken_rules, flat, pruned_share
from tickets.config.tables import ArmConfig, DataConfig, ModelConfig, ProbeConfig, ScoreConfig
from tickets.config.types import (
    LIST,
    STRICT,
    AddedLater,
    Count,
    CountFromOne,
    CountsFromOne,
    Fraction,
    FractionBelowOne,
    NotNegative,
    Positive,
    PositiveFraction,
    Seed,
    Slug,
    one_of,
)
from tickets.errors import InputError

OptimizerName = Literal["sgd", "adam", "adamw"]
ScheduleName = Literal["constant", "step", "cosine"]
PrecisionName = Literal["float32", "tf32", "bf16"]
ScopeName = Literal["layer", "global"]
KeptName = Literal["none", "ticket", "all"]
RoleName = Literal["control", "measurement"]
LossName = Literal["cross_entropy", "mse"]

Optimizer = Annotated[OptimizerName, one_of("optimizer", get_args(OptimizerName))]
Schedule = Annotated[ScheduleName, one_of("schedule", get_args(ScheduleName))]
Precision = Annotated[PrecisionName, one_of("precision", get_args(PrecisionName))]
Scope = Annotated[ScopeName, one_of("scope", get_args(ScopeName))]
Kept = Annotated[KeptName, one_of("choice", get_args(KeptName))]
Strategy = Annotated[str, one_of("strategy", ("auto", *STRATEGIES))]
Loss = Annotated[str, one_of("loss", get_args(LossName), functions=True)]


def _rate(checked: dict[str, Any]) -> float:
    density = checked.get("density")
    return 0.2 if density is None else pruned_share(density)


def _same_rate(checked: dict[str, Any]) -> float:
    # The rate is not there if it was illegal; that is a problem of its own, and this value is never seen.
    rate: float = checked.get("rate", 0.2)
    return rate


class Section(BaseModel):
    """A table of a campaign file whose keys do not depend on a name."""

    model_config = STRICT

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return written(self, write(self), type(self))


class TrainConfig(Section):
    """How every network of a run is trained."""

    optimizer: Optimizer = "adam"
    learning_rate: Positive = 1e-3  # > 0, before warm-up and schedule
    momentum: FractionBelowOne = 0.0  # in [0, 1); sgd only
    weight_decay: NotNegative = 0.0  # >= 0
    batch_size: CountFromOne = 100  # examples, >= 1
    steps: CountFromOne = 1000  # of the optimizer, in a full training, >= 1
    evaluate_every: CountFromOne = 100  # steps, >= 1
    # Validation and test examples at the steps in between, >= 1; none: all.
    evaluate_on: AddedLater[CountFromOne | None] = None
    schedule: Schedule = "constant"
    milestones: CountsFromOne = ()  # schedule "step" only: steps, rising, < train.steps
    gamma: PositiveFraction = 0.1  # what each milestone multiplies the learning rate by, in (0, 1]
    warmup_steps: Count = 0  # steps in which the learning rate rises linearly, 0 to train.steps
    # Of products; weights are float32. tf32: on a GPU only. bf16: by autocast.
    precision: AddedLater[Precision] = "float32"
    # "mse" is for regression. A function f(outputs, targets) returns the mean loss of a batch, a scalar tensor.
    loss: AddedLater[Loss] = "cross_entropy"
    label_smoothing: AddedLater[FractionBelowOne] = 0.0  # share of each target spread over all classes, in [0, 1)
    # A factor > 0 for the loss of each class; empty: none.
    class_weights: AddedLater[Annotated[tuple[Positive, ...], LIST]] = ()


class PruneConfig(Section):
    """What goes in each round. Rates that are not given are filled in: a PruneConfig holds every number."""

    score: ScoreConfig = Field(default_factory=lambda: ScoreConfig(name="magnitude"))
    scope: Scope = "layer"
    density: PositiveFraction | None = None  # one-shot: what is to remain, in (0, 1]; stands for rate = 1 - density
    rate: Fraction = Field(default_factory=_rate)  # share of the survivors that goes, in [0, 1]; default 0.2
    output_rate: Fraction = Field(default_factory=_same_rate)  # the output layer's, in scope "layer"; default: rate
    conv_rate: Fraction = Field(default_factory=_same_rate)  # the convolutions', in scope "layer"; default: rate
    exclude: Annotated[tuple[str, ...], LIST] = ()  # parameter name patterns (fnmatch): not pruned, not counted
    # Likewise: pruned and counted beside the weights of Linear and Conv.
    include: AddedLater[Annotated[tuple[str, ...], LIST]] = ()


class RewindConfig(Section):
    """Which values a ticket starts from."""

    step: Count = 0  # the step of the dense training that they stood at, 0 to train.steps - 1


class StoreConfig(Section):
    """What is kept on disk besides what is always kept."""

    trained: Kept = "ticket"  # the arms whose trained values are kept
    units: bool = False  # whether hidden units are counted at each evaluated step; for chains of Linear layers


class VerdictConfig(Section):
    """How "is there a winning ticket?" is answered; it changes no number that is saved."""

    density: PositiveFraction | None = None  # where it is decided, by the nearest round; none: simultaneous over all
    controls: Annotated[tuple[str, ...], LIST] = ("reinit",)  # arms that the ticket must be better than
    margin: NotNegative = 0.05  # the largest loss that does not matter, as a share of the dense network's test error


class ComputeConfig(Section):
    """How the work is done; it changes a ticket's numbers in their last bits at most."""

    strategy: Strategy = "auto"
    memory_gib: Positive | None = None  # GiB that a stack may take, > 0; none: judged by what is free
    threads: CountFromOne | None = None  # of the CPU, >= 1; none: the library's own choice


def _default_arms() -> tuple[ArmConfig, ...]:
    return tuple(ArmConfig(name=name) for name in ("ticket", "reinit", "random_mask"))


class Run(Section):
    """One resolved configuration of a ticket chain: every default filled in, nothing swept."""

    name: Slug  # the campaign's, and its folder's
    seed: Seed = 0  # 0 to 2**63 - 1
    replicates: CountFromOne = 5  # >= 1
    rounds: Count = 16  # after the dense one, >= 0
    cohort_size: CountFromOne | None = None  # replicates that train in lockstep, >= 1; none: all of them
    data: DataConfig
    model: ModelConfig
    arms: Annotated[tuple[ArmConfig, ...], LIST] = Field(default_factory=_default_arms)
    # Measurements of each round's networks; each has a table of its own.
    probes: AddedLater[Annotated[tuple[ProbeConfig, ...], LIST]] = ()
    train: TrainConfig = TrainConfig()
    prune: PruneConfig = Field(default_factory=PruneConfig)
    rewind: RewindConfig = RewindConfig()
    store: StoreConfig = StoreConfig()
    compute: ComputeConfig = ComputeConfig()
    verdict: VerdictConfig = VerdictConfig()

    @property
    def every_probe(self) -> tuple[ProbeConfig, ...]:
        """The probes of the run: those of `probes`, after "units" where `store.units` alone asks for it."""
        by_store = self.store.units and all(probe.name != "units" for probe in self.probes)
        return (*([ProbeConfig(name="units")] if by_store else []), *self.probes)

    @model_validator(mode="after")
    def _keep_rules(self) -> Run:
        problems = [f"{broken.key}: {broken.sentence}" for broken in broken_rules(flat(self.model_dump()))]
        if problems:
            raise InputError(problems)
        return self


@dataclass(frozen=True)
class Campaign:
    """What a campaign file says: its runs, what was swept to get them, and where the data is.

    `runs` holds one Run for each point of the sweep, the last key of the sweep varying fastest; all have the
    campaign's name. `sweep` maps a dotted key to its values, in the file's order.
    """

    runs: tuple[Run, ...]
    sweep: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    data_folder: str | None = None  # used where --data is not given; a path as the user wrote it

    @property
    def name(self) -> str:
        """The campaign's name, also that of its folder."""
        return self.runs[0].name
