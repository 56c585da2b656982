"""The search for subset sums in NumPy, for where nothing can be compiled. Slower, with the same results."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

HALF = 12  # numbers of a half at most, as in the kernel

Numbers = npt.NDArray[np.float64]
Bits = npt.NDArray[np.int64]

_ONES = np.array([byte.bit_count() for byte in range(256)], np.int64)


def count_bits(bits: Bits) -> npt.NDArray[np.int64]:
    """How many bits of each number are set; NumPy before 2.0 has no function for it."""
    parts = np.ascontiguousarray(bits)[..., None].view(np.uint8)
    counts: npt.NDArray[np.int64] = _ONES[parts].sum(-1)
    return counts


def search_plainly(
    numbers: Numbers,
    order: npt.NDArray[np.int64],
    targets: Numbers,
    tolerance: float,
    fewest: bool,
    subsets: Bits,
    sums: Numbers,
) -> None:
    """What `tickets.stack.kernels.subset_sums.search_subsets` does, with the same arguments."""
    exact = min(numbers.shape[1], 2 * HALF)
    for row, own in enumerate(numbers):
        halves = [_Sums(own, order[row, : exact // 2]), _Sums(own, order[row, exact // 2 : exact])]
        for m, target in enumerate(targets[row]):
            if target != 0:
                subsets[row, m] = _search(own, order[row, exact:], halves, target, tolerance, fewest)
            sums[row, m] = _sum(own, subsets[row, m])


class _Sums:
    """The sums of all subsets of some numbers, ascending; of equal sums, the one of the fewest numbers."""

    def __init__(self, numbers: Numbers, places: npt.NDArray[np.int64]) -> None:
        sums, sets = np.zeros(1), np.zeros(1, np.int64)
        for place in places:
            sums = np.concatenate([sums, sums + numbers[place]])
            sets = np.concatenate([sets, sets | (1 << int(place))])
        ascending = np.lexsort((count_bits(sets), sums))
        sums, sets = sums[ascending], sets[ascending]
        first = np.append(True, sums[1:] != sums[:-1])
        self.sums, self.sets = sums[first], sets[first]
        self.counts = count_bits(self.sets)
        most = int(self.counts.max())
        # (counts, sums + 1): how many of the first sums have each count
        self.before = np.zeros((most + 1, len(self.sums) + 1), np.int64)
        np.cumsum(self.counts == np.arange(most + 1)[:, None], axis=1, out=self.before[:, 1:])


def _search(
    numbers: Numbers,
    larger: npt.NDArray[np.int64],
    halves: list[_Sums],
    target: float,
    tolerance: float,
    fewest: bool,
) -> int:
    found = _exact(halves, target, tolerance, fewest)
    rest, total = _greedy(numbers, larger, target)
    if not rest:
        return found
    other = rest | _exact(halves, target - total, tolerance, fewest)
    errors = [abs(_sum(numbers, subset) - target) for subset in (found, other)]
    if fewest and max(errors) <= tolerance:
        return other if other.bit_count() < found.bit_count() else found
    return other if errors[1] < errors[0] else found


def _exact(halves: list[_Sums], target: float, tolerance: float, fewest: bool) -> int:
    within = _fewest(halves, target, tolerance) if fewest else None
    return _nearest(halves, target) if within is None else within


def _nearest(halves: list[_Sums], target: float) -> int:
    low, high = halves
    above = np.searchsorted(high.sums, target - low.sums)
    lower = np.tile(np.arange(len(low.sums)), 2)
    upper = np.concatenate([np.maximum(above - 1, 0), np.minimum(above, len(high.sums) - 1)])
    errors = np.abs(low.sums[lower] + high.sums[upper] - target)
    best = np.lexsort((low.counts[lower] + high.counts[upper], errors))[0]
    return int(low.sets[lower[best]] | high.sets[upper[best]])


def _fewest(halves: list[_Sums], target: float, tolerance: float) -> int | None:
    low, high = halves
    begin = np.searchsorted(high.sums, target - low.sums - tolerance, "left")
    end = np.searchsorted(high.sums, target - low.sums + tolerance, "right")
    there = high.before[:, end] > high.before[:, begin]  # (counts, sums of the lower half)
    if not there.any():
        return None
    counts = np.where(there.any(0), there.argmax(0) + low.counts, np.iinfo(np.int64).max)
    best: tuple[float, int] | None = None
    for i in np.flatnonzero(counts == counts.min()):
        window = np.arange(begin[i], end[i])
        window = window[high.counts[window] == counts[i] - low.counts[i]]
        errors = np.abs(low.sums[i] + high.sums[window] - target)
        j = int(errors.argmin())
        if best is None or errors[j] < best[0]:
            best = float(errors[j]), int(low.sets[i] | high.sets[window[j]])
    return None if best is None else best[1]


def _greedy(numbers: Numbers, places: npt.NDArray[np.int64], target: float) -> tuple[int, float]:
    chosen, total = 0, 0.0
    for place in places[::-1]:
        if abs(target - total - numbers[place]) < abs(target - total):
            chosen |= 1 << int(place)
            total += float(numbers[place])
    return chosen, total


def _sum(numbers: Numbers, subset: int) -> float:
    total = 0.0
    for k, number in enumerate(numbers):
        if int(subset) >> k & 1:
            total += float(number)
    return total
