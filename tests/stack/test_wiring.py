"""Edges by hand, and that every surviving weight is among them once, whatever the masks."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tickets.stack.wiring import WIDTH, Edges, Wiring, wire


def rows_of(edges: Edges, zeros: set[int]) -> dict[int, list[int]]:
    """By unit, where its edges come from; what fills up is left out."""
    sources = {}
    for unit, first, fours in zip(edges.unit, edges.first, edges.fours, strict=True):
        sources[int(unit)] = [int(s) for s in edges.source[first : first + WIDTH * fours] if int(s) not in zeros]
    return sources


def test_by_hand() -> None:
    first = np.array([[1, 0, 1], [0, 0, 0]], bool)  # 3 inputs, hidden units 0 and 1
    second = np.array([[1, 1], [0, 1], [1, 0]], bool)  # output units 2, 3 and 4
    wiring = wire([first, second])
    assert (wiring.inputs, wiring.units, wiring.classes, wiring.first_layer) == (3, 5, 3, 2)
    assert wiring.forward.unit.tolist() == [0, 1, 2, 3, 4]
    assert wiring.forward.fours.tolist() == [1, 0, 1, 1, 1]
    assert wiring.forward.first.tolist() == [0, 4, 4, 8, 12]
    # Inputs 0 and 2 into unit 0, filled up from the row of zeros, 3; then units, whose row of zeros is 5.
    assert wiring.forward.source.tolist() == [0, 2, 3, 3, 0, 1, 5, 5, 1, 5, 5, 5, 0, 5, 5, 5]
    assert wiring.place.tolist() == [0, 1, 4, 5, 8, 12]
    assert wiring.edges == 17
    # Back into hidden unit 0 from outputs 2 and 4, into 1 from 2 and 3; weight 16 is always 0.
    assert wiring.backward.unit.tolist() == [0, 1]
    assert wiring.backward.source.tolist() == [2, 4, 5, 5, 2, 3, 5, 5]
    assert wiring.weight.tolist() == [4, 12, 16, 16, 5, 8, 16, 16]


def test_units_with_more_edges_come_first() -> None:
    mask = np.zeros((3, 20), bool)
    mask[0, :1], mask[1, :9], mask[2, :5] = True, True, True
    forward = wire([mask, np.ones((2, 3), bool)]).forward
    assert forward.unit[:3].tolist() == [1, 2, 0]
    assert forward.fours[:3].tolist() == [3, 2, 1]


def test_a_unit_that_nothing_leads_out_of_is_idle() -> None:
    wiring = wire([np.ones((3, 2), bool), np.array([[1, 0, 0], [1, 0, 1]], bool)])
    assert wiring.forward.unit.tolist() == [0, 1, 2, 3, 4]
    assert wiring.idle.tolist() == [False, True, False, False, False]


def test_a_linear_classifier_has_nothing_to_go_back_through() -> None:
    wiring = wire([np.ones((2, 3), bool)])
    assert len(wiring.backward.unit) == len(wiring.weight) == 0
    assert wiring.place.tolist() == [0, 1, 2, 4, 5, 6]


@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=4),
    st.floats(0, 1),
    st.integers(0, 2**32 - 1),
)
def test_every_surviving_weight_is_one_edge_each_way(widths: list[int], density: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    masks = [rng.random((out, into)) < density for into, out in itertools.pairwise(widths)]
    wiring = wire(masks)
    starts = np.cumsum([0, *(len(mask) for mask in masks)])
    forward: dict[int, list[int]] = {}
    backward: dict[int, list[int]] = {unit: [] for unit in range(int(starts[-2]))}
    for layer, mask in enumerate(masks):
        for unit, row in enumerate(mask):
            before = 0 if layer == 0 else starts[layer - 1]
            forward[int(starts[layer]) + unit] = [int(before + source) for source in np.flatnonzero(row)]
        if layer > 0:
            for source in range(mask.shape[1]):
                targets = [int(starts[layer] + target) for target in np.flatnonzero(mask[:, source])]
                backward[int(starts[layer - 1]) + source] = targets
    into_first = {unit: sources for unit, sources in forward.items() if unit < starts[1]}
    found = rows_of(wiring.forward, {wiring.inputs})
    assert {unit: found[unit] for unit in into_first} == into_first
    found = rows_of(wiring.forward, {wiring.units})
    assert {unit: found[unit] for unit in forward.keys() - into_first.keys()} == {
        unit: forward[unit] for unit in forward.keys() - into_first.keys()
    }
    assert rows_of(wiring.backward, {wiring.units}) == backward
    check_weights(wiring, masks)


def check_weights(wiring: Wiring, masks: list[np.ndarray]) -> None:
    """Each backward edge has the number of the forward edge of the same weight."""
    count = sum(int(mask.sum()) for mask in masks)
    assert len(wiring.place) == len(set(wiring.place.tolist())) == count
    ends = {}
    for unit, first, fours in zip(wiring.forward.unit, wiring.forward.first, wiring.forward.fours, strict=True):
        for edge in range(first, first + WIDTH * fours):
            ends[edge] = (int(unit), int(wiring.forward.source[edge]))
    used = []
    for unit, first, fours in zip(wiring.backward.unit, wiring.backward.first, wiring.backward.fours, strict=True):
        for edge in range(first, first + WIDTH * fours):
            weight, target = int(wiring.weight[edge]), int(wiring.backward.source[edge])
            if target == wiring.units:
                assert weight == wiring.edges - 1
            else:
                assert ends[weight] == (target, int(unit))
                used.append(weight)
    assert sorted(used) == sorted(wiring.place[int(masks[0].sum()) :].tolist())
