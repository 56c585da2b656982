"""Every model must work as a stack: functional_call under vmap, in training mode, with all gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap
from torch.nn.functional import cross_entropy

from tickets.models.conv import conv2, conv4, conv6
from tickets.models.mlp import lenet_300_100, mlp
from tickets.models.resnet import resnet20

STACK, BATCH, CLASSES = 3, 4, 5
SMALL = (2, 8, 8)

MODELS: dict[str, Callable[[], nn.Module]] = {
    "mlp": lambda: mlp((12,), CLASSES, [8, 6]),
    "lenet_300_100": lambda: lenet_300_100(SMALL, CLASSES),
    "conv2": lambda: conv2(SMALL, CLASSES),
    "conv4": lambda: conv4(SMALL, CLASSES),
    "conv6": lambda: conv6(SMALL, CLASSES),
    "resnet20": lambda: resnet20(SMALL, CLASSES),
}


def stacked(modules: list[nn.Module]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    parameters = [dict(module.named_parameters()) for module in modules]
    buffers = [dict(module.named_buffers()) for module in modules]
    return (
        {name: torch.stack([each[name].detach() for each in parameters]) for name in parameters[0]},
        {name: torch.stack([each[name] for each in buffers]).clone() for name in buffers[0]},
    )


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small only wait for the threads, long on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", MODELS)
def test_a_stack_computes_what_each_network_does(name: str) -> None:
    torch.manual_seed(0)
    modules = [MODELS[name]().train() for _ in range(STACK)]
    parameters, buffers = stacked(modules)
    inputs = torch.randn(STACK, BATCH, *((12,) if name == "mlp" else SMALL))
    labels = torch.randint(CLASSES, (STACK, BATCH))

    def loss(weights: dict[str, Tensor], state: dict[str, Tensor], batch: Tensor, wanted: Tensor) -> Tensor:
        return cross_entropy(functional_call(modules[0], (weights, state), (batch,)), wanted)

    gradients, losses = vmap(grad_and_value(loss))(parameters, buffers, inputs, labels)
    for index, module in enumerate(modules):
        alone = cross_entropy(module(inputs[index]), labels[index])
        alone.backward()
        assert torch.allclose(losses[index], alone, rtol=1e-4, atol=1e-5)
        for key, parameter in module.named_parameters():
            assert parameter.grad is not None
            assert torch.allclose(gradients[key][index], parameter.grad, rtol=1e-3, atol=1e-4), key
        for (
            key,
            buffer,
        ) in module.named_buffers():  # updated in place, in the stack, for each network by itself
            assert torch.allclose(buffers[key][index], buffer, rtol=1e-4, atol=1e-5), key
    if name == "resnet20":
        assert buffers["norm.num_batches_tracked"].tolist() == [1] * STACK
        assert not torch.equal(buffers["norm.running_mean"][0], buffers["norm.running_mean"][1])


def test_dropout_is_each_networks_own_under_vmap() -> None:
    torch.manual_seed(0)
    module = conv2(SMALL, CLASSES, dropout=0.5).train()
    parameters, _ = stacked([module] * STACK)
    inputs = torch.randn(BATCH, *SMALL)

    def forward(weights: dict[str, Tensor]) -> Tensor:
        return functional_call(module, weights, (inputs,))

    outputs = vmap(forward, randomness="different")(parameters)
    assert not torch.allclose(outputs[0], outputs[1])
    module.eval()
    outputs = vmap(forward)(parameters)
    assert torch.allclose(outputs[0], outputs[1])
