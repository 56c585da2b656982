"""The tables of a campaign file that name a function: data, model and its init, the score, arms and probes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, get_args

from pydantic import Field

from tickets.catalogue import (
    ARMS,
    DATA,
    INITS,
    MODELS,
    PROBES,
    SCORES,
    ArmEntry,
    OwnRole,
    Pruned,
    Role,
    arm_entry,
    table_of,
)
from tickets.config import bounds
from tickets.config.named import Named, name_if_alone
from tickets.config.own_train import NONE, Own, OwnTrain, own_train
from tickets.config.types import (
    FROM_ONE,
    AddedLater,
    CountFromOne,
    Label,
    OneOf,
    StartBiases,
    Target,
    at_most,
    one_of,
)

VALIDATION = 1000  # examples held out of a user's data set by default, unless it is small (tickets.source)
OWN_RULES = 'or a name of your own with mask or values = "module:function"'


class DataConfig(Named):
    """A data set. Some of its training examples are held out for validation."""

    entries = DATA
    names = OneOf("data set", tuple(DATA), functions=True)

    # Number of training examples that are held out, >= 1; the test set is not used for this. None, for a user's
    # function: VALIDATION, or a tenth of fewer than 5,000 examples; known once the data is loaded.
    validation: CountFromOne | None = None


class InitConfig(Named):
    """The rule for the initial weights and biases; the functions are in tickets/initial.py.

    Normalisation parameters keep the values that the model's constructor gives them.
    """

    entries = INITS
    names = OneOf("init", tuple(INITS))

    # "zeros"; "model": as the module's own constructor draws them; "scaled": normal, smaller from layer to layer
    biases: StartBiases = "zeros"

    @classmethod
    def is_own(cls, table: Mapping[str, Any]) -> bool:
        """False: there is no init by a function of the user's."""
        return False

    @property
    def table(self) -> dict[str, Any]:
        """The init with every key, also those that are at their defaults."""
        return {"name": self.name, "biases": self.biases, **self.options}

    def shortest(self, table: dict[str, Any]) -> Any:
        """The plain name where no option is written and the biases are at their default.

        Options are always written, but for those that were added later: a run id without them would not change with
        their defaults.
        """
        default = self.form(table).model_fields["biases"].default
        return self.name if table.keys() == {"name", "biases"} and self.biases == default else table


class ModelConfig(Named):
    """A network, and the rule for its initial weights."""

    entries = MODELS
    names = OneOf("model", tuple(MODELS), functions=True)

    init: InitConfig = Field(default_factory=lambda: InitConfig(name="pytorch"))


class ScoreConfig(Named):
    """A score by which a round prunes."""

    entries = SCORES
    names = OneOf("score", tuple(SCORES), functions=True)

    def shortest(self, table: dict[str, Any]) -> Any:
        """The plain name of a score without options."""
        return name_if_alone(table)


class ProbeConfig(Named):
    """A probe that measures a round's networks."""

    entries = PROBES
    names = OneOf("probe", tuple(PROBES), functions=True)

    @property
    def table(self) -> str:
        """The name of its table."""
        return table_of(self.name)

    def shortest(self, table: dict[str, Any]) -> Any:
        """The plain name of a probe without options."""
        return name_if_alone(table)


def _label(checked: dict[str, Any]) -> str:
    # Without a name it was illegal: that is reported, and this value is not used.
    return str(checked.get("name", ""))


class ArmConfig(Named):
    """One of a round's arms: an arm of the catalogue, or one with a mask rule or value rule of the user's.

    An arm of the catalogue has the rules and the role of its entry; they are keys of the user's arms alone.
    """

    entries = ARMS
    names = OneOf(
        "arm",
        tuple(ARMS),
        also=OWN_RULES,
        meant={
            score: f'; it is a score: write {{ name = "pruned_at_init", label = "{score}", score = "{score}" }}'
            for score in SCORES
        },
    )
    own_types: ClassVar[Mapping[str, Any]] = {
        "name": Label,
        "role": Annotated[str, one_of("role", get_args(OwnRole))],
    }

    label: Label = Field(default_factory=_label)  # its name in tables, columns and keys of files; default: name
    # Repetitions within a replicate, >= 1; 1 for arms that draw nothing at random.
    draws: Annotated[int, FROM_ONE, at_most(bounds.DRAWS)] = 1
    mask: Target = ARMS["ticket"].mask  # the function that makes the masks; default: the round's masks
    values: Target = ARMS["ticket"].values  # the function that makes the values to start from; default: rewound
    role: Role = "control"  # "control" or "measurement"; only the arm of that name is the "ticket"
    pruned: AddedLater[Annotated[Pruned, one_of("choice", get_args(Pruned))]] = "zero"  # pruned weights' values
    train: AddedLater[Own] = NONE  # keys of [train] that it has of its own, in place of the run's

    @classmethod
    def is_own(cls, table: Mapping[str, Any]) -> bool:
        """Whether a table has a mask rule or a value rule of the user's."""
        name = table.get("name")  # of any type
        return not (isinstance(name, str) and name in ARMS) and ("mask" in table or "values" in table)

    @property
    def entry(self) -> ArmEntry:
        """Its rules, and how it relates to the ticket."""
        entry = arm_entry({**dict(self), "train": self.train.given})
        assert entry is not None  # the name was checked
        return entry

    @property
    def own_train(self) -> OwnTrain:
        """The keys of [train] that it has of its own: the catalogue's, each replaced by the file's if it gives one."""
        return own_train({**self.entry.train, **self.train.given})

    def shortest(self, table: dict[str, Any]) -> Any:
        """Without a label that is the name, and without the rules of an arm of the catalogue."""
        if table.get("label") == self.name:
            del table["label"]
        if self.name not in ARMS:
            return table
        # Saved runs have a `value` for every arm: null for those without this option.
        table.setdefault("value", None)
        return {key: value for key, value in table.items() if key not in ("mask", "values", "role")}
