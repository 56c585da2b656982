"""An arm's own keys of [train]: `train = { learning_rate = 1e-3 }` in its table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, create_model, model_serializer

from tickets.config.train import TrainConfig
from tickets.config.types import STRICT

if TYPE_CHECKING:
    from tickets.config.tables import ArmConfig

# Keys of `train` that an arm's own recipe may change; the others decide how every network of a run is computed.
OWN_KEYS = (
    "optimizer", "learning_rate", "momentum", "weight_decay", "batch_size", "steps", "evaluate_every", "schedule",
    "milestones", "gamma", "warmup_steps",
)  # fmt: skip
# Why an arm may not have the others.
FIXED_KEYS: Mapping[str, str] = {
    "evaluate_on": "every arm is evaluated on the same examples",
    "precision": "every network of a run is computed in the same precision",
    "loss": "the losses of a run's arms are compared with one another",
    "label_smoothing": "the losses of a run's arms are compared with one another",
    "class_weights": "the losses of a run's arms are compared with one another",
}


class OwnTrain(BaseModel):
    """Some of the keys of [train], of one arm; the types are those of `TrainConfig`."""

    model_config = STRICT

    @property
    def given(self) -> dict[str, Any]:
        """The keys that are given."""
        return {key: value for key, value in self.__dict__.items() if value is not None}

    @model_serializer
    def _write(self) -> dict[str, Any]:
        return self.given


def _optional(key: str) -> Any:
    field = TrainConfig.model_fields[key]
    return Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation


OwnTrainForm = create_model(
    "OwnTrainForm", __base__=OwnTrain, __module__=__name__, **{key: (_optional(key) | None, None) for key in OWN_KEYS}
)  # type: ignore[call-overload]

NONE: OwnTrain = OwnTrainForm()  # an arm that trains by the run's [train]


def own_train(given: Any) -> OwnTrain:
    """The table with some keys of [train], checked. Raises pydantic's ValidationError."""
    if isinstance(given, OwnTrain):
        return given
    made: OwnTrain = OwnTrainForm.model_validate(given)
    return made


Own = Annotated[OwnTrain, BeforeValidator(own_train)]


def inline(table: Mapping[str, Any]) -> str:
    """A table on one line, as a campaign file has it: `{ learning_rate = 0.01 }`."""
    pairs = ", ".join(f"{key} = {json.dumps(value)}" for key, value in table.items())
    return f"{{ {pairs} }}" if pairs else "{}"


def recipe_of(train: TrainConfig, arm: ArmConfig) -> TrainConfig:
    """How the networks of an arm are trained: by the run's [train], with the keys of its own in their place.

    The keys of its own are those of the catalogue's entry, each replaced by that of the campaign file if it gives one.
    A value rule of the user's can return another recipe; see `tickets.arms.Start`.

    Parameters
    ----------
    train
        The run's.
    arm
        One of its arms.
    """
    own = arm.own_train.given
    return train.model_copy(update=own) if own else train
