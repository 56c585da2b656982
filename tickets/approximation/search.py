"""The search for all subsets of a network, block by block, in several threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from tickets.approximation.blocks import blocks_of, read_blocks, with_sums, write_block
from tickets.approximation.construction import Settings, find_rows, groups_of
from tickets.approximation.subset_sum import Bits, Subsets, find_subsets
from tickets.approximation.target import Layer
from tickets.approximation.values import draw
from tickets.store.temporary import Permit

Advance = Callable[[int], None]
"""Called with the number of subsets that were found since the last call."""

_TRIED = 200  # subsets, to see how long one takes


def subsets_to_find(layers: Sequence[Layer], settings: Settings) -> int:
    """How many subsets a network needs: one for each weight and bias that is not 0, and each sign of its input."""
    return sum(_subsets_in(layer, range(len(layer.weight)), settings) for layer in layers)


def seconds_each(settings: Settings) -> float:
    """The seconds that one subset takes in one thread here, from a trial. The search is compiled before it."""
    numbers = draw(settings.values, (_TRIED, settings.candidates), 1.0, "trial").astype(np.float64)
    targets = draw("uniform", (_TRIED, 1), 0.5, "trial", "targets").astype(np.float64)
    if settings.construction == "row":  # all weights of a row share its sums
        numbers, targets = numbers[:1], targets.T
    find_subsets(numbers[:1], targets[:1, :1], settings.fewest_within)
    began = time.perf_counter()
    find_subsets(numbers, targets, settings.fewest_within)
    return (time.perf_counter() - began) / _TRIED


class Search:
    """The subsets of a network: those that are on disk, and those that are still to be found.

    Parameters
    ----------
    folder
        The approximation's folder.
    of
        The SHA-256 of its record.
    layers
        Of the target.
    settings
        Of the construction.

    Attributes
    ----------
    seconds
        That the search of all committed blocks took, in all processes.
    """

    def __init__(self, folder: Path, of: str, layers: Sequence[Layer], settings: Settings) -> None:
        self._folder, self._of, self._layers, self._settings = folder, of, layers, settings
        self._found: list[dict[range, Bits]] = []
        self.seconds = 0.0
        for index, layer in enumerate(layers):
            known: dict[range, Bits] = {}
            for rows, bits, seconds in read_blocks(folder, of, index, layer, settings):
                known[rows] = bits
                self.seconds += seconds
            self._found.append(known)

    @property
    def missing(self) -> int:
        """How many subsets are not on disk."""
        return sum(
            _subsets_in(layer, rows, self._settings)
            for layer, known in zip(self._layers, self._found, strict=True)
            for rows in blocks_of(layer, self._settings)
            if rows not in known
        )

    def run(self, threads: int, permit: Permit | None = None, advance: Advance = lambda count: None) -> None:
        """Find and commit what is missing.

        Parameters
        ----------
        threads
            That search at once.
        permit
            See `tickets.store.commit`.
        advance
            Told of the progress.
        """
        pool = ThreadPoolExecutor(threads)
        try:
            for index, (layer, known) in enumerate(zip(self._layers, self._found, strict=True)):
                for rows in blocks_of(layer, self._settings):
                    if rows in known:
                        continue
                    began, parts = time.perf_counter(), []
                    for row, part in zip(rows, pool.map(_finder(layer, index, self._settings), rows), strict=True):
                        parts.append(part)
                        advance(_subsets_in(layer, range(row, row + 1), self._settings))
                    bits, seconds = np.concatenate(parts), time.perf_counter() - began
                    write_block(self._folder, self._of, index, rows, bits, seconds, permit)
                    known[rows], self.seconds = bits, self.seconds + seconds
        finally:
            pool.shutdown(cancel_futures=True)  # an interrupt waits for the rows at work, and for no others

    def found(self) -> list[Subsets]:
        """The subsets of each layer, (out, groups), once none is missing."""
        whole = []
        for index, (layer, known) in enumerate(zip(self._layers, self._found, strict=True)):
            bits = np.concatenate([known[rows] for rows in blocks_of(layer, self._settings)])
            whole.append(with_sums(bits, range(len(bits)), layer, index, self._settings))
        return whole


def find_all(layers: Sequence[Layer], settings: Settings, threads: int) -> list[Subsets]:
    """The subsets of all layers, (out, groups) each, without a folder."""
    with ThreadPoolExecutor(threads) as pool:
        bits = [
            np.concatenate(list(pool.map(_finder(layer, index, settings), range(len(layer.weight)))))
            for index, layer in enumerate(layers)
        ]
    return [
        with_sums(one, range(len(one)), layer, index, settings)
        for index, (layer, one) in enumerate(zip(layers, bits, strict=True))
    ]


def _finder(layer: Layer, index: int, settings: Settings) -> Callable[[int], Bits]:
    return lambda row: find_rows(layer, index, range(row, row + 1), settings).bits


def _subsets_in(layer: Layer, rows: range, settings: Settings) -> int:
    groups = groups_of(layer, settings)
    return int(np.count_nonzero(layer.sources[rows.start : rows.stop][:, groups.source]))
