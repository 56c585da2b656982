"""Each number of the statements in runs/README.md is one that `tickets claims` gave, and each claim is in its file."""

from __future__ import annotations

from pathlib import Path

import pytest
import statements

from tickets.config import read_campaign

RUNS = Path(__file__).parent.parent / "runs"
LINES = (RUNS / "README.md").read_text().splitlines()
TABLES = statements.tables_in(LINES)
CLAIMS = [[named for row in table if (named := statements.named_in(row))] for table in TABLES]
CAMPAIGNS = sorted({campaign for claims in CLAIMS for campaign, _ in claims})


def test_there_are_ten_statements():
    headings = [line for line in LINES if line.startswith("### ")]
    assert [line.split()[1] for line in headings] == [f"{number}." for number in range(1, 11)]


def test_each_table_is_what_was_published():
    assert len(TABLES) >= 10
    for table, claims in zip(TABLES, CLAIMS, strict=True):
        assert table == statements.table_of(claims)


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_each_claim_is_as_its_campaign_file_has_it(name):
    """A claim that was changed since has no published answer."""
    claims = {claim.id: claim.says for claim in read_campaign(RUNS / f"{name}.toml").runs[0].claim}
    for one in statements.answers(name):
        if one["id"] != "winning_ticket":
            assert one["says"] == claims[one["id"]]
            assert one["registered"] == "before training"


def test_each_figure_and_each_file_that_is_named_is_there():
    for line in LINES:
        if line.startswith("![") and "](" in line:
            assert (RUNS / line.partition("](")[2].rstrip(")")).is_file(), line
