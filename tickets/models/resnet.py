"""ResNet-20, the residual network for CIFAR-10 of He et al. 2016 (section 4.2, n = 3)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from tickets.errors import InputError


def resnet20(input_shape: Sequence[int], classes: int) -> nn.Module:
    """A 3x3 convolution, 3 stages of 3 blocks with 16, 32 and 64 channels, average pooling and a linear layer.

    The network has 272,474 parameters for 3x32x32 images and 10 classes. In the first block of stages 2 and 3, which
    halve height and width, the shortcut is a 1x1 convolution with batch normalisation (option B), as in Frankle &
    Carbin 2019. They do not prune these shortcuts: `prune.exclude = ["*shortcut*"]`.

    Parameters
    ----------
    input_shape
        The shape of one example, (channels, height, width).
    classes
        The number of outputs: logits are (b, classes).

    Raises
    ------
    InputError
        If `input_shape` does not have three dimensions.
    """
    shape = tuple(input_shape)
    if len(shape) != 3:
        raise InputError(
            f"model 'resnet20': the data has examples of shape {shape}; it needs images (channels, height, width)"
        )
    return _ResNet(shape[0], classes)


class _ResNet(nn.Module):
    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 16, kernel_size=3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.stage1 = _stage(16, 16, stride=1)
        self.stage2 = _stage(16, 32, stride=2)
        self.stage3 = _stage(32, 64, stride=2)
        self.output = nn.Linear(64, classes)

    def forward(self, images: Tensor) -> Tensor:
        hidden = nn.functional.relu(self.norm(self.conv(images)))  # (b, 16, h, w)
        hidden = self.stage3(self.stage2(self.stage1(hidden)))  # (b, 64, ceil(h / 4), ceil(w / 4))
        logits: Tensor = self.output(hidden.mean(dim=(2, 3)))
        return logits


def _stage(before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(_Block(before, after, stride), _Block(after, after, 1), _Block(after, after, 1))


class _Block(nn.Module):
    """Two 3x3 convolutions with batch normalisation, and a shortcut that is added to their result."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, kernel_size=3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, kernel_size=3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        self.shortcut = nn.Sequential()  # the identity
        if stride != 1 or before != after:
            self.shortcut.append(nn.Conv2d(before, after, kernel_size=1, stride=stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(after))

    def forward(self, images: Tensor) -> Tensor:
        hidden = nn.functional.relu(self.norm1(self.conv1(images)))
        return nn.functional.relu(self.norm2(self.conv2(hidden)) + self.shortcut(images))
