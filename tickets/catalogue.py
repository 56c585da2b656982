"""Everything that a campaign file can name: where it lives and what it is, in one line each.

The tables are literal and hold no imported objects, so that `tickets list` and the checks of a campaign
file need neither torch nor any data set's package.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

from tickets.errors import InputError, UserCodeError, nearest
from tickets.importing import mend, refuse_another, which
from tickets.users_code import not_python, told


@dataclass(frozen=True)
class Entry:
    """One thing with a name: `target` is "module:function"; `summary` is the line that `tickets list` prints."""

    target: str
    summary: str


Role = Literal["ticket", "control", "measurement"]


@dataclass(frozen=True)
class ArmEntry:
    """One arm: "module:function" of its mask rule and of its value rule.

    role: a control differs from the ticket in its mask or its initial values; a measurement is the ticket trained
    again, which shows how far two trainings of one network differ. random: the arm can be drawn more than once in
    a replicate. carries_state: its values are those of the rewind step, so the optimizer's state of that step goes
    with them. own_order: its data order is drawn anew for each of its draws, where all other arms of a replicate
    share one. biases: what the biases are where the option `biases` is not given: "zeros", or "model" for those of
    theta0; None for arms without this option.
    """

    mask: str
    values: str
    summary: str
    role: Role = "control"
    random: bool = False
    carries_state: bool = False
    own_order: bool = False
    biases: Literal["model", "zeros"] | None = None

    @property
    def has_own_mask(self) -> bool:
        """Whether its mask is another one than the round's."""
        return self.mask != ARMS["ticket"].mask


MODELS: Mapping[str, Entry] = {
    "mlp": Entry("tickets.models.mlp:mlp", "fully connected, ReLU; hidden layers of any `widths`"),
    "lenet_300_100": Entry("tickets.models.mlp:lenet_300_100", "fully connected 300-100 (Frankle & Carbin 2019)"),
    "conv2": Entry("tickets.models.conv:conv2", "2 convolutions (64), 3 fully connected layers; optional `dropout`"),
    "conv4": Entry(
        "tickets.models.conv:conv4", "4 convolutions (64, 128), 3 fully connected layers; optional `dropout`"
    ),
    "conv6": Entry(
        "tickets.models.conv:conv6",
        "6 convolutions (64, 128, 256), 3 fully connected layers; optional `dropout`",
    ),
    "resnet20": Entry("tickets.models.resnet:resnet20", "20-layer CIFAR ResNet with batch normalisation"),
}

DATA: Mapping[str, Entry] = {
    "mnist1d": Entry("tickets.data.mnist1d:mnist1d", "MNIST-1D, made on the spot: 4,000 + 1,000 signals of length 40"),
    "digits": Entry("tickets.data.digits:digits", "scikit-learn's 8x8 digits: 1,297 + 500 images, no download"),
    "mnist": Entry("tickets.data.idx:mnist", "MNIST from its IDX files, also torchvision's: 60,000 + 10,000 images"),
    "fashion_mnist": Entry(
        "tickets.data.idx:fashion_mnist", "Fashion-MNIST from its IDX files, also torchvision's: 60,000 + 10,000 images"
    ),
    "cifar10": Entry(
        "tickets.data.cifar10:cifar10",
        "CIFAR-10 from its binary files: 50,000 + 10,000 images; optional `augment`",
    ),
}

ARMS: Mapping[str, ArmEntry] = {
    "ticket": ArmEntry(
        mask="tickets.arms:round_mask",
        values="tickets.arms:rewound",
        role="ticket",
        carries_state=True,
        summary="the round's mask, the rewound values",
    ),
    "reinit": ArmEntry(
        mask="tickets.arms:round_mask",
        values="tickets.arms:fresh_draw",
        random=True,
        summary="the round's mask, a fresh draw from the model's initial distribution (`start = 0`: all steps)",
    ),
    "shuffle": ArmEntry(
        mask="tickets.arms:round_mask",
        values="tickets.arms:shuffled",
        random=True,
        summary="the round's mask, the surviving values permuted within each tensor",
    ),
    "constant": ArmEntry(
        mask="tickets.arms:round_mask",
        values="tickets.arms:constant",
        biases="zeros",
        summary="the round's mask, every weight the same `value` (0.5), biases 0 (or `biases = 'model'`)",
    ),
    "sign_constant": ArmEntry(
        mask="tickets.arms:round_mask",
        values="tickets.arms:sign_constant",
        biases="model",
        summary="the round's mask, sign(theta0) x std of the tensor's theta0, biases of theta0 (or 'zeros')",
    ),
    "random_sign_constant": ArmEntry(
        mask="tickets.arms:round_mask",
        values="tickets.arms:random_sign_constant",
        random=True,
        biases="model",
        summary="the round's mask, sign_constant with signs drawn at random, biases of theta0 (or 'zeros')",
    ),
    "random_mask": ArmEntry(
        mask="tickets.arms:random_mask",
        values="tickets.arms:rewound",
        random=True,
        carries_state=True,
        summary="as many weights per tensor at random places, the rewound values there",
    ),
    "random_mask_reinit": ArmEntry(
        mask="tickets.arms:random_mask",
        values="tickets.arms:fresh_draw",
        random=True,
        summary="the same random places, a fresh draw",
    ),
    "reorder": ArmEntry(
        mask="tickets.arms:round_mask",
        values="tickets.arms:rewound",
        role="measurement",
        random=True,
        carries_state=True,
        own_order=True,
        summary="the ticket, with the training examples in another order",
    ),
    "repeat": ArmEntry(
        mask="tickets.arms:round_mask",
        values="tickets.arms:rewound",
        role="measurement",
        carries_state=True,
        summary="the ticket once more, data order and all: what rounding alone does",
    ),
}

SCORES: Mapping[str, Entry] = {
    "magnitude": Entry("tickets.scores:magnitude", "|trained weight|: the smallest go (Han et al. 2015)"),
    "random": Entry("tickets.scores:random", "uniform random numbers: any may go"),
}

# In order of preference: a stack is trained by the first that can train it and is preferred to those after it.
STRATEGIES: Mapping[str, Entry] = {
    "sparse": Entry(
        "tickets.stack.strategies.sparse:SparseStrategy", "by the surviving weights alone: chains, and convolutions"
    ),
    "layered": Entry(
        "tickets.stack.strategies.layered:LayeredStrategy",
        "chains of Linear, ReLU and Dropout layers: batched products without autograd",
    ),
    "vectorised": Entry(
        "tickets.stack.strategies.vectorised:VectorisedStrategy", "all networks as one, by torch.func.vmap"
    ),
    "looped": Entry("tickets.stack.strategies.looped:LoopedStrategy", "one network after the other, any model"),
}


def resolve(target: str) -> Callable[..., Any]:
    """The function that "module:function" names, imported now; it is not called.

    Raises InputError, saying which half is wrong, if there is no such module or function, or if what is there is
    compiled or comes with Python itself; UserCodeError if importing the module fails.
    """
    module_name, _, function_name = target.partition(":")
    refuse_another(module_name, target)
    try:
        module = _imported(module_name)
    except ModuleNotFoundError as error:
        raise UserCodeError(
            f"{target!r}: cannot import {module_name!r} ({told(error)}); {mend(module_name, error)}"
        ) from error
    except (Exception, SystemExit) as error:  # whatever the user's module does as it is imported
        raise UserCodeError(f"{target!r}: importing {module_name!r} fails ({told(error)}); mend the module") from error
    found: Callable[..., Any] | None = getattr(module, function_name, None)
    if not callable(found):
        names = [name for name, value in vars(module).items() if callable(value)]
        raise InputError(
            f"{target!r}: module {module_name!r} has no function {function_name!r}"
            f"{nearest(function_name, names)}{which(module)}"
        )
    if reason := not_python(found):
        raise InputError(
            f"{target!r}: {reason}, and it was not called; name a function or class written in Python, "
            "in a module of your own"
        )
    return found


def _imported(name: str) -> ModuleType:
    """The module; what it sets for the whole process as it is imported (a default dtype, say) ends with its import."""
    if name in sys.modules:
        return sys.modules[name]
    from tickets.process_state import settings_kept  # needs torch, as all that is named in the tables does

    with settings_kept():
        return importlib.import_module(name)
