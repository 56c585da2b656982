"""Tables that verify finds wrong in files that fit their manifest: rows, columns and hidden units."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from damaged_runs import change_table, rehash, told

from tickets.store import verify


def replaced(name, value):
    def change(table):
        index = table.column_names.index(name)
        return table.set_column(
            index, table.schema.field(index), pa.array([value] * len(table), table.schema.types[index])
        )

    return change


@pytest.mark.parametrize("name", ["rounds.parquet", "curves.parquet"])
@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda table: pa.concat_tables([table.slice(0, len(table) - 1), table.slice(0, 1)]), "rows repeat"),
        (replaced("run", "another"), "has rows that are not of run digits-mlp-example, round 1"),
        (replaced("round", 2), "has rows that are not of run digits-mlp-example, round 1"),
        (replaced("density", 0.5), "has rows of another density than the manifest's"),
        (
            replaced("replicate", 7),
            "holds replicate 7, arm 'constant', draw 0 and 4 more, which does not belong here",
        ),
    ],
)
def test_wrong_rows_are_found(campaign, cohort, name, change, what):
    change_table(cohort / "round-001", name, change)
    assert (f"round-001/{name}", what) in told(campaign)


def test_wrong_rows_of_hidden_units_are_found(tmp_path, example):
    campaign = tmp_path / "campaign"
    run = example.config(store={"units": True})
    folder = example.write(campaign / example.run_id, run) / "cohort-000" / "round-001"
    assert verify(campaign) == []
    change_table(folder, "units.parquet", lambda table: pa.concat_tables([table, table.slice(3, 1)]))
    assert told(campaign) == [("round-001/units.parquet", "has 21 rows, but by its manifest at most 20")]


def test_rows_that_are_missing_are_found(campaign, cohort):
    folder = cohort / "round-002"
    change_table(folder, "rounds.parquet", lambda table: table.filter(pc.invert(table["diverged"])))
    assert told(campaign) == [
        ("round-002/rounds.parquet", "lacks replicate 1, arm 'constant', draw 0"),
        ("round-002/rounds.parquet", "0 diverged, but the manifest says 1"),
    ]


def test_a_table_with_other_columns_is_found(campaign, cohort):
    path = cohort / "round-001" / "rounds.parquet"
    pq.write_table(pq.read_table(path).drop_columns("seconds"), path)
    rehash(cohort / "round-001")
    ((where, what),) = told(campaign)
    assert where == "round-001/rounds.parquet"
    assert "columns are" in what
    assert "seconds: double" in what
