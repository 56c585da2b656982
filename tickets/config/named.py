"""Tables that name a function and give its options: data, model, model.init, prune.score, an arm, a probe.

A plain string is short for a table with that name. Which keys a table has depends on the name: those that all tables of
its kind have, and the options that the function in the catalogue declares in its signature. A table that names a
function of the user's can have any further key; `tickets.binding` compares these with the function's signature once it
can be imported.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    create_model,
    model_serializer,
    model_validator,
)

from tickets.catalogue import ArmEntry, Entry
from tickets.config.signatures import options_of
from tickets.config.types import ADDED_LATER, STRICT, OneOf, Option, as_table


class Named(BaseModel):
    """What all such tables have: a name, and options as further keys."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    __pydantic_extra__: dict[str, Any]

    entries: ClassVar[Mapping[str, Entry | ArmEntry]]  # of the catalogue
    names: ClassVar[OneOf]  # the names that are allowed: those of the catalogue, and of the user's functions
    own_types: ClassVar[Mapping[str, Any]] = {}  # of keys whose type is another one beside functions of the user's

    name: str

    @classmethod
    def is_own(cls, table: Mapping[str, Any]) -> bool:
        """Whether a table names a function of the user's."""
        return ":" in str(table.get("name"))

    @classmethod
    def form(cls, table: Mapping[str, Any]) -> type[BaseModel]:
        """The keys that a table can have, by its name: a pydantic class with a field for each."""
        if cls.is_own(table):
            return _form_of_own(cls)
        name = table.get("name")
        return _form(cls, name) if isinstance(name, str) and name in cls.entries else _form_of_any(cls)

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments for the function: a copy of all keys that not every table of the kind has."""
        return copy.deepcopy(dict(self.__pydantic_extra__))

    @model_validator(mode="wrap")
    @classmethod
    def _check(cls, given: Any, check: ModelWrapValidatorHandler[Self]) -> Self:
        table = as_table(given)
        if not isinstance(table, Mapping):
            return check(table)
        if cls.is_own(table):
            return check(dict(cls.form(table).model_validate(table)))
        # None stands for a key that is not given. Saved arms have such keys that are not options of theirs.
        filled = dict(cls.form(table).model_validate({key: value for key, value in table.items() if value is not None}))
        return check({**filled, **cls.entries[filled["name"]].fixed})

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler, info: SerializationInfo) -> Any:
        table = self.shortest(written(self, write(self), self.form(dict(self))))
        if info.exclude_none and isinstance(table, dict):
            return {key: value for key, value in table.items() if value is not None}
        return table

    def shortest(self, table: dict[str, Any]) -> Any:
        """The form in which the table is written; every setting has exactly one, and so one run id."""
        return table


def name_if_alone(table: dict[str, Any]) -> Any:
    """The plain name where a table has no other key."""
    return table["name"] if table.keys() == {"name"} else table


def written(table: BaseModel, dumped: Mapping[str, Any], form: type[BaseModel]) -> dict[str, Any]:
    """The keys of a table that are written to a configuration: all but those that were added later, at their defaults.

    Parameters
    ----------
    table
        The table.
    dumped
        All of its keys, as pydantic writes them.
    form
        The pydantic class that says which keys were added later, and their defaults.
    """
    later = added_later(form)
    return {key: value for key, value in dumped.items() if key not in later or getattr(table, key) != later[key]}


@cache
def added_later(form: type[BaseModel]) -> Mapping[str, Any]:
    """The defaults at which keys are left out of the configuration, by key."""
    return {key: field.default for key, field in form.model_fields.items() if ADDED_LATER in field.metadata}


@cache
def _form(cls: type[Named], name: str) -> type[BaseModel]:
    entry = cls.entries[name]
    keys = {key: declared for key, declared in _keys(cls).items() if key not in entry.fixed}
    for key, default in entry.defaults.items():
        field = cls.model_fields[key]
        kind = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
        keys[key] = (kind, Field(default=default, validate_default=True))
    keys |= {key: (option.type, option.default) for key, option in options_of(*entry.targets).items()}
    return create_model(f"{cls.__name__}_{name}", __config__=STRICT, **keys)


@cache
def _form_of_own(cls: type[Named]) -> type[BaseModel]:
    own = {key: (kind, cls.model_fields[key].get_default()) for key, kind in cls.own_types.items()}
    return create_model(f"{cls.__name__}_own", __base__=_OwnOptions, **{**_keys(cls), **own})


@cache
def _form_of_any(cls: type[Named]) -> type[BaseModel]:
    """The form of a table whose name is missing or wrong: whichever option it has may have been meant."""
    if cls.names.functions:
        return create_model(f"{cls.__name__}_any", __base__=_AnyOptions, **_keys(cls))
    keys = _keys(cls)
    for entry in cls.entries.values():
        keys |= dict.fromkeys(options_of(*entry.targets), (Any, None))
    return create_model(f"{cls.__name__}_any", __config__=STRICT, **keys)


def _keys(cls: type[Named]) -> dict[str, Any]:
    """The keys that every table of a kind has, with their types and defaults."""
    keys = {key: (field.annotation, field) for key, field in cls.model_fields.items()}
    return {**keys, "name": (Annotated[str, BeforeValidator(cls.names)], ...)}


class _OwnOptions(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    __pydantic_extra__: dict[str, Option]


class _AnyOptions(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)
