"""A run with a narrower network in the place of its model's, ready to train beside it (arm `small_dense`)."""

from __future__ import annotations

from dataclasses import replace

from tickets.arms import Origin
from tickets.chains import first_masks
from tickets.config.tables import ModelConfig
from tickets.errors import InputError
from tickets.fitting import Fitted
from tickets.models.family import Widths
from tickets.planning import workload_of
from tickets.process_state import standard_state
from tickets.ready import ReadyRun
from tickets.stack.anatomy import examine


@standard_state()
def narrower(ready: ReadyRun, left: int) -> ReadyRun:
    """The run with the network of its model's family that has at most so many prunable weights; made once.

    It is computed by the plan of the run. The layers are those of the run's model, so that the strategies that can
    train the one can train the other; of its weights all are left, as of the dense network's of round 0.

    Parameters
    ----------
    ready
        A run with the arm.
    left
        How many weights the ticket has left.

    Raises
    ------
    InputError
        If even a network whose hidden widths are all 1 has more weights.
    """
    assert ready.fitted.small_dense is not None  # `fit` makes it for a run with such an arm
    family = ready.fitted.small_dense.family
    widths = family.at_most(left)
    if widths is None:
        raise InputError(
            f"arm small_dense: the ticket has {left:,} weights left, and with hidden widths of 1 the network has more; "
            "end the campaign before that round, or leave small_dense out"
        )
    if widths not in ready.narrower:
        ready.narrower[widths] = _with(ready, widths)
    return ready.narrower[widths]


def _with(ready: ReadyRun, widths: Widths) -> ReadyRun:
    fitted = ready.fitted
    assert fitted.small_dense is not None
    run, dense, family = fitted.run, fitted.anatomy, fitted.small_dense.family
    build = family.factory(widths)
    anatomy = examine(
        build(),
        dense.input_shape,
        dense.dtype,
        exclude=run.prune.exclude,
        include=run.prune.include,
        chance=dense.chance,  # it draws from the same layers
    )
    model = run.model_copy(update={"model": ModelConfig.model_validate(family.table(widths))})
    own: Fitted = replace(fitted, run=model, build=build, anatomy=anatomy, probes=(), small_dense=None)
    own.module.to(ready.device)
    workload = workload_of(own, ready.device, ready.plan.threads)
    return replace(ready, fitted=own, workload=workload, narrower={})


def origin_of(ready: ReadyRun, origin: Origin) -> Origin:
    """What an arm of the narrower network can be made from: that network's masks and fresh draws, and no more.

    Parameters
    ----------
    ready
        The run with the narrower network.
    origin
        What the arm would be made from with the run's own.
    """
    return Origin(
        mask=first_masks(ready),
        theta0={},
        rewound={},
        biases=ready.biases,
        fresh=ready.fresh,
        stream=origin.stream,
        parameters=ready.parameters,
        round=origin.round,
        step=origin.step,
        recipe=origin.recipe,
    )
