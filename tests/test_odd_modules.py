"""Modules that a shortcut might train as another network: every strategy against a plain torch.optim loop over each."""

from __future__ import annotations

import pytest
from made_workloads import workload
from odd_campaigns import BATCH, STEPS, assert_as_plain, campaign, net, run
from odd_modules import FLAT, TRAINED
from torch import nn

from tickets.config import Campaign
from tickets.errors import InputError
from tickets.stack.strategies import choose

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    # Of two modules: PyTorch's own old weight_norm, and its old checkpoint on inputs without a gradient.
    pytest.mark.filterwarnings(
        "ignore:.*weight_norm:FutureWarning", "ignore:None of the inputs have requires_grad:UserWarning"
    ),
]


@pytest.mark.parametrize("which", TRAINED)
def test_it_trains_as_written(which: str, tmp_path) -> None:
    shape = TRAINED[which][1]
    saved = run(campaign(which, shape=shape), tmp_path)
    assert_as_plain(saved, which, shape, ("ticket", "reinit"), 2)


@pytest.mark.torture
@pytest.mark.parametrize("strategy", ["layered", "sparse", "vectorised", "looped"])
@pytest.mark.parametrize("which", TRAINED)
def test_it_trains_as_written_by_every_strategy_that_takes_it(which: str, strategy: str, tmp_path) -> None:
    shape = TRAINED[which][1]
    wanted = campaign(which, strategy, shape, replicates=1, arms=["ticket"])
    if refused(wanted):
        with pytest.raises(InputError, match=r"compute\.strategy"):
            run(wanted, tmp_path)
        assert not (tmp_path / "out").exists()
        return
    assert_as_plain(run(wanted, tmp_path), which, shape, ("ticket",), 1)


def refused(wanted: Campaign) -> bool:
    """Whether the strategy is not for this model."""
    one = wanted.runs[0]
    try:
        choose(workload(net(one.model.options["which"]), one.data.options["shape"]), one.compute.strategy)
    except InputError:
        return True
    return False


def test_a_hook_of_every_module_is_heard(tmp_path) -> None:
    handle = nn.modules.module.register_module_forward_hook(
        lambda module, inputs, output: output * 1.5 if isinstance(module, nn.Linear) else None
    )
    try:
        saved = run(campaign("one ReLU twice"), tmp_path)
        assert_as_plain(saved, "one ReLU twice", FLAT, ("ticket",), 1)
    finally:
        handle.remove()


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
@pytest.mark.parametrize(
    "which",
    ["a frozen layer", "a layer that nothing reaches", "a layer that is sometimes reached", "scalar parameters"],
)
def test_it_trains_as_written_by_other_optimizers(which: str, optimizer: str, tmp_path) -> None:
    train = {"optimizer": optimizer, "learning_rate": 0.01, "weight_decay": 0.1, "batch_size": BATCH, "steps": STEPS}
    saved = run(campaign(which, train=train), tmp_path)
    assert_as_plain(saved, which, FLAT, ("ticket", "reinit"), 2)
