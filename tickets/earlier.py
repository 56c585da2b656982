"""Runs that began before strategies were compared with a plain loop: whether their rounds are of the same network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from tickets.errors import InputError
from tickets.fitting import Fitted
from tickets.planning import Plan
from tickets.process_state import standard_state
from tickets.random_state import untouched_generators
from tickets.stack.buffers import BuffersOf

ONCE_EACH = frozenset({"layered", "sparse"})  # the earlier version's strategies that computed each layer once


@standard_state()
def check_earlier(folder: Path, fitted: Fitted, plan: Plan, found: Plan) -> None:
    """Check that the rounds of a run were trained as the network that its model's code describes.

    Parameters
    ----------
    folder
        The run's folder.
    fitted
        The run.
    plan
        The plan that it began with.
    found
        The plan whose strategy trains this model as a plain loop does now.

    Raises
    ------
    InputError
        If the earlier version trained another network, with each difference.
    """
    reasons = list(_trained_otherwise(fitted, plan))
    if (plan.strategy, plan.takes_over) != (found.strategy, found.takes_over):
        passed_over = found.compared["passed_over"] if found.compared else ()
        reasons.append(f"it does not train as a plain PyTorch loop does ({'; '.join(passed_over)})")
    if reasons:
        raise InputError(
            f"{folder}: its rounds were trained by an earlier version, and not as the model is written: "
            f"{'; '.join(reasons)}; train it anew in another folder (--out)"
        )


def _trained_otherwise(fitted: Fitted, plan: Plan) -> Iterator[str]:
    """Each way in which the earlier version trained another network than the one that is written."""
    module = fitted.module
    frozen = [name for name, _ in module.named_parameters() if name not in fitted.trained]
    if frozen:
        yield f"the frozen parameters {', '.join(frozen)} were trained and pruned"
    layers = [id(layer) for layer in module._modules.values()] if type(module) is nn.Sequential else []
    if len(set(layers)) < len(layers) and not ONCE_EACH.isdisjoint(plan.strategies):
        yield "a layer that occurs more than once was computed once"
    replaced = _replaced(fitted)
    if replaced:
        yield f"the tensors that the model assigns to its buffers {', '.join(replaced)} were lost"
    if fitted.run.train.weight_decay > 0 and (unreached := _unreached(fitted)):
        yield f"weight decay changed {', '.join(unreached)}, which no loss reaches"


def _replaced(fitted: Fitted) -> list[str]:
    """The buffers that the model replaces by another tensor while it trains (self.m = ...)."""
    with untouched_generators():
        module = fitted.build().train()
        buffers = BuffersOf(module)
        with torch.no_grad():
            module(fitted.source.examples.train_inputs[: fitted.run.train.batch_size].clone())
    return list(buffers.replaced())


def _unreached(fitted: Fitted) -> list[str]:
    """The trained parameters that the loss of a first batch does not depend on."""
    examples, count = fitted.source.examples, fitted.run.train.batch_size
    with untouched_generators():
        module = fitted.build().train()
        outputs = module(examples.train_inputs[:count].clone())  # a model may write to its inputs
        # The only loss of that version.
        nn.functional.cross_entropy(outputs, examples.train_labels[:count]).backward()
    parameters = module.named_parameters()
    return [name for name, parameter in parameters if parameter.requires_grad and parameter.grad is None]
