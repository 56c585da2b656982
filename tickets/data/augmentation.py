"""Random changes to a batch of training images."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def flip_and_crop(batch: Tensor, generator: torch.Generator, padding: int = 4) -> Tensor:
    """Each image flipped left to right with probability 1/2, then cropped at random from a padded copy.

    `batch` is (b, channels, height, width) on any device; so is the result, of the same shape. The padding
    is `padding` zeros on every side of the *normalised* image: the mean colour, not black. The offset of the
    crop is uniform over the (2 * padding + 1)**2 places. Random numbers come from `generator` (a CPU one)
    alone, so they do not depend on the device. Source: He et al. 2016, section 4.2.
    """
    count, channels, height, width = batch.shape
    flipped = torch.rand(count, generator=generator) < 0.5
    offsets = torch.randint(2 * padding + 1, (2, count), generator=generator)
    top, left = offsets.to(batch.device)

    # Flip and crop are one gather: a flipped image reads its padded row from the mirrored end.
    padded_width = width + 2 * padding
    column = torch.arange(width, device=batch.device) + left[:, None]  # (b, width)
    column = torch.where(flipped.to(batch.device)[:, None], padded_width - 1 - column, column)
    row = torch.arange(height, device=batch.device) + top[:, None]  # (b, height)
    pixel = row[:, :, None] * padded_width + column[:, None, :]  # (b, height, width)
    padded = nn.functional.pad(batch, (padding, padding, padding, padding)).flatten(2)
    return padded.gather(2, pixel.reshape(count, 1, -1).expand(-1, channels, -1)).reshape(batch.shape)
