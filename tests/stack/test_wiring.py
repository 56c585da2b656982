"""Edges by hand, and that every surviving weight is among them once, whatever the masks."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tickets.stack.wiring import EDGES, ROWS, Edges, Wiring, wire


def rows_of(edges: Edges) -> dict[int, list[int]]:
    """By unit, where its edges come from, in order."""
    sources: dict[int, list[int]] = {}
    for unit, first, count in zip(edges.unit, edges.first, edges.length, strict=True):
        sources.setdefault(int(unit), []).extend(edges.source[first : first + count].tolist())
    return sources


def test_by_hand() -> None:
    first = np.array([[1, 0, 1], [0, 0, 0]], bool)  # 3 inputs, hidden units 0 and 1
    second = np.array([[1, 1], [0, 1], [1, 0]], bool)  # output units 2, 3 and 4
    wiring = wire([first, second])
    assert (wiring.inputs, wiring.units, wiring.classes, wiring.edges) == (3, 5, 3, 6)
    assert wiring.starts.tolist() == [0, 2, 5]
    # Inputs 0 and 2 into unit 0, none into 1; then units into the outputs, the one with two edges first.
    assert wiring.forward.source.tolist() == [0, 2, 0, 1, 1, 0]
    assert wiring.forward.unit.tolist() == [0, 2, 3, 4]
    assert wiring.forward.first.tolist() == [0, 2, 4, 5]
    assert wiring.forward.length.tolist() == [2, 2, 1, 1]
    assert wiring.forward.layer.tolist() == [0, 1, 4]
    # Back into hidden unit 0 from outputs 2 and 4, into 1 from 2 and 3.
    assert wiring.backward.unit.tolist() == [0, 1]
    assert wiring.backward.source.tolist() == [2, 4, 2, 3]
    assert wiring.backward_edge.tolist() == [2, 5, 3, 4]
    assert wiring.backward.layer.tolist() == [0, 2]


def test_units_with_more_edges_come_first() -> None:
    mask = np.zeros((3, 20), bool)
    mask[0, :1], mask[1, :9], mask[2, :5] = True, True, True
    forward = wire([mask, np.ones((2, 3), bool)]).forward
    assert forward.unit[:3].tolist() == [1, 2, 0]
    assert forward.length[:3].tolist() == [9, 5, 1]


def test_a_unit_that_nothing_leads_out_of_has_no_segments() -> None:
    wiring = wire([np.ones((3, 2), bool), np.array([[1, 0, 0], [1, 0, 1]], bool)])
    assert wiring.idle.tolist() == [False, True, False, False, False]
    assert wiring.forward.unit.tolist() == [0, 2, 4, 3]
    assert wiring.forward.source.tolist()[:6] == [0, 1] * 3, "its edges keep their numbers"


def test_nor_has_one_that_leads_to_such_units_alone() -> None:
    # Of units 0 and 1, the second leads only to unit 3, out of which nothing leads.
    wiring = wire([np.ones((2, 2), bool), np.array([[1, 0], [1, 1]], bool), np.array([[1, 0]], bool)])
    assert wiring.idle.tolist() == [False, True, False, True, False]
    assert wiring.forward.unit.tolist() == [0, 2, 4]
    assert wiring.backward.unit.tolist() == [2, 0]
    assert wiring.backward.source.tolist() == [4, 2], "no slope is taken from an idle unit"
    assert wiring.backward_edge.tolist() == [7, 4]


def test_a_linear_classifier_has_nothing_to_go_back_through() -> None:
    wiring = wire([np.ones((2, 3), bool)])
    assert len(wiring.backward.unit) == len(wiring.backward_edge) == 0
    assert wiring.backward.layer.tolist() == [0]


def test_segments_come_from_a_few_rows_at_a_time() -> None:
    wiring = wire([np.ones((2, 2 * ROWS + 1), bool), np.ones((2 * ROWS - 8, 2), bool)])
    assert wiring.forward.unit[:4].tolist() == [0, 1] * 2
    assert wiring.forward.length[:4].tolist() == [ROWS + 1] * 2 + [ROWS] * 2
    assert wiring.backward.unit.tolist() == [0, 1] * 2
    assert wiring.backward.length.tolist() == [ROWS - 4] * 4, "nearly as many each"
    quarter = np.zeros((1, 16 * EDGES), bool)
    quarter[:, ::4] = True
    assert wire([quarter]).forward.length.tolist() == [EDGES] * 4, "where few survive, from more rows"


@given(
    st.lists(st.sampled_from([1, 2, 5, 9, ROWS, 2 * ROWS + 3]), min_size=2, max_size=4),
    st.floats(0, 1),
    st.integers(0, 2**32 - 1),
)
def test_every_surviving_weight_is_one_edge_each_way(widths: list[int], density: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    masks = [rng.random((out, into)) < density for into, out in itertools.pairwise(widths)]
    wiring = wire(masks)
    starts = np.cumsum([0, *(len(mask) for mask in masks)])
    forward: dict[int, list[int]] = {}
    backward: dict[int, list[int]] = {}

    def is_live(layer: int, unit: int) -> bool:
        """By following every path to the end."""
        if layer + 1 == len(masks):
            return True
        return any(is_live(layer + 1, int(target)) for target in np.flatnonzero(masks[layer + 1][:, unit]))

    for layer, mask in enumerate(masks):
        live = [is_live(layer, unit) for unit in range(len(mask))]
        assert wiring.idle[starts[layer] : starts[layer + 1]].tolist() == [not each for each in live]
        for unit, row in enumerate(mask):
            before = 0 if layer == 0 else starts[layer - 1]
            if row.any() and live[unit]:
                forward[int(starts[layer]) + unit] = [int(before + source) for source in np.flatnonzero(row)]
        for source in range(mask.shape[1] if layer > 0 else 0):
            targets = [int(starts[layer] + target) for target in np.flatnonzero(mask[:, source]) if live[target]]
            if targets:
                backward[int(starts[layer - 1]) + source] = targets
    assert rows_of(wiring.forward) == forward
    assert rows_of(wiring.backward) == backward
    check_numbers(wiring, masks)


def check_numbers(wiring: Wiring, masks: list[np.ndarray]) -> None:
    """Forward edges are the surviving weights in C order; each backward edge has the number of its weight."""
    assert wiring.edges == sum(int(mask.sum()) for mask in masks)
    rows, units, first = [], [], 0
    for layer, mask in enumerate(masks):
        unit, row = np.nonzero(mask)
        rows += (row + (wiring.starts[layer - 1] if layer else 0)).tolist()
        units += (unit + first).tolist()
        first += len(mask)
    assert wiring.forward.source.tolist() == rows
    backward = wiring.backward
    later = range(int(masks[0].sum()), wiring.edges)
    assert sorted(wiring.backward_edge.tolist()) == [edge for edge in later if not wiring.idle[units[edge]]]
    for unit, begin, count in zip(backward.unit, backward.first, backward.length, strict=True):
        for edge in range(begin, begin + count):
            weight = wiring.backward_edge[edge]
            assert (rows[weight], units[weight]) == (unit, backward.source[edge])
