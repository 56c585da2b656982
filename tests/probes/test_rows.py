"""What a probe may return, and the errors for anything else."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

from tickets.probes.rows import as_columns, differing, joined, kinds_of


def test_rows_of_numbers_booleans_and_strings() -> None:
    found = as_columns(
        [
            {"network": torch.tensor(1), "count": np.int32(3), "norm": torch.tensor(0.5), "name": "a", "dead": True},
            {"network": 0, "count": 4, "norm": 1, "name": "b", "dead": np.bool_(False)},
        ],
        2,
    )
    assert {name: values.tolist() for name, values in found.items()} == {
        "network": [1, 0], "count": [3, 4], "norm": [0.5, 1.0], "name": ["a", "b"], "dead": [True, False],
    }  # fmt: skip
    assert [str(values.dtype) for values in found.values()] == ["int64", "int64", "float64", "object", "bool"]
    assert kinds_of(found) == {"count": "number", "norm": "number", "name": "string", "dead": "bool"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([1, 2], np.uint8), [1, 2]),
        (np.array([1, 2], np.float16), [1.0, 2.0]),
        (pd.array([1, None], dtype="Int64"), [1.0, math.nan]),
        (pd.array([True, False], dtype="boolean"), [True, False]),
        (pd.array(["a", "b"], dtype="string"), ["a", "b"]),
        (pd.Categorical(["a", "b"]), ["a", "b"]),
        ([None, 2], [math.nan, 2.0]),
        ([math.nan, 2], [math.nan, 2.0]),
        (torch.tensor([3, 4]), [3, 4]),
        (torch.tensor([0.5, math.inf]), [0.5, math.inf]),
    ],
)
def test_a_frame_of_any_numbers(values, expected) -> None:
    found = as_columns(pd.DataFrame({"network": [0, 1], "x": values}, index=[7, 7]), 2)["x"]
    np.testing.assert_equal(found.tolist(), expected)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "returned a NoneType, must return a pandas.DataFrame or rows, each a dict"),
        ({"network": [0]}, "returned a dict, must return a pandas.DataFrame or rows"),
        (torch.zeros(2), "returned a Tensor"),
        ([1], "returned a row 0 that is a int"),
        ([{"network": 0, "x": 1}, {"network": 0}], r"other columns: \['network', 'x'\] first, then \['network'\]"),
        ([{"x": 1}], "returned no column 'network'"),
        ([{"network": 2, "x": 1}], "other values than whole numbers from 0 to 1"),
        ([{"network": -1, "x": 1}], "other values than whole numbers from 0 to 1"),
        ([{"network": 0.5, "x": 1}], "other values than whole numbers from 0 to 1"),
        ([{"network": 0, "arm": "ticket"}], r"a column 'arm', which the table gets by itself \(run, replicate, round"),
        ([{"network": 0, "step": 3}], "a column 'step', which the table gets by itself"),
        ([{"network": 0, 3: 1}], "a column called 3, must be a string that is not empty"),
        (pd.DataFrame([[0, 1, 2]], columns=["network", "x", "x"]), "two columns called 'x'"),
        ([{"network": 0, "x": 1j}], "1j, a complex, in column 'x'"),
        ([{"network": 0, "x": "a"}, {"network": 1, "x": 2}], "2, a int, in column 'x'"),
        ([{"network": 0, "x": True}, {"network": 1, "x": 2}], "True, a bool, in column 'x'"),
        ([{"network": 0, "x": "a"}, {"network": 1, "x": None}], "in column 'x'"),
        ([{"network": 0, "x": [1]}], r"\[1\], a list, in column 'x'"),
        ([{"network": 0, "x": 2**63}], "in column 'x'"),
    ],
)
def test_what_no_table_can_hold(returned, message) -> None:
    with pytest.raises(ValueError, match=message):
        as_columns(returned, 2)


def test_no_rows_at_all() -> None:
    assert as_columns([], 3) == {}
    typed = as_columns(pd.DataFrame({"network": [], "width": np.array([], np.int64)}), 3)
    assert [str(values.dtype) for values in typed.values()] == ["int64", "int64"]


def test_joined_tables_widen_numbers_and_pass_over_empty_ones() -> None:
    one, two = as_columns([{"network": 0, "x": 1}], 1), as_columns([{"network": 0, "x": 0.5}], 1)
    assert joined([{}, one, two])["x"].tolist() == [1.0, 0.5]
    assert joined([{}, {}]) == {}
    assert differing({"x": "number"}, {"x": "number"}) is None
    assert differing({"x": "number"}, {"y": "string"}) == "(x: number) and (y: string)"
