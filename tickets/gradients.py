"""Gradients of a network's loss on given examples, for any module that the user wrote.

Each evaluation builds a module of its own, gives it the values, and discards it: nothing that a forward pass writes,
to buffers, plain attributes or its inputs, reaches the next evaluation or the network that is trained.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from tickets.evaluator import Batch, Evaluation
from tickets.process_state import standard_state
from tickets.random_state import seed_generators
from tickets.seeds import stream
from tickets.stack.looped import generators, seed_noise
from tickets.stack.precision import products

Tensors = Mapping[str, Tensor]


def objective_value(how: Evaluation, values: Tensors) -> float:
    """The objective's mean over the batch, at the given values of every parameter and buffer."""
    with _computing(how.device):
        losses = [share * float(_loss(how, module, batch).detach()) for module, batch, share in _pieces(how, values)]
    return math.fsum(losses)


def outputs(how: Evaluation, values: Tensors) -> Tensor:
    """(n, outputs): what the network computes for the batch, on the CPU."""
    with _computing(how.device), torch.no_grad():
        return torch.cat([module(batch.inputs).cpu() for module, batch, _ in _pieces(how, values)])


def gradients(how: Evaluation, values: Tensors, names: Collection[str]) -> dict[str, Tensor]:
    """The gradient of the objective's mean by some of the parameters, on the CPU.

    Parameters
    ----------
    how
        How the network is evaluated.
    values
        Every parameter and buffer, by name.
    names
        The parameters, by name. Those that the objective does not depend on have the gradient 0.
    """
    total: dict[str, Tensor] = {}
    with _computing(how.device):
        for module, batch, share in _pieces(how, values):
            parameters = _named(module, names)
            loss = _loss(how, module, batch)
            if loss.requires_grad:
                loss.backward()
            found = {name: parameter.grad for name, parameter in parameters.items()}
            _add(total, found, parameters, share)
    return total


def hessian_product(how: Evaluation, values: Tensors, direction: Tensors) -> dict[str, Tensor]:
    """The Hessian of the objective's mean by some of the parameters, times a vector; on the CPU.

    Parameters
    ----------
    how
        How the network is evaluated.
    values
        Every parameter and buffer, by name.
    direction
        The vector: a tensor of its shape for each of the parameters. The derivatives by all others are not in the
        Hessian.
    """
    total: dict[str, Tensor] = {}
    # Fused kernels of attention and recurrent layers have no second derivative.
    with _computing(how.device, fused=False), sdpa_kernel(SDPBackend.MATH):
        for module, batch, share in _pieces(how, values):
            parameters = _named(module, direction)
            first = _derivatives(_loss(how, module, batch), parameters, create_graph=True)
            products = [
                (gradient * direction[name].to(gradient.device, gradient.dtype)).sum()
                for name, gradient in first.items()
                if gradient is not None
            ]
            second = _derivatives(torch.stack(products).sum(), parameters) if products else {}
            _add(total, second, parameters, share)
    return total


def module_at(build: Callable[[], nn.Module], values: Tensors, dtype: torch.dtype | None = None) -> nn.Module:
    """A new module with copies of the given values of every parameter and buffer, on their device."""
    seed_generators(0)
    device = next(iter(values.values())).device
    module = build().to(device=device, dtype=dtype)
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        tensor.data = values[name].to(tensor.dtype).clone()
    return module


def matching(given: object, wanted: Tensors, called: str) -> dict[str, Tensor]:
    """The given tensors, detached and on the CPU, in the order of `wanted`.

    Parameters
    ----------
    given
        Tensors by name.
    wanted
        Tensors with the names and shapes that the given ones must have.
    called
        The method and its parameter, for errors.

    Raises
    ------
    ValueError
        If names are missing or unknown, or if a shape differs.
    """
    if not isinstance(given, Mapping):
        raise ValueError(f"{called}: must be tensors by name, not a {type(given).__name__}")
    missing, unknown = [name for name in wanted if name not in given], [name for name in given if name not in wanted]
    if missing or unknown:
        found = [f"without {', '.join(missing)}"] if missing else []
        found += [f"with the unknown {', '.join(map(str, unknown))}"] if unknown else []
        raise ValueError(
            f"{called}: {' and '.join(found)}; must have exactly {', '.join(wanted)} (to change some of them: "
            "{**candidate.values.trained, ...})"
        )
    for name, tensor in wanted.items():
        one = given[name]
        if not isinstance(one, Tensor) or one.shape != tensor.shape:
            shown = f"of shape {tuple(one.shape)}" if isinstance(one, Tensor) else f"a {type(one).__name__}"
            raise ValueError(f"{called}: {name} is {shown}; must be a tensor of shape {tuple(tensor.shape)}")
    return {name: given[name].detach().cpu() for name in wanted}


@contextmanager
def _computing(device: torch.device, *, fused: bool = True) -> Iterator[None]:
    """PyTorch's standard settings, one thread, float32 products in full, and cuDNN's deterministic kernels."""
    cudnn = torch.backends.cudnn
    before = cudnn.enabled, cudnn.deterministic, cudnn.benchmark
    with standard_state(), generators(device), products("float32"):
        torch.set_num_threads(1)  # several share a sum out differently; the standard state restores the number
        cudnn.enabled, cudnn.deterministic, cudnn.benchmark = before[0] and fused, True, False
        try:
            yield
        finally:
            cudnn.enabled, cudnn.deterministic, cudnn.benchmark = before


def _pieces(how: Evaluation, values: Tensors) -> Iterator[tuple[nn.Module, Batch, float]]:
    """Yields a new module, a copy of a piece of the batch, and the piece's share of the examples."""
    count = len(how.batch)
    pieces = math.ceil(count / how.piece)
    placed = {name: value.detach().to(how.device) for name, value in values.items()}
    split = zip(how.batch.inputs.tensor_split(pieces), how.batch.targets.tensor_split(pieces), strict=True)
    for number, (inputs, targets) in enumerate(split):
        torch.set_default_dtype(torch.float32)  # the piece before may have set another
        module = module_at(how.build, placed, how.dtype).train(how.training)
        if how.dtype is not None:
            torch.set_default_dtype(how.dtype)  # of tensors that a forward pass makes
            inputs, targets = _converted(inputs, how.dtype), _converted(targets, how.dtype)
        seed_noise(stream(how.noise, number), how.device)
        yield module, Batch(inputs.to(how.device, copy=True), targets.to(how.device, copy=True)), len(inputs) / count


def _converted(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _loss(how: Evaluation, module: nn.Module, batch: Batch) -> Tensor:
    loss: object = how.objective(module(batch.inputs), batch.targets)
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        found = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else f"a {type(loss).__name__}"
        raise ValueError(f"objective returned {found}; it must return a tensor of one number, a mean over the examples")
    return loss.reshape(())


def _named(module: nn.Module, names: Collection[str]) -> dict[str, nn.Parameter]:
    return {name: parameter for name, parameter in module.named_parameters() if name in names}


def _derivatives(
    loss: Tensor, parameters: Mapping[str, nn.Parameter], create_graph: bool = False
) -> dict[str, Tensor | None]:
    if not loss.requires_grad:
        return {}
    found = torch.autograd.grad(loss, list(parameters.values()), create_graph=create_graph, allow_unused=True)
    return dict(zip(parameters, found, strict=True))


def _add(
    total: dict[str, Tensor], found: Mapping[str, Tensor | None], like: Mapping[str, nn.Parameter], share: float
) -> None:
    """Add a piece's share to the totals; a parameter without a derivative has the derivative 0."""
    for name, parameter in like.items():
        derivative = found.get(name)
        if derivative is None:
            derivative = torch.zeros_like(parameter)
        dense = derivative.detach().to_dense() if derivative.is_sparse else derivative.detach()
        weighted = (dense if share == 1 else dense * share).cpu()
        total[name] = total[name] + weighted if name in total else weighted
