"""The probe `sharpness`: the largest eigenvalue of the Hessian of the training loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigsh
from torch import Tensor

from tickets.config.types import CountFromOne, FractionBelowOne, one_of
from tickets.errors import InputError
from tickets.evaluator import Batch, Evaluation
from tickets.gradients import hessian_product
from tickets.probes.chosen import bytes_at_once, chosen_examples, examples_at_once
from tickets.probes.networks import Networks
from tickets.probes.probe import working_memory
from tickets.random_state import untouched_generators
from tickets.stack.anatomy import Anatomy
from tickets.stack.looped import EVALUATION_SEED
from tickets.users_code import one_line

VECTORS = 20  # that Lanczos keeps, as ARPACK recommends for one eigenvalue
COPIES = 6  # of the activations: forward and backward, and the same of the gradient
FEW = 40  # coordinates up to which the whole matrix is computed, column by column

Vector = np.ndarray[Any, np.dtype[np.float64]]


def sharpness_bytes(anatomy: Anatomy) -> int:
    """Bytes that measuring one network takes: the vectors of Lanczos in float64, and a piece's second derivatives."""
    parameters = sum(parameter.numel() for parameter in anatomy.module.parameters())
    return 8 * (VECTORS + 6) * parameters + bytes_at_once(anatomy, COPIES)


@working_memory(sharpness_bytes, one_by_one=True)
def sharpness(
    networks: Networks,
    examples: CountFromOne = 1000,
    of: Annotated[str, one_of("choice", ("trained", "weights"))] = "trained",
    iterations: CountFromOne = 100,
    tolerance: FractionBelowOne = 1e-4,
) -> pd.DataFrame:
    """Measure the largest eigenvalue of the training loss's Hessian after training: a row for each network.

    | column | meaning |
    | --- | --- |
    | coordinates | the number of parameters that the Hessian is of |
    | sharpness | its largest eigenvalue (the largest, not the one of largest magnitude), in units of the loss |
    | converged | whether it was found within the tolerance |
    | products | the products of the Hessian and a vector that were computed |

    The loss is the run's training loss, without weight decay, in float32, on the same training examples for all
    networks, in evaluation mode: no dropout, and batch normalisation by its running statistics. Pruned weights are no
    coordinates: the Hessian is of what training can move. Gradient descent with learning rate r is stable there as long
    as the sharpness is below 2 / r.

    The eigenvalue is found by Lanczos iteration with restarts (ARPACK), from a random vector that is a function of the
    network's labels. `sharpness` is NaN if that has not converged, or if the network has a value that is not finite.

    Parameters
    ----------
    networks
        The networks.
    examples
        The number of training examples; all, if there are no more.
    of
        "trained" for all trained parameters but pruned weights; "weights" for the surviving weights of prunable tensors
        alone.
    iterations
        The most restarts, each of up to 20 products.
    tolerance
        The relative accuracy of the eigenvalue.

    Raises
    ------
    InputError
        If the model or the loss has no second derivative.

    Source: Cohen, Kaur, Li, Kolter & Talwalkar (2021), "Gradient Descent on Neural Networks Typically Occurs at the
    Edge of Stability"; Lehoucq, Sorensen & Yang (1998), "ARPACK Users' Guide".
    """
    inputs, targets = chosen_examples(networks, examples)
    how = Evaluation(
        build=networks.context.build,
        batch=Batch(inputs, targets),
        objective=networks.loss,
        training=False,
        dtype=None,
        piece=examples_at_once(networks.context.anatomy, COPIES),
        noise=EVALUATION_SEED,
        device=networks.device,
    )
    finite = networks.finite.tolist()
    trained = networks.context.anatomy.trained
    rows = []
    for index in range(len(networks)):
        names = [name for name in trained if of == "trained" or name in networks.masks]
        hessian = _Hessian(
            how, {name: value[index] for name, value in networks.values.items()}, _kept(networks, index, names)
        )
        found, converged = math.nan, False
        if finite[index] and hessian.size:
            start = torch.randn(hessian.size, generator=networks.generator(index), dtype=torch.float64).numpy()
            found, converged = largest_eigenvalue(hessian.product, hessian.size, start, iterations, tolerance)
        row = {"coordinates": hessian.size, "sharpness": found, "converged": converged, "products": hessian.products}
        rows.append({"network": index, **row})
    return pd.DataFrame(rows)


def largest_eigenvalue(
    product: Callable[[Vector], Vector], size: int, start: Vector, iterations: int, tolerance: float
) -> tuple[float, bool]:
    """The algebraically largest eigenvalue of a symmetric matrix, and whether it was found within the tolerance.

    Parameters
    ----------
    product
        The matrix times a vector, (size,) float64.
    size
        The number of rows, at least 1.
    start
        The first vector, not 0.
    iterations
        The most restarts.
    tolerance
        The relative accuracy; 0 for that of float64.

    Returns
    -------
    float
        NaN if it was not found.
    bool
    """
    if size <= FEW:
        whole = np.stack([product(column) for column in np.eye(size)], axis=1)
        if not np.isfinite(whole).all():
            return math.nan, False
        return float(np.linalg.eigvalsh((whole + whole.T) / 2)[-1]), True
    operator = LinearOperator((size, size), matvec=lambda vector: product(vector.ravel()), dtype=np.float64)
    options: dict[str, Any] = {"ncv": VECTORS, "maxiter": iterations, "return_eigenvectors": False}
    try:
        (found,) = eigsh(operator, k=1, which="LA", v0=start, tol=tolerance, **options)
    except (ArpackNoConvergence, ArpackError):
        return math.nan, False
    return float(found), bool(np.isfinite(found))


@dataclass
class _Hessian:
    """The Hessian of a network's loss by some of the entries of its parameters.

    kept: of each parameter that has such entries, which they are, bool.
    """

    how: Evaluation
    values: Mapping[str, Tensor]
    kept: Mapping[str, Tensor]
    products: int = 0

    @property
    def size(self) -> int:
        """The number of entries."""
        return sum(int(kept.sum()) for kept in self.kept.values())

    def product(self, vector: Vector) -> Vector:
        """The matrix times a vector, (size,)."""
        self.products += 1
        direction = dict(self._spread(torch.from_numpy(np.ascontiguousarray(vector))))
        try:
            with untouched_generators():
                found = hessian_product(self.how, self.values, direction)
        except (RuntimeError, NotImplementedError) as error:
            raise InputError(
                f"probe 'sharpness': the model or the loss has no second derivative: {one_line(error)}; "
                "leave the probe out"
            ) from error
        return torch.cat([found[name][kept].double() for name, kept in self.kept.items()]).numpy()

    def _spread(self, vector: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Each parameter's entries of the vector, in the parameter's shape; 0 elsewhere."""
        sizes = [int(kept.sum()) for kept in self.kept.values()]
        for (name, kept), part in zip(self.kept.items(), vector.split(sizes), strict=True):
            yield name, torch.zeros(kept.shape, dtype=torch.float64).masked_scatter_(kept, part)


def _kept(networks: Networks, index: int, names: list[str]) -> dict[str, Tensor]:
    """Of each parameter, which entries training can move, on the CPU."""
    kept = {}
    for name in names:
        mask = networks.masks[name][index] if name in networks.masks else None
        kept[name] = torch.ones(networks.values[name].shape[1:], dtype=torch.bool) if mask is None else mask.cpu()
    return kept
