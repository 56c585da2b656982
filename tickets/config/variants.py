"""The tables `data` and `model`: which keys each data set and each model has, and what is legal.

A table's name decides which variant it is; a plain string is short for a table with that name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
)

from tickets.config.inits import Init, PlainInit, PytorchInit
from tickets.config.legal import STRICT, CountFromOne, FractionBelowOne, Option, Target, as_table

STRICT_WITH_OPTIONS = ConfigDict(extra="allow", strict=True, frozen=True)
LIST = Field(strict=False)  # lets TOML's lists become tuples; what is in them stays strict
VALIDATION = 1000  # examples that a user's data set holds out by default, unless it is small (tickets.source)
CUSTOM = "module:function"  # the tag of the variants for a user's own functions; no built-in name has a colon


def _tag(table: Any) -> str | None:
    name = table.get("name") if isinstance(table, Mapping) else getattr(table, "name", None)
    if not isinstance(name, str):
        return None
    return CUSTOM if ":" in name else name


class DataTable(BaseModel):
    """What every `data` table has: a name, and how many training examples are held out for validation."""

    model_config = STRICT

    name: str
    # Examples, >= 1; taken from the training set, never from the test set. None: not known before the data is loaded.
    validation: CountFromOne | None

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments of the function that loads the data: all keys but name and validation."""
        return self.model_dump(exclude={"name", "validation"})


class Mnist1dData(DataTable):
    """MNIST-1D."""

    name: Literal["mnist1d"]
    validation: CountFromOne = 500  # of 4,000


class DigitsData(DataTable):
    """scikit-learn's digits."""

    name: Literal["digits"]
    validation: CountFromOne = 200  # of 1,297


class MnistData(DataTable):
    """MNIST, and Fashion-MNIST, which has its form."""

    name: Literal["mnist", "fashion_mnist"]
    validation: CountFromOne = 5000  # of 60,000


class Cifar10Data(DataTable):
    """CIFAR-10."""

    name: Literal["cifar10"]
    validation: CountFromOne = 5000  # of 50,000
    augment: bool = False  # whether training batches are cropped and mirrored at random


class CustomData(DataTable):
    """A user's "module:function"; further keys are the function's keyword arguments."""

    model_config = STRICT_WITH_OPTIONS
    __pydantic_extra__: dict[str, Option]

    name: Target
    validation: CountFromOne | None = None  # none: VALIDATION, or a tenth of fewer than 5,000


DataConfig = Annotated[
    Annotated[Mnist1dData, Tag("mnist1d")]
    | Annotated[DigitsData, Tag("digits")]
    | Annotated[MnistData, Tag("mnist")]
    | Annotated[MnistData, Tag("fashion_mnist")]
    | Annotated[Cifar10Data, Tag("cifar10")]
    | Annotated[CustomData, Tag(CUSTOM)],
    Discriminator(_tag),
    BeforeValidator(as_table),
]


class ModelTable(BaseModel):
    """What every `model` table has: a name, and the rule that its initial weights come from."""

    model_config = STRICT

    name: str
    init: Init  # of weights and biases (inits.py); normalisation parameters are as the model's constructor has them

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments of the function that makes the network: all keys but name and init."""
        return self.model_dump(exclude={"name", "init"})


class MlpModel(ModelTable):
    """A fully connected network."""

    name: Literal["mlp"]
    init: Init = PytorchInit(name="pytorch")
    widths: Annotated[tuple[CountFromOne, ...], LIST] = (100, 100)  # units of each hidden layer, >= 1
    dropout: FractionBelowOne = 0.0  # share of the units dropped in training, in [0, 1)

    @model_serializer(mode="wrap")
    def _without_nothing(self, whole: SerializerFunctionWrapHandler) -> Any:
        # No dropout is always written as no key, whatever the default: so one setting has one form, and one run id.
        dumped = whole(self)
        return {key: value for key, value in dumped.items() if key != "dropout" or value != 0}


class LenetModel(ModelTable):
    """LeNet-300-100."""

    name: Literal["lenet_300_100"]
    init: Init = PlainInit(name="glorot_normal")


class ConvModel(ModelTable):
    """The scaled-down VGG networks."""

    name: Literal["conv2", "conv4", "conv6"]
    init: Init = PlainInit(name="glorot_normal")
    dropout: FractionBelowOne = 0.0  # share of the units dropped in training, in [0, 1)


class Resnet20Model(ModelTable):
    """ResNet-20 for CIFAR."""

    name: Literal["resnet20"]
    init: Init = PlainInit(name="kaiming_normal")


class CustomModel(ModelTable):
    """A user's "module:function"; further keys are the function's keyword arguments."""

    model_config = STRICT_WITH_OPTIONS
    __pydantic_extra__: dict[str, Option]

    name: Target
    init: Init = PytorchInit(name="pytorch")


ModelConfig = Annotated[
    Annotated[MlpModel, Tag("mlp")]
    | Annotated[LenetModel, Tag("lenet_300_100")]
    | Annotated[ConvModel, Tag("conv2")]
    | Annotated[ConvModel, Tag("conv4")]
    | Annotated[ConvModel, Tag("conv6")]
    | Annotated[Resnet20Model, Tag("resnet20")]
    | Annotated[CustomModel, Tag(CUSTOM)],
    Discriminator(_tag),
    BeforeValidator(as_table),
]
