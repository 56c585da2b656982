"""A run with a narrower network in the place of its model's, ready to train beside it (arm `small_dense`)."""

from __future__ import annotations

from dataclasses import replace

from tickets.arms import Origin
from tickets.chains import first_masks
from tickets.config.tables import ModelConfig
from tickets.errors import InputError
from tickets.fitting import Fitted
from tickets.models.family import Family, Widths
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
    family = _family(ready.fitted)
    widths = family.at_most(left)
    if widths is None:
        raise InputError(
            f"arm small_dense: a network with hidden widths of 1 has more prunable weights than the {left:,} that the "
            "ticket has left; end the campaign before this round, or leave small_dense out"
        )
    if widths not in ready.narrower:
        ready.narrower[widths] = _with(ready, family, widths)
    return ready.narrower[widths]


@standard_state()
def with_widths(fitted: Fitted, family: Family, widths: Widths) -> Fitted:
    """A run with the network of its model's family that has these hidden widths, without probes.

    Parameters
    ----------
    fitted
        The run.
    family
        The networks of its model with other hidden widths.
    widths
        The hidden widths.
    """
    run, dense = fitted.run, fitted.anatomy
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
    return replace(fitted, run=model, build=build, anatomy=anatomy, probes=(), small_dense=None)


def _family(fitted: Fitted) -> Family:
    if fitted.small_dense is not None:
        return fitted.small_dense.family
    return Family(fitted.run, fitted.anatomy.input_shape, fitted.source.examples.classes)


def _with(ready: ReadyRun, family: Family, widths: Widths) -> ReadyRun:
    own = with_widths(ready.fitted, family, widths)
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
        train=origin.train,
    )
