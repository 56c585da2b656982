"""What the columns called accuracy contain in a run, and how it is shown.

run.json says it in `accuracy`: "R2" for regression, "none" where the task has neither; without the key it is accuracy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Shown:
    """How values are shown.

    Attributes
    ----------
    name : str
        "accuracy", "R2" or "loss".
    metric : str
        The column of `rounds` (renamed by `as_measured`) that the arms of a run are shown by.
    column : str
        Likewise the column of `curves`.
    scale : float
        What values are multiplied by.
    form : str
        The format of a value.
    unit : str
        The unit of a difference, after a space; "" for none.
    heading : str
        What a table of `metric` contains.
    """

    name: str
    metric: str
    column: str
    scale: float
    form: str
    unit: str
    heading: str

    def difference(self, value: float) -> str:
        """A difference, with its sign and without its unit."""
        return f"{self.scale * value:+{self.form}}"


_SHOWN: Mapping[str, Shown] = {
    "accuracy": Shown(
        "accuracy", "early_stop_test_accuracy", "test_accuracy", 100.0, ".2f", " points",
        "test accuracy at early stop, %",
    ),
    "R2": Shown("R2", "early_stop_test_R2", "test_R2", 1.0, ".4f", "", "test R2 at early stop"),
    "none": Shown("loss", "final_test_loss", "test_loss", 1.0, ".4f", "", "test loss at the last step"),
}  # fmt: skip


def accuracy_of(file: Mapping[str, Any]) -> str:
    """What the columns called accuracy contain: "accuracy", "R2" or "none". file: what a run's run.json holds."""
    return str(file.get("accuracy", "accuracy"))


def shown(accuracy: str) -> Shown:
    """How a run is shown whose columns called accuracy contain this."""
    return _SHOWN[accuracy]


def as_measured(table: pd.DataFrame, accuracy: str) -> pd.DataFrame:
    """A run's rows of `rounds` or `curves`, with columns named R2 that contain R2: `test_R2` for `test_accuracy`."""
    if accuracy != "R2":
        return table
    return table.rename(columns=lambda name: name.replace("accuracy", "R2"))
