"""Networks whose masks are learned, as a shard that `tickets.stack.training.train` trains."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from tickets.config import TrainConfig
from tickets.data import Examples
from tickets.learned.execution import MaskLearning
from tickets.learned.learning import Learning
from tickets.random_state import seed_generators, untouched_generators
from tickets.seeds import stream
from tickets.stack.attributes import changed_in, kept_elsewhere
from tickets.stack.evaluation import Logits, evaluate
from tickets.stack.feed import NetworkSeeds
from tickets.stack.looped import Looped
from tickets.stack.networks import Stack, Tensors, stack_networks
from tickets.stack.shard import Shard, Stopped, UnsaveableError
from tickets.stack.stepwise import Stepwise
from tickets.stack.strategies import strategy_named
from tickets.stack.training import Between
from tickets.stack.trees import Tree
from tickets.stack.vectorised import Vectorised
from tickets.stack.workload import Workload
from tickets.tasks import Task

SCORE = "score"  # the optimizer state of a stack that holds the scores before training


class LearnedMasks:
    """See Shard. The scores are trained like parameters, and all parameters of the networks stay as they are."""

    def __init__(
        self,
        module: nn.Module,
        vectorises: bool,
        learning: Learning,
        workload: Workload,
        start: Stack,
        seeds: Sequence[NetworkSeeds],
        examples: Examples,
        own_module: bool = False,
    ) -> None:
        """Parameters
        ----------
        module
            Of the networks' architecture, for their own use.
        vectorises
            Whether the gradients are computed by vmap instead of one network after the other.
        learning
            How the masks are learned.
        workload, start, seeds, examples
            As for `Strategy.begin`; for `start` see `start_stack`.
        own_module
            Whether the module may keep something of a network outside of its parameters and buffers.
        """
        device, scores = workload.device, start.optimizer[SCORE]
        self._start, self._networks, self._step = start, len(start), start.step
        self._noise = [one.noise for one in seeds]
        fixed = {name: start.parameters[name].to(device, copy=True) for name in scores}
        counts = {name: start.masks[name].flatten(1).sum(1) for name in scores}
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(name in scores)
        loss = workload.task.loss
        execution = Vectorised(module, loss) if vectorises else Looped(module, loss)
        self._module = execution.module if own_module else None
        self._began_with = kept_elsewhere(execution.module) if own_module else {}
        saved = [stream(noise, "supermask_saved") for noise in self._noise]
        self._learning = MaskLearning(execution, fixed, counts, learning, saved)
        unlearned = {name: tensor for name, tensor in start.parameters.items() if name not in scores}
        inner = Stack(scores, {**unlearned, **start.buffers}, {}, {}, start.step)
        self._stepwise = Stepwise(self._learning, inner, seeds, examples, workload.recipe, device)
        self._scores = {name: tensor for name, tensor in self._stepwise.parameters().items() if name in scores}
        # With all weights or none there is one mask, and without buffers no step can change anything.
        free = any(bool((count % start.masks[name][0].numel() != 0).any()) for name, count in counts.items())
        self._changes = free or any(True for _ in module.buffers())

    def advance(self, first: int, last: int, tick: Callable[[int], None], stopped: Stopped) -> int:
        """See Shard.advance."""
        if self._changes:
            self._step = self._stepwise.advance(first, last, tick, stopped)
        else:
            tick((last - first) * self._networks)
            self._step = last
        return self._step

    def logits(self, x: Tensor) -> Tensor:
        """See Shard.logits: of the networks with the masks that would be saved now."""
        return self._stepwise.logits(x)

    def sampled_logits(self, number: int) -> Logits:
        """As `logits`, with sample `number` of the masks at this step."""
        seeds = [stream(noise, "supermask_sample", self._step, number) for noise in self._noise]
        fixed = {name: tensor for name, tensor in self._stepwise.parameters().items() if name not in self._scores}
        return self._learning.sampled_logits(self._scores, fixed, seeds)

    def parameters(self) -> Tensors:
        """See Shard.parameters: the weights that the masks leave, and everything else as it is."""
        weights, _ = self._learning.exact(self._scores)
        return {**self._stepwise.parameters(), **weights}

    def standing(self, step: int) -> Stack:
        """See Shard.standing: the networks with their masks, and without the scores."""
        values, (_, masks) = self.parameters(), self._learning.exact(self._scores)
        return Stack(
            parameters={name: values[name] for name in self._start.parameters},
            buffers={name: values[name] for name in self._start.buffers},
            masks=masks,
            optimizer={},
            step=step,
        ).to(torch.device("cpu"))

    def state(self) -> Tree:
        """See Shard.state: of the scores, and of what is trained beside them."""
        now = {} if self._module is None else kept_elsewhere(self._module)
        if changed := changed_in([self._began_with, now]):
            raise UnsaveableError(
                f"{', '.join(changed)} of the model changes as it trains, and is neither a parameter nor a buffer"
            )
        return self._stepwise.state()

    def restore(self, state: Tree, step: int) -> None:
        """See Shard.restore."""
        self._stepwise.restore(state, step)
        self._step = step


def mean_of_samples(learning: Learning | None) -> Between | None:
    """How networks whose masks are learned are evaluated at the steps in between; None for by the masks of the step.

    Losses and accuracies are the means over `learning.samples` Bernoulli samples of the masks (Zhou et al. 2019).
    """
    if learning is None or learning.samples == 0:
        return None
    samples = learning.samples

    def between(task: Task, networks: Shard, examples: Examples, chunk: int) -> Tensor:
        assert isinstance(networks, LearnedMasks)
        rows = [evaluate(task, networks.sampled_logits(number), examples, chunk) for number in range(samples)]
        return torch.stack(rows).mean(0)

    return between


def start_stack(
    values: Sequence[Mapping[str, Tensor]],
    masks: Sequence[Mapping[str, Tensor]],
    scores: Sequence[Mapping[str, Tensor]],
    parameters: Sequence[str],
    step: int,
) -> Stack:
    """The stack of networks whose masks are to be learned, before training.

    Parameters
    ----------
    values
        Every parameter and buffer of each network, by name; of the weights those that a mask leaves out too.
    masks
        The masks that the scores give before training. Only their counts matter.
    scores
        The scores before training, by prunable tensor.
    parameters
        The names of the model's trained parameters.
    step
        The first training step.

    Returns
    -------
    Stack
        With whole weights, and with the scores as the optimizer state `SCORE`.
    """
    whole = [{name: torch.ones_like(mask) for name, mask in own.items()} for own in masks]
    stack = stack_networks(values, whole, parameters, step=step)
    return replace(
        stack,
        masks={name: torch.stack([own[name] for own in masks]) for name in masks[0]},
        optimizer={SCORE: {name: torch.stack([own[name] for own in scores]) for name in scores[0]}},
    )


def begin_learned(
    own_modules: bool,
    learning: Learning,
    strategy: str,
    workload: Workload,
    start: Stack,
    seeds: Sequence[NetworkSeeds],
    examples: Examples,
    recipe: TrainConfig,
    device: torch.device,
) -> Shard:
    """Networks made ready to learn their masks; without scores, networks that have learned them, to be evaluated.

    Parameters
    ----------
    own_modules
        Whether the shard computes with a new module of the user's function instead of a copy of the template.
    learning
        How the masks are learned.
    strategy
        "looped" or "vectorised".
    workload, start, seeds, examples, recipe, device
        As for `tickets.stack.strategies.begin`.
    """
    workload = replace(workload, recipe=recipe, device=device)
    if SCORE not in start.optimizer:
        return strategy_named(strategy).begin(workload, start, seeds, examples)
    if own_modules:
        with untouched_generators():
            seed_generators(0)
            module = workload.build().to(device)
    else:
        module = copy.deepcopy(workload.anatomy.module)
    return LearnedMasks(module, strategy == "vectorised", learning, workload, start, seeds, examples, own_modules)
