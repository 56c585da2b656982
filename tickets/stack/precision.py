"""How precisely products are computed: as float32 is, or as a GPU does faster. Weights are float32 in either case."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch


@contextmanager
def products(precision: str) -> Iterator[None]:
    """float32 products of matrices and in convolutions as they are, or in TF32: set for the whole process meanwhile.

    cuDNN's own default is TF32, whatever its name says.
    """
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def lowered(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Operations that bfloat16 is enough for, in bfloat16, in this thread; of parameters no copies are kept."""
    if precision != "bf16":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16, cache_enabled=False)
