"""The table `model.init`: which options each rule for the initial weights has; `tickets.initial` has the rules.

A plain string is short for a table with that name. A rule without options of its own is written as its plain name,
where its biases are what that name has always meant; any other with all of its options.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    Discriminator,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
)

from tickets.config.legal import STRICT, Number, Positive, as_table, one_of

BiasesName = Literal["zeros", "model"]
Biases = Annotated[BiasesName, one_of("choice", get_args(BiasesName))]


def _tag(table: Any) -> str | None:
    name = table.get("name") if isinstance(table, Mapping) else getattr(table, "name", None)
    return name if isinstance(name, str) else None


class InitTable(BaseModel):
    """What every `model.init` has: a name, and what becomes of the biases."""

    model_config = STRICT

    name: str
    biases: Biases = "zeros"  # "zeros", or "model": what the module's own constructor draws

    @property
    def options(self) -> dict[str, Any]:
        """Every key but the name, with its value; None where the rule itself decides."""
        return {key: getattr(self, key) for key in type(self).model_fields if key != "name"}

    @model_serializer(mode="wrap")
    def _shortest(self, whole: SerializerFunctionWrapHandler) -> Any:
        # One setting has one form, and so one run id. Options of the rule's own are always written out: a run id
        # that left them out would not notice when a default is changed.
        fields = type(self).model_fields
        plain = set(fields) == {"name", "biases"} and self.biases == fields["biases"].default
        return self.name if plain else whole(self)


class PytorchInit(InitTable):
    """What the module's own constructor draws, biases included."""

    name: Literal["pytorch"]
    biases: Biases = "model"


class PlainInit(InitTable):
    """The rules that have no options of their own."""

    name: Literal["glorot_normal", "glorot_uniform", "kaiming_normal", "kaiming_uniform", "zeros", "dct"]


class ConstantInit(InitTable):
    """Every weight the same number."""

    name: Literal["constant"]
    value: Number = 0.5


class SignConstantInit(InitTable):
    """One size, signs at random."""

    name: Literal["sign_constant"]
    scale: Positive | None = None  # the size, > 0; none: the standard deviation of glorot_normal, tensor by tensor


class UniformInit(InitTable):
    """Uniform between -scale and scale."""

    name: Literal["uniform"]
    scale: Positive = 0.05  # half of the width, > 0


class NormalInit(InitTable):
    """Normal around 0."""

    name: Literal["normal"]
    scale: Positive = 0.05  # the standard deviation, > 0


class OrthogonalInit(InitTable):
    """Orthonormal rows or columns."""

    name: Literal["orthogonal"]
    gain: Positive = 1.0  # what they are multiplied by, > 0


Init = Annotated[
    Annotated[PytorchInit, Tag("pytorch")]
    | Annotated[PlainInit, Tag("glorot_normal")]
    | Annotated[PlainInit, Tag("glorot_uniform")]
    | Annotated[PlainInit, Tag("kaiming_normal")]
    | Annotated[PlainInit, Tag("kaiming_uniform")]
    | Annotated[ConstantInit, Tag("constant")]
    | Annotated[PlainInit, Tag("zeros")]
    | Annotated[SignConstantInit, Tag("sign_constant")]
    | Annotated[UniformInit, Tag("uniform")]
    | Annotated[NormalInit, Tag("normal")]
    | Annotated[OrthogonalInit, Tag("orthogonal")]
    | Annotated[PlainInit, Tag("dct")],
    Discriminator(_tag),
    BeforeValidator(as_table),
]
