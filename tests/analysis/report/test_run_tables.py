"""Tables: numbers as in Python, and CSV that its readers can read."""

import csv
from io import StringIO

import numpy as np
import pandas as pd
from tickets.analysis import compare, criteria
from tickets.analysis.report import tables_of_run, to_csv


def test_csv_holds_every_digit():
    frame = pd.DataFrame({"name": ["a,b", 'c"d'], "value": [1 / 3, np.nan]})
    head, first, second = csv.reader(StringIO(to_csv(frame)))
    assert (head, first[0], second) == (["name", "value"], "a,b", ['c"d', ""])
    assert float(first[1]) == 1 / 3


def test_the_tables_of_a_saved_run_are_the_tables_of_the_analysis(saved):
    tables = {table.name: table for table in tables_of_run(saved.rounds)}
    assert list(tables) == ["arms", "compared", "criteria"]
    pd.testing.assert_frame_equal(tables["compared"].whole, compare(saved.rounds))
    pd.testing.assert_frame_equal(tables["criteria"].whole, criteria(saved.rounds))
    first = compare(saved.rounds).query("round == 2 and arm == 'reinit'").iloc[0]
    shown = tables["compared"].data.set_index("density").loc[f"{first['density']:.4f}", "reinit"]
    points = [100 * first[name] for name in ("difference", "band_low", "band_high")]
    assert shown == f"{points[0]:+.2f} [{points[1]:+.2f}, {points[2]:+.2f}] {first['verdict']}"
    assert tables["criteria"].data.columns.tolist() == [
        "density", "no worse than dense", "no slower than dense", "better than reinit",
    ]  # fmt: skip


def test_a_run_without_controls_or_later_rounds_has_fewer(made):
    assert [table.name for table in tables_of_run(made({(0, "ticket"): [0.5]}))] == ["arms"]
    both = made({(0, "ticket"): [0.5, 0.6], (1, "ticket"): [0.5, np.nan]})
    assert [table.name for table in tables_of_run(both)] == ["arms", "criteria"]
