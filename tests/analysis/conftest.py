"""Made-up tables of rounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import pytest

MEASURED = (
    "early_stop_test_accuracy", "final_test_accuracy", "early_stop_step", "early_stop_validation_loss",
    "final_test_loss", "final_train_loss",
)  # fmt: skip


@pytest.fixture(scope="session")
def made() -> Callable[..., pd.DataFrame]:
    """made({(round, arm): [by replicate]}) is a run's rounds; a list within the list holds a replicate's draws.

    Every measured column holds the same values, but for those of `steps`, {(round, arm): [by replicate]}, in
    early_stop_step. The density is 0.8 ** round.
    """

    def make(
        values: Mapping[tuple[int, str], list], steps: Mapping[tuple[int, str], list] | None = None, run: str = "a"
    ) -> pd.DataFrame:
        rows = []
        for (number, arm), by_replicate in values.items():
            for replicate, draws in enumerate(by_replicate):
                for draw, value in enumerate(draws if isinstance(draws, list) else [draws]):
                    key = {"run": run, "replicate": replicate, "round": number, "density": 0.8**number, "arm": arm}
                    row = {**key, "draw": draw, **dict.fromkeys(MEASURED, value), "diverged": bool(np.isnan(value))}
                    if steps is not None:
                        row["early_stop_step"] = steps[number, arm][replicate]
                    rows.append(row)
        frame = pd.DataFrame(rows).sort_values(["replicate", "round"], kind="stable", ignore_index=True)
        return frame.astype(dict.fromkeys(MEASURED, float))

    return make
