"""The subset of a few numbers whose sum is nearest to a target, by meeting in the middle.

All sums of each half of the numbers are listed in ascending order: merging a sorted list with itself plus one number
gives the next list, so that nothing is sorted. Two fingers then pass the two lists once for each target. Source:
Horowitz & Sahni 1974, "Computing Partitions with Applications to the Knapsack Problem".
"""

from __future__ import annotations

import numpy as np

from tickets.stack.kernels.compiled import compiled

HALF = 12  # numbers of a half at most: lists of 4,096 sums


@compiled
def search_subsets(numbers, order, targets, tolerance, fewest, subsets, sums):
    """For each target, the subset of the row's numbers that comes nearest, or the smallest one within a tolerance.

    numbers: (rows, n) float64. order: (rows, n), the numbers' places: the first 24 are searched exactly, the others
    taken greedily from the last on. targets: (rows, m); 0 has the empty subset. fewest: whether the fewest numbers
    within the tolerance are wanted; the nearest where there are none. subsets: (rows, m) int64, bit k for number k.
    sums: (rows, m), of these numbers as they stand.
    """
    n = numbers.shape[1]
    exact = min(n, 2 * HALF)
    size = 2 ** min(HALF, (exact + 1) // 2)
    low, low_sets, high, high_sets = np.empty(size), np.empty(size, np.int64), np.empty(size), np.empty(size, np.int64)
    spare, spare_sets = np.empty(size), np.empty(size, np.int64)
    low_counts, high_counts, queue = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int64)
    for row in range(len(numbers)):
        own, larger = numbers[row], order[row, exact:]
        lows = _list_sums(own, order[row, : exact // 2], low, low_sets, spare, spare_sets, low_counts)
        highs = _list_sums(own, order[row, exact // 2 : exact], high, high_sets, spare, spare_sets, high_counts)
        for m in range(targets.shape[1]):
            target = targets[row, m]
            chosen, rest, rest_sum = np.int64(0), np.int64(0), 0.0
            if target != 0:
                for _ in range(2):  # first the first numbers alone; then what the others leave to them
                    wanted, found = target - rest_sum, np.int64(-1)
                    if fewest:
                        found = _fewest(low, low_sets, low_counts, lows, high, high_sets, high_counts, highs,
                                        wanted, tolerance, queue)  # fmt: skip
                    if found < 0:
                        found = _nearest(low, low_sets, low_counts, lows, high, high_sets, high_counts, highs, wanted)
                    found |= rest
                    if rest == 0 or _is_better(own, found, chosen, target, tolerance, fewest):
                        chosen = found
                    rest, rest_sum = _greedy(own, larger, target)
                    if rest == 0:
                        break
            subsets[row, m] = chosen
            sums[row, m] = _sum(own, chosen)


@compiled
def _list_sums(numbers, places, sums, sets, spare, spare_sets, counts):
    """The sums of all subsets of some of the numbers, ascending; of equal sums, the one of the fewest numbers."""
    sums[0], sets[0] = 0.0, 0
    length = 1
    for place in places:
        number, bit = numbers[place], np.int64(1) << np.int64(place)
        i = j = merged = 0
        while i < length or j < length:
            with_it = sums[j] + number if j < length else np.inf
            without = sums[i] if i < length else np.inf
            if without < with_it or (without == with_it and _count(sets[i]) <= _count(sets[j]) + 1):
                value, subset = without, sets[i]
                i += 1
            else:
                value, subset = with_it, sets[j] | bit
                j += 1
            if merged and spare[merged - 1] == value:
                if _count(subset) < _count(spare_sets[merged - 1]):
                    spare_sets[merged - 1] = subset
                continue
            spare[merged], spare_sets[merged] = value, subset
            merged += 1
        length = merged
        sums[:length], sets[:length] = spare[:length], spare_sets[:length]
    for i in range(length):
        counts[i] = _count(sets[i])
    return length


@compiled
def _nearest(low, low_sets, low_counts, lows, high, high_sets, high_counts, highs, target):
    """The nearest sum; of equally near ones, one of the fewest numbers."""
    i, j = 0, highs - 1
    best, best_count, chosen = np.inf, np.int64(64), np.int64(0)
    while i < lows and j >= 0:
        difference = low[i] + high[j] - target
        error = abs(difference)
        if error <= best:
            count = low_counts[i] + high_counts[j]
            if error < best or count < best_count:
                best, best_count, chosen = error, count, low_sets[i] | high_sets[j]
        if difference > 0:
            j -= 1
        else:
            i += 1
    return chosen


@compiled
def _fewest(low, low_sets, low_counts, lows, high, high_sets, high_counts, highs, target, tolerance, queue):
    """The fewest numbers whose sum is within the tolerance, the nearest of these that are looked at; -1 if none is.

    The sums of the upper half that fit a sum of the lower half are a window, which moves down as the lower sum grows.
    The queue holds the window's indices whose counts are the least of all after them: its first has the fewest.
    """
    begin = end = 0
    next_high = highs - 1  # the first that has not been in the window
    best_count, best, chosen = np.int64(64), np.inf, np.int64(-1)
    for i in range(lows):
        while next_high >= 0 and target - (low[i] + high[next_high]) <= tolerance:
            while end > begin and high_counts[queue[end - 1]] >= high_counts[next_high]:
                end -= 1
            queue[end] = next_high
            end += 1
            next_high -= 1
        while begin < end and low[i] + high[queue[begin]] - target > tolerance:
            begin += 1
        if begin == end:
            continue
        j = queue[begin]
        count, error = low_counts[i] + high_counts[j], abs(low[i] + high[j] - target)
        if count < best_count or (count == best_count and error < best):
            best_count, best, chosen = count, error, low_sets[i] | high_sets[j]
    return chosen


@compiled
def _greedy(numbers, places, target):
    """Of some numbers, from the last on, each that brings the sum nearer: (their set, their sum)."""
    chosen, total = np.int64(0), 0.0
    for k in range(len(places) - 1, -1, -1):
        number = numbers[places[k]]
        if abs(target - total - number) < abs(target - total):
            chosen |= np.int64(1) << np.int64(places[k])
            total += number
    return chosen, total


@compiled
def _is_better(numbers, subset, than, target, tolerance, fewest):
    """Whether a subset is preferred to another one, of either way to search."""
    error, other = abs(_sum(numbers, subset) - target), abs(_sum(numbers, than) - target)
    if fewest and error <= tolerance and other <= tolerance:
        return _count(subset) < _count(than)
    return error < other


@compiled
def _sum(numbers, subset):
    total = 0.0
    for k in range(len(numbers)):
        if subset >> k & 1:
            total += numbers[k]
    return total


@compiled
def _count(subset):
    """The numbers in a subset."""
    count = np.int64(0)
    while subset:
        subset &= subset - 1
        count += 1
    return count
