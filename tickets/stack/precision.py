"""The precision of matrix products and convolutions: float32, TF32 or bfloat16. Weights are float32 in each case."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch


@contextmanager
def products(precision: str) -> Iterator[None]:
    """Compute float32 matrix products and convolutions in float32, or in TF32, within the block.

    It is a setting of the whole process. It is also needed for float32, since cuDNN's default is TF32.
    """
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def lowered(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Autocast to bfloat16 in this thread if `precision` is "bf16", without a cache of parameter copies."""
    if precision != "bf16":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16, cache_enabled=False)
