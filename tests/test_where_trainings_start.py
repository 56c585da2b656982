"""The step at which each arm's training starts, and how many steps its values were trained before."""

from __future__ import annotations

from typing import Any

from fitted_runs import source

from tickets.arms import Start
from tickets.catalogue import ARMS
from tickets.config import parse_run
from tickets.fitting import Fitted, fit
from tickets.roles import arm_starts


def fitted(model: str, arms: tuple[Any, ...], **changes: Any) -> Fitted:
    table = {"name": "t", "data": "digits", "model": model, "arms": ["ticket", *arms]}
    return fit(parse_run({**table, **changes}), source())


def trained_values(origin: Any, mask: Any) -> Any:
    return Start(origin.trained)


def test_the_steps_that_values_were_trained_are_recognised() -> None:
    own = {"name": "fine", "values": f"{__name__}:trained_values"}
    zero = ({"name": "repeat", "start": 0}, {"name": "reinit", "label": "full", "start": 0})
    arms = ("reinit", "shuffle", "random_mask", *zero, own)
    changes: dict[str, Any] = {"train": {"batch_size": 8, "steps": 100}, "rewind": {"step": 30}}
    trial = fitted("mlp", arms, **changes).trial
    found = {label: (one.step, one.continues, one.before, one.steps) for label, one in trial.starts.items()}
    assert found == {
        "ticket": (30, True, 30, 70),
        "reinit": (30, False, 0, 70),
        "shuffle": (30, False, 0, 70),
        "random_mask": (30, True, 30, 70),
        "repeat": (0, False, 30, 100),
        "full": (0, False, 0, 100),
        "fine": (0, False, 100, 100),
    }
    assert {start.dense_steps for start in trial.starts.values()} == {100}
    assert [label for label, arm in trial.arms.items() if arm.reads_trained] == ["fine"]


def test_the_catalogues_starts_are_those_that_old_runs_are_judged_by() -> None:
    arms = tuple(name for name in ARMS if name != "ticket") + tuple(
        {"name": name, "label": f"{name}_0", "start": 0}
        for name, arm in ARMS.items()
        if name != "ticket" and not arm.learned
    )
    arms += tuple({"name": name, "label": f"{name}_own", "train": {"steps": 120}} for name in ARMS if name != "ticket")
    kinds: tuple[dict[str, Any], ...] = (
        {"rewind": {"step": 0}},
        {"rewind": {"step": 30}},
        {"rewind": {"kind": "learning_rate", "step": 30}},
        {"rewind": {"kind": "none"}, "fine_tune": {"steps": 40}},
    )
    for kind in kinds:
        one = fitted("mlp", arms, train={"batch_size": 8, "steps": 100}, **kind)
        assert one.trial.starts == arm_starts({"config": one.run.model_dump(mode="json")})
