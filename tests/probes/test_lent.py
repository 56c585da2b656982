"""Functions of the user's measure copies of the examples and the module: no write reaches the training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
import torch
from fitted_runs import source
from played_rounds import CPU, play, ready_to_play, round_of
from torch import Tensor

from tickets.errors import UserCodeError
from tickets.probes import Context, Networks, at_steps
from tickets.probes.lent import Lent
from tickets.ready import ReadyRun
from tickets.rounds import RoundResult

HERE = __name__


def rows(networks: Networks) -> list[dict[str, Any]]:
    return [{"network": 0, "x": 1.0}]


writing: list[bool] = []  # once the trial before training has been passed


def write_in_training(**options: Any) -> tuple[ReadyRun, Callable[[], RoundResult]]:
    """A run, and what trains its first round with probes that write."""
    writing.clear()
    ready = ready_to_play(**options)

    def train() -> RoundResult:
        writing.append(True)
        return round_of(ready)

    return ready, train


def by_numpy(networks: Networks):
    if writing:
        networks.examples.train_inputs.numpy()[:] = 0
    return rows(networks)


def by_data(networks: Networks):
    if writing:
        networks.examples.train_inputs.data.zero_()
    return rows(networks)


def by_context(networks: Networks):
    if writing:
        networks.context.examples.validation_labels.numpy()[0] += 1
    return rows(networks)


def in_place(networks: Networks):
    if writing:
        networks.examples.test_inputs.add_(0)
    return rows(networks)


for one in (by_numpy, by_data, by_context, in_place):
    globals()[f"{one.__name__}_at_steps"] = at_steps(lambda networks, called=one: called(networks))


@pytest.mark.parametrize("when", ["", "_at_steps"])
@pytest.mark.parametrize("write", ["by_numpy", "by_data", "by_context", "in_place"])
def test_a_write_to_the_examples_reaches_no_training_and_ends_the_round(write: str, when: str) -> None:
    ready, train = write_in_training(probes=[f"{HERE}:{write}{when}"])
    with pytest.raises(UserCodeError, match=rf"^probe '{HERE}:{write}{when}' \(round 0.*writes to networks.examples"):
        train()
    before, now = source().examples, ready.examples
    for name in ("train_inputs", "train_labels", "validation_labels", "test_inputs"):
        assert torch.equal(getattr(now, name), getattr(before, name))


def test_probes_at_steps_that_may_have_written_are_all_named() -> None:
    _, train = write_in_training(probes=[f"{HERE}:by_numpy_at_steps", f"{HERE}:freezes"])
    with pytest.raises(UserCodeError, match=rf"one of the probes '{HERE}:by_numpy_at_steps', '{HERE}:freezes' \(round"):
        train()


def lent_of(examples: Any) -> tuple[Lent, Context]:
    ready = ready_to_play()
    context = Context(ready.run, lambda: examples, ready.build, lambda: ready.fitted.anatomy, CPU, 8)
    return Lent(context), context


def test_the_calls_of_a_round_read_one_copy_which_is_made_if_one_reads_it() -> None:
    read: list[int] = []

    def examples() -> Any:
        read.append(1)
        return source().examples

    ready = ready_to_play()
    lent = Lent(Context(ready.run, examples, ready.build, lambda: ready.fitted.anatomy, CPU, 8))
    one, other = lent.context(), lent.context()
    lent.check_bits("nobody")
    assert not read
    first, second = one.examples.train_inputs, other.examples.train_inputs
    assert first.data_ptr() == second.data_ptr()
    first.requires_grad_()
    assert not other.examples.train_inputs.requires_grad


def test_numbers_that_are_nan_are_the_same_and_zeros_of_two_signs_are_not() -> None:
    examples = source().examples
    examples.train_inputs[0] = torch.nan
    examples.train_inputs[1] = 0.0
    lent, _ = lent_of(examples)
    copy = lent.context().examples.train_inputs
    lent.check_bits("nobody")
    copy.data[1] = -0.0
    with pytest.raises(UserCodeError, match=r"^somebody: writes to networks.examples"):
        lent.check_bits("somebody")


frozen: list[bool] = []


@at_steps
def freezes(networks: Networks):
    for module in (networks.template, networks.context.anatomy.module):
        frozen.append(all(parameter.requires_grad for parameter in module.parameters()))
        module.requires_grad_(False)
        module.added = torch.zeros(())
        module.extra_state = None
    return rows(networks)


def freezes_afterwards(networks: Networks):
    return freezes(networks)


@pytest.mark.parametrize("strategy", ["vectorised", "looped"])
def test_a_write_to_the_module_reaches_no_training_and_no_later_call(strategy: str) -> None:
    changed: dict[str, Any] = {"model": "fitted_runs:tanh_net", "compute": {"strategy": strategy}}
    frozen.clear()
    ready = ready_to_play(probes=[f"{HERE}:freezes", f"{HERE}:freezes_afterwards"], **changed)
    result, plain = round_of(ready), play(**changed)
    assert [parameter.requires_grad for parameter in ready.module.parameters()] == [True] * 4
    assert not hasattr(ready.module, "added")
    # The two are one module within a call, and another one at the next call.
    assert frozen == [True, False] * (len(frozen) // 2)
    pd.testing.assert_frame_equal(result.curves, plain.curves, check_exact=True)


def draws(networks: Networks):
    before = torch.get_rng_state()
    assert isinstance(next(networks.template.parameters()), Tensor)
    return [{"network": 0, "same": torch.equal(before, torch.get_rng_state())}]


def test_making_the_module_draws_nothing_that_the_probe_draws() -> None:
    (table,) = play(probes=[f"{HERE}:draws"]).tables.values()
    assert table["same"].all()
