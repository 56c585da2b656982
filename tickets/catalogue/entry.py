"""An entry of the catalogue: a function that a campaign file can name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Entry:
    """A model, a data set, an init, a score or a probe that a campaign file can name.

    Parameters
    ----------
    target
        "module:function". The parameters of the function that have a default value are its options in a campaign file;
        each has a type of `tickets.config.types`, and the module's source says so without being imported.
    summary
        The line that `tickets list` prints.
    defaults
        Defaults of the keys that every entry of its kind has: `init` of a model, `validation` of a data set, `biases`
        of an init.
    family
        Of a model: the model of the catalogue that makes the same network with other hidden widths, by its option
        `widths`; None if there is none.
    widths
        Of a model without the option `widths`: its hidden widths.
    """

    target: str
    summary: str
    defaults: Mapping[str, Any] = field(default_factory=dict, hash=False)
    family: str | None = None
    widths: tuple[int, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """The functions whose options it has."""
        return (self.target,)

    @property
    def fixed(self) -> Mapping[str, Any]:
        """Keys that only tables with functions of the user's can give, with the values they have here."""
        return {}
