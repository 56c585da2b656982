from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tickets.data.augmentation import flip_and_crop


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbered(count: int, height: int = 6, width: int = 5) -> Tensor:
    """Images whose pixels are all different and none of them 0."""
    return torch.arange(1.0, 1 + count * 2 * height * width).reshape(count, 2, height, width)


def one_by_one(image: Tensor, flipped: bool, top: int, left: int, padding: int) -> Tensor:
    """The same, said for one image with torch's plainest operations."""
    channels, height, width = image.shape
    padded = torch.zeros(channels, height + 2 * padding, width + 2 * padding)
    padded[:, padding : padding + height, padding : padding + width] = image.flip(-1) if flipped else image
    return padded[:, top : top + height, left : left + width]


@pytest.mark.parametrize("padding", [0, 1, 4])
def test_it_is_a_flip_and_a_crop_of_each_image(padding: int) -> None:
    images = numbered(40)
    changed = flip_and_crop(images, seeded(0), padding)
    generator = seeded(0)
    flips = torch.rand(40, generator=generator) < 0.5
    tops, lefts = torch.randint(2 * padding + 1, (2, 40), generator=generator)
    for image, result, flip, top, left in zip(images, changed, flips, tops, lefts, strict=True):
        assert torch.equal(result, one_by_one(image, bool(flip), int(top), int(left), padding))


def test_every_flip_and_offset_comes_equally_often() -> None:
    image = numbered(1)
    count, padding = 18_000, 1
    changed = flip_and_crop(image.expand(count, -1, -1, -1), seeded(1), padding)
    frequency = [
        int((changed == one_by_one(image[0], flip, top, left, padding)).all(dim=(1, 2, 3)).sum())
        for flip in (False, True)
        for top in range(3)
        for left in range(3)
    ]
    assert sum(frequency) == count
    assert all(850 < found < 1150 for found in frequency)  # 1,000 each, standard deviation 31


def test_the_generator_alone_decides() -> None:
    images = numbered(16)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = flip_and_crop(images, seeded(2))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(7)
    assert torch.equal(flip_and_crop(images, seeded(2)), first)
    assert not torch.equal(flip_and_crop(images, seeded(3)), first)


def test_the_batch_is_left_as_it_was() -> None:
    images = numbered(4)
    copy = images.clone()
    flip_and_crop(images, seeded(0)).zero_()
    assert torch.equal(images, copy)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_device_does_not_matter() -> None:
    images = numbered(16)
    assert torch.equal(flip_and_crop(images.cuda(), seeded(2)).cpu(), flip_and_crop(images, seeded(2)))
