"""Other people's code draws from the global random number generators; these leave no trace of that."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def untouched_generators() -> Iterator[None]:
    """Python's, numpy's and torch's global (CPU) generators come out as they went in, whatever draws."""
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
    """Seed the same three generators; to be called inside `untouched_generators`.

    `seed` is in [0, 2**63); torch's CPU generator heeds only its lower 32 bits. Not torch.manual_seed: that
    would also seed the generators of every accelerator.
    """
    random.seed(seed)
    np.random.seed([seed & 0xFFFFFFFF, seed >> 32])  # numpy takes words of 32 bits
    torch.default_generator.manual_seed(seed)
