"""What runs in the processes of an executor: modules that changed, orders that are over, what a listener is to hear."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from played_executors import Instant

import tickets
from tickets.campaign import run_campaign
from tickets.errors import InputError
from tickets.executor_process import Order, Report, _Heard, this_process, train_for
from tickets.listener import Note, Steps

NET = """
import torch
def net():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
"""


def test_a_process_with_an_old_module_is_refused(campaign_file, module, tmp_path):
    name = module("nets", NET)
    file = campaign_file(tmp_path, rounds=0, replicates=1, model=f"{name}:net")
    executor = Instant()
    tickets.run(file, out=tmp_path / "one", executor=executor)
    tickets.run(file, out=tmp_path / "two", executor=executor)
    with (tmp_path / "modules" / f"{name}.py").open("a") as text:
        text.write("# changed\n")
    why = rf"executor: process {os.getpid()} on .* imported module '{name}' before its file was changed; start new proc"
    with pytest.raises(InputError, match=why):
        tickets.run(file, out=tmp_path / "three", executor=executor)


def test_a_module_that_is_edited_while_a_campaign_trains_does_not_stop_it(campaign_file, module, tmp_path):
    name = module("nets", NET)

    def edits(work, order):
        with (tmp_path / "modules" / f"{name}.py").open("a") as text:
            text.write("# changed\n")
        return train_for(work, order)

    file = campaign_file(tmp_path, rounds=0, replicates=1, model=f"{name}:net", sweep={"seed": [0, 1, 2]})
    tickets.run(file, out=tmp_path / "out", executor=Instant(edits))


def test_an_order_that_is_over_trains_nothing(campaign_file, tmp_path):
    (tmp_path / "stop").touch()
    assert train_for(None, Order(tmp_path / "stop", 0, this_process())) == Report(stopped=True)


def test_a_user_codes_interrupt_in_another_process_fails_its_run_alone(campaign_file, module, tmp_path):
    source = NET.replace("def net():", "def net():\n    import threading\n    if threading.current_thread() is not "
                         "threading.main_thread():\n        raise KeyboardInterrupt('of its own')")  # fmt: skip
    file = campaign_file(tmp_path, rounds=0, replicates=1, model=f"{module('nets', source)}:net")
    with ThreadPoolExecutor(1) as executor:
        outcome = run_campaign(
            file, out=tmp_path / "out", data=None, settings=(), device="cpu", workers=1, executor=executor,
            listener=lambda event: None,
        )  # fmt: skip
    (why,) = outcome.failed.values()
    assert why.startswith("KeyboardInterrupt: of its own")


def test_steps_are_gathered(tmp_path):
    heard = _Heard(Order(tmp_path / "stop", 0, this_process()))
    for event in [Steps(3), Steps(4), Note("a"), Steps(5), Steps(-5), Steps(1)]:
        heard(event)
    assert heard.events == (Steps(7), Note("a"), Steps(1))
