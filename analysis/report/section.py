"""A run as a section of the report: the answer, how sure it is, its settings, figures and tables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tickets.store import Saved

from ..answers import Winning
from ..rule import Rule, rule_of
from ..telling import beside, headline, named, reason, reasons
from ..winning import winning
from ..words import counted, listed
from .plots import Missing, Plot, plots_of
from .sheets import Sheet, sheets_of, smallest_detectable


@dataclass(frozen=True)
class Section:
    """What the report says of a run.

    slug: in names of files and ids. sentence: all that is said of the answer, in one line. headline: the verdict in a
    sentence; why: the reason for one that is not yes; reasons: a line for each criterion; beside: what else is seen
    there, a line each. about: its network. what, sure: sentences.
    """

    run: str
    slug: str
    answer: str
    sentence: str
    headline: str
    why: str
    reasons: list[str]
    beside: list[str]
    about: str
    what: str
    sure: str
    settings: pd.DataFrame
    plots: list[Plot]
    missing: list[Missing]
    sheets: list[Sheet]


def section_of(saved: Saved, run: str) -> Section:
    """The section of a run that has rounds. Raises InputError if its masks, values or curves are damaged."""
    rounds = saved.rounds[saved.rounds["run"] == run]
    file = saved.file(run)
    rule = rule_of(file)
    (answer,) = winning(rounds, {run: rule})
    plots, missing = plots_of(saved, run, file)
    return Section(
        run=run,
        slug=slug(run),
        answer=answer.answer,
        sentence=answer.sentence.removeprefix(f"{run}: "),
        headline=headline(answer),
        why=reason(answer),
        reasons=reasons(answer),
        beside=beside(answer),
        about=about(file["config"]["model"]),
        what=" ".join([what_was_run(rounds, file), *what_to_know(saved, run)]),
        sure=how_sure(rounds, answer),
        settings=_settings(file),
        plots=plots,
        missing=missing,
        sheets=sheets_of(rounds, rule),
    )


def slug(text: str) -> str:
    """Text as a part of a file's name or an id: letters, digits, `-`, `_` and `.`; it starts with a letter."""
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.") or "run"
    return safe if safe[0].isalpha() else f"run-{safe}"


def about(model: Mapping[str, Any]) -> str:
    """A network and where it starts, as in `mlp (init orthogonal (biases zeros, gain 1.0), widths 100, 100)`."""
    return _text(model)


def what_was_run(rounds: pd.DataFrame, file: Mapping[str, Any]) -> str:
    """A run in a sentence or two: network, data, arms, rounds and trainings."""
    config = file["config"]
    train, prune = config["train"], config["prune"]
    model, data = config["model"], config["data"]
    extra = ", ".join(f"{key} {_text(value)}" for key, value in model.items() if key not in ("name", "init"))
    network = f"{model['name']}" + (f" ({extra})" if extra else "")
    controls = [str(arm) for arm in rounds["arm"].unique() if arm != "ticket"]
    last = rounds.loc[rounds["arm"] == "ticket", "density"].min()
    parts = [
        f"{network} on {data['name']}: the ticket",
        f" beside {listed(controls)}; " if controls else " without controls; ",
        f"{counted(rounds['replicate'].nunique(), 'replicate')}, {counted(rounds['round'].nunique(), 'round')} ",
        f"down to density {last:.4f}, {counted(len(rounds), 'training')} of {train['steps']:,} steps ",
        f"({train['optimizer']}, learning rate {train['learning_rate']:g}{_loss(train)}). "
        f"Pruned by {_text(prune['score'])}, ",
        "over all tensors at once" if prune["scope"] == "global" else "layer by layer",
        f", rewound to step {config['rewind']['step']}.",
    ]
    return "".join(parts)


def _loss(train: Mapping[str, Any]) -> str:
    """The loss of a run, where it is not cross-entropy as it is."""
    named = {"loss": "loss", "label_smoothing": "label smoothing", "class_weights": "class weights"}
    return "".join(f", {name} {_text(train[key])}" for key, name in named.items() if key in train)


def what_to_know(saved: Saved, run: str) -> list[str]:
    """Further sentences: which of the network's weights are prunable, and what to know of the arms' starts."""
    coverage = saved.coverage(run)
    about = [] if coverage is None else [coverage.sentence]
    if coverage is not None and coverage.warning is not None:
        about.append(f"warning: {coverage.warning}")
    return [f"{line[:1].upper()}{line[1:]}." for line in (*about, *saved.notes(run))]


def how_sure(rounds: pd.DataFrame, answer: Winning) -> str:
    """n, the intervals, what they could have shown, and the trainings that are not in them."""
    n = answer.replicates
    if n < 2:
        sure = "One replicate: no interval, since one difference has no spread."
    else:
        sure = (
            f"n = {n} replicates, compared in pairs; {100 * answer.confidence:g} % intervals. {_decided(answer.rule)}"
        )
        smallest = smallest_detectable(rounds, answer.rule.shown)
        if smallest is not None:
            sure += (
                f" A true difference from dense of {smallest} would have been shown in 80 of 100 repeats "
                "(median over densities), a smaller one less often."
            )
    lost = answer.n_diverged
    if lost:
        return f"{sure} {lost} of {counted(answer.trainings, 'training')} have no value (diverged) and are left out."
    return f"{sure} None of {counted(answer.trainings, 'training')} diverged."


def _decided(rule: Rule) -> str:
    if rule.density is None:
        return (
            "No density was named beforehand, so the intervals hold for all densities and criteria at once (max-t, "
            "multivariate t): the chance that a winning ticket is falsely said at any of them is at most 2.5 %."
        )
    error = (
        "the chance of a false yes is at most 2.5 %"
        if rule.seen == 0
        else "since it was chosen with results in sight, the chance of a false yes is not known"
    )
    return (
        f"Decided at the round nearest to density {rule.density:g}, {named(rule)}, by its own t-intervals: {error}. At "
        "every other density the intervals are simultaneous (max-t, multivariate t)."
    )


def _settings(file: Mapping[str, Any]) -> pd.DataFrame:
    """Every key of the configuration and what it ran on, as text."""
    data = file.get("data", {})
    ran = {
        "data.sha256": data.get("sha256"),
        "data.input_shape": data.get("input_shape"),
        **_flat(file.get("fingerprint", {})),
        **_flat(file.get("execution", {}), "execution."),
    }
    every = {**_flat(file["config"]), **ran}
    return pd.DataFrame([(key, _text(value)) for key, value in every.items()], columns=["key", "value"])


def _flat(table: Mapping[str, Any], head: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= _flat(value, f"{head}{key}.") if isinstance(value, Mapping) else {f"{head}{key}": value}
    return flat


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    if isinstance(value, Mapping):
        rest = [f"{key} {_text(one)}" for key, one in value.items() if key != "name" and one is not None]
        return f"{value.get('name', '')} ({', '.join(rest)})" if rest else str(value.get("name", ""))
    return "" if value is None else str(value)
