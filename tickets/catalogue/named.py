"""The models, initial values, data sets, probes and strategies that a campaign file can name."""

from __future__ import annotations

from collections.abc import Mapping

from tickets.catalogue.entry import Entry

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
    "dct": Entry("tickets.frames:dct", "cosines, the same for every seed, with the variance of glorot_normal"),
    "hadamard": Entry("tickets.frames:hadamard", "Walsh-Hadamard signs, the same for every seed, of one size"),
    "quasi_normal": Entry(
        "tickets.frames:quasi_normal", "normal quantiles of Haber's quasi-random points, the same for every seed"
    ),
    "quasi_orthogonal": Entry(
        "tickets.frames:quasi_orthogonal", "quasi_normal with orthogonal rows or columns, the same for every seed"
    ),
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

PROBES: Mapping[str, Entry] = {
    "units": Entry(
        "tickets.probes.units:units",
        "distinct hidden units, distances between examples and effective rank by layer, at evaluated steps",
    ),
    "geometry": Entry(
        "tickets.probes.geometry:geometry",
        "angles and distances of examples by layer, untrained, against Gaussian layers (Cho & Saul 2009)",
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
    "convergence": Entry(
        "tickets.probes.convergence:convergence",
        "when the training loss reaches a level, its linear rate, the distance travelled, at evaluated steps",
    ),
    "gram": Entry(
        "tickets.probes.gram:gram",
        "eigenvalues of the Gram matrix, and the rate of convergence that they predict (Du et al. 2019)",
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
