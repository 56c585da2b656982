"""The optimizer's step over a whole stack: PyTorch's own fused optimizers, whose arithmetic is element by element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from tickets.config import TrainConfig
from tickets.stack.networks import Tensors, Unreached
from tickets.stack.torch_optimizers import SGD, Adam, AdamW
from tickets.stack.trees import MisfitError, Tree, given, tensors_like


def state_names(recipe: TrainConfig) -> tuple[str, ...]:
    """The states that the recipe's optimizer keeps of each parameter, by torch.optim's names."""
    if recipe.optimizer == "sgd":
        return ("momentum_buffer",) if recipe.momentum else ()
    return ("exp_avg", "exp_avg_sq", "step")


def make_optimizer(
    recipe: TrainConfig, parameters: Mapping[str, Tensor], state: Mapping[str, Mapping[str, Tensor]]
) -> torch.optim.Optimizer:
    """torch.optim's fused SGD, Adam or AdamW over stacked parameters, going on from `state` where there is some.

    parameters: leaves, (R, *shape). state: as `Stack.optimizer`; the tensors are taken over, not copied. Every
    network of a stack has taken the same number of steps.
    """
    leaves = list(parameters.values())
    optimizer: torch.optim.Optimizer
    if recipe.optimizer == "sgd":
        optimizer = SGD(
            leaves,
            recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            fused=True,
        )
    else:
        kind = {"adam": Adam, "adamw": AdamW}[recipe.optimizer]
        on_gpu = leaves[0].is_cuda  # there a step may be recorded, and counts steps in the GPU's memory
        optimizer = kind(leaves, recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True, capturable=on_gpu)
    for name, parameter in parameters.items():
        for key, tensors in state.items():
            if name in tensors:
                optimizer.state[parameter][key] = tensors[name][0].clone() if key == "step" else tensors[name]
    return optimizer


def take_step(optimizer: torch.optim.Optimizer) -> None:
    """Take a step by the parameters' gradients, some of which a loss may reach for the first time.

    torch's fused SGD takes the momentum buffers of all these parameters or of none. A buffer of zeros gives what no
    buffer does: its first value is the gradient.
    """
    for group in optimizer.param_groups:
        if group.get("momentum"):
            reached = [parameter for parameter in group["params"] if parameter.grad is not None]
            new = [parameter for parameter in reached if optimizer.state[parameter].get("momentum_buffer") is None]
            for parameter in new if len(new) < len(reached) else ():
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter.grad)
    optimizer.step()


def optimizer_state(optimizer: torch.optim.Optimizer, parameters: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The optimizer's state as `Stack.optimizer` holds it; tensors are the live ones, the step count per network."""
    state: dict[str, dict[str, Tensor]] = {}
    for name, parameter in parameters.items():
        for key, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                state.setdefault(key, {})[name] = value.expand(len(parameter)).clone() if key == "step" else value
    return state


def own_states(optimizer: torch.optim.Optimizer, parameters: Mapping[str, Tensor]) -> dict[str, Tensors]:
    """The optimizer's states as it has them, by parameter and state; {} for a parameter that no loss has reached."""
    return {
        name: {key: value for key, value in optimizer.state.get(parameter, {}).items() if isinstance(value, Tensor)}
        for name, parameter in parameters.items()
    }


def fitting_states(recipe: TrainConfig, parameters: Mapping[str, Tensor], states: Tree) -> dict[str, Tensors]:
    """What `own_states` gave. Raises MisfitError if it is not of these parameters."""
    found, names = {}, state_names(recipe)
    for name, own in zip(parameters, given(states, *parameters), strict=True):
        shapes = {key: () if key == "step" else parameters[name].shape for key in names}
        like = {key: parameters[name].new_empty(shape, device="cpu") for key, shape in shapes.items()}
        if "step" in like:
            like["step"] = like["step"].float()
        fitting = tensors_like(own, like) if own else {}
        found[name] = {key: fitting[key] for key in own}  # in the optimizer's order
    return found


def put_states(
    optimizer: torch.optim.Optimizer, parameters: Mapping[str, Tensor], states: Mapping[str, Tensors]
) -> None:
    """Have an optimizer that has taken no step go on from copies of `own_states`."""
    with torch.no_grad():
        for name, own in states.items():
            if own:
                optimizer.state[parameters[name]] = _state_of(optimizer, parameters[name], own)


def _state_of(optimizer: torch.optim.Optimizer, parameter: Tensor, own: Tensors) -> dict[str, Tensor]:
    # A plain optimizer counts its steps on the CPU, one that is fused or recorded beside the parameter.
    beside = any(optimizer.defaults.get(option) for option in ("fused", "capturable"))
    count = parameter.device if beside else torch.device("cpu")
    return {key: value.to(count if key == "step" else parameter.device, copy=True) for key, value in own.items()}


class OnePerNetwork:
    """An optimizer for each network of a stack, where the losses of some reach a parameter and those of others do not.

    torch.optim leaves a parameter without a gradient as it is, and does not count the step for it; so the networks of
    a stack no longer have one number of steps.
    """

    def __init__(
        self,
        recipe: TrainConfig,
        parameters: Mapping[str, Tensor],
        state: Mapping[str, Mapping[str, Tensor]],
        networks: Sequence[int],
    ) -> None:
        """As make_optimizer; networks: of the stack, all of them, in order."""
        self._recipe, self._parameters = recipe, parameters
        self._leaves = [
            {name: parameter.detach()[index].requires_grad_() for name, parameter in parameters.items()}
            for index in networks
        ]
        self._optimizers = []
        for index, leaves in enumerate(self._leaves):
            here = slice(index, index + 1)
            own = {
                key: {name: tensor[here] if key == "step" else tensor[index] for name, tensor in tensors.items()}
                for key, tensors in state.items()
            }
            self._optimizers.append(make_optimizer(recipe, leaves, own))

    def step(self, unreached: Unreached, rate: float) -> None:
        """Take a step by the gradients of the stack's parameters."""
        for index, (leaves, optimizer) in enumerate(zip(self._leaves, self._optimizers, strict=True)):
            for name, leaf in leaves.items():
                gradient = self._parameters[name].grad
                reached = gradient is not None and index not in unreached.get(name, ())
                leaf.grad = gradient[index] if gradient is not None and reached else None
            set_learning_rate(optimizer, rate)
            take_step(optimizer)

    def state(self) -> dict[str, dict[str, Tensor]]:
        """As `Stack.optimizer` holds it."""
        return stack_states(self._optimizers, self._leaves)

    def own_states(self) -> list[dict[str, Tensors]]:
        """Each network's `own_states`."""
        return [own_states(*pair) for pair in zip(self._optimizers, self._leaves, strict=True)]

    def restore(self, states: Tree) -> None:
        """Go on from what `own_states` gave. Raises MisfitError, and changes nothing, if it is not of these."""
        if not isinstance(states, list) or len(states) != len(self._leaves):
            raise MisfitError(f"must be the states of {len(self._leaves)} optimizers")
        fitting = [fitting_states(self._recipe, *pair) for pair in zip(self._leaves, states, strict=True)]
        for optimizer, leaves, own in zip(self._optimizers, self._leaves, fitting, strict=True):
            put_states(optimizer, leaves, own)


def stack_states(
    optimizers: Sequence[torch.optim.Optimizer], parameters: Sequence[Mapping[str, Tensor]]
) -> dict[str, dict[str, Tensor]]:
    """As `Stack.optimizer` holds them, the states of an optimizer a network, over its own parameters by name.

    Zeros, as before a first step, for a network in which no loss has reached the parameter.
    """
    states: dict[str, dict[str, Tensor]] = {}
    for index, (optimizer, own) in enumerate(zip(optimizers, parameters, strict=True)):
        for name, parameter in own.items():
            for key, value in optimizer.state.get(parameter, {}).items():
                if isinstance(value, Tensor):
                    of = states.setdefault(key, {})
                    if name not in of:
                        of[name] = value.new_zeros(len(optimizers), *value.shape)
                    of[name][index] = value
    return states


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The rate of the next step, for every parameter; where it is a tensor, in the same memory."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
