"""Everything that a campaign file can name: the function and a summary of one line.

The tables are literal and hold no imported objects, so that `tickets list` and the checks of a campaign file import
neither torch nor any data set's package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tickets.catalogue_scores import SCORE_LINES

OwnRole = Literal["control", "measurement"]  # of an arm with a rule of the user's
Role = Literal["ticket", OwnRole]
# The values of the pruned weights of a network: 0; theta0; or 0 for those that training had moved towards 0 when they
# were pruned, and theta0 for the others.
Pruned = Literal["zero", "initial", "zero_if_shrunk"]


@dataclass(frozen=True)
class Entry:
    """A model, a data set, an init, a score or a probe that a campaign file can name.

    Parameters
    ----------
    target
        "module:function". The parameters of the function that have a default value are its options in a campaign file;
        each has a type of `tickets.config.types`, and the module's source says so without being imported.
    summary
        The line that `tickets list` prints.
    defaults
        Defaults of the keys that every entry of its kind has: `init` of a model, `validation` of a data set, `biases`
        of an init.
    family
        Of a model: the model of the catalogue that makes the same network with other hidden widths, by its option
        `widths`; None if there is none.
    widths
        Of a model without the option `widths`: its hidden widths.
    """

    target: str
    summary: str
    defaults: Mapping[str, Any] = field(default_factory=dict, hash=False)
    family: str | None = None
    widths: tuple[int, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """The functions whose options it has."""
        return (self.target,)

    @property
    def fixed(self) -> Mapping[str, Any]:
        """Keys that only tables with functions of the user's can give, with the values they have here."""
        return {}


@dataclass(frozen=True)
class ArmEntry:
    """An arm that a campaign file can name: a mask rule and a value rule.

    Parameters
    ----------
    mask
        "module:function" of its mask rule.
    values
        "module:function" of its value rule.
    summary
        The line that `tickets list` prints.
    role
        A control differs from the ticket in its mask or its initial values. A measurement is the ticket trained again:
        it shows how far two trainings of one network differ.
    random
        Whether it can be drawn more than once in a replicate.
    own_order
        Whether each of its draws has a data order of its own. All other arms of a replicate share one.
    pruned
        The values of the pruned weights, unless the campaign file says otherwise.
    by_tensor
        Of an arm of the catalogue with a mask of its own: whether it keeps as many weights as the round's mask in each
        tensor, and not only in all.
    train
        The keys of [train] that it has of its own, unless the campaign file says otherwise.
    learned
        Whether its mask is what is trained, and its weights stay as they are.
    scaled
        Whether its networks have the architecture of the run's model with narrower hidden layers, and no mask: see
        `tickets.small_dense`. Its rules then get an `Origin` of that network.
    """

    mask: str
    values: str
    summary: str
    role: Role = "control"
    random: bool = False
    own_order: bool = False
    pruned: Pruned = "zero"
    by_tensor: bool = True
    train: Mapping[str, Any] = field(default_factory=dict, hash=False)
    learned: bool = False

    @property
    def continues(self) -> bool:
        """Whether it goes on from the rewind step with the optimizer state of that step, unless it starts at 0."""
        return self.values == ARMS["ticket"].values

    scaled: bool = False

    @property
    def has_own_mask(self) -> bool:
        """Whether it has a mask, and that is not the round's."""
        return self.mask != ARMS["ticket"].mask and not self.scaled

    @property
    def rules(self) -> Mapping[str, str]:
        """Its two rules by the keys of a campaign file."""
        return {"mask": self.mask, "values": self.values}

    @property
    def targets(self) -> tuple[str, ...]:
        """The functions whose options it has."""
        return (self.mask, self.values)

    @property
    def defaults(self) -> Mapping[str, Any]:
        """Defaults of the keys that every arm has."""
        return {"pruned": self.pruned}

    @property
    def fixed(self) -> Mapping[str, Any]:
        """Keys that only arms with rules of the user's can give, with the values they have here."""
        return {**self.rules, "role": self.role}


MODELS: Mapping[str, Entry] = {
    "mlp": Entry(
        "tickets.models.mlp:mlp",
        "fully connected, ReLU; hidden layers of any widths",
        {"init": "pytorch"},
        family="mlp",
    ),
    "lenet_300_100": Entry(
        "tickets.models.mlp:lenet_300_100",
        "fully connected 300-100 (Frankle & Carbin 2019)",
        {"init": "glorot_normal"},
        family="mlp",
        widths=(300, 100),
    ),
    "conv2": Entry(
        "tickets.models.conv:conv2",
        "2 convolutions (64), 3 fully connected layers",
        {"init": "glorot_normal"},
        family="conv2",
    ),
    "conv4": Entry(
        "tickets.models.conv:conv4",
        "4 convolutions (64, 128), 3 fully connected layers",
        {"init": "glorot_normal"},
        family="conv4",
    ),
    "conv6": Entry(
        "tickets.models.conv:conv6",
        "6 convolutions (64, 128, 256), 3 fully connected layers",
        {"init": "glorot_normal"},
        family="conv6",
    ),
    "resnet20": Entry(
        "tickets.models.resnet:resnet20",
        "20-layer CIFAR ResNet with batch normalisation",
        {"init": "kaiming_normal"},
    ),
}

INITS: Mapping[str, Entry] = {
    "pytorch": Entry("tickets.initial:pytorch", "the values of the module's own constructor", {"biases": "model"}),
    "glorot_normal": Entry("tickets.initial:glorot_normal", "N(0, 2 / (fan_in + fan_out)) (Glorot & Bengio 2010)"),
    "glorot_uniform": Entry("tickets.initial:glorot_uniform", "uniform, with the variance of glorot_normal"),
    "kaiming_normal": Entry("tickets.initial:kaiming_normal", "N(0, 2 / fan_in) (He et al. 2015)"),
    "kaiming_uniform": Entry("tickets.initial:kaiming_uniform", "uniform, with the variance of kaiming_normal"),
    "constant": Entry("tickets.initial:constant", "every weight the same number"),
    "zeros": Entry("tickets.initial:zeros", "every weight 0"),
    "sign_constant": Entry(
        "tickets.initial:sign_constant",
        "+scale or -scale at random; without a scale, the deviation of glorot_normal",
    ),
    "uniform": Entry("tickets.initial:uniform", "uniform between -scale and scale"),
    "normal": Entry("tickets.initial:normal", "normal with mean 0 and standard deviation scale"),
    "orthogonal": Entry("tickets.initial:orthogonal", "orthonormal rows or columns, times gain (Saxe et al. 2014)"),
    "dct": Entry("tickets.initial:dct", "cosines, the same for every seed, with the variance of glorot_normal"),
    "planted": Entry(
        "tickets.planting:planted",
        "random, with a tiny network hidden in it that solves circle, relu or helix",
        {"biases": "scaled"},
    ),
}

DATA: Mapping[str, Entry] = {
    "mnist1d": Entry(
        "tickets.data.mnist1d:mnist1d",
        "MNIST-1D, generated: 4,000 + 1,000 signals of length 40",
        {"validation": 500},
    ),
    "digits": Entry(
        "tickets.data.digits:digits",
        "scikit-learn's 8x8 digits: 1,297 + 500 images, no download",
        {"validation": 200},
    ),
    "mnist": Entry(
        "tickets.data.idx:mnist",
        "MNIST from its IDX files, also torchvision's: 60,000 + 10,000 images",
        {"validation": 5000},
    ),
    "fashion_mnist": Entry(
        "tickets.data.idx:fashion_mnist",
        "Fashion-MNIST from its IDX files, also torchvision's: 60,000 + 10,000 images",
        {"validation": 5000},
    ),
    "cifar10": Entry(
        "tickets.data.cifar10:cifar10",
        "CIFAR-10 from its binary files: 50,000 + 10,000 images",
        {"validation": 5000},
    ),
    "circle": Entry(
        "tickets.data.planted:circle",
        "made: points of the plane in 4 classes by distance (Fischer & Burkholz 2022)",
        {"validation": 1000},
    ),
    "relu": Entry(
        "tickets.data.planted:relu",
        "made: max(x, 0) with noise, regression (Fischer & Burkholz 2022)",
        {"validation": 1000},
    ),
    "helix": Entry(
        "tickets.data.planted:helix",
        "made: 3 coordinates of a helix by 1 input, regression (Fischer & Burkholz 2022)",
        {"validation": 1000},
    ),
}

_SGD: Mapping[str, Any] = {"optimizer": "sgd", "momentum": 0.9, "milestones": ()}

ARMS: Mapping[str, ArmEntry] = {
    "ticket": ArmEntry(
        mask="tickets.arms:round_mask",
        values="tickets.arms:rewound",
        role="ticket",
        summary="the round's mask, the rewound values",
    ),
    "reinit": ArmEntry(
        mask="tickets.arms:round_mask",
        values="tickets.arms:fresh_draw",
        random=True,
        summary="the round's mask, a fresh draw from the model's initial distribution",
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
        summary="the round's mask, every weight the same value",
    ),
    "sign_constant": ArmEntry(
        mask="tickets.arms:round_mask",
        values="tickets.arms:sign_constant",
        summary="the round's mask, sign(theta0) x the standard deviation of the tensor's theta0",
    ),
    "random_sign_constant": ArmEntry(
        mask="tickets.arms:round_mask",
        values="tickets.arms:random_sign_constant",
        random=True,
        summary="the round's mask, sign_constant with signs drawn at random",
    ),
    "sign_reinit": ArmEntry(
        mask="tickets.arms:round_mask",
        values="tickets.sign_arms:sign_reinit",
        random=True,
        summary="the round's mask, a fresh draw with the signs of theta0 (Zhou et al. 2019)",
    ),
    "sign_shuffle": ArmEntry(
        mask="tickets.arms:round_mask",
        values="tickets.sign_arms:sign_shuffle",
        random=True,
        summary="the round's mask, the surviving values permuted among those of the same sign in each tensor",
    ),
    "frozen": ArmEntry(
        mask="tickets.arms:round_mask",
        values="tickets.arms:rewound",
        pruned="initial",
        summary="the ticket with its pruned weights held at theta0, not at 0 (Zhou et al. 2019)",
    ),
    "random_mask": ArmEntry(
        mask="tickets.arms:random_mask",
        values="tickets.arms:rewound",
        random=True,
        summary="as many weights per tensor at random places, the rewound values there",
    ),
    "random_mask_reinit": ArmEntry(
        mask="tickets.arms:random_mask",
        values="tickets.arms:fresh_draw",
        random=True,
        summary="the same random places, a fresh draw",
    ),
    "pruned_at_init": ArmEntry(
        mask="tickets.pruned_at_init:pruned_at_init",
        values="tickets.arms:rewound",
        random=True,
        by_tensor=False,
        summary="a mask computed from theta0 alone by a score (Frankle et al. 2021), the rewound values there",
    ),
    "pruned_at_init_reinit": ArmEntry(
        mask="tickets.pruned_at_init:pruned_at_init",
        values="tickets.arms:fresh_draw",
        random=True,
        by_tensor=False,
        summary="the same mask, a fresh draw",
    ),
    "reorder": ArmEntry(
        mask="tickets.arms:round_mask",
        values="tickets.arms:rewound",
        role="measurement",
        random=True,
        own_order=True,
        summary="the ticket, with the training examples in another order",
    ),
    "repeat": ArmEntry(
        mask="tickets.arms:round_mask",
        values="tickets.arms:rewound",
        role="measurement",
        summary="the ticket once more, in the same data order: the effect of rounding alone",
    ),
    "supermask": ArmEntry(
        mask="tickets.learned.rules:supermask_mask",
        values="tickets.learned.rules:supermask_values",
        random=True,
        train={**_SGD, "learning_rate": 100.0, "weight_decay": 0.0, "schedule": "constant"},
        learned=True,
        summary="theta0 stays, the mask is trained: Bernoulli samples (Zhou et al. 2019)",
    ),
    "edge_popup": ArmEntry(
        mask="tickets.learned.rules:edge_popup_mask",
        values="tickets.learned.rules:edge_popup_values",
        random=True,
        train={**_SGD, "learning_rate": 0.1, "weight_decay": 1e-4, "schedule": "cosine"},
        learned=True,
        summary="Kaiming weights stay, the mask is trained: the highest scores (Ramanujan et al. 2020)",
    ),
    "small_dense": ArmEntry(
        mask="tickets.small_dense:every_weight",
        values="tickets.small_dense:own_draw",
        random=True,
        scaled=True,
        summary="no mask: narrower layers with as many weights as the ticket has left (Ma et al. 2021)",
    ),
}


def kind_of_stack(pruned: Pruned) -> Pruned:
    """Networks whose pruned weights keep other values than 0 train alike, whatever these are: as "initial"."""
    return "zero" if pruned == "zero" else "initial"


def arm_entry(arm: Mapping[str, Any]) -> ArmEntry | None:
    """The entry of an arm's table in a campaign file or in run.json; None for an unknown name.

    For an arm with user-defined rules, a new entry is created; a missing rule defaults to the ticket's. A measurement
    of the catalogue with settings of its own (`train`, `pruned`) is a control.
    """
    given = {key: arm[key] for key in ("mask", "values", "role", "pruned") if arm.get(key) is not None}
    entry = ARMS.get(arm["name"])
    # A run that was saved before the catalogue had this name may have rules of the user's under it.
    if entry is not None and all(given.get(key, rule) == rule for key, rule in entry.rules.items()):
        entry = replace(entry, pruned=given["pruned"]) if "pruned" in given else entry
        # Trained in another way, it no longer shows how far two trainings of the ticket differ.
        changed = entry.pruned != "zero" or bool(arm.get("train"))
        return replace(entry, role="control") if entry.role == "measurement" and changed else entry
    if "mask" not in given and "values" not in given:
        return None
    ticket = ARMS["ticket"]
    return ArmEntry(**{"mask": ticket.mask, "values": ticket.values, **given}, summary="", random=True)


SCORES: Mapping[str, Entry] = {name: Entry(*line) for name, line in SCORE_LINES.items()}

PROBES: Mapping[str, Entry] = {
    "units": Entry(
        "tickets.probes.units:units",
        "distinct hidden units, distances between examples and effective rank by layer, at evaluated steps",
    ),
    "planted": Entry(
        "tickets.probes.planted:planted",
        "how much of a planted ticket each mask keeps, and how accurate that is (Fischer & Burkholz 2022)",
    ),
    "signs": Entry(
        "tickets.probes.signs:signs",
        "signs of survivors: changed, or as in the dense network, at evaluated steps (Zhou et al. 2019)",
    ),
    "structure": Entry(
        "tickets.probes.structure:structure",
        "survivors by unit and input, dead units, connected paths (Vysogorets & Kempe 2023)",
    ),
    "gradients": Entry(
        "tickets.probes.gradients:gradients",
        "the loss's gradient by the surviving weights, its length at evaluated steps (Evci et al. 2022)",
    ),
    "sharpness": Entry(
        "tickets.probes.sharpness:sharpness",
        "the largest eigenvalue of the loss's Hessian at the end (Cohen et al. 2021)",
    ),
    "connectivity": Entry(
        "tickets.probes.connectivity:connectivity",
        "error barrier between data orders, successive rounds, and to the dense network (Frankle 2020)",
    ),
    "overlap": Entry(
        "tickets.probes.overlap:overlap",
        "Jaccard index of masks between replicates, arms and rounds, against chance",
    ),
    "early_bird": Entry(
        "tickets.probes.early_bird:early_bird",
        "distance between the masks that pruning would give at evaluated steps (You et al. 2020)",
    ),
    "predictions": Entry(
        "tickets.probes.predictions:predictions",
        "disagreement, KL divergence and ensemble gain between replicates, arms, and to dense",
    ),
}

# What `tickets list` lists.
KINDS: Mapping[str, Mapping[str, Entry] | Mapping[str, ArmEntry]] = {
    "models": MODELS,
    "data": DATA,
    "inits": INITS,
    "arms": ARMS,
    "scores": SCORES,
    "probes": PROBES,
}

# In order of preference: a stack is trained by the first strategy that can train it and is preferred to those after it.
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


def table_of(probe: str) -> str:
    """The name of a probe's table: the probe's own, or that of the function in "module:function"."""
    return probe.rpartition(":")[2]
