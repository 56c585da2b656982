"""`sparse`: by the surviving weights alone, so that a step costs what its density does.

Two ways: a chain by compiled kernels from end to end (stack/sparse.py), and the convolutions of any other model, the
rest of which is computed as `looped` computes it (stack/pruned.py).
"""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence

from tickets.data import Examples
from tickets.stack.chain import Chain
from tickets.stack.feed import NetworkSeeds
from tickets.stack.jit import OFF, jit_is_off
from tickets.stack.looped import Looped
from tickets.stack.memory import Bytes
from tickets.stack.networks import Stack
from tickets.stack.planes import lay_out_planes
from tickets.stack.rows import lay_out_chain
from tickets.stack.shard import Shard
from tickets.stack.stepwise import Stepwise, stepwise_bytes
from tickets.stack.strategies.strategy import Preference, Strategy
from tickets.stack.workload import ONLY_PLAIN_LOSS, Workload

# Shares of the multiplications left up to which it is the fastest, measured on x86 processors.
IMAGES_UP_TO = 0.75  # of a chain of convolutions, times the share of whole vectors that a batch fills
PLANES_UP_TO = 0.4  # of other models with convolutions, over the threads of a lane, of which it uses one
# On other processors a matrix product may be far faster than any loop; there it is an estimate, for vectors alone.
SPARSE_UP_TO = 0.5
MEASURED = ("x86_64", "AMD64")  # platform.machine() of those that were measured

EVALUATED = 2048  # examples at a time in an evaluation by kernels, which hold the activations of a tile of them only

VECTOR_BYTES = 64  # of a row of what the kernels work in for one vector of examples
VECTOR = VECTOR_BYTES // 4  # examples in a vector
TILE_BYTES = 256  # of a row of what they work in for a tile: a unit of a network, at one pixel
EDGE = 24  # bytes of a surviving weight: value, two moments, source, and for the way back source and place
WIRED = 48  # bytes of a surviving weight besides while the wiring is made; later its gradient and its value going back


class SparseStrategy(Strategy):
    """Preferred to all others for a chain of Linear layers on an x86 CPU, from the dense network on.

    Elsewhere it takes over as the density falls: a chain of convolutions at IMAGES_UP_TO, for dense convolutions are
    what processors are made for; other models at PLANES_UP_TO, for their convolutions alone get cheaper.

    Evidence: tests/benchmarks/test_density.py, and test_strategies.py at densities 0.5 and 0.1.
    """

    has_kernels = True

    def obstacle(self, workload: Workload) -> str | None:
        """See Strategy."""
        if workload.recipe.precision == "bf16":
            return "computes in float32, not in train.precision = 'bf16'"
        if jit_is_off():
            return OFF
        if workload.pruned != "zero":
            return (
                "computes with the surviving weights alone, and pruned weights that keep their initial values "
                "(pruned = 'initial' or 'zero_if_shrunk') are part of the network"
            )
        if workload.anatomy.kernel_chain and not workload.has_plain_loss:
            return ONLY_PLAIN_LOSS
        if not workload.on_cpu or not (workload.anatomy.kernel_chain or workload.anatomy.convolutions):
            return (
                "the model must have Conv2d layers (without groups or dilation) or be an nn.Sequential of Linear "
                "layers with ReLU after each but the last, on a CPU"
            )
        return None

    def preference(self, workload: Workload) -> Preference:
        """See Strategy."""
        chain, measured = workload.anatomy.kernel_chain, platform.machine() in MEASURED
        if chain is None:
            lane_threads = workload.threads / workload.lanes
            return Preference(PLANES_UP_TO / lane_threads if measured else 0.0, "the model has convolutions")
        if not chain.linear:
            batch_size = workload.recipe.batch_size
            filled = batch_size / (VECTOR * math.ceil(batch_size / VECTOR))
            return Preference(IMAGES_UP_TO * filled if measured else 0.0, "the model is a chain of convolutions")
        if not measured:
            return Preference(SPARSE_UP_TO, "the model is a chain of Linear and ReLU layers")
        return Preference(1.0, "the model is a chain of Linear and ReLU layers, on an x86 CPU")

    def lanes(self, workload: Workload) -> int:
        """A chain draws no random numbers, so that each thread of the CPU is a lane."""
        return workload.threads if workload.anatomy.kernel_chain else workload.lanes

    def chunk(self, workload: Workload, networks: int) -> int:
        """See Strategy."""
        return super().chunk(workload, networks) if workload.anatomy.has_images else EVALUATED

    def bytes(self, workload: Workload, left: float = 1.0) -> Bytes:
        """EDGE bytes per surviving weight, plus WIRED during set-up; full tensors are created on demand."""
        chain = workload.anatomy.kernel_chain
        if chain is None:
            return _plane_bytes(workload)
        return _vector_bytes(workload, left) if chain.linear else _image_bytes(workload, chain)

    def begin(self, workload: Workload, start: Stack, seeds: Sequence[NetworkSeeds], examples: Examples) -> Shard:
        """See Strategy. Raises ValueError if pruned weights are to be anything but 0."""
        if start.pruned_values:
            raise ValueError("`sparse` computes with the surviving weights alone, so that pruned weights must be 0")
        recipe, device, chain = workload.recipe, workload.device, workload.anatomy.kernel_chain
        if chain is None:
            execution = Looped(workload.anatomy.module, workload.task.loss, start.masks)
            return Stepwise(execution, start, seeds, examples, recipe, device)
        from tickets.stack.sparse import Sparse  # its compiler takes half a second to import

        return Sparse(chain.links, start, seeds, examples, recipe, device)


def _vector_bytes(workload: Workload, left: float) -> Bytes:
    """Of a chain of Linear layers; a batch's activations are counted for each network, as for the other strategies."""
    sizes = workload.sizes
    others = (sizes.parameters - sizes.weights) * sizes.masks // sizes.weights  # as many bytes a number
    surviving = math.ceil(left * sizes.masks) + others
    return Bytes(EDGE * surviving + sizes.parameters + workload.batch_activations, WIRED * surviving)


def _image_bytes(workload: Workload, chain: Chain) -> Bytes:
    """Of a chain with convolutions; each lane has room for a tile.

    All weights are counted, whatever their share of the multiplications: weights that are used once for an example may
    all be left at a small share.
    """
    sizes, layout = workload.sizes, lay_out_chain(chain.links)
    numbers = sizes.parameters * sizes.masks // sizes.weights
    flat = 2 * (layout.flat_rows + layout.output_rows)
    room = (layout.given_rows + layout.image_rows + layout.chosen_rows + flat) * TILE_BYTES
    room += (layout.line_rows + layout.image_slope_rows + layout.back_rows) * VECTOR_BYTES
    return Bytes(EDGE * numbers + sizes.parameters, WIRED * numbers + room)


def _plane_bytes(workload: Workload) -> Bytes:
    """Of other models: as `looped`, the edges of each network, and each lane's room for planes."""
    sizes = workload.sizes
    itemsize = sizes.weights // sizes.masks
    uses = {use for all_uses in workload.anatomy.convolutions.values() for use in all_uses}
    rooms = sum(itemsize * lay_out_planes(use.convolution, use.image, itemsize).numbers for use in uses)
    each = stepwise_bytes(sizes) + workload.batch_inputs + EDGE * sizes.masks
    return Bytes(each, 2 * workload.batch_activations + rooms)
