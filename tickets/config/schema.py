"""Every key of a campaign file: its type, its default, its unit and what is legal.

The models are frozen and strict: a whole number may stand for a decimal one, and nothing else is converted.
The tables `data` and `model` are in variants.py, `model.init` in inits.py; rules that tie one key to another
are in rules.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    model_serializer,
    model_validator,
)

from tickets.catalogue import ARMS, SCORES, ArmEntry, Pruned, arm_entry
from tickets.config.inits import Biases, BiasesName
from tickets.config.legal import (
    STRICT,
    Count,
    CountFromOne,
    Fraction,
    FractionBelowOne,
    Label,
    NotNegative,
    Number,
    Option,
    Positive,
    PositiveFraction,
    Seed,
    Slug,
    Target,
    Zero,
    as_arm,
    as_pairs,
    one_of,
)
from tickets.config.rules import broken_rules, flat, pruned_share
from tickets.config.variants import LIST, DataConfig, ModelConfig
from tickets.errors import InputError

OptimizerName = Literal["sgd", "adam", "adamw"]
ScheduleName = Literal["constant", "step", "cosine"]
PrecisionName = Literal["float32", "tf32", "bf16"]
ScopeName = Literal["layer", "global"]
KeptName = Literal["none", "ticket", "all"]
RoleName = Literal["control", "measurement"]
StrategyName = Literal["auto", "layered", "sparse", "vectorised", "looped"]

Optimizer = Annotated[OptimizerName, one_of("optimizer", get_args(OptimizerName))]
Schedule = Annotated[ScheduleName, one_of("schedule", get_args(ScheduleName))]
Precision = Annotated[PrecisionName, one_of("precision", get_args(PrecisionName))]
Scope = Annotated[ScopeName, one_of("scope", get_args(ScopeName))]
Kept = Annotated[KeptName, one_of("choice", get_args(KeptName))]
Strategy = Annotated[StrategyName, one_of("strategy", get_args(StrategyName))]
ArmRole = Annotated[RoleName, one_of("role", get_args(RoleName))]
ArmPruned = Annotated[Pruned, one_of("choice", get_args(Pruned))]
Score = Annotated[str, one_of("score", SCORES, functions=True)]


def _arm_name(name: Any, beside: ValidationInfo) -> Any:
    """Refuse a name that is not of the catalogue, unless the arm has rules of its own."""
    own = beside.data.get("mask") or beside.data.get("values")
    return name if own else one_of("arm", ARMS).func(name)  # type: ignore[call-arg]


ArmName = Annotated[Label, BeforeValidator(_arm_name)]


def _constant_value(checked: dict[str, Any]) -> float | None:
    return 0.5 if checked.get("name") == "constant" else None


def _own_name(checked: dict[str, Any]) -> str:
    # The name is not there if it was illegal; that is a problem of its own, and this value is never seen.
    return str(checked.get("name", ""))


def _usual_biases(checked: dict[str, Any]) -> BiasesName | None:
    return ARMS[checked["name"]].biases if checked.get("name") in ARMS else None


def _rate(checked: dict[str, Any]) -> float:
    density = checked.get("density")
    return 0.2 if density is None else pruned_share(density)


def _same_rate(checked: dict[str, Any]) -> float:
    # The rate is not there if it was illegal; that is a problem of its own, and this value is never seen.
    rate: float = checked.get("rate", 0.2)
    return rate


class ArmConfig(BaseModel):
    """One of a round's arms; a plain string is short for a table with that name."""

    model_config = STRICT

    mask: Target | None = None  # own arms: the mask rule; none: the round's mask
    values: Target | None = None  # own arms: the value rule; none: the rewound values
    name: ArmName
    label: Label = Field(default_factory=_own_name)  # its name in tables, columns and keys of files; default: name
    draws: CountFromOne = 1  # repetitions within a replicate, >= 1; 1 for arms that draw nothing at random
    start: Zero | None = None  # controls only: 0 for the full schedule; none: start at rewind.step
    value: Number | None = Field(default_factory=_constant_value)  # `constant` only: its weights; default 0.5
    biases: Biases | None = Field(default_factory=_usual_biases)  # of constant starts; default: the arm's (catalogue)
    role: ArmRole | None = None  # own arms: "control" (the default) or "measurement"
    pruned: ArmPruned = "zero"  # what a pruned weight is: 0, or its initial value
    given: Annotated[tuple[tuple[str, Option], ...], LIST, BeforeValidator(as_pairs)] = ()  # own arms: the options

    @property
    def entry(self) -> ArmEntry:
        """The arm's rules and what it is to the ticket."""
        entry = arm_entry({"name": self.name, "mask": self.mask, "values": self.values,
                           "role": self.role, "pruned": self.pruned})  # fmt: skip
        assert entry is not None  # by `_arm_name`
        return entry

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments of the arm's two rules."""
        named = {"start": self.start, "value": self.value, "biases": self.biases}
        return {**{key: value for key, value in named.items() if value is not None}, **dict(self.given)}

    @model_serializer(mode="wrap")
    def _without_the_defaults(self, whole: SerializerFunctionWrapHandler) -> Any:
        # A setting has one form: what a saved run was trained with is compared with what the campaign says.
        usual = {"label": self.name, "biases": None, "mask": None, "values": None, "role": None, "pruned": "zero"}
        if self.name in ARMS:
            usual["biases"] = ARMS[self.name].biases
        dumped = {key: value for key, value in whole(self).items() if key not in usual or value != usual[key]}
        own = dict(dumped.pop("given"))
        if self.name not in ARMS:
            dumped = {key: value for key, value in dumped.items() if value is not None}
        return {**dumped, **own}


class TrainConfig(BaseModel):
    """How every network of a run is trained."""

    model_config = STRICT

    optimizer: Optimizer = "adam"
    learning_rate: Positive = 1e-3  # > 0, before warm-up and schedule
    momentum: FractionBelowOne = 0.0  # in [0, 1); sgd only
    weight_decay: NotNegative = 0.0  # >= 0
    batch_size: CountFromOne = 100  # examples, >= 1
    steps: CountFromOne = 1000  # of the optimizer, in a full training, >= 1
    evaluate_every: CountFromOne = 100  # steps, >= 1
    evaluate_on: CountFromOne | None = None  # validation and test examples at the steps in between, >= 1; none: all
    schedule: Schedule = "constant"
    milestones: Annotated[tuple[CountFromOne, ...], LIST] = ()  # schedule "step" only: steps, rising, < train.steps
    gamma: PositiveFraction = 0.1  # what each milestone multiplies the learning rate by, in (0, 1]
    warmup_steps: Count = 0  # steps in which the learning rate rises linearly, 0 to train.steps
    precision: Precision = "float32"  # of products; weights are float32. tf32: on a GPU only. bf16: by autocast

    @model_serializer(mode="wrap")
    def _without_the_default(self, whole: SerializerFunctionWrapHandler) -> Any:
        # These defaults are always written as no key: so one setting has one form, and one run id.
        dumped = whole(self)
        left_out = {"precision": "float32", "evaluate_on": None}
        return {key: value for key, value in dumped.items() if key not in left_out or value != left_out[key]}


class PruneConfig(BaseModel):
    """What goes in each round. Rates that are not given are filled in: a PruneConfig holds every number."""

    model_config = STRICT

    score: Score = "magnitude"
    scope: Scope = "layer"
    density: PositiveFraction | None = None  # one-shot: what is to remain, in (0, 1]; stands for rate = 1 - density
    rate: Fraction = Field(default_factory=_rate)  # share of the survivors that goes, in [0, 1]; default 0.2
    output_rate: Fraction = Field(default_factory=_same_rate)  # the output layer's, in scope "layer"; default: rate
    conv_rate: Fraction = Field(default_factory=_same_rate)  # the convolutions', in scope "layer"; default: rate
    exclude: Annotated[tuple[str, ...], LIST] = ()  # parameter name patterns (fnmatch): not pruned, not counted
    include: Annotated[tuple[str, ...], LIST] = ()  # likewise: pruned and counted beside the weights of Linear and Conv

    @model_serializer(mode="wrap")
    def _without_the_default(self, whole: SerializerFunctionWrapHandler) -> Any:
        # No pattern is always written as no key: so one setting has one form, and one run id.
        dumped = whole(self)
        return {key: value for key, value in dumped.items() if key != "include" or value}


class RewindConfig(BaseModel):
    """Which values a ticket starts from."""

    model_config = STRICT

    step: Count = 0  # the step of the dense training that they stood at, 0 to train.steps - 1


class StoreConfig(BaseModel):
    """What is kept on disk besides what is always kept."""

    model_config = STRICT

    trained: Kept = "ticket"  # the arms whose trained values are kept
    units: bool = False  # whether hidden units are counted at each evaluated step; for chains of Linear layers


class VerdictConfig(BaseModel):
    """How "is there a winning ticket?" is answered; it changes no number that is saved."""

    model_config = STRICT

    density: PositiveFraction | None = None  # where it is decided, by the nearest round; none: simultaneous over all
    controls: Annotated[tuple[str, ...], LIST] = ("reinit",)  # arms that the ticket must be better than
    margin: NotNegative = 0.05  # the largest loss that does not matter, as a share of the dense network's test error


class ComputeConfig(BaseModel):
    """How the work is done; it changes a ticket's numbers in their last bits at most."""

    model_config = STRICT

    strategy: Strategy = "auto"
    memory_gib: Positive | None = None  # GiB that a stack may take, > 0; none: judged by what is free
    threads: CountFromOne | None = None  # of the CPU, >= 1; none: the library's own choice


class Run(BaseModel):
    """One resolved configuration of a ticket chain: every default filled in, nothing swept."""

    model_config = STRICT

    name: Slug  # the campaign's, and its folder's
    seed: Seed = 0  # 0 to 2**63 - 1
    replicates: CountFromOne = 5  # >= 1
    rounds: Count = 16  # after the dense one, >= 0
    cohort_size: CountFromOne | None = None  # replicates that train in lockstep, >= 1; none: all of them
    data: DataConfig
    model: ModelConfig
    arms: Annotated[tuple[Annotated[ArmConfig, BeforeValidator(as_arm)], ...], LIST] = (
        ArmConfig(name="ticket"),
        ArmConfig(name="reinit"),
        ArmConfig(name="random_mask"),
    )
    train: TrainConfig = TrainConfig()
    prune: PruneConfig = PruneConfig()
    rewind: RewindConfig = RewindConfig()
    store: StoreConfig = StoreConfig()
    compute: ComputeConfig = ComputeConfig()
    verdict: VerdictConfig = VerdictConfig()

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
