"""The table [train]: how every network of a run is trained."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, SerializerFunctionWrapHandler, model_serializer

from tickets.config.named import written
from tickets.config.types import (
    LIST,
    STRICT,
    AddedLater,
    Count,
    CountFromOne,
    CountsFromOne,
    FractionBelowOne,
    NotNegative,
    Positive,
    PositiveFraction,
    one_of,
)

OptimizerName = Literal["sgd", "adam", "adamw"]
ScheduleName = Literal["constant", "step", "cosine"]
PrecisionName = Literal["float32", "tf32", "bf16"]
LossName = Literal["cross_entropy", "mse", "mse_one_hot"]

Optimizer = Annotated[OptimizerName, one_of("optimizer", get_args(OptimizerName))]
Schedule = Annotated[ScheduleName, one_of("schedule", get_args(ScheduleName))]
Precision = Annotated[PrecisionName, one_of("precision", get_args(PrecisionName))]
Loss = Annotated[str, one_of("loss", get_args(LossName), functions=True)]


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
    # "mse" is for regression, "mse_one_hot" for classes. A function f(outputs, targets) returns the mean loss of a
    # batch, a scalar tensor.
    loss: AddedLater[Loss] = "cross_entropy"
    label_smoothing: AddedLater[FractionBelowOne] = 0.0  # share of each target spread over all classes, in [0, 1)
    # A factor > 0 for the loss of each class; empty: none.
    class_weights: AddedLater[Annotated[tuple[Positive, ...], LIST]] = ()
