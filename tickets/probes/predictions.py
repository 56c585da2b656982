"""The probe `predictions`: whether two networks compute nearly the same function."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from tickets.measures import Label
from tickets.probes.networks import Networks
from tickets.probes.pairs import Pair, Pairs, check_stored, classifies, values_at
from tickets.tasks.measuring import r2, squared_errors


def predictions(networks: Networks) -> list[dict[str, Any]]:
    """Compare what two networks predict for the test examples: a row for each pair.

    Pairs, in the column `between`:

    | between | pairs |
    | --- | --- |
    | replicates | the same arm, draw 0, of two replicates of a cohort, each pair once. From 12 replicates on, each with the five before and the five after it |
    | arms | every other arm and draw, and the ticket, of one replicate and round |
    | dense | every network of a later round and the dense ticket of the same replicate |

    Other columns:

    | column | content |
    | --- | --- |
    | with_replicate, with_round, with_arm, with_draw | the other network |
    | disagreement | share of the examples that the two classify differently, in [0, 1] |
    | kl | mean over examples of KL(p, q) = sum of p log(p / q) over classes, in nats; p are the network's probabilities, q the other's |
    | kl_reverse | the same of KL(q, p) |
    | squared_difference | mean squared difference of the outputs, in the squared unit of the targets; of regression alone |
    | accuracy, with_accuracy | of each network; R2 for regression |
    | ensemble_accuracy | of the mean of their probabilities, or of their outputs for regression |
    | ensemble_gain | ensemble_accuracy minus the mean of accuracy and with_accuracy |

    What a task lacks is NaN, and so is every number of a pair with a network whose outputs are not all finite. The test
    set decides nothing in the run. Networks that make the same errors gain nothing as an ensemble.

    Raises
    ------
    InputError
        If the run keeps no trained values.

    Source: Evci et al., "Gradient Flow in Sparse Neural Networks and How Lottery Tickets Win", AAAI (2022); Adnan et
    al., "Sparse Training from Random Initialization: Aligning Lottery Ticket Masks using Weight Symmetry", ICML (2025).
    """  # noqa: E501
    check_stored(networks, "predictions")
    examples = networks.examples
    compare = classes_compared if classifies(networks) else numbers_compared
    outputs: dict[Label, Tensor] = {}

    def of(among: Networks, place: int) -> Tensor:
        label = among.labels[place]
        if label not in outputs:
            outputs[label] = among.logits(examples.test_inputs, values_at(among, place))[0]
        return outputs[label]

    return [
        {**pair.columns, **compare(of(networks, pair.network), of(pair.among, pair.place), examples.test_labels)}
        for pair in _pairs(networks)
    ]


def classes_compared(one: Tensor, other: Tensor, labels: Tensor) -> dict[str, float]:
    """The columns of two networks that classify.

    Parameters
    ----------
    one, other
        Their outputs, (n, classes).
    labels
        (n,) int64.
    """
    if not _finite(one, other):
        return _columns()
    p, q = (outputs.double().log_softmax(1) for outputs in (one, other))
    chosen = one.argmax(1), other.argmax(1)
    accuracy, with_accuracy, together = (
        _share(answer == labels) for answer in (*chosen, (p.exp() + q.exp()).argmax(1))
    )
    return _columns(
        disagreement=_share(chosen[0] != chosen[1]),
        kl=float((p.exp() * (p - q)).sum(1).mean()),
        kl_reverse=float((q.exp() * (q - p)).sum(1).mean()),
        accuracy=accuracy,
        with_accuracy=with_accuracy,
        ensemble_accuracy=together,
        ensemble_gain=together - (accuracy + with_accuracy) / 2,
    )


def numbers_compared(one: Tensor, other: Tensor, targets: Tensor) -> dict[str, float]:
    """The columns of two networks that predict numbers, or whose outputs are of no class.

    Parameters
    ----------
    one, other
        Their outputs, (n, *output).
    targets
        (n, *output); of another shape, or whole numbers, there is no R2.
    """
    if not _finite(one, other):
        return _columns()
    known = targets.dtype.is_floating_point and targets.shape == one.shape
    mean = (one.double() + other.double()) / 2
    accuracy, with_accuracy, together = (_r2(found, targets) if known else math.nan for found in (one, other, mean))
    return _columns(
        squared_difference=float((one.double() - other.double()).square().mean()),
        accuracy=accuracy,
        with_accuracy=with_accuracy,
        ensemble_accuracy=together,
        ensemble_gain=together - (accuracy + with_accuracy) / 2,
    )


def _pairs(networks: Networks) -> Iterator[Pair]:
    pairs = Pairs(networks, trained=True)
    yield from pairs.of_replicates(lambda label: label.draw == 0)
    yield from pairs.with_ticket("arms", lambda label: True)
    yield from pairs.with_dense()


_NAMES = (
    "disagreement",
    "kl",
    "kl_reverse",
    "squared_difference",
    "accuracy",
    "with_accuracy",
    "ensemble_accuracy",
    "ensemble_gain",
)


def _columns(**found: float) -> dict[str, float]:
    """Every column; NaN for those that were not found."""
    return {name: found.get(name, math.nan) for name in _NAMES}


def _finite(one: Tensor, other: Tensor) -> bool:
    return bool(one.isfinite().all() and other.isfinite().all())


def _share(which: Tensor) -> float:
    return float(which.double().mean())


def _r2(outputs: Tensor, targets: Tensor) -> float:
    flat = targets.reshape(len(targets), -1)
    return float(r2(squared_errors(outputs.reshape(1, *flat.shape), flat), flat)[0])
