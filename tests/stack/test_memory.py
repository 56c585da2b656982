"""How many networks fit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from tickets.config import TrainConfig
from tickets.stack.architecture import prunable
from tickets.stack.memory import (
    EVALUATION_BYTES,
    RANKED,
    Bytes,
    Sizes,
    evaluation_chunk,
    free_bytes,
    networks_that_fit,
    ranking_bytes,
    round_bytes,
    sizes_of,
)

TWO_LAYERS = nn.Sequential(nn.Linear(10, 4), nn.ReLU(), nn.Linear(4, 2))  # 40 + 4 + 8 + 2 numbers


@pytest.mark.parametrize(
    ("train", "states"),
    [
        ({"optimizer": "adam"}, 2),
        ({"optimizer": "adamw"}, 2),
        ({"optimizer": "sgd", "momentum": 0.9}, 1),
        ({"optimizer": "sgd", "momentum": 0.0}, 0),
    ],
)
def test_a_network_has_values_masks_and_as_many_states_as_its_optimizer(train, states) -> None:
    sizes = sizes_of(TWO_LAYERS, prunable(TWO_LAYERS), TrainConfig(**train))
    assert sizes == Sizes(parameters=4 * 54, buffers=0, weights=4 * 48, masks=48, states=4 * 54 * states)
    excluded = sizes_of(TWO_LAYERS, prunable(TWO_LAYERS, ["2.*"]), TrainConfig(**train))
    assert (excluded.weights, excluded.masks) == (4 * 40, 40)


def test_buffers_count_by_the_width_of_their_numbers() -> None:
    module = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3))  # two statistics of 3, and an int64 count
    sizes = sizes_of(module, prunable(module), TrainConfig())
    assert sizes.buffers == 4 * 6 + 8
    assert sizes.values == 4 * (27 + 3 + 6) + sizes.buffers
    assert sizes.standing == sizes.values + 27 + sizes.states


SIZES = Sizes(parameters=400, buffers=10, weights=360, masks=90, states=800)  # values 410; as it stands 1300


def test_what_a_round_keeps() -> None:
    # Two tickets and three controls: chains, controls, results, trained in parts and joined.
    chains, controls, results, trained = 2 * (3 * 410 + 2 * 90), 3 * (410 + 90), 5 * 2 * 410, 5 * 2 * 1300
    round_0 = chains + controls + results + trained
    assert round_bytes(SIZES, 2, 5, rounds=0, rewinds=False) == round_0
    later = round_0 + 5 * 2 * 410 + 3 * 90  # the round before's values and masks
    assert round_bytes(SIZES, 2, 5, rounds=1, rewinds=False) == later
    kept = round_0 + 5 * 2 * 1300 + 2 * (410 + 800)
    assert round_bytes(SIZES, 2, 5, rounds=0, rewinds=True) == kept
    assert round_bytes(SIZES, 2, 5, rounds=9, rewinds=True) == kept
    # Where controls have state too, what a stack starts from takes more than what comes of it.
    assert round_bytes(SIZES, 5, 5, rounds=9, rewinds=True) > round_bytes(SIZES, 5, 5, rounds=9, rewinds=False)


def test_one_network_is_not_joined() -> None:
    assert round_bytes(SIZES, 1, 1, rounds=0, rewinds=False) == 3 * 410 + 2 * 90 + 2 * 410 + 1300


def test_what_is_ranked_together() -> None:
    assert ranking_bytes(prunable(TWO_LAYERS), "layer") == RANKED * 40
    assert ranking_bytes(prunable(TWO_LAYERS), "global") == RANKED * 48


def test_at_least_one_network_fits() -> None:
    hundred = Bytes(100, 0)
    assert [networks_that_fit(bound, hundred, 2) for bound in (-500, 0, 99, 199, 200, 1000)] == [1, 1, 1, 1, 2, 10]


def test_each_lane_takes_its_own() -> None:
    training = Bytes(each=10, lane=100)
    assert [networks_that_fit(bound, training, 2) for bound in (109, 110, 219, 220, 300)] == [1, 1, 1, 2, 10]


# A campaign of 24 networks, which the bound lets train some at a time, after a small one that imports and compiles.
PEAK = """
import json, sys
from pathlib import Path
import tickets
from tickets.config import parse_campaign

def mib(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1]) / 1024

def campaign(out, replicates, width, memory_gib):
    tickets.run(parse_campaign({
        "name": "peak", "data": "digits", "replicates": replicates, "rounds": 1, "arms": ["ticket"],
        "model": {"name": "mlp", "widths": [width, width]},
        "train": {"steps": 4, "evaluate_every": 2}, "compute": {"threads": 2, "memory_gib": memory_gib},
    }), out=out)

out = Path(sys.argv[1])
campaign(out / "small", 2, 4, 1)
before = mib("VmRSS:")
campaign(out / "large", 24, 500, 0.6)
(run,) = out.glob("large/*/run.json")
print(json.loads(run.read_text())["execution"]["networks_at_once"], mib("VmHWM:") - before)
"""
STATUS = Path("/proc/self/status")


@pytest.mark.skipif(not STATUS.exists() or "VmHWM" not in STATUS.read_text(), reason="no peak can be read")
def test_a_campaign_stays_near_its_bound(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", PEAK, str(tmp_path)], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    at_once, peak = ended.stdout.split()
    assert 1 < int(at_once) < 24
    # 0.77 of 0.6 GiB where this was measured; how much is given back differs from allocator to allocator.
    assert 0.5 * 614 < float(peak) < 1.1 * 614


def test_there_is_memory() -> None:
    assert free_bytes(torch.device("cpu")) > 2**20


@pytest.mark.parametrize("device", [torch.device("cpu"), torch.device("cuda", 1)])
def test_an_evaluation_stays_within_its_bytes_and_between_its_bounds(device: torch.device) -> None:
    held = EVALUATION_BYTES[device.type]
    assert evaluation_chunk(1, 1, 60, device) == 10_000
    assert evaluation_chunk(1000, 10**9, 60, device) == 60, "a training batch fits as it is"
    for networks, activations in [(1, 4000), (16, 1500), (60, 20_000), (7, 12_345)]:
        chunk = evaluation_chunk(networks, activations, 1, device)
        assert 1 <= chunk <= 10_000
        assert chunk * networks * activations <= held
        assert chunk == 10_000 or (chunk + 1) * networks * activations > held
