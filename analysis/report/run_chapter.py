"""The chapter of one run: is there a winning ticket?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from tickets.plurals import counted
from tickets.store import Saved
from tickets.store.configs import flat_config
from tickets.store.source_run import transfer_text

from ..answers import Winning
from ..labels import capitalised
from ..messages import context_lines, criterion_lines, headline, reason, when_named
from ..planted import planted_sentences
from ..rule import Rule
from ..text import listed
from ..winning import winning
from .chapter import Chapter, Point, Summary, name_of
from .claims import claims_of_run
from .figure import plots_of
from .figures import RUN_FIGURES
from .figures.planted import data_of, tables_of_planted
from .run_data import RunData
from .run_tables import detectable_difference, tables_of_run
from .table import Table
from .visible import visible

QUESTION = "is there a winning ticket?"


def chapter_of_run(saved: Saved, run: str) -> Chapter:
    """The chapter of a run that has rounds.

    Raises
    ------
    InputError
        If its masks, values or curves are damaged.
    """
    data = RunData(saved, run)
    (answer,) = winning(data.rounds, {run: data.rule})
    plots, missing = plots_of(RUN_FIGURES, data, data.head, data.reading)
    summary = Summary(
        headline=" ".join(filter(None, [headline(answer), reason(answer)])),
        points=[Point(line) for line in criterion_lines(answer)],
        notes=[*context_lines(answer), *_planted(data)],
        verdict=answer.answer,
    )
    return Chapter(
        name=name_of(run),
        title=run,
        question=QUESTION,
        about=model_text(data.file["config"]["model"]),
        summary=summary,
        what=" ".join([what_was_run(data.rounds, data.file), *_notes(saved, run)]),
        certainty=certainty(data.rounds, answer),
        plots=plots,
        missing=missing,
        claims=claims_of_run(saved, run, data.rule),
        tables=[*tables_of_run(data.rounds, data.rule), *tables_of_planted(data)],
        configuration=_configuration(data.file),
    )


def _planted(data: RunData) -> list[str]:
    """What the run says of the ticket that is planted in it."""
    table = data_of(data)
    return [] if table is None else [capitalised(line) for line in planted_sentences(table, data.labels)]


def model_text(model: Mapping[str, Any]) -> str:
    """A model and its start, as in `mlp (init orthogonal (biases zeros, gain 1.0), widths 100, 100)`."""
    return _text(model)


def what_was_run(rounds: pd.DataFrame, file: Mapping[str, Any]) -> str:
    """A run in a sentence or two: network, data, arms, rounds and trainings.

    Parameters
    ----------
    rounds : DataFrame
        The rows of the run.
    file : mapping
        The content of its run.json.
    """
    config = file["config"]
    train, model = config["train"], config["model"]
    extra = ", ".join(f"{key} {_text(value)}" for key, value in model.items() if key not in ("name", "init"))
    others = [str(arm) for arm in rounds["arm"].unique() if arm != "ticket"]
    last = rounds.loc[rounds["arm"] == "ticket", "density"].min()
    prunings = rounds["round"].nunique() - 1
    return (
        f"{model['name']}{f' ({extra})' if extra else ''} on {config['data']['name']}: the ticket "
        f"{f'beside {listed(others)}' if others else 'without controls'}; "
        f"{counted(rounds['replicate'].nunique(), 'replicate')}; the dense network and {counted(prunings, 'round')} of "
        f"pruning, down to density {last:.4f}; {counted(len(rounds), 'training')} of {train['steps']:,} steps "
        f"({train['optimizer']}, learning rate {train['learning_rate']:g}{_loss(train)}). {_pruned(file)}; "
        f"{_rewound(config)}."
    )


def _pruned(file: Mapping[str, Any]) -> str:
    prune = file["config"]["prune"]
    if prune.get("masks_from"):
        return transfer_text(file)
    scope = "over all tensors at once" if prune["scope"] == "global" else "layer by layer"
    return f"Pruned by {_text(prune['score'])}, {scope}"


def _rewound(config: Mapping[str, Any]) -> str:
    kind, step = config["rewind"].get("kind", "weights"), config["rewind"]["step"]
    if kind == "none":
        steps = counted(config["fine_tune"]["steps"], "further step")
        return f"not rewound: each round fine-tunes the trained values for {steps} at the last learning rate"
    if kind == "learning_rate":
        return f"the schedule is rewound to step {step}, and the trained values stay"
    return f"rewound to step {step}"


def _loss(train: Mapping[str, Any]) -> str:
    """The loss of a run and its options, where it is not plain cross-entropy."""
    named = {"loss": "loss", "label_smoothing": "label smoothing", "class_weights": "class weights"}
    return "".join(f", {name} {_text(train[key])}" for key, name in named.items() if key in train)


def certainty(rounds: pd.DataFrame, answer: Winning) -> str:
    """The number of replicates, the kind of intervals, the smallest detectable difference, and what is left out.

    Parameters
    ----------
    rounds : DataFrame
        The rows of the run.
    answer : Winning
        The answer to whether it has a winning ticket.
    """
    n, accuracy = answer.replicates, answer.rule.labels.accuracy
    if n < 2:
        text = "One replicate: no interval, since one difference has no spread."
    else:
        text = (
            f"n = {n} replicates, compared in pairs; {100 * answer.confidence:g} % intervals. {_decided(answer.rule)}"
        )
        smallest = detectable_difference(rounds)
        if smallest is not None:
            size = f"{accuracy.factor * smallest:{accuracy.form}} {accuracy.difference or 'in ' + accuracy.name}"
            text += (
                f" Smallest detectable difference from dense: {size} (median over densities); a true difference of "
                "that size is shown in 80 of 100 repeats, a smaller one less often."
            )
    trainings = counted(answer.trainings, "training")
    if answer.n_diverged:
        are = "has" if answer.n_diverged == 1 else "have"
        return f"{text} {answer.n_diverged} of {trainings} {are} no value (diverged) and {_is_are(answer)} left out."
    return f"{text} None of {trainings} diverged."


def _is_are(answer: Winning) -> str:
    return "is" if answer.n_diverged == 1 else "are"


def _decided(rule: Rule) -> str:
    if rule.density is None:
        return (
            "No density was named before training, so the intervals are simultaneous over all densities and criteria "
            "(max-t, multivariate t): the chance of a false yes at any density is at most 2.5 %."
        )
    error = (
        "the chance of a false yes is at most 2.5 %"
        if rule.seen == 0
        else "since results had been seen by then, the chance of a false yes is not known"
    )
    return (
        f"Decided at the round nearest to density {rule.density:g}, {when_named(rule)}, by the t-intervals of that "
        f"round alone: {error}. At every other density the intervals are simultaneous (max-t, multivariate t)."
    )


def _notes(saved: Saved, run: str) -> list[str]:
    """Further sentences: which weights are prunable, and remarks on how the arms start."""
    coverage = saved.coverage(run)
    lines = [] if coverage is None else [coverage.sentence]
    if coverage is not None and coverage.warning is not None:
        lines.append(f"warning: {coverage.warning}")
    return [f"{capitalised(line)}." for line in (*lines, *saved.notes(run))]


def _configuration(file: Mapping[str, Any]) -> Table:
    """Every key of the configuration, then the data set and the machine, as text."""
    data = file.get("data", {})
    every = {
        **flat_config(file["config"]),
        "data.sha256": data.get("sha256"),
        "data.input_shape": data.get("input_shape"),
        **flat_config(file.get("fingerprint", {})),
        **flat_config(file.get("execution", {}), "execution."),
    }
    rows = pd.DataFrame(
        [(visible(key), visible(_text(value))) for key, value in every.items()], columns=["key", "value"]
    )
    return Table("settings", "Configuration, data and machine", rows, "", rows)


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    if isinstance(value, Mapping):
        rest = [f"{key} {_text(one)}" for key, one in value.items() if key != "name" and one is not None]
        return f"{value.get('name', '')} ({', '.join(rest)})".strip() if rest else str(value.get("name", ""))
    return "" if value is None else str(value)
