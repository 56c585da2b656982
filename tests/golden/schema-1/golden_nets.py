"""A model as a user would write it; a saved run of schema 1 names it."""

from torch import Tensor, nn


class Convolutional(nn.Module):
    """A convolution with batch normalisation, then a linear classifier."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, channels, 3, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.classifier = nn.Linear(9 * channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        """(b, 8, 8) or (b, 64) images to (b, classes) logits."""
        hidden = self.norm(self.convolution(images.reshape(-1, 1, 8, 8))).relu()
        return self.classifier(hidden.flatten(1))


def convolutional(channels: int, classes: int) -> nn.Module:
    """The network for 8x8 images."""
    return Convolutional(channels, classes)
