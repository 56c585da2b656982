"""A small made-up run, as the trainer would have it saved: a 3-4-2 network with two masked tensors."""

from __future__ import annotations

import builtins
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny_campaigns import EXAMPLE

from tickets.config.schema import Run
from tickets.store import (
    ArmRecord,
    RoundRecord,
    append_event,
    arm_options,
    cohort_folder,
    wanted_arms,
    write_initial,
    write_rewind,
    write_round,
    write_run,
)
from tickets.store.tables import CURVES, ROUNDS, UNITS

SHAPES = {"1.weight": (4, 3), "1.bias": (4,), "3.weight": (2, 4), "3.bias": (2,)}
PRUNABLE = ("1.weight", "3.weight")


class Example:
    """What a run of the example network holds, by replicate, round, arm and draw: always the same."""

    def __init__(self, run_id: str = "digits-mlp-example") -> None:
        self.run_id = run_id

    def named(self, run_id: str) -> Example:
        return Example(run_id)

    def config(self, **changes: Any) -> Run:
        table = {key: value for key, value in EXAMPLE.items() if key != "train"}
        return Run.model_validate({**table, **changes})

    def theta0(self, replicate: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng([replicate, 1])
        return {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}

    def rewound(self, replicate: int) -> dict[str, np.ndarray]:
        return {name: values + np.float32(0.25) for name, values in self.theta0(replicate).items()}

    def mask(self, replicate: int, number: int) -> dict[str, np.ndarray]:
        """Each round prunes three weights of the first tensor and one of the second, in a fixed order."""
        rng = np.random.default_rng([replicate, 2])
        masks = {}
        for name, goes in zip(PRUNABLE, (3, 1), strict=True):
            mask = np.ones(SHAPES[name], dtype=np.bool_)
            mask.flat[rng.permutation(mask.size)[: goes * number]] = False
            masks[name] = mask
        return masks

    def arm(self, run: Run, replicate: int, number: int, arm: str, draw: int) -> ArmRecord:
        rng = np.random.default_rng([replicate, number, len(arm), draw])
        mask = self.mask(replicate, number)
        if arm.startswith("random_mask"):
            mask = {name: rng.permutation(kept.ravel()).reshape(kept.shape) for name, kept in mask.items()}
        # The dense network starts at step 0, whatever the rewind step.
        values = self.rewound(replicate) if run.rewind.step and number else self.theta0(replicate)
        if arm not in ("ticket", "random_mask"):
            values = {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}
        initial = {name: value * mask[name] if name in mask else value for name, value in values.items()}
        kept = run.store.trained == "all" or (run.store.trained == "ticket" and arm == "ticket")
        return ArmRecord(replicate, arm, draw, mask, initial, {n: 2 * v for n, v in initial.items()} if kept else None)

    def tables(self, run: Run, arms: Sequence[ArmRecord], number: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        rounds, curves = [], []
        for record in arms:
            density = sum(int(m.sum()) for m in record.mask.values()) / 20
            key = {"run": self.run_id, "replicate": record.replicate, "round": number, "density": density}
            key.update({"arm": record.arm, "draw": record.draw})
            # One training diverges: replicate 1's constant network in the last round.
            diverged = (record.replicate, record.arm, number) == (1, "constant", run.rounds)
            accuracy = np.nan if diverged else 0.9 - 0.1 * number
            for step in (100, 0):  # the reader puts them in order
                curves.append({**key, "step": step, **dict.fromkeys(CURVES.names[7:], accuracy)})
            rounds.append({**key, **dict.fromkeys(ROUNDS.names[6:], accuracy), "diverged": diverged, "seconds": 1.5})
        return pd.DataFrame(curves), pd.DataFrame(rounds)

    def units(self, curves: pd.DataFrame) -> pd.DataFrame:
        """A row for each of `curves`: the network has one hidden layer."""
        keys = curves[UNITS.names[:7]]
        numbers = dict.fromkeys(UNITS.names[9:], 0.25)
        return keys.assign(layer="1", width=4, **numbers)

    def record(
        self, run: Run, replicates: Iterable[int], number: int, part: int, pairs: Iterable[tuple[str, int]]
    ) -> RoundRecord:
        replicates = tuple(replicates)
        arms = [self.arm(run, replicate, number, *pair) for replicate in replicates for pair in pairs]
        curves, rounds = self.tables(run, arms, number)
        return RoundRecord(
            number=number,
            part=part,
            replicates=replicates,
            arms=arms,
            repeated=frozenset(arm.name for arm in run.arms if arm.draws > 1),
            curves=curves,
            rounds=rounds,
            tables={probe.table: self.units(curves) for probe in run.every_probe},
            probes={probe.table: {"name": probe.name, "options": probe.options} for probe in run.every_probe},
            next_masks={r: self.mask(r, number + 1) for r in replicates} if part == 0 else None,
            extra={"arm_options": arm_options(run.arms)},
        )

    def write_cohort(self, folder: Path, run: Run, replicates: Sequence[int], index: int = 0, rounds: int = 3) -> Path:
        cohort = cohort_folder(folder, index)
        folder.mkdir(parents=True, exist_ok=True)  # as write_run leaves it
        write_initial(cohort, {r: self.theta0(r) for r in replicates})
        if run.rewind.step:
            state = {
                r: {
                    "1.weight/exp_avg": np.full((4, 3), r, np.float32),
                    "1.weight/exp_avg_sq": np.full((4, 3), r, np.float32),
                    "1.weight/step": np.array(7, np.float32),
                }
                for r in replicates
            }
            write_rewind(cohort, {r: self.rewound(r) for r in replicates}, state)
        for number in range(rounds):
            write_round(cohort, self.record(run, replicates, number, 0, wanted_arms(run)))
            append_event(folder / "log.jsonl", {"event": "round", "cohort": index, "round": number, "part": 0})
        return cohort

    def write(self, folder: Path, run: Run | None = None) -> Path:
        """A whole run in `folder`; returns it."""
        run = run or self.config()
        data = {"sha256": "0" * 64, "input_shape": [3], "classes": 2}
        config = run.model_dump(mode="json")
        write_run(folder, self.run_id, config, data, {"torch": "2.6.0"}, {"strategy": "looped"})
        self.write_cohort(folder, run, range(run.replicates), rounds=run.rounds + 1)
        return folder


@pytest.fixture(scope="session")
def example() -> Example:
    return Example()


@pytest.fixture
def saved_run(example: Example, tmp_path: Path) -> Path:
    """The folder of the example's run, whole, in a campaign folder."""
    return example.write(tmp_path / "campaign" / example.run_id)


@pytest.fixture(scope="module")
def template(example: Example, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that rewinds, with a part added later; the tests damage copies of it."""
    folder = tmp_path_factory.mktemp("verify") / "campaign" / example.run_id
    run = example.config(rewind={"step": 7}, store={"trained": "all"})
    example.write(folder, run)
    more = example.config(arms=["ticket", {"name": "random_mask", "draws": 2}], rewind={"step": 7})
    write_round(folder / "cohort-000", example.record(more, [0, 1], 1, 1, [("random_mask", 1)]))
    return folder.parent


@pytest.fixture
def campaign(template: Path, tmp_path: Path) -> Path:
    return shutil.copytree(template, tmp_path / "campaign")


@pytest.fixture
def cohort(campaign: Path, example: Example) -> Path:
    return campaign / example.run_id / "cohort-000"


@pytest.fixture
def failing() -> Callable[..., AbstractContextManager[list[int]]]:
    """A context in which a function raises at its n-th call (0: never); gives [the count of calls]."""

    @contextmanager
    def fail(target: object, name: str, n: int, error: BaseException) -> Iterator[list[int]]:
        real = getattr(target, name, None) or getattr(builtins, name)
        calls = [0]

        def wrapped(*args: Any, **options: Any) -> Any:
            calls[0] += 1
            if calls[0] == n:
                raise error
            return real(*args, **options)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(target, name, wrapped, raising=False)
            yield calls

    return fail
