"""What products are computed in, and that it is float32 unless a run says otherwise."""

from __future__ import annotations

import threading

import pytest
import torch
from made_workloads import workload

from tickets.config import TrainConfig, parse_run, run_id
from tickets.errors import InputError
from tickets.stack.precision import lowered, products
from tickets.stack.strategies import choose

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
RUN = {"name": "tiny", "data": "digits", "model": {"name": "mlp"}}


def flags() -> tuple[bool, bool]:
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize(("precision", "allowed"), [("float32", False), ("bf16", False), ("tf32", True)])
def test_tf32_is_allowed_where_it_is_asked_for_and_nowhere_else(precision: str, allowed: bool) -> None:
    before = flags()
    with products(precision):
        assert flags() == (allowed, allowed), "cuDNN's own default is True"
    assert flags() == before

    def fail() -> None:
        with products(precision):
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert flags() == before


def test_bf16_is_of_the_thread_that_asks_for_it() -> None:
    found = []
    with lowered("bf16", CPU):
        assert torch.is_autocast_enabled("cpu")
        assert torch.get_autocast_dtype("cpu") == torch.bfloat16
        other = threading.Thread(target=lambda: found.append(torch.is_autocast_enabled("cpu")))
        other.start()
        other.join()
    for precision in ("float32", "tf32"):
        with lowered(precision, CPU):
            found.append(torch.is_autocast_enabled("cpu"))
    assert found == [False] * 3


@pytest.mark.parametrize(
    ("name", "shape", "strategy"),
    [("mlp", (6,), "vectorised"), ("normnet", (1, 4, 4), "vectorised"), ("normnet", (1, 4, 4), "looped")],
)
def test_bf16_changes_a_training_a_little_and_leaves_what_is_pruned(bench, name, shape, strategy) -> None:
    build = getattr(bench, name)
    start, examples = bench.stack(build, 3), bench.examples(shape)
    trained = {
        precision: bench.train(build, start, bench.recipe(precision=precision, steps=6), examples, strategy, lanes=2)
        for precision in ("float32", "bf16")
    }
    exact, coarse = trained["float32"], trained["bf16"]
    for key, value in coarse.stack.parameters.items():
        assert value.dtype == torch.float32
        assert value[~coarse.stack.masks[key]].eq(0).all() if key in coarse.stack.masks else True
        assert not torch.equal(value, exact.stack.parameters[key])
    assert coarse.curves.values.isfinite().all()
    torch.testing.assert_close(
        coarse.curves.metric("train_loss"), exact.curves.metric("train_loss"), rtol=0.1, atol=0.1
    )
    # Losses are summed in float32: in bfloat16 they would have three digits.
    losses = coarse.curves.metric("test_loss").float()
    assert not torch.equal(losses, losses.bfloat16().float())


def test_a_chain_is_like_any_other_model_in_bf16(bench) -> None:
    assert choose(workload(bench.mlp(), precision="bf16")).strategy == "vectorised"
    assert choose(workload(bench.mlp(), device=CUDA, precision="tf32")).strategy == "layered"
    for strategy in ("layered", "sparse"):
        with pytest.raises(
            InputError, match=f"strategy = '{strategy}': computes in float32, not in .* = 'bf16'; use 'auto'"
        ):
            choose(workload(bench.mlp(), precision="bf16"), strategy)


def test_a_cpu_has_no_tf32(bench) -> None:
    with pytest.raises(InputError, match=r"train\.precision = 'tf32': needs a GPU \(--device cuda\)"):
        choose(workload(bench.mlp(), precision="tf32"))


def test_another_precision_is_another_run_and_float32_is_not_written() -> None:
    plain, said, coarse = (
        parse_run({**RUN, "train": train}) for train in ({}, {"precision": "float32"}, {"precision": "bf16"})
    )
    assert "precision" not in TrainConfig().model_dump()
    assert run_id(plain) == run_id(said) != run_id(coarse)
    assert coarse.train.model_dump()["precision"] == "bf16"
