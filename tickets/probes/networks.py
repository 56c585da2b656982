"""The networks that a probe measures: their values, masks and examples, and what can be computed with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor, nn

from tickets.config import Run
from tickets.data import Examples
from tickets.errors import InputError
from tickets.gradients import module_at
from tickets.measures import Label
from tickets.probes.context import Context
from tickets.random_state import untouched_generators
from tickets.seeds import stream
from tickets.stack.evaluation import score
from tickets.stack.looped import EVALUATION_SEED, generators, seed_noise
from tickets.stack.precision import lowered
from tickets.tasks import task_of

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Networks:
    """R networks of one round at one training step. All tensors are on `device`, detached.

    All have the architecture of the run's model: no probe measures the narrower networks of arm `small_dense`.

    Parameters
    ----------
    labels
        Replicate, round, density, arm and draw of each network. A probe's column `network` is a place in it.
    step
        The training step; the ticket's last one if arms whose recipes have other steps are among networks after a
        round.
    values
        Every parameter and buffer at this step, by name, (R, *shape). Of a network that diverged they may be NaN.
    initial
        The same as training started. Pruned weights are exactly 0.0, or, in an arm with another `pruned`, the values
        that they are held at.
    masks
        Of the prunable tensors, bool, by name in the model's order, (R, *shape).
    context
        What all networks of the run have in common.
    carry
        Tensors of the probe's own, by name. It is empty at the first evaluated step of these networks; what is written
        to it there is in it at their next one.
    """

    labels: tuple[Label, ...]
    step: int
    values: Tensors
    initial: Tensors
    masks: Tensors
    context: Context
    carry: dict[str, Tensor] = field(default_factory=dict)
    _probe: str = ""
    _earlier: Callable[[int, bool], Networks | None] = lambda round, trained: None
    _next_masks: Callable[[Networks, int], Mapping[str, Tensor]] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, places: Sequence[int]) -> Networks:
        """Some of the networks, by their places; copies."""
        chosen = list(places)

        def of(tensors: Tensors) -> Tensors:
            return {name: tensor[chosen] for name, tensor in tensors.items()}

        labels = tuple(self.labels[place] for place in chosen)
        return replace(self, labels=labels, values=of(self.values), initial=of(self.initial), masks=of(self.masks))

    @property
    def round(self) -> int:
        """The round that the networks are of."""
        return self.labels[0].round

    @property
    def run(self) -> Run:
        """The run's configuration."""
        return self.context.run

    @property
    def examples(self) -> Examples:
        """The run's examples, on `device`: train, validation and test inputs and labels.

        A function of the user's gets copies, made once in a round; the run fails if it writes to them.
        """
        return self.context.examples

    @property
    def device(self) -> torch.device:
        """Where all tensors are."""
        return self.context.device

    @property
    def template(self) -> nn.Module:
        """A module of the architecture, on `device`, whose own values mean nothing.

        A function of the user's gets a new one at each call.
        """
        return self.context.anatomy.module

    @property
    def finite(self) -> Tensor:
        """Whether all values of a network are finite numbers, (R,) bool; a network that diverged has others."""
        checks = [value.reshape(len(self), -1).isfinite().all(1) for value in self.values.values()]
        return torch.stack(checks).all(0)

    def module(self, network: int, values: Tensors | None = None) -> nn.Module:
        """Build a new module with one network's values, on `device`, in evaluation mode.

        Parameters
        ----------
        network
            The network's place in `labels`, or in `values`.
        values
            Other values than the networks' own: every parameter and buffer by name, (K, *shape).
        """
        # In training, a strategy may hold values transposed, and a sum over them would have other last bits.
        given = self._given(values, "module").items()
        own = {name: tensor[network].to(self.device).contiguous() for name, tensor in given}
        with untouched_generators():
            return module_at(self.context.build, own).eval()

    @torch.no_grad()
    def logits(self, x: Tensor, values: Tensors | None = None) -> Tensor:
        """Compute every network's outputs in evaluation mode, without gradients: (R, n, outputs).

        Parameters
        ----------
        x
            Inputs, (n, *input_shape).
        values
            Other values than the networks' own: every parameter and buffer by name, (K, *shape), for any K. The result
            is then (K, n, outputs).
        """
        given = self._given(values, "logits")
        with untouched_generators(), generators(self.device), lowered(self.run.train.precision, self.device):
            return torch.stack([self._outputs(network, given, x) for network in range(_count(given))])

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Compute the run's training loss, a differentiable mean over n examples.

        Parameters
        ----------
        outputs
            What a module returns, (n, outputs).
        targets
            The examples' targets, (n,).
        """
        return task_of(self.run.train).loss(outputs, targets)

    def score(self, x: Tensor, y: Tensor, values: Tensors | None = None) -> Tensor:
        """Compute every network's mean loss and accuracy on examples, as the curves have them: (R, 2) float64.

        x, values: as for `logits`. y: the examples' targets, (n,). Accuracy is NaN where the loss is not finite.
        """
        return score(task_of(self.run.train), partial(self.logits, values=values), x, y, self.context.chunk)

    def earlier(self, round: int, trained: bool = True) -> Networks | None:
        """Return the networks of an earlier round of the same replicates, as they are saved.

        Parameters
        ----------
        round
            The earlier round; 0 for the dense networks. For the networks' own round: what was committed of it before
            (the ticket, for arms that were added later).
        trained
            Return only networks whose values after training are saved (`store.trained`). With False, all networks of
            the round; `values` is then empty; `initial` and `masks` are as usual.

        Returns
        -------
        Networks or None
            At the last step; None where nothing of the round is committed, as in the round itself.

        Raises
        ------
        InputError
            If no values after training are saved of the round, though it is committed.
        """
        return self._earlier(round, trained)

    def next_masks(self, network: int) -> dict[str, Tensor]:
        """Return the masks, bool by name, that the run's own pruning would give this network at this step.

        Raises
        ------
        ValueError
            If `values` holds nothing.
        """
        self._given(None, "next_masks")
        if self._next_masks is None:
            raise ValueError("next_masks: networks of an earlier round have the masks that came of them")
        return {name: mask.to(self.device) for name, mask in self._next_masks(self, network).items()}

    def generator(self, network: int) -> torch.Generator:
        """Return a CPU generator of random numbers that are the same whenever this probe measures this network here."""
        label = self.labels[network]
        place = (label.round, label.arm, label.draw, self.step)
        seed = stream(self.run.seed, label.replicate, "probe", self._probe, *place)
        return torch.Generator().manual_seed(seed)

    def copied(self, context: Context) -> Networks:
        """Return the same networks with values, initial values and masks that may be written to, earlier ones too.

        context: that of the copies.
        """

        def of(tensors: Tensors) -> Tensors:
            return {name: tensor.clone() for name, tensor in tensors.items()}

        def earlier(round: int, trained: bool) -> Networks | None:
            found = self._earlier(round, trained)
            return None if found is None else found.copied(context)

        return replace(
            self,
            values=of(self.values),
            initial=of(self.initial),
            masks=of(self.masks),
            context=context,
            _earlier=earlier,
        )

    def _given(self, values: Tensors | None, called: str) -> Tensors:
        """The values that a method computes with, by default the networks' own."""
        given = self.values if values is None else values
        if not given:
            raise ValueError(f"{called}: these networks' values after training are not there (trained=False)")
        return given

    def _outputs(self, network: int, values: Tensors, x: Tensor) -> Tensor:
        """(n, outputs) of one network, some examples at a time; each part is a copy, which a model may write to."""
        module, outputs = self.module(network, values), []
        for part in x.to(self.device).split(self.context.chunk):
            seed_noise(EVALUATION_SEED, self.device)
            outputs.append(module(part.clone()))
        whole = torch.cat(outputs)
        return whole.float() if whole.dtype == torch.bfloat16 else whole


def _count(tensors: Tensors) -> int:
    return len(next(iter(tensors.values())))


def stacked(networks: Sequence[Tensors], device: torch.device) -> dict[str, Tensor]:
    """One tensor of each name, (R, *shape) on the device, of R networks' own."""
    return {name: torch.stack([network[name] for network in networks]).to(device) for name in networks[0]}


def nothing_trained(number: int) -> InputError:
    """The error of `Networks.earlier` where no values after training are saved."""
    return InputError(
        f"asks for trained values of round {number}, and none are saved; set store.trained = 'ticket' or 'all' before "
        "that round is trained, or ask by networks.earlier(round, trained=False)"
    )
