"""Edges by hand, and that every surviving weight is among them once, whatever the masks."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tickets.stack.chain import Link
from tickets.stack.rows import Columns, lay_out_chain
from tickets.stack.wiring import EDGES, ROWS, Edges, Wiring, wire


def rows_of(edges: Edges) -> dict[int, list[int]]:
    """By unit, where its edges come from, in order."""
    sources: dict[int, list[int]] = {}
    for unit, first, count in zip(edges.unit, edges.first, edges.length, strict=True):
        sources.setdefault(int(unit), []).extend(edges.source[first : first + count].tolist())
    return sources


def chained(masks: list[np.ndarray]) -> Wiring:
    """The wiring of Linear layers."""
    links = [Link("", None, (mask.shape[1], 1, 1), (len(mask), 1, 1)) for mask in masks]
    return wire(masks, lay_out_chain(links).columns)


def test_by_hand() -> None:
    first = np.array([[1, 0, 1], [0, 0, 0]], bool)  # 3 inputs, 2 hidden units
    second = np.array([[1, 1], [0, 1], [1, 0]], bool)  # 3 output units
    wiring = chained([first, second])
    assert (wiring.units, wiring.classes, wiring.edges) == (5, 3, 6)
    assert wiring.starts.tolist() == [0, 2, 5]
    # Inputs 0 and 2 into unit 0, none into 1; then units into the outputs, the one with two edges first.
    assert wiring.forward.source.tolist() == [0, 2, 0, 1, 1, 0]
    assert wiring.forward.unit.tolist() == [0, 0, 1, 2]
    assert wiring.forward.first.tolist() == [0, 2, 4, 5]
    assert wiring.forward.length.tolist() == [2, 2, 1, 1]
    assert wiring.forward.layer.tolist() == [0, 1, 4]
    # Back into hidden unit 0 from outputs 0 and 2, into 1 from 0 and 1.
    assert wiring.backward.unit.tolist() == [0, 1]
    assert wiring.backward.source.tolist() == [0, 2, 0, 1]
    assert wiring.backward_edge.tolist() == [2, 5, 3, 4]
    assert wiring.backward.layer.tolist() == [0, 2]


def test_a_convolution_by_hand() -> None:
    """2 images of 2 x 3 pixels, a kernel of 1 x 2 with zeros around of 0 x 1: an image of 2 x 4; then 2 classes."""
    links = [
        Link("", None, (2, 2, 3), (1, 2, 4), kernel=(1, 2), padding=(0, 1)),
        Link("", None, (1, 2, 4), (2, 1, 1)),
    ]
    layout = lay_out_chain(links)
    # Lines of 1 + 3 + 1 pixels of the one channel, then of the other: what the right column reads is one row on.
    assert layout.given.tolist() == [1, 2, 3, 11, 12, 13, 6, 7, 8, 16, 17, 18]
    assert layout.given_rows == 21, "and as many zeros after the last as before the first"
    assert layout.columns[0].source.tolist() == [0, 1, 5, 6]
    assert layout.columns[0].unit.tolist() == [0, 0, 1, 1]
    assert layout.columns[0].target.tolist() == [0, 0, 1, 1]
    assert layout.columns[0].shift.tolist() == [1, 0, 1, 0], "turned round"
    mask = np.array([[[[1, 1]], [[0, 1]]]], bool)
    output = np.array([[[[1, 0, 0, 0], [0, 0, 0, 1]]], [[[0, 0, 0, 0], [0, 0, 0, 1]]]], bool).reshape(2, 8)
    wiring = wire([mask, output], layout.columns)
    assert rows_of(of_layer(wiring.forward, 0)) == {0: [0, 1, 6]}
    assert wiring.starts.tolist() == [0, 1, 3]
    assert wiring.backward.unit.tolist() == [7, 0], "pixel 7 leads to both classes, 0 to one"
    assert wiring.backward.source.tolist() == [0, 0, 1]
    assert wiring.backward_edge.tolist() == [3, 4, 5]


def test_a_channel_is_idle_where_none_of_its_pixels_leads_on() -> None:
    links = [
        Link("", None, (1, 2, 2), (2, 2, 2), kernel=(1, 1)),
        Link("", None, (2, 2, 2), (1, 1, 1)),
    ]
    output = np.zeros((1, 8), bool)
    output[0, 6] = True  # of channel 1
    wiring = wire([np.ones((2, 1, 1, 1), bool), output], lay_out_chain(links).columns)
    assert wiring.idle.tolist() == [True, False, False]


def test_units_with_more_edges_come_first() -> None:
    mask = np.zeros((3, 20), bool)
    mask[0, :1], mask[1, :9], mask[2, :5] = True, True, True
    forward = chained([mask, np.ones((2, 3), bool)]).forward
    assert forward.unit[:3].tolist() == [1, 2, 0]
    assert forward.length[:3].tolist() == [9, 5, 1]


def test_a_unit_that_nothing_leads_out_of_has_no_segments() -> None:
    wiring = chained([np.ones((3, 2), bool), np.array([[1, 0, 0], [1, 0, 1]], bool)])
    assert wiring.idle.tolist() == [False, True, False, False, False]
    assert wiring.forward.unit.tolist() == [0, 2, 1, 0]
    assert wiring.forward.source.tolist()[:6] == [0, 1] * 3, "its edges keep their numbers"


def test_nor_has_one_that_leads_to_such_units_alone() -> None:
    # Of units 0 and 1, the second leads only to the next layer's unit 1, out of which nothing leads.
    wiring = chained([np.ones((2, 2), bool), np.array([[1, 0], [1, 1]], bool), np.array([[1, 0]], bool)])
    assert wiring.idle.tolist() == [False, True, False, True, False]
    assert wiring.forward.unit.tolist() == [0, 0, 0]
    assert wiring.backward.unit.tolist() == [0, 0]
    assert wiring.backward.source.tolist() == [0, 0], "no slope is taken from an idle unit"
    assert wiring.backward_edge.tolist() == [7, 4]


def test_a_linear_classifier_has_nothing_to_go_back_through() -> None:
    wiring = chained([np.ones((2, 3), bool)])
    assert len(wiring.backward.unit) == len(wiring.backward_edge) == 0
    assert wiring.backward.layer.tolist() == [0]


def test_segments_come_from_a_few_rows_at_a_time() -> None:
    wiring = chained([np.ones((2, 2 * ROWS + 1), bool), np.ones((2 * ROWS - 8, 2), bool)])
    assert wiring.forward.unit[:4].tolist() == [0, 1] * 2
    assert wiring.forward.length[:4].tolist() == [ROWS + 1] * 2 + [ROWS] * 2
    assert wiring.backward.unit.tolist() == [0, 1] * 2
    assert wiring.backward.length.tolist() == [ROWS - 4] * 4, "nearly as many each"
    quarter = np.zeros((1, 16 * EDGES), bool)
    quarter[:, ::4] = True
    assert chained([quarter]).forward.length.tolist() == [EDGES] * 4, "where few survive, from more rows"


def test_pairs_come_from_the_same_rows() -> None:
    # In the columns' order, the first and the third unit's rows are 0, 50 and 2; the second's 0, 1 and 2.
    columns = Columns(np.arange(4), np.array([0, 50, 1, 2]), np.arange(4), np.zeros(4, np.int64), targets=4)
    mask = np.array([[1, 1, 0, 1], [1, 0, 1, 1], [1, 1, 0, 1], [1, 1, 0, 1]], bool)
    assert wire([mask], [columns]).forward.paired.tolist() == [0, 0, 1, 0]


@given(
    st.lists(st.sampled_from([1, 2, 5, 9, ROWS, 2 * ROWS + 3]), min_size=2, max_size=4),
    st.floats(0, 1),
    st.integers(0, 2**32 - 1),
)
def test_every_surviving_weight_is_one_edge_each_way(widths: list[int], density: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    masks = [rng.random((out, into)) < density for into, out in itertools.pairwise(widths)]
    wiring = chained(masks)
    starts = np.cumsum([0, *(len(mask) for mask in masks)])

    def is_live(layer: int, unit: int) -> bool:
        """By following every path to the end."""
        if layer + 1 == len(masks):
            return True
        return any(is_live(layer + 1, int(target)) for target in np.flatnonzero(masks[layer + 1][:, unit]))

    for layer, mask in enumerate(masks):
        live = [is_live(layer, unit) for unit in range(len(mask))]
        assert wiring.idle[starts[layer] : starts[layer + 1]].tolist() == [not each for each in live]
        entering = {unit: np.flatnonzero(row).tolist() for unit, row in enumerate(mask) if row.any() and live[unit]}
        assert rows_of(of_layer(wiring.forward, layer)) == entering
        leaving = {
            row: [target for target in np.flatnonzero(mask[:, row]).tolist() if live[target]]
            for row in range(mask.shape[1] if layer else 0)
        }
        found = of_layer(wiring.backward, len(masks) - 1 - layer) if layer else None
        assert found is None or rows_of(found) == {row: targets for row, targets in leaving.items() if targets}
    check_numbers(wiring, masks)


def of_layer(edges: Edges, place: int) -> Edges:
    """The segments of one layer."""
    part = slice(edges.layer[place], edges.layer[place + 1])
    return edges._replace(unit=edges.unit[part], first=edges.first[part], length=edges.length[part])


def check_numbers(wiring: Wiring, masks: list[np.ndarray]) -> None:
    """Forward edges are the surviving weights in C order; each backward edge has the number of its weight."""
    assert wiring.edges == sum(int(mask.sum()) for mask in masks)
    places = [(layer, unit, row) for layer, mask in enumerate(masks) for unit, row in np.argwhere(mask).tolist()]
    assert wiring.forward.source.tolist() == [row for _, _, row in places]
    live = [edge for edge, (layer, unit, _) in enumerate(places) if not wiring.idle[wiring.starts[layer] + unit]]
    assert sorted(wiring.backward_edge.tolist()) == [edge for edge in live if places[edge][0] > 0]
    for place in range(len(masks) - 1):
        backward = of_layer(wiring.backward, place)
        for row, begin, count in zip(backward.unit, backward.first, backward.length, strict=True):
            for edge in range(begin, begin + count):
                assert places[wiring.backward_edge[edge]] == (len(masks) - 1 - place, backward.source[edge], row)
