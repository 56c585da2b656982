"""Each arm at its own best value of a swept key, chosen on validation data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from tickets.config.identity import IDENTITY_KEYS
from tickets.errors import InputError, nearest
from tickets.plurals import counted
from tickets.roles import keeps_trained
from tickets.store.configs import flat_config
from tickets.store.derived import LAST_STEP, STEPS_TO_DENSE_LOSS, with_derived

from .metrics import find_metric
from .rule import Rule, rules_of

if TYPE_CHECKING:
    from tickets.store import Saved

_TUNABLE = "tune how networks are trained, such as train.learning_rate"
_LOSSES = ("train.loss", "train.label_smoothing", "train.class_weights")
_TRAINING = ["run", "replicate", "round", "arm", "draw"]


@dataclass(frozen=True)
class Tuned:
    """Runs that differ in one key, joined into one run in which each arm has its best value.

    Parameters
    ----------
    rounds : DataFrame
        As `Saved.rounds`; `run` is the name of the joined run.
    chosen : DataFrame
        A row per run, round and arm: the chosen `value`, its validation `score`, and the number of values (`of`).
    rules : mapping
        {run: Rule}.
    left_out : tuple of str
        What could not be compared on equal terms, a sentence each.
    """

    rounds: pd.DataFrame
    chosen: pd.DataFrame
    rules: Mapping[str, Rule]
    left_out: tuple[str, ...]


def tune(saved: Saved, key: str, metric: str = "early_stop_test_accuracy") -> Tuned:
    """Join the runs of a campaign that differ in `key` alone, with each arm and round at its best value of the key.

    The best value has the highest mean validation accuracy (or R2) at early stop over replicates and draws or, for a
    metric or a task without accuracy, the lowest mean validation loss. A training that diverged counts as the worst.
    The test set is not used. Each round of each arm has its own choice; so has the dense network, which is the ticket
    of round 0.

    Replicates stay paired, since the runs of one campaign give a replicate the same initial values and data order.
    Values are compared on equal terms: only replicates that every run has count, and a round of an arm that some run
    lacks is left out.

    Parameters
    ----------
    saved : Saved
        A campaign with a sweep over the key.
    key : str
        A dotted key, such as "train.learning_rate".
    metric : str
        The metric that is to be compared.

    Returns
    -------
    Tuned

    Raises
    ------
    InputError
        If no two runs differ in the key alone, or if it changes the replicates, the data or the densities, so that the
        runs cannot be paired.

    Notes
    -----
    Source: Ma et al., "Sanity Checks for Lottery Tickets", NeurIPS 2021: the gap between a ticket and its controls at
    one learning rate may be a gap between learning rates.
    """
    if key.partition(".")[0] in ("seed", "data"):
        raise InputError(
            f"--tune {key}: runs with another {key} have other replicates, which cannot be paired; {_TUNABLE}"
        )
    if key in _LOSSES:
        raise InputError(f"--tune {key}: losses of different kinds cannot be compared; {_TUNABLE}")
    configs = {run: saved.config(run) for run in saved.runs}
    groups, rules = _groups(configs, key), rules_of(saved)
    rounds, curves = saved.rounds, saved.curves
    rounds = rounds[rounds["run"].isin(groups)]
    rounds = rounds.assign(group=rounds["run"].map(groups), score=_scores(rounds, curves, metric))
    rounds, left_out = _on_equal_terms(rounds, key)
    by_arm = ["group", "round", "arm"]
    # The first of several that are equally good, in the order of the runs.
    means = rounds.groupby([*by_arm, "run"], sort=False)["score"].mean().reset_index()
    best = means.loc[means.groupby(by_arm, sort=False)["score"].idxmax()]
    chosen = best.assign(
        value=[_value(configs[run], key) for run in best["run"]],
        of=means.groupby(by_arm, sort=False)["run"].transform("size").loc[best.index],
    )
    best_rounds = rounds.merge(best[["run", "round", "arm"]], on=["run", "round", "arm"])
    points = curves.merge(best_rounds[[*_TRAINING, "group"]], on=_TRAINING)
    joined = best_rounds.assign(run=best_rounds["group"]).drop(
        columns=["group", "score", LAST_STEP, STEPS_TO_DENSE_LOSS]
    )
    untimed = {group for run, group in groups.items() if keeps_trained(configs[run])}
    return Tuned(
        rounds=with_derived(joined, points.assign(run=points["group"]).drop(columns="group"), untimed),
        chosen=chosen.assign(run=chosen["group"])[["run", "round", "arm", "value", "score", "of"]].reset_index(
            drop=True
        ),
        rules={group: rules[run] for run, group in groups.items()},
        left_out=tuple(left_out),
    )


def _on_equal_terms(rounds: pd.DataFrame, key: str) -> tuple[pd.DataFrame, list[str]]:
    """The rows that every run of a group has, and what is left out. Raises InputError if densities differ."""
    complete_rows, left_out = [], []
    for group, rows in rounds.groupby("group", sort=False):
        tickets = rows[rows["arm"] == "ticket"]
        densities = tickets.groupby(["round", "run"])["density"].mean().groupby("round")
        if (densities.max() - densities.min() > 1e-9).any():
            raise InputError(f"--tune {key}: the runs of {group} have other densities in the same round; {_TUNABLE}")
        sets = [set(one) for _, one in tickets.groupby("run")["replicate"]]
        common = set.intersection(*sets)
        if any(one != common for one in sets):
            left_out.append(f"{group}: {counted(len(set.union(*sets) - common), 'replicate')} that not every run has")
        rows = rows[rows["replicate"].isin(common)]
        places = [rows["round"], rows["arm"]]
        has_all = rows.groupby([*places, rows["run"]])["replicate"].nunique() == len(common)
        complete = has_all[has_all].groupby(["round", "arm"]).size() == rows["run"].nunique()
        whole = pd.MultiIndex.from_arrays(places).isin(complete[complete].index)
        lacking = rows.loc[~whole, ["round", "arm"]].drop_duplicates()
        if len(lacking):
            names = ", ".join(f"{arm} in round {number}" for number, arm in lacking.itertuples(index=False, name=None))
            left_out.append(f"{group}: {names}, which not every run has for all replicates")
        complete_rows.append(rows[whole])
    return pd.concat(complete_rows), left_out


def _groups(configs: Mapping[str, Mapping[str, Any]], key: str) -> dict[str, str]:
    """{run: the name of its joined run}, for the runs that differ from another one in the key alone."""
    rest = {run: json.dumps(_without(_identity(config), key), sort_keys=True) for run, config in configs.items()}
    sizes = pd.Series(rest).value_counts()
    grouped = {run: text for run, text in rest.items() if sizes[text] > 1}
    if not grouped:
        swept = _swept(configs)
        there = f"{', '.join(swept)} differ{'s' if len(swept) == 1 else ''}" if swept else "there is only one run"
        near = "" if key in swept else nearest(key, swept)
        raise InputError(f"--tune {key}: no two runs differ in it alone; {there}{near}")
    names = {text: f"{_label(configs[run])}-best-{key}" for run, text in grouped.items()}
    if len(set(names.values())) < len(names):
        names = {text: f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:6]}" for text, name in names.items()}
    return {run: names[text] for run, text in grouped.items()}


def _label(config: Mapping[str, Any]) -> str:
    return f"{config['data']['name']}-{config['model']['name']}-seed{config['seed']}"


def _identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a saved configuration that decide its tickets; None for those that an earlier version lacks."""
    return {key: config.get(key) for key in IDENTITY_KEYS}


def _swept(configs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The dotted keys in which the runs differ."""
    flat = [flat_config(_identity(config)) for config in configs.values()]
    keys = list(dict.fromkeys(key for one in flat for key in one))
    return [key for key in keys if len({json.dumps(one.get(key), sort_keys=True) for one in flat}) > 1]


def _without(table: Mapping[str, Any], key: str) -> dict[str, Any]:
    first, _, rest = key.partition(".")
    inner = table.get(first)
    if rest and isinstance(inner, Mapping):
        return {**table, first: _without(inner, rest)}
    return {name: value for name, value in table.items() if name != first or rest}


def _value(config: Mapping[str, Any], key: str) -> Any:
    found: Any = config
    for name in key.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return json.dumps(found) if isinstance(found, Mapping | list) else found


def _scores(rounds: pd.DataFrame, curves: pd.DataFrame, metric: str) -> pd.Series[float]:
    """The validation score of each training; more is better."""
    if not find_metric(metric).accuracy or curves["validation_accuracy"].isna().all():
        return (-rounds["early_stop_validation_loss"]).fillna(-float("inf"))
    at = curves.rename(columns={"step": "early_stop_step"})[[*_TRAINING, "early_stop_step", "validation_accuracy"]]
    at = at.astype({"early_stop_step": float})
    found = rounds[[*_TRAINING, "early_stop_step"]].merge(at, on=[*_TRAINING, "early_stop_step"], how="left")
    scores = pd.Series(found["validation_accuracy"].to_numpy(), index=rounds.index)
    return scores.fillna(min(0.0, float(scores.min())))  # R2 can be below 0
