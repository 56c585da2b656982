"""Probes that are refused, most of them before training."""

from __future__ import annotations

from typing import Any

import pytest
from fitted_runs import fitted
from played_rounds import play

from tickets.errors import InputError, UserCodeError
from tickets.probes import Networks, at_steps

HERE = __name__


def lengths(networks: Networks):
    for index in range(len(networks)):
        yield {"network": index, "length": float(networks.values["1.weight"][index].norm())}


def fails(networks: Networks):
    raise KeyError("oops")


def exits(networks: Networks):
    raise SystemExit(3)


def other_columns(networks: Networks):
    return [{"network": 0, "x" if networks.round else "y": 1.0}]


def no_diverged(networks: Networks):
    if not networks.finite.all():
        raise ArithmeticError("nan")
    return [{"network": 0, "x": 1.0}]


def needs_option(networks: Networks, size: int):
    return []


def takes_nothing():
    return []


def writes_to_examples(networks: Networks):
    networks.examples.train_inputs.add_(1)
    return []


def asks_for_trained(networks: Networks):
    if networks.round:
        networks.earlier(0)
    return []


@at_steps
def carries_a_list(networks: Networks):
    networks.carry["x"] = [1]
    return []


@pytest.mark.parametrize(
    ("probe", "message"),
    [
        (
            f"{HERE}:fails",
            r"probe '.*:fails' fails \(tried on initial values, before any training: round 0, step 4\): KeyError: 'oo",
        ),
        (f"{HERE}:exits", r"probe '.*:exits' fails \(tried on initial values.*\): SystemExit: 3"),
        (f"{HERE}:other_columns", r"its columns are not the same at each call: \(y: number\) and \(x: number\)"),
        (
            f"{HERE}:no_diverged",
            r"one network diverged\): ArithmeticError: nan .*give NaN for them \(networks.finite says which\)",
        ),
        (f"{HERE}:needs_option", "probes.size: .*needs this option"),
        ({"name": f"{HERE}:lengths", "sise": 1}, "probes.sise = 1: .*has no such option"),
        (f"{HERE}:takes_nothing", "takes_nothing' fails"),
        (f"{HERE}:writes_to_examples", "writes to networks.examples; write to a clone of them"),
        (f"{HERE}:carries_a_list", r"networks.carry\['x'\] is a list, must be a tensor"),
        (f"{HERE}:nowhere", "has no function 'nowhere'"),
    ],
)
def test_a_wrong_probe_is_refused_before_training(probe: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fitted(probes=[probe])


def test_trained_values_of_earlier_rounds_must_be_saved() -> None:
    fitted(probes=[f"{HERE}:asks_for_trained"])
    with pytest.raises(
        UserCodeError, match=r"asks for trained values of round 0, and none are saved; set store\.trained"
    ):
        fitted(probes=[f"{HERE}:asks_for_trained"], store={"trained": "none"})


def test_every_wrong_probe_is_told_at_once_beside_other_problems() -> None:
    with pytest.raises(InputError) as caught:
        fitted(probes=[f"{HERE}:nowhere", {"name": f"{HERE}:lengths", "a": 1}], train={"batch_size": 900, "steps": 4})
    assert len(caught.value.problems) == 3


late: list[int] = []


@at_steps
def fails_late(networks: Networks):
    late.append(1)
    if len(late) > 10:
        return [{"network": 0, "y": 1}]
    return [{"network": 0, "x": 1}]


def test_columns_that_change_while_it_trains_are_refused_then() -> None:
    late.clear()
    with pytest.raises(UserCodeError, match=r"not the same in the trial before training and in round 0: \(x: number\)"):
        play(probes=[f"{HERE}:fails_late"], train={"steps": 12, "batch_size": 8, "evaluate_every": 1})
