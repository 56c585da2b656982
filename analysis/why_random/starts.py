"""The initial values of each run's networks, and in what runs differ, from their configurations."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import pandas as pd

from tickets.roles import NOT_DRAWN
from tickets.store.configs import flat_config

Kind = Literal["random", "deterministic", "equal"]
Config = Mapping[str, Any]

NO_HIDDEN_LAYER = "none"

_EQUAL = ("constant", "zeros")  # every unit of a layer gets the same weights
_DETERMINISTIC = tuple(name for name in NOT_DRAWN if name not in _EQUAL)  # units differ, and no number is drawn
_DECIDES = ("seed", "data", "train", "prune", "rewind")  # with the model, everything that a ticket's numbers depend on
_USUAL = {"gain": 1.0}  # options that are not shown at this value

_COLUMNS = [
    "run", "setting", "label", "kind", "start", "biases", "data", "model", "widths", "dropout", "noisy", "options",
]  # fmt: skip


def starts(configs: Mapping[str, Config]) -> pd.DataFrame:
    """Describe the initial values of each run's networks: a row per run, sorted by setting, kind and label.

    Parameters
    ----------
    configs : mapping
        {run: its configuration}, as `Saved.config` returns.

    Returns
    -------
    DataFrame
        | column | content |
        | --- | --- |
        | run | the run's id |
        | setting | everything but the model, as text: the data set's name and what else differs between runs |
        | label | the start, and what else is unusual about the model; unique within a setting |
        | kind | `equal`: the units of a layer are equal; `deterministic`: they differ, but no number is drawn; |
        |      | `random`: anything else, also a model of the user's own that has init `pytorch` |
        | start | the rule for the weights and its options, as in `constant 0.5` |
        | biases | `zeros`, or `model`: what the model's own constructor draws |
        | data, model | names |
        | widths | of the hidden layers, as in `300-100`; `none` without any; empty if the model has no such option |
        | dropout | its rate; 0 without |
        | noisy | whether training draws noise of its own: dropout, or augmented data |
        | options | the model's further options, as JSON |
    """
    settings = _settings(configs)
    rows = [{"run": run, "setting": settings[run], **_row(config)} for run, config in configs.items()]
    table = pd.DataFrame(rows, columns=[name for name in _COLUMNS if name != "label"])
    named = table.assign(label=_labels(table))[_COLUMNS]
    kinds = pd.Categorical(named["kind"], get_args(Kind))
    order = named.assign(kind=kinds).sort_values(["setting", "kind", "label"], kind="stable").index
    return named.loc[order].reset_index(drop=True)


def _row(config: Config) -> dict[str, Any]:
    model = dict(config["model"])
    name, init = str(model.pop("name")), model.pop("init", "pytorch")
    table = dict(init) if isinstance(init, Mapping) else {"name": init}
    rule = str(table.pop("name"))
    biases = str(table.pop("biases", "model" if rule == "pytorch" else "zeros"))
    widths, dropout = model.pop("widths", None), model.pop("dropout", 0.0)
    is_rate = isinstance(dropout, int | float) and not isinstance(dropout, bool)
    if not is_rate:
        model["dropout"], dropout = dropout, 0.0
    return {
        "kind": _kind(rule, biases),
        "start": " ".join([rule, *(_text(value) for key, value in table.items() if _is_shown(key, value))]),
        "biases": biases,
        "data": str(config["data"]["name"]),
        "model": name,
        "widths": _widths(widths),
        "dropout": float(dropout),
        "noisy": dropout > 0 or bool(config["data"].get("augment")),
        "options": _json(model),
    }


def _kind(rule: str, biases: str) -> Kind:
    if biases != "zeros":
        return "random"  # random biases make units differ, whatever their weights
    return "equal" if rule in _EQUAL else "deterministic" if rule in _DETERMINISTIC else "random"


def _is_shown(key: str, value: object) -> bool:
    return value is not None and not (key in _USUAL and value == _USUAL[key])


def _widths(widths: object) -> str:
    if widths is None:
        return ""
    return "-".join(map(str, widths)) or NO_HIDDEN_LAYER if isinstance(widths, Sequence) else str(widths)


def _settings(configs: Mapping[str, Config]) -> dict[str, str]:
    """{run: its setting}: the data set's name, and each key that differs between the runs with that data set."""
    flat = {run: flat_config({key: config.get(key) for key in _DECIDES}) for run, config in configs.items()}
    texts = {}
    for run, keys in flat.items():
        name = keys["data.name"]
        alike = [other for other in flat.values() if other["data.name"] == name]
        differ = [key for key in dict.fromkeys(key for one in alike for key in one) if _varies(alike, key)]
        texts[run] = ", ".join([str(name), *(f"{key} {_text(keys.get(key))}" for key in differ)])
    return texts


def _varies(tables: Sequence[Mapping[str, Any]], key: str) -> bool:
    return len({_json(table.get(key)) for table in tables}) > 1


def _labels(table: pd.DataFrame) -> list[str]:
    """The start of each run and, in brackets, what of the model is not the most common in its setting."""
    several = table.groupby("setting")["model"].transform("nunique") > 1
    common = table.groupby("setting")["widths"].transform(lambda widths: widths.mode().iloc[0])
    labels = []
    for row, many, widths in zip(table.to_dict("records"), several, common, strict=True):
        own = row["biases"] == "model" and row["start"] != "pytorch"
        unusual = [
            row["model"] if many else "",
            _layers(row["widths"]) if row["widths"] != widths else "",
            f"dropout {row['dropout']:g}" if row["dropout"] else "",
        ]
        brackets = ", ".join(filter(None, unusual))
        labels.append(row["start"] + (" + biases" if own else "") + (f" [{brackets}]" if brackets else ""))
    named = table.assign(label=labels)
    clash = named.duplicated(["setting", "label"], keep=False)
    return [
        f"{label} {options if options != '{}' else run}" if same else label
        for label, same, options, run in zip(labels, clash, table["options"], table["run"], strict=True)
    ]


def _layers(widths: str) -> str:
    return "no hidden layer" if widths == NO_HIDDEN_LAYER else widths


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)
