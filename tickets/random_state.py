"""The global random number generators: restored after other people's code has drawn from them, and seeded for it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def untouched_generators() -> Iterator[None]:
    """A block after which the global generators of Python, NumPy and PyTorch (CPU) are as they were before it."""
    python_state = random.getstate()
    numpy_state = np.random.get_state()
    torch_state = torch.default_generator.get_state()
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        torch.default_generator.set_state(torch_state)


def seed_generators(seed: int) -> None:
    """Seed the global generators of Python, NumPy and PyTorch (CPU). Call it inside `untouched_generators`.

    `torch.manual_seed` is not used: it would also seed the generators of every accelerator.

    Parameters
    ----------
    seed
        In [0, 2**63). PyTorch's CPU generator uses only its lower 32 bits.
    """
    random.seed(seed)
    np.random.seed([seed & 0xFFFFFFFF, seed >> 32])  # NumPy takes words of 32 bits
    torch.default_generator.manual_seed(seed)
