"""The network that a run began with: what run.json keeps of it, and whether it is still the same.

A run's rounds are those of one network. Its initial values and masks are on disk, but what is computed with them is
the user's code, which may be edited between two rounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tickets.errors import InputError, UserCodeError
from tickets.fitting import Fitted
from tickets.initial import initial_values
from tickets.process_state import standard_state
from tickets.random_state import seed_generators, untouched_generators
from tickets.seeds import stream
from tickets.sources import NO_SOURCE, named_functions, source_hashes
from tickets.users_code import told

EXAMPLES = 8  # of the training set, the first ones
TOLERANCE = 1e-4  # of the largest output; kernels of another machine round otherwise
_LEAST = 1e-6  # a difference that is always within it
_NOISE = 0.1  # its standard deviation, times the square root of the fan-in
_SEED = 20190506

Array = np.ndarray
Values = Mapping[str, Tensor]
Table = list[list[float | None]]  # (examples, outputs); None: not a finite number


@dataclass(frozen=True)
class Sight:
    """What is seen of a run's network now.

    initial: replicate 0's initial values, as they are drawn now. parameters: the names of those that are no buffers.
    """

    initial: Values
    parameters: tuple[str, ...]
    outputs: Table
    with_noise: Table
    sources: Mapping[str, str]


@dataclass(frozen=True)
class Kept:
    """What is on disk of a run's network.

    record: what run.json keeps of it; None if nothing does. initial: replicate 0's committed initial values; None if
    they are not. rounds: that are committed.
    """

    record: Mapping[str, Any] | None
    initial: Mapping[str, Array] | None
    rounds: int


@dataclass(frozen=True)
class Change:
    """A module whose source file has changed; before: None if it was not used."""

    module: str
    before: str | None
    sha256: str

    def __str__(self) -> str:
        before = "not used" if self.before is None else _short(self.before)
        return (
            f"the source of {self.module} has changed (SHA-256 {before}, now {_short(self.sha256)}); "
            "the outputs of the initial network are the same, so the run goes on"
        )


@dataclass(frozen=True)
class Carried:
    """A network that may go on. record: what run.json is to keep of it. changed: the modules that were edited."""

    record: Mapping[str, Any]
    changed: tuple[Change, ...]


@standard_state()
def look_at(fitted: Fitted) -> Sight:
    """What a run's network is now: its initial values, its outputs and the source files of its code.

    Outputs: of the first 8 training examples, in evaluation mode, in float32 on the CPU. They are computed twice,
    from replicate 0's initial values and from the same with normal noise (of deviation 0.1 / sqrt(fan-in)) added to
    each parameter: a layer that starts at zero hides what stands before it. Raises UserCodeError if the model fails,
    and InputError if the seed does not decide its initial values.
    """
    run = fitted.run
    initial, again = (
        initial_values(fitted.build, run.model.init.model_dump(), stream(run.seed, 0, "initial")) for _ in range(2)
    )
    parameters = tuple(name for name, _ in fitted.module.named_parameters())
    for name in parameters:
        if not torch.allclose(initial[name], again[name], rtol=0, atol=0, equal_nan=True):
            raise InputError(
                f"model {run.model.name!r}: built twice from one seed, it has two initial {name}; draw from torch's, "
                "NumPy's or Python's global generator, which are seeded, or fill it with numbers of your own"
            )
    inputs = fitted.source.examples.train_inputs[:EXAMPLES].cpu()
    outputs, with_noise = _outputs(fitted, [initial, _with_noise(fitted, initial)], inputs)
    sources = source_hashes(named_functions(run.model_dump(mode="json")))
    return Sight(initial, parameters, outputs, with_noise, sources)


def carry_on(kept: Kept, sight: Sight, who: str) -> Carried:
    """What run.json is to keep of a network that is as it is seen now: a pure function.

    who: the run and its model, as an error begins. Before the first round is committed the network may be another
    one than was seen. Raises InputError if another network would go on: one with other initial values than are
    committed, or with other outputs than are kept.
    """
    if kept.initial is not None:
        _check_initial(kept.initial, sight, kept.rounds, who)
    if kept.record is None or kept.rounds == 0:
        return Carried(_record(sight, kept.rounds), ())
    if not _is_record(kept.record):
        raise InputError(f"{who}: what run.json keeps of its network is damaged; take run.json from a backup")
    _check_outputs(kept.record, sight, who)
    sources = {module: list(seen) for module, seen in kept.record["sources"].items()}
    changed = []
    for module, sha256 in sight.sources.items():
        seen = sources.setdefault(module, [])
        before = seen[-1]["sha256"] if seen else None
        if sha256 != before:
            seen.append({"sha256": sha256, "after_rounds": kept.rounds})
            changed.append(Change(module, before, sha256))
    return Carried({**kept.record, "sources": sources}, tuple(changed))


def check_same(record: Mapping[str, Any], fitted: Fitted, who: str) -> None:
    """Raise InputError if another process, which imports the user's code anew, gets another network than is kept."""
    _check_outputs(record, look_at(fitted), who)


def _record(sight: Sight, rounds: int) -> dict[str, Any]:
    """What run.json keeps of a network that is first seen after so many committed rounds (0: before the first)."""
    return {
        "first_seen_after_rounds": rounds,
        "outputs": sight.outputs,
        "outputs_with_noise": sight.with_noise,
        "sources": {module: [{"sha256": sha256, "after_rounds": rounds}] for module, sha256 in sight.sources.items()},
    }


def _is_record(record: Any) -> bool:
    """Whether it has the form of `_record`."""

    def is_table(rows: Any) -> bool:
        numbers = (value for row in rows for value in row) if isinstance(rows, list) else ("none",)
        return all(value is None or isinstance(value, int | float) for value in numbers)

    try:
        seen = [entry["sha256"] for entries in record["sources"].values() for entry in entries]
        return is_table(record["outputs"]) and is_table(record["outputs_with_noise"]) and set(map(type, seen)) <= {str}
    except (AttributeError, KeyError, TypeError):
        return False


def _short(sha256: str) -> str:
    return sha256 if sha256 == NO_SOURCE else f"{sha256[:12]}..."


def _check_initial(then: Mapping[str, Array], sight: Sight, rounds: int, who: str) -> None:
    now = {key: value.numpy() for key, value in sight.initial.items()}
    mend = (
        "restore the code (or the version of PyTorch, which run.json names) that the run was made with, or train the "
        "new one in another folder (--out)"
        if rounds
        else "train it in another folder (--out), or delete this run's folder: no round of it is trained yet"
    )
    if (shapes := _shapes(then)) != (made := _shapes(now)):
        differ = sorted(key for key in shapes.keys() | made.keys() if shapes.get(key) != made.get(key))
        raise InputError(
            f"{who} is not the network that this run began with: {differ[0]} is "
            f"{made.get(differ[0], 'missing')}, and was {shapes.get(differ[0], 'missing')}; {mend}"
        )
    for key in sight.parameters:  # a buffer may hold what the constructor never set
        largest = _difference(then[key].astype(np.float64), now[key].astype(np.float64))
        if largest is not None:
            raise InputError(
                f"{who} is not the network that this run began with: replicate 0's initial {key} differs by "
                f"up to {largest:.3g} from what is committed; {mend}"
            )


def _check_outputs(record: Mapping[str, Any], sight: Sight, who: str) -> None:
    for key, now in (("outputs", sight.outputs), ("outputs_with_noise", sight.with_noise)):
        largest = _difference(_array(record[key]), _array(now))
        if largest is not None:
            raise InputError(
                f"{who} is not the network that this run began with: its outputs for the first {EXAMPLES} training "
                f"examples differ by up to {largest:.3g}; "
                "restore the code that the run was made with, or train the new one in another folder (--out)"
            )


def _difference(then: np.ndarray, now: np.ndarray) -> float | None:
    """The largest difference, if it is beyond the tolerance; infinity for other shapes, or not finite elsewhere."""
    if then.shape != now.shape or not np.array_equal(np.isfinite(then), np.isfinite(now)):
        return math.inf
    finite = np.isfinite(then)
    largest = float(np.abs(then - now, where=finite, out=np.zeros_like(then)).max(initial=0.0))
    scale = float(np.abs(then, where=finite, out=np.zeros_like(then)).max(initial=0.0))
    return largest if largest > max(TOLERANCE * scale, _LEAST) else None


def _outputs(fitted: Fitted, starts: Sequence[Values], inputs: Tensor) -> list[Table]:
    """(examples, outputs) of a new network at each of `starts`; the global generators are left as they were."""
    name, shape, tables = fitted.run.model.name, tuple(inputs.shape), []
    with untouched_generators(), torch.device("cpu"), torch.no_grad(), _one_thread():
        module = fitted.build().eval()
        device = next((parameter.device for parameter in module.parameters()), inputs.device)
        for values in starts:
            seed_generators(_SEED)  # for models that draw in evaluation mode too
            for key, tensor in (*module.named_parameters(), *module.named_buffers()):
                if not torch.equal(tensor.cpu(), values[key]):  # a buffer may be one number, expanded, and not take any
                    tensor.copy_(values[key])
            try:
                outputs = module(inputs.to(device, copy=True))  # a model may write to its inputs
            except (Exception, SystemExit) as error:
                raise UserCodeError(
                    f"model {name!r} fails on the first training examples, of shape {shape}: {told(error)}"
                ) from error
            tables.append(_table(outputs))
    return tables


@contextmanager
def _one_thread() -> Iterator[None]:
    """So that the outputs have the same bits from start to start: several threads may share a sum out otherwise."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _table(outputs: Tensor) -> Table:
    rows = np.asarray(outputs.reshape(len(outputs), -1).to("cpu", torch.float32).numpy())
    # The shortest text that gives the same float32.
    return [[float(str(value)) if math.isfinite(value) else None for value in row] for row in rows]


def _with_noise(fitted: Fitted, values: Values) -> dict[str, Tensor]:
    """The values with noise added to the parameters, the same on every machine."""
    random = np.random.RandomState(_SEED)  # its stream is frozen for good
    noisy = dict(values)
    for key, _ in fitted.module.named_parameters():
        value = values[key]
        noise = torch.from_numpy(np.asarray(random.standard_normal(tuple(value.shape)))).to(value.dtype)
        noisy[key] = value + noise * (_NOISE / math.sqrt(max(math.prod(value.shape[1:]), 1)))
    return noisy


def _shapes(values: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
    return {key: value.shape for key, value in values.items()}


def _array(table: Table) -> np.ndarray:
    return np.array([[math.nan if value is None else value for value in row] for row in table], dtype=np.float64)
