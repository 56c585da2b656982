"""Figures of masks and initial values: hand-made ones with the exact answer, saved ones by plain numpy."""

import numpy as np
import pytest
from tickets.analysis.report import (
    describe_initial_values,
    describe_kept_pixels,
    describe_overlap,
    describe_surviving,
    draw_initial_values,
    draw_kept_pixels,
    draw_overlap,
    draw_surviving,
    initial_values,
    kept_pixels,
    overlap,
    read_initial,
    read_masks,
    surviving,
    to_svg,
    why_no_pixels,
)


def bits(text, shape=None):
    return np.array([character == "1" for character in text]).reshape(shape or len(text))


# Two replicates, two rounds, two tensors of four and two weights.
MASKS = {
    0: {0: {"a": bits("1111"), "b": bits("11")}, 1: {"a": bits("1111"), "b": bits("11")}},
    3: {0: {"a": bits("1100"), "b": bits("10")}, 1: {"a": bits("0110"), "b": bits("01")}},
}


def test_the_surviving_fraction_of_each_tensor():
    data = surviving(MASKS)
    assert data.to_dict("list") == {
        "round": [0, 0, 3, 3], "density": [1.0, 1.0, 0.5, 0.5], "tensor": ["a", "b", "a", "b"],
        "weights": [4, 2, 4, 2], "kept": [4.0, 2.0, 2.0, 1.0], "fraction": [1.0, 1.0, 0.5, 0.5],
    }  # fmt: skip
    (axes,) = draw_surviving(data).axes
    assert {text.get_text() for text in axes.texts} == {"a", "b", "all"}
    assert describe_surviving(data).endswith("At density 0.5: 50 % of a, 50 % of b.")


def test_overlap_and_what_chance_expects():
    data = overlap(MASKS).set_index(["round", "tensor"])
    assert data.loc[0, "jaccard"].tolist() == data.loc[0, "chance"].tolist() == [1.0, 1.0, 1.0]
    later = data.loc[3]
    assert later["jaccard"].to_dict() == pytest.approx({"a": 1 / 3, "b": 0, "all": 1 / 5})
    # a: 2 * 2 / 4 = 1 of 3; b: 1 * 1 / 2 = 1/2 of 3/2.
    assert later["chance"].to_dict() == pytest.approx({"a": 1 / 3, "b": 1 / 3, "all": 1.5 / 4.5})
    assert later["pairs"].tolist() == [1, 1, 1]
    above, below = draw_overlap(overlap(MASKS)).axes
    assert [text.get_text() for text in above.texts] == ["replicates", "by chance"]
    assert [text.get_text() for text in below.texts] == ["all", "a", "b"]
    assert "it is 0.200 [0.200 to 0.200], 0.333 expected by chance" in describe_overlap(overlap(MASKS))


def test_random_masks_overlap_as_much_as_chance_expects():
    rng = np.random.default_rng(0)
    masks = {1: {k: {"a": rng.permutation(np.arange(4000) < 400)} for k in range(12)}}
    row = overlap(masks).iloc[-1]
    assert row["pairs"] == 66
    assert row["jaccard"] == pytest.approx(row["chance"], rel=0.03)


def test_one_replicate_has_no_overlap():
    assert overlap({0: {0: MASKS[0][0]}}).empty


def test_histograms_of_the_initial_values_of_survivors():
    values = {0: {"a": np.array([-1.0, -0.1, 0.1, 1.0])}, 1: {"a": np.array([-0.9, 0.1, 0.1, 0.2])}}
    masks = {k: {r: {"a": one["a"]} for r, one in by_replicate.items()} for k, by_replicate in MASKS.items()}
    data = initial_values(values, masks, [0, 3], bins=4)
    assert data[data["round"] == 0]["count"].tolist() == [2, 1, 4, 1]
    assert data[data["round"] == 3]["count"].tolist() == [1, 1, 2, 0]  # -1, -0.1; 0.1, 0.1
    assert data[data["round"] == 3]["share"].tolist() == [0.25, 0.25, 0.5, 0]
    assert (data["low"].min(), data["high"].max()) == (-1.0, 1.0)
    assert len(draw_initial_values(data).axes) == 1
    assert "a 0.375 against 0.438, 0.86 times" in describe_initial_values(data)


def test_an_all_zero_start_has_a_histogram_too():
    data = initial_values({0: {"a": np.zeros(4)}, 1: {"a": np.zeros(4)}}, {0: {0: {"a": bits("1111")}}}, [0])
    assert data["count"].sum() == 4
    assert describe_initial_values(data).endswith("a 0.025 against 0.025, 1.00 times.")


def test_the_first_layers_mask_by_pixel():
    # Two units that read an image of two channels, one row, two columns.
    masks = {1: {0: {"first": bits("10001000", (2, 4)), "second": bits("11", (1, 2))}}}
    assert why_no_pixels(masks, (2, 1, 2)) is None
    data = kept_pixels(masks, [1], (2, 1, 2))
    assert data[["row", "column", "kept", "relative"]].to_numpy().tolist() == [[0, 0, 0.5, 2.0], [0, 1, 0.0, 0.0]]
    axes, _colour_bar = draw_kept_pixels(data).axes
    assert axes.images[0].get_array().tolist() == [[2.0, 0.0]]
    assert "1 of 2 pixels keep none" in describe_kept_pixels(data)


@pytest.mark.parametrize(
    ("shape", "first", "why"),
    [
        ((40,), (5, 40), "the input, of shape 40, is not an image"),
        ((1, 2, 2), (3, 1, 2, 2), "the first prunable tensor, first, does not have a weight for each pixel"),
        ((1, 2, 2), (3, 5), "the first prunable tensor, first, does not have a weight for each pixel"),
    ],
)
def test_why_there_is_no_image(shape, first, why):
    assert why_no_pixels({1: {0: {"first": np.ones(first, bool)}}}, shape) == why


def test_of_a_saved_run(saved):
    (run,) = saved.runs
    masks, values = read_masks(saved, run), read_initial(saved, run)
    assert {k: list(by_replicate) for k, by_replicate in masks.items()} == {k: [0, 1, 2] for k in range(3)}
    tickets = [[saved.ticket(replicate, k) for replicate in range(3)] for k in range(3)]
    kept = surviving(masks).set_index(["round", "tensor"])["kept"]
    assert kept[2, "1.weight"] == np.mean([one.mask["1.weight"].sum() for one in tickets[2]])
    data = initial_values(values, masks, [0, 2])
    survivors = np.concatenate([one.values["1.weight"][one.mask["1.weight"]] for one in tickets[2]])
    rows = data[(data["tensor"] == "1.weight") & (data["round"] == 2)]
    edges = np.array([*rows["low"], rows["high"].iloc[-1]])
    assert rows["count"].tolist() == np.histogram(survivors.astype(float), edges)[0].tolist()
    pixels = kept_pixels(masks, [2], (1, 8, 8))
    by_hand = np.mean([one.mask["1.weight"] for one in tickets[2]], axis=(0, 1))
    assert pixels["kept"].tolist() == pytest.approx(by_hand.tolist())
    one, other = (tickets[2][replicate].mask for replicate in (0, 1))
    both = sum((one[name] & other[name]).sum() for name in one)
    either = sum((one[name] | other[name]).sum() for name in one)
    pair = overlap({2: {k: masks[2][k] for k in (0, 1)}}).iloc[-1]
    assert pair["jaccard"] == both / either


def test_a_network_without_a_weight_left_is_drawn_all_the_same():
    whole, none = {"a": bits("1111", (1, 4))}, {"a": bits("0000", (1, 4))}
    masks = {0: {0: whole, 1: whole}, 1: {0: none, 1: none}}
    values = {k: {"a": np.array([[1.0, 2.0, 3.0, 4.0]])} for k in (0, 1)}
    assert overlap(masks)[["jaccard", "chance"]].to_numpy().tolist() == [[1, 1], [1, 1], [0, 0], [0, 0]]
    drawn = [
        draw_surviving(surviving(masks)),
        draw_overlap(overlap(masks)),
        draw_initial_values(initial_values(values, masks, [0, 1])),
        draw_kept_pixels(kept_pixels(masks, [1], (1, 2, 2))),
    ]
    assert all(to_svg(figure).startswith("<?xml") for figure in drawn)
    assert "4 of 4 pixels keep none" in describe_kept_pixels(kept_pixels(masks, [1], (1, 2, 2)))
