"""Names, units and number formats of the measured quantities. Every text, table and figure takes them from here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from .metrics import METRICS


@dataclass(frozen=True)
class Label:
    """The name of a quantity and how its values are written.

    Parameters
    ----------
    name : str
        The quantity in a sentence, such as "accuracy".
    factor : float
        Values and differences are multiplied by it when they are written or drawn.
    unit : str
        Unit of a value, such as "%"; "" for none.
    difference : str
        Unit of a difference of two values, such as "points"; "" for none.
    form : str
        Format specification of a value in a sentence, such as ".1f".
    table_form : str
        Format specification of a value in a table, such as ".2f".
    difference_form : str
        Format specification of a difference.
    low, high : float
        The smallest and the largest possible value, times `factor`.
    """

    name: str
    factor: float = 1.0
    unit: str = ""
    difference: str = ""
    form: str = ".4g"
    table_form: str = ".4f"
    difference_form: str = "+.3g"
    low: float = 0.0
    high: float = math.inf

    def bounds(self, values: pd.Series[float]) -> tuple[float, float]:
        """`low` and `high`; -inf and inf instead where `values`, times `factor`, exceed them.

        A loss of the user's own may be negative.
        """
        low = -math.inf if (values < self.low).any() else self.low
        return low, math.inf if (values > self.high).any() else self.high

    @property
    def axis_unit(self) -> str:
        """The unit behind the name of an axis, as in ", %"; "" for none."""
        return f", {self.unit}" if self.unit else ""

    def value_text(self, value: float) -> str:
        """A value with its unit, as in "58.4 %"; "no value" for NaN."""
        return "no value" if math.isnan(value) else _with_unit(format(self.factor * value, self.form), self.unit)

    def interval_text(self, value: float, low: float, high: float) -> str:
        """A value and its interval, as in "58.4 % [55.9, 60.9]"; no brackets where the interval is NaN."""
        text = self.value_text(value)
        if math.isnan(low):
            return text
        ends = ", ".join(format(self.factor * end, self.form) for end in (low, high))
        return f"{text} [{ends}]"

    def difference_text(self, value: float, low: float = math.nan, high: float = math.nan) -> str:
        """A difference and its interval, as in "+0.42 [-0.10, +0.94]", without the unit."""
        return signed(self.factor * value, self.factor * low, self.factor * high, self.difference_form)


@dataclass(frozen=True)
class Labels:
    """The labels of one run's quantities.

    Parameters
    ----------
    accuracy : Label
        Of the columns that end in "accuracy"; they contain accuracies or R2 (or only NaN).
    loss : Label
        Of the columns that end in "loss".
    metric : str
        The column of `rounds` by which the arms of the run are shown.
    column : str
        The column of `curves` of its learning curves.
    """

    accuracy: Label
    loss: Label
    metric: str = "early_stop_test_accuracy"
    column: str = "test_accuracy"

    @property
    def main(self) -> Label:
        """The label of `metric`."""
        return self.of(self.metric)

    def of(self, column: str) -> Label:
        """The label of a metric, or of a column of `rounds` or `curves`."""
        if column in METRICS and METRICS[column].ratio:
            return STEPS
        return self.accuracy if column.endswith("accuracy") else self.loss

    def heading(self, column: str) -> str:
        """What a column is called in a sentence, as in "test accuracy at early stop"."""
        text = METRICS[column].heading if column in METRICS else column.replace("_", " ")
        return text.replace("accuracy", self.accuracy.name)


STEPS = Label("steps", form=".0f", difference="steps", difference_form="+.1f")

_ACCURACY = Label("accuracy", 100.0, "%", "points", ".1f", ".2f", "+.2f", high=100.0)
_R2 = Label("R2", form=".3f", difference_form="+.4f", low=-math.inf, high=1.0)
_NATS = Label("loss", difference="nats")
_LOSS = Label("loss")

CLASSIFICATION = Labels(_ACCURACY, _NATS)
"""The labels of a run that is trained by cross-entropy; of a rule that says nothing else."""


def labels_of(file: Mapping[str, Any]) -> Labels:
    """The labels of a run.

    Parameters
    ----------
    file : mapping
        The content of the run's run.json. Its key `accuracy` says what the columns called accuracy contain: "R2" for
        regression, "none" if the task has neither; without the key, accuracies.
    """
    measured = str(file.get("accuracy", "accuracy"))
    loss = _NATS if file["config"].get("train", {}).get("loss", "cross_entropy") == "cross_entropy" else _LOSS
    if measured == "none":
        return Labels(_ACCURACY, loss, "final_test_loss", "test_loss")
    return Labels(_R2 if measured == "R2" else _ACCURACY, loss)


def capitalised(text: str) -> str:
    """Text with a capital first letter; the other letters are unchanged."""
    return text[:1].upper() + text[1:]


def signed(value: float, low: float, high: float, form: str) -> str:
    """`value [low, high]`, each formatted by `form`; no brackets where the interval is NaN."""
    return f"{value:{form}}" + ("" if math.isnan(low) else f" [{low:{form}}, {high:{form}}]")


def _with_unit(text: str, unit: str) -> str:
    return f"{text} {unit}" if unit else text
