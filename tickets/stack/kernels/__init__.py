"""Training steps of one sparse network, compiled by Numba."""

from tickets.stack.kernels.compiled import SEVERAL, VECTOR_BYTES
from tickets.stack.kernels.steps import Images, Room, lay_out, logits_of, take_steps
from tickets.stack.kernels.update import ADAM, ADAMW, SGD

__all__ = [
    "ADAM",
    "ADAMW",
    "SEVERAL",
    "SGD",
    "VECTOR_BYTES",
    "Images",
    "Room",
    "lay_out",
    "logits_of",
    "take_steps",
]
