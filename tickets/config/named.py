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
from tickets.config.signatures import OptionType, options_of
from tickets.config.types import ADDED_LATER, STRICT, OneOf, Option


class Named(BaseModel):
    """A table with a name, and with options as further keys. Each kind of table is a subclass."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    __pydantic_extra__: dict[str, Any]

    entries: ClassVar[Mapping[str, Entry | ArmEntry]]  # the catalogue's table of this kind
    names: ClassVar[OneOf]  # the allowed names
    own_types: ClassVar[Mapping[str, Any]] = {}  # types of keys that differ in tables with functions of the user's

    name: str

    @classmethod
    def is_own(cls, table: Mapping[str, Any]) -> bool:
        """Whether a table names a function of the user's."""
        return ":" in str(table.get("name"))

    @classmethod
    def form(cls, table: Mapping[str, Any]) -> type[BaseModel]:
        """The pydantic class that checks a table: it has a field for each key that is allowed beside its name."""
        if cls.is_own(table):
            return _form_of_own(cls)
        name = table.get("name")
        return _form(cls, name) if isinstance(name, str) and name in cls.entries else _form_of_any(cls)

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments for the function, as a copy: all keys but those that every table of this kind has."""
        return copy.deepcopy(dict(self.__pydantic_extra__))

    @model_validator(mode="wrap")
    @classmethod
    def _check(cls, given: Any, check: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(given, str):
            return check(_by_name(cls, given, cls.entries.get(given)))
        if not isinstance(given, Mapping):
            return check(given)
        if cls.is_own(given):
            return check(dict(cls.form(given).model_validate(given)))
        # None means that a key is not given: in saved runs every arm has a `value`, and null without this option.
        filled = dict(cls.form(given).model_validate({key: value for key, value in given.items() if value is not None}))
        return check({**filled, **cls.entries[filled["name"]].fixed})

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler, info: SerializationInfo) -> Any:
        table = self.shortest(written(self, write(self), self.form(self.__dict__)))
        if info.exclude_none and isinstance(table, dict):
            return {key: value for key, value in table.items() if value is not None}
        return table

    def shortest(self, table: dict[str, Any]) -> Any:
        """The table as it is written to a configuration. Equal settings are written alike, so they have one run id."""
        return table


@cache
def _by_name(cls: type[Named], name: str, entry: Entry | ArmEntry | None) -> Named:
    """The table that a plain name is short for, while the catalogue has this entry for it."""
    return cls(name=name)


def name_if_alone(table: dict[str, Any]) -> Any:
    """The plain name where a table has no other key."""
    return table["name"] if table.keys() == {"name"} else table


def written(table: BaseModel, dumped: dict[str, Any], form: type[BaseModel]) -> dict[str, Any]:
    """The keys of a table that are written to a configuration: all but those that were added later, at their defaults.

    Parameters
    ----------
    table
        The table.
    dumped
        All of its keys, as pydantic writes them; changed in place.
    form
        The pydantic class that says which keys were added later, and their defaults.
    """
    later = added_later(form)
    if later:
        values = {**table.__dict__, **(table.__pydantic_extra__ or {})}
        for key, default in later.items():
            if values[key] == default:
                dumped.pop(key, None)
    return dumped


@cache
def added_later(form: type[BaseModel]) -> Mapping[str, Any]:
    """The defaults at which keys are left out of the configuration, by key."""
    return {key: field.default for key, field in form.model_fields.items() if ADDED_LATER in field.metadata}


def _form(cls: type[Named], name: str) -> type[BaseModel]:
    entry = cls.entries[name]
    options = tuple(options_of(*entry.targets).items())
    return _form_with(cls, options, tuple(entry.defaults.items()), frozenset(entry.fixed))


@cache  # creating a pydantic class takes some milliseconds, and most arms have the same options
def _form_with(
    cls: type[Named],
    options: tuple[tuple[str, OptionType], ...],
    defaults: tuple[tuple[str, Any], ...],
    fixed: frozenset[str],
) -> type[BaseModel]:
    keys = {key: declared for key, declared in _keys(cls).items() if key not in fixed}
    for key, default in defaults:
        field = cls.model_fields[key]
        kind = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
        keys[key] = (kind, Field(default=default, validate_default=True))
    keys |= {key: (option.type, Field(default=option.default, validate_default=True)) for key, option in options}
    return create_model(f"{cls.__name__}Form", __config__=STRICT, **keys)


@cache
def _form_of_own(cls: type[Named]) -> type[BaseModel]:
    own = {key: (kind, cls.model_fields[key].get_default()) for key, kind in cls.own_types.items()}
    return create_model(f"{cls.__name__}Form", __base__=_OwnOptions, **{**_keys(cls), **own})


@cache
def _form_of_any(cls: type[Named]) -> type[BaseModel]:
    """The form of a table with a missing or unknown name: it accepts the options of every entry."""
    if cls.names.functions:
        return create_model(f"{cls.__name__}Form", __base__=_AnyOptions, **_keys(cls))
    keys = _keys(cls)
    for entry in cls.entries.values():
        keys |= dict.fromkeys(options_of(*entry.targets), (Any, None))
    return create_model(f"{cls.__name__}Form", __config__=STRICT, **keys)


def _keys(cls: type[Named]) -> dict[str, Any]:
    """The keys that every table of a kind has, with their types and defaults."""
    keys = {key: (field.annotation, field) for key, field in cls.model_fields.items()}
    return {**keys, "name": (Annotated[str, BeforeValidator(cls.names)], ...)}


class _OwnOptions(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    __pydantic_extra__: dict[str, Option]


class _AnyOptions(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)
