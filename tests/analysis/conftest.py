"""Made-up tables of rounds, and a tiny campaign of many starts."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tickets

RUNS = Path(__file__).parents[2] / "runs"
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


@pytest.fixture(scope="session")
def starts_folder(campaign_file, tmp_path_factory) -> Path:
    """A campaign of 8 starts: 2 replicates x 2 rounds x 5 arms on digits, hidden units counted, all ends kept.

    Its claims are those of runs/why_random.toml and runs/fine_differences.toml, about its own models and density.
    """

    def network(init, widths=(8,), **options):
        return {"name": "mlp", "widths": list(widths), "init": init, **options}

    half = {"name": "constant", "value": 0.5}
    models = [
        network("glorot_normal"),
        network({"name": "glorot_normal", "biases": "model"}),
        network("dct"),
        network(half),
        network("zeros"),
        network(half, dropout=0.5),
        network("zeros", widths=()),
        network("glorot_normal", widths=()),
    ]
    there = tmp_path_factory.mktemp("starts")
    file = campaign_file(
        there,
        name="starts",
        rounds=1,
        arms=["ticket", "repeat", "reorder", "reinit", "constant"],
        train={"steps": 20, "evaluate_every": 5},
        prune={"density": 0.5},
        store={"trained": "all", "units": True},
        sweep={"model": models},
        claim=_claims_about(models),
    )
    tickets.run(file, out=there / "starts")
    return there / "starts"


def _claims_about(models: list) -> list[dict]:
    """The claims of the campaigns about starts, as they are about networks of 8 units."""
    found = []
    for name in ("why_random", "fine_differences"):
        for claim in tomllib.loads((RUNS / f"{name}.toml").read_text())["claim"]:
            where = claim["where"]["model"]
            small = [_small(model) for model in (where if isinstance(where, list) else [where])]
            changed = {**claim, "where": {"model": [model for model in models if model in small]}}
            if isinstance(claim.get("against"), dict) and "model" in claim["against"]:
                changed["against"] = {**claim["against"], "model": _small(claim["against"]["model"])}
            if claim.get("density") == 0.2:
                changed["density"] = 0.5
            found.append(changed)
    return found


def _small(model: dict) -> dict:
    """The model in a small campaign that replaces one of those in `runs`."""
    init = {"kaiming_normal": "glorot_normal"}.get(str(model["init"]), model["init"])
    return {**model, "widths": [8] if model["widths"] else [], "init": init}


@pytest.fixture(scope="session")
def starts_saved(starts_folder):
    return tickets.load(starts_folder)
