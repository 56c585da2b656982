"""Early stopping, final loss and accuracy, and divergence of each network, from its curves: rows for the store."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from tickets.stack.evaluation import METRICS, Curves
from tickets.stack.networks import Stack

HOPELESS = 1000.0  # times the loss of guessing: a training that ends above it has diverged


@dataclass(frozen=True)
class Label:
    """Which network a row is about."""

    replicate: int
    round: int
    density: float
    arm: str
    draw: int


def diverged(curves: Curves, stack: Stack, guess: float) -> np.ndarray:
    """Which networks of a trained stack have diverged: (R,) bool.

    A training has diverged if a measured training loss, or a weight at the end, is not finite, or if its last training
    loss is above both the first and 1,000 times that of guessing: with saturated gradients the weights of a network
    can grow without bound and yet stay within float32.

    Parameters
    ----------
    curves : Curves
        Of the R networks.
    stack : Stack
        The networks after the last step.
    guess : float
        The training loss of guessing (`tickets.tasks.Scale`), such as ln(classes); inf if there is none.
    """
    loss = curves.metric("train_loss")
    finite = torch.stack(
        [tensor.reshape(len(tensor), -1).isfinite().all(1) for tensor in stack.parameters.values()]
    ).all(0)
    ran_away = loss[-1] > loss[0].clamp(min=HOPELESS * guess)
    return (~loss.isfinite().all(0) | ~finite | ran_away).numpy()


def curve_rows(run: str, labels: Sequence[Label], curves: Curves) -> pd.DataFrame:
    """A row per network and measured step; the columns of `curves`, in their order."""
    steps = curves.steps.numpy()
    frames = [
        pd.DataFrame(
            {"run": run, **vars(label), "step": steps}
            | {metric: curves.values[:, network, column].numpy() for column, metric in enumerate(METRICS)}
        )
        for network, label in enumerate(labels)
    ]
    return pd.concat(frames, ignore_index=True)


def round_rows(run: str, labels: Sequence[Label], curves: Curves, lost: np.ndarray, seconds: float) -> pd.DataFrame:
    """A row per network; the columns of `rounds`, in their order.

    The early-stop step is the measured step with the lowest validation loss, the first of several; the test set does
    not count (Frankle & Carbin 2019, section 2). Where the steps in between were measured on fewer examples, the
    trainer has found the step, and measured the network there on all. The accuracy columns contain the task's
    metric (`tickets.tasks`): accuracy, R2, or NaN.

    Parameters
    ----------
    run : str
        The run's id.
    labels : sequence of Label
        One a network.
    curves : Curves
        Of the R networks.
    lost : ndarray, (R,)
        bool: which networks diverged. Their rows contain NaN.
    seconds : float
        Of wall clock for the whole stack; each network gets an equal share.
    """
    rows = []
    for network, label in enumerate(labels):
        measured = {metric: curves.metric(metric)[:, network].numpy() for metric in METRICS}
        if curves.early_stop is None or curves.early_score is None:
            best = int(np.argmin(np.nan_to_num(measured["validation_loss"], nan=math.inf)))
            early = {metric: values[best] for metric, values in measured.items()}
        else:
            best = int(curves.early_stop[network])
            early = dict(zip(METRICS, curves.early_score[network].tolist(), strict=True))
        results = {
            "early_stop_step": float(curves.steps[best]),
            "early_stop_test_accuracy": early["test_accuracy"],
            "early_stop_validation_loss": early["validation_loss"],
            "final_test_accuracy": measured["test_accuracy"][-1],
            "final_test_loss": measured["test_loss"][-1],
            "final_train_loss": measured["train_loss"][-1],
        }
        if lost[network]:
            results = dict.fromkeys(results, math.nan)
        share = seconds / len(labels)
        rows.append({"run": run, **vars(label), **results, "diverged": bool(lost[network]), "seconds": share})
    return pd.DataFrame(rows)
