"""The choice of how a stack is computed."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tickets.config import TrainConfig
from tickets.data import Examples
from tickets.errors import InputError
from tickets.stack.captured import Captured
from tickets.stack.chain import chain_of
from tickets.stack.convolutions import convolutions_met
from tickets.stack.execution import make_execution
from tickets.stack.feed import NetworkSeeds
from tickets.stack.jit import OFF, jit_is_off
from tickets.stack.layered import is_layered
from tickets.stack.memory import VECTOR_BYTES
from tickets.stack.networks import Stack
from tickets.stack.part import Part
from tickets.stack.plain import Plain
from tickets.stack.stepwise import Stepwise
from tickets.stack.vectorised import cannot_vectorise
from tickets.tasks import Task, is_plain_cross_entropy, task_of

STRATEGIES = ("layered", "sparse", "vectorised", "looped")
SPARSE_UP_TO = 0.5  # of `layered` networks, on processors other than those that `sparse` was measured on
IMAGES_UP_TO = 0.75  # of chains of convolutions, on those: dense ones are made for the processor
VECTOR = VECTOR_BYTES // 4  # examples that are computed at once; times the share of them that a batch has
PLANES_UP_TO = 0.4  # of other models with convolutions, on those; over the threads that a lane has
MEASURED = ("x86_64", "AMD64")  # platform.machine() of those
SPARSE_CHUNK = 2048  # examples at a time in an evaluation by `sparse`, which holds the activations of a few of them


@dataclass(frozen=True)
class Choice:
    """A strategy, why it was chosen, and how many parts of a stack train side by side; recorded in run.json.

    sparse_up_to: a stack whose networks all have at most this share of their multiplications left is trained by
    `sparse` instead; 0.0 for none.
    """

    strategy: str
    reason: str
    lanes: int
    sparse_up_to: float


def choose(
    module: nn.Module,
    input_shape: tuple[int, ...],
    device: torch.device,
    threads: int,
    wanted: str = "auto",
    precision: str = "float32",
    batch_size: int = 1,
    dtype: torch.dtype = torch.float32,
    draws: str | None = None,
    pruned: str = "zero",
    recipe: TrainConfig | None = None,
    targets: Tensor | None = None,
) -> Choice:
    """The strategy for a model on a device.

    pruned: what a pruned weight is; "initial" is not for `sparse`, which computes with surviving weights alone.
    input_shape, dtype: of an example. draws: why its networks must be trained one after the other, if so. recipe: whose
    loss it is, None: cross-entropy. targets: of some examples; None: classes.

    `layered` where the model is a chain of Linear, ReLU and Dropout layers: batched products without autograd. But
    `sparse` on a CPU where there is nothing but ReLU between them: by the surviving weights alone, at a cost that
    falls with the density, from the dense network on where the processor is an x86. On others, where nothing was
    measured, a matrix product may be far faster than any loop, and `sparse` takes over from density 0.5 on. Else
    `looped` where the model draws random numbers while it trains (each network needs its own), where vmap cannot run
    it, or where it has convolutions on a CPU (a stack of them becomes a grouped convolution, which is slower there than
    one network after the other). If that model is a chain of convolutions (see chain.py), `sparse` takes over once
    three quarters of its multiplications are left, on an x86; fewer in batches that are no multiple of VECTOR. If it is
    no chain, two fifths, for then its convolutions alone get cheaper, by the threads in a lane, of which they use one.
    Else `vectorised`, by torch.func.vmap. tests/benchmarks/test_strategies.py times what is chosen against the rest.

    On a CPU each thread is a lane of its own and trains its part of the stack alone: nothing waits for
    anything, where a kernel shared by all threads would wait for the slowest at every operation. A model that
    draws random numbers (PyTorch's, NumPy's or Python's) has one lane, for the generator that it draws from is shared.

    In bf16, which is autocast's, a chain is a model like any other; so is one with another loss than plain
    cross-entropy, whose gradient `layered` and `sparse` have written out for chains. `plain` is never chosen here: it
    is what is left where no other strategy does as a plain loop does (see guard.py). Where Numba compiles nothing
    (NUMBA_DISABLE_JIT), `sparse` is never chosen.

    Raises InputError if `wanted` names a strategy that this model cannot be computed by, or if the device has no such
    precision.
    """
    if precision == "tf32" and device.type == "cpu":
        raise InputError("train.precision = 'tf32': needs a GPU (--device cuda); a CPU has 'float32' and 'bf16'")
    if wanted == "plain":
        return Choice(wanted, "a plain loop over the module", 1, 0.0)
    if precision == "bf16" and wanted in ("layered", "sparse"):
        raise InputError(
            f"compute.strategy = {wanted!r}: computes in float32, not in train.precision = 'bf16'; use 'auto'"
        )
    task = None if recipe is None else task_of(recipe)
    plain = recipe is None or is_plain_cross_entropy(recipe)
    chain = is_layered(module) and precision != "bf16" and plain
    may_be_sparse = device.type == "cpu" and precision != "bf16" and not jit_is_off() and pruned == "zero"
    whole_chain = chain_of(module, input_shape) if may_be_sparse else None
    links = whole_chain if plain else None
    planes = may_be_sparse and not whole_chain and bool(convolutions_met(module, input_shape, dtype))
    images = any(link.kernel is not None for link in links or ())
    by_layers = chain and wanted in ("auto", "layered")  # where each network draws from a generator of its own
    obstacle = None if by_layers else draws or _not_by_vmap(module, input_shape, dtype, task, targets)
    convolutions = any(isinstance(layer, nn.modules.conv._ConvNd) for layer in module.modules())
    if wanted in ("layered", "sparse") and not plain and not (wanted == "sparse" and planes):
        raise InputError(
            f"compute.strategy = {wanted!r}: trains such a model by train.loss = 'cross_entropy' alone, without label "
            "smoothing or class weights; use 'auto'"
        )
    if wanted == "layered" and not chain:
        raise InputError(
            "compute.strategy = 'layered': the model must be an nn.Sequential of Flatten, Linear, ReLU and Dropout; "
            "use 'auto'"
        )
    if wanted == "sparse" and jit_is_off():
        raise InputError(f"compute.strategy = 'sparse': {OFF}, or use 'auto'")
    if wanted == "sparse" and pruned != "zero":
        raise InputError(
            "compute.strategy = 'sparse': computes with surviving weights alone, and pruned weights that keep their "
            "initial values (pruned = 'initial') are part of the network; use 'auto'"
        )
    if wanted == "sparse" and not (links or planes):
        raise InputError(
            "compute.strategy = 'sparse': the model must have Conv2d layers (without groups or dilation) or be an "
            "nn.Sequential of Linear layers with ReLU after each but the last, on a CPU; use 'auto'"
        )
    if wanted == "vectorised" and obstacle:
        raise InputError(
            f"compute.strategy = 'vectorised': torch.func.vmap cannot train this model ({obstacle}); use 'auto'"
        )
    if wanted != "auto":
        strategy, reason = wanted, "set by compute.strategy"
    elif links and not images and platform.machine() in MEASURED:
        strategy, reason = "sparse", "the model is a chain of Linear and ReLU layers, on an x86 CPU"
    elif chain:
        strategy, reason = "layered", "the model is a chain of Linear, ReLU and Dropout layers"
    elif obstacle:
        strategy, reason = "looped", draws or f"vmap cannot train this model: {obstacle}"
    elif device.type == "cpu" and convolutions:
        strategy, reason = "looped", "convolutions on a CPU"
    else:
        strategy, reason = "vectorised", "vmap trains this model"
    alone = device.type == "cpu" and not obstacle
    up_to = 0.0
    if wanted == "auto" and strategy != "sparse":
        if images or planes:
            of_planes = PLANES_UP_TO if alone else PLANES_UP_TO / threads
            filled = batch_size / (VECTOR * math.ceil(batch_size / VECTOR))
            most = of_planes if planes else IMAGES_UP_TO * filled
            up_to = most if platform.machine() in MEASURED else 0.0
        elif links:
            up_to = SPARSE_UP_TO
    return Choice(strategy, reason, threads if alone else 1, up_to)


def _not_by_vmap(
    module: nn.Module,
    input_shape: tuple[int, ...],
    dtype: torch.dtype,
    task: Task | None,
    targets: Tensor | None,
) -> str | None:
    if task is None:
        return cannot_vectorise(module, input_shape, dtype)
    return cannot_vectorise(module, input_shape, dtype, task.loss, targets)


def share_left(stack: Stack, pixels: Mapping[str, int]) -> float:
    """The largest share of its multiplications that a network of the stack has left.

    pixels: how often each weight is used for one example, by its tensor's name; default once. A tensor without a mask
    is whole.
    """
    trained = {name: tensor for name, tensor in stack.parameters.items() if tensor.dim() > 2}
    whole_layers = trained | {name: tensor for name, tensor in stack.buffers.items() if name in pixels}  # frozen ones
    held = {name: stack.masks.get(name) for name in whole_layers}
    uses = {name: tensor[0].numel() * pixels.get(name, 1) for name, tensor in whole_layers.items()}
    whole = sum(uses[name] for name, mask in held.items() if mask is None)
    left = [mask.flatten(1).sum(1) * pixels.get(name, 1) for name, mask in held.items() if mask is not None]
    most = int(torch.stack(left).sum(0).max()) if left else 0
    return (most + whole) / sum(uses.values()) if uses else 1.0


def begin(
    strategy: str,
    module: nn.Module,
    start: Stack,
    seeds: Sequence[NetworkSeeds],
    examples: Examples,
    recipe: TrainConfig,
    device: torch.device,
    build: Callable[[], nn.Module] | None = None,
) -> Part:
    """Networks of a template's architecture, made ready to train by the strategy with this name.

    build: makes the model anew, for `plain`.
    On a GPU their steps are recorded, where one does what the others do: `vectorised` models draw no random numbers.
    """
    if strategy == "sparse" and start.pruned_values:
        raise ValueError("`sparse` computes with surviving weights alone, so pruned weights must be 0")
    if strategy == "plain":
        assert build is not None
        return Plain(build, start, seeds, examples, recipe, device)
    if strategy == "sparse" and chain_of(module, examples.input_shape):
        from tickets.stack.sparse import Sparse  # its compiler takes half a second to import

        return Sparse(module, start, seeds, examples, recipe, device)
    steady = examples.augment is None and not any(isinstance(layer, nn.Dropout) for layer in module.modules())
    # A user's loss, and class weights, are copied to the GPU at every step, which cannot be recorded.
    steady = steady and ":" not in recipe.loss and not recipe.class_weights
    recorded = device.type == "cuda" and strategy in ("layered", "vectorised") and steady
    kind = Captured if recorded else Stepwise
    execution = make_execution(strategy, module, start.masks, task_of(recipe).loss)
    return kind(execution, start, seeds, examples, recipe, device)
