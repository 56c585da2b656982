"""Random augmentation of a batch of training images."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def flip_and_crop(batch: Tensor, generator: torch.Generator, padding: int = 4) -> Tensor:
    """Flip each image horizontally with probability 1/2, then crop it at random from a padded copy.

    The source is He et al. 2016, section 4.2. The offset of the crop is uniform over (2 * padding + 1)**2 places.

    Parameters
    ----------
    batch
        (b, channels, height, width), on any device.
    generator
        A CPU generator, the only source of random numbers, so that they do not depend on the device.
    padding
        The number of zeros added on every side. In a normalised image, 0 is the mean colour, not black.

    Returns
    -------
    Tensor
        The shape and device of `batch`.
    """
    count, channels, height, width = batch.shape
    flipped = torch.rand(count, generator=generator) < 0.5
    offsets = torch.randint(2 * padding + 1, (2, count), generator=generator)
    top, left = offsets.to(batch.device)

    # A single gather flips and crops: the padded rows of a flipped image are read backwards.
    padded_width = width + 2 * padding
    column = torch.arange(width, device=batch.device) + left[:, None]  # (b, width)
    column = torch.where(flipped.to(batch.device)[:, None], padded_width - 1 - column, column)
    row = torch.arange(height, device=batch.device) + top[:, None]  # (b, height)
    pixel = row[:, :, None] * padded_width + column[:, None, :]  # (b, height, width)
    padded = nn.functional.pad(batch, (padding, padding, padding, padding)).flatten(2)
    return padded.gather(2, pixel.reshape(count, 1, -1).expand(-1, channels, -1)).reshape(batch.shape)
