"""Every key of a campaign file: its type, its default, its unit and its legal values.

The tables are frozen and strict: a whole number may stand for a decimal one, and nothing else is converted. The tables
that name a function (data, model, prune.score, arms, probes) are in tables.py, and the rules that relate one key to
another in rules.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from tickets.catalogue import STRATEGIES
from tickets.config import bounds
from tickets.config.chain_rules import LATER, with_rounds, without_effect, written_keys
from tickets.config.claims import ClaimConfig
from tickets.config.named import written
from tickets.config.rules import broken_rules, flat, pruned_share
from tickets.config.submit import SubmitConfig
from tickets.config.tables import ArmConfig, DataConfig, ModelConfig, ProbeConfig, ScoreConfig
from tickets.config.train import Section, TrainConfig
from tickets.config.types import (
    FROM_ONE,
    FROM_ZERO,
    ILLEGAL,
    LIST,
    AddedLater,
    Count,
    CountFromOne,
    Fraction,
    NotNegative,
    Positive,
    PositiveFraction,
    Scope,
    Seed,
    Slug,
    at_most,
    is_path,
    legal,
    one_of,
)
from tickets.errors import InputError

KeptName = Literal["none", "ticket", "all"]
RewindName = Literal["weights", "learning_rate", "none"]

Kept = Annotated[KeptName, one_of("choice", get_args(KeptName))]
Strategy = Annotated[str, one_of("strategy", ("auto", *STRATEGIES))]
RewindKind = Annotated[RewindName, one_of("kind", get_args(RewindName))]
SavedRun = Annotated[
    str, legal("must be the path of a saved run, or of a campaign's folder that holds one run", is_path)
]


def _rate(checked: dict[str, Any]) -> float:
    density = checked.get("density")
    return 0.2 if density is None else pruned_share(density)


def _same_rate(checked: dict[str, Any]) -> float:
    # Without a rate it was illegal: that is reported, and this value is not used.
    rate: float = checked.get("rate", 0.2)
    return rate


class PruneConfig(Section):
    """How many weights are pruned in each round, and which. Rates that are not given are filled in."""

    # Transfer: the path of another saved run, whose masks each round takes; no score is computed.
    masks_from: AddedLater[SavedRun | None] = None
    # Instead of rates: the density after each round, in (0, 1], decreasing; `rounds` is then their number.
    densities: AddedLater[Annotated[tuple[PositiveFraction, ...], LIST]] = ()
    score: ScoreConfig = Field(default_factory=lambda: ScoreConfig(name="magnitude"))
    scope: Scope = "layer"
    density: PositiveFraction | None = None  # one-shot: the density of round 1, in (0, 1]; rate = 1 - density
    rate: Fraction = Field(default_factory=_rate)  # share of the surviving weights to prune, in [0, 1]; default 0.2
    output_rate: Fraction = Field(default_factory=_same_rate)  # the output layer's, in scope "layer"; default: rate
    conv_rate: Fraction = Field(default_factory=_same_rate)  # the convolutions', in scope "layer"; default: rate
    exclude: Annotated[tuple[str, ...], LIST] = ()  # name patterns (fnmatch) of parameters neither pruned nor counted
    # Name patterns of parameters that are pruned and counted in addition to the weights of Linear and Conv.
    include: AddedLater[Annotated[tuple[str, ...], LIST]] = ()

    @field_validator("score", "scope", "rate", "output_rate", "conv_rate")
    @classmethod
    def _has_effect(cls, value: Any, info: ValidationInfo) -> Any:
        # A validator of a field sees only values that are given, so that a given value is refused at its default too.
        why = without_effect(str(info.field_name), info.data)
        if why:
            raise PydanticCustomError(ILLEGAL, "{sentence}", {"sentence": why})
        return value

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return written_keys(written(self, write(self), type(self)))


class RewindConfig(Section):
    """What a ticket starts from after a pruning (Renda, Frankle & Carbin 2020).

    | kind | the ticket's values | schedule and data order |
    | --- | --- | --- |
    | weights | those of step `step` | go back to `step` |
    | learning_rate | the trained values of the round before | go back to `step` |
    | none | the trained values of the round before | go on for `fine_tune.steps`, at the last learning rate |
    """

    kind: AddedLater[RewindKind] = "weights"
    step: Count = 0  # of the dense training, 0 to train.steps - 1; 0 with kind "none"

    @property
    def keeps_trained(self) -> bool:
        """Whether a ticket starts from the trained values of the round before."""
        return self.kind != "weights"

    @property
    def restores(self) -> bool:
        """Whether the values and the optimizer state of a step after 0 are kept, and a ticket starts from them."""
        return self.kind == "weights" and self.step > 0


class FineTuneConfig(Section):
    """Fine-tuning, with rewind.kind = "none": it goes on at the learning rate of the last step of `train`."""

    steps: CountFromOne | None = None  # further steps of each round after 0, >= 1


class StoreConfig(Section):
    """Optional contents of a saved run."""

    trained: Kept = "ticket"  # the arms whose trained values are saved
    units: bool = False  # the probe "units"; `probes` is the newer key
    # Between two checkpoints of a round that is being trained, >= 0; shorter rounds have none. 0: no checkpoints.
    checkpoint_minutes: AddedLater[NotNegative] = 5.0


class VerdictConfig(Section):
    """How "is there a winning ticket?" is answered. No saved number depends on it."""

    density: PositiveFraction | None = None  # of the round that decides, the nearest one; none: simultaneous over all
    controls: Annotated[tuple[str, ...], LIST] = ("reinit",)  # labels of the arms that the ticket must beat
    margin: NotNegative = 0.05  # of non-inferiority, as a share of the dense network's test error


class ComputeConfig(Section):
    """How the networks are computed. At most the last bits of a ticket's numbers depend on it."""

    strategy: Strategy = "auto"
    # GiB for one stack, > 0; none: a share of the free memory
    memory_gib: Annotated[Positive, at_most(bounds.MEMORY_GIB)] | None = None
    threads: Annotated[int, FROM_ONE, at_most(bounds.THREADS)] | None = (
        None  # of the CPU, >= 1; none: PyTorch's default
    )


def _default_arms() -> tuple[ArmConfig, ...]:
    return tuple(ArmConfig(name=name) for name in ("ticket", "reinit", "random_mask"))


class FileSections(Section):
    """The tables of a campaign file that are the file's and not a run's."""

    submit: SubmitConfig = SubmitConfig()


class Run(Section):
    """One configuration of a ticket chain, with every default filled in."""

    name: Slug  # of the campaign and of its folder
    seed: Seed = 0  # 0 to 2**63 - 1
    replicates: Annotated[int, FROM_ONE, at_most(bounds.REPLICATES)] = 5  # >= 1
    rounds: Annotated[int, FROM_ZERO, at_most(bounds.ROUNDS)] = 16  # after round 0, the dense one; >= 0
    cohort_size: CountFromOne | None = None  # replicates that train in lockstep, >= 1; none: all of them
    data: DataConfig
    model: ModelConfig
    arms: Annotated[tuple[ArmConfig, ...], LIST] = Field(default_factory=_default_arms)
    # Measurements of each round's networks, saved as a table each.
    probes: AddedLater[Annotated[tuple[ProbeConfig, ...], LIST]] = ()
    train: TrainConfig = TrainConfig()
    prune: PruneConfig = Field(default_factory=PruneConfig)
    rewind: RewindConfig = RewindConfig()
    fine_tune: AddedLater[FineTuneConfig] = FineTuneConfig()
    store: StoreConfig = StoreConfig()
    compute: ComputeConfig = ComputeConfig()
    verdict: VerdictConfig = VerdictConfig()
    # Statements that the saved runs answer.
    claim: AddedLater[Annotated[tuple[ClaimConfig, ...], LIST]] = ()

    @property
    def every_probe(self) -> tuple[ProbeConfig, ...]:
        """The probes of the run: those of `probes`, after "units" where `store.units` alone asks for it."""
        by_store = self.store.units and all(probe.name != "units" for probe in self.probes)
        return (*([ProbeConfig(name="units")] if by_store else []), *self.probes)

    @model_validator(mode="before")
    @classmethod
    def _fill_rounds(cls, given: Any) -> Any:
        return with_rounds(given) if isinstance(given, Mapping) else given

    @model_validator(mode="after")
    def _keep_rules(self) -> Run:
        values = {**LATER, **flat(self.model_dump())}
        problems = [f"{broken.key}: {broken.sentence}" for broken in broken_rules(values)]
        if problems:
            raise InputError(problems)
        return self


@dataclass(frozen=True)
class Campaign:
    """A campaign file.

    Parameters
    ----------
    runs
        One Run for each point of the sweep, the last key of the sweep varying fastest. All have the campaign's name.
    sweep
        The swept values by dotted key, in the file's order.
    data_folder
        The path of the data folder as the file has it. `--data` overrides it.
    submit
        What `tickets submit` asks a scheduler for.
    """

    runs: tuple[Run, ...]
    sweep: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    data_folder: str | None = None
    submit: SubmitConfig = field(default_factory=SubmitConfig)

    @property
    def name(self) -> str:
        """The name of the campaign and of its folder."""
        return self.runs[0].name
