"""`prune.score`: a name, or a table with a name and options."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tickets.config import parse_campaign, parse_run, run_id, to_toml
from tickets.config.reading import read_campaign
from tickets.errors import InputError

TABLE: dict[str, Any] = {"name": "t", "data": "digits", "model": "mlp"}


def run_of(score: Any) -> Any:
    return parse_run({**TABLE, "prune": {"score": score}})


def test_a_name_without_options_is_a_plain_string_in_either_form() -> None:
    plain, table = run_of("random"), run_of({"name": "random"})
    assert plain == table
    assert plain.model_dump(mode="json")["prune"]["score"] == "random"
    assert run_id(plain) == run_id(table) != run_id(run_of("magnitude"))
    assert run_id(run_of("magnitude")) == run_id(parse_run(TABLE))


def test_options_are_part_of_the_run() -> None:
    run = run_of({"name": "m:f", "scale": 2, "layers": ["a", "b"]})
    assert (run.prune.score.name, run.prune.score.options) == ("m:f", {"scale": 2, "layers": ["a", "b"]})
    assert run.model_dump(mode="json")["prune"]["score"] == {"name": "m:f", "scale": 2, "layers": ["a", "b"]}
    assert parse_run(run.model_dump(mode="json")) == run
    assert len({run_id(run), run_id(run_of("m:f")), run_id(run_of({"name": "m:f", "scale": 3}))}) == 3


def test_a_campaign_is_read_back_as_it_was_written(tmp_path: Any) -> None:
    for score in ("random", {"name": "m:f", "scale": 2.5, "layers": ["a"]}):
        campaign = parse_campaign({**TABLE, "prune": {"score": score}})
        file = tmp_path / "c.toml"
        file.write_text(to_toml(campaign))
        assert read_campaign(file) == campaign


@pytest.mark.parametrize(
    ("score", "told"),
    [
        ({"name": "magnitud"}, "prune.score.name = 'magnitud': unknown score; did you mean 'magnitude'?"),
        ("magnitud", "prune.score = 'magnitud': unknown score; did you mean 'magnitude'?"),
        ({"name": "m:f", "scale": float("nan")}, "prune.score.scale = nan: must be a string, a number, true or false"),
        (3, "prune.score = 3: must be a name or a table, not a whole number"),
        ({"scale": 2}, "prune.score.name: missing; name a score (allowed: erk, grasp, large_final,"),
    ],
)
def test_wrong_scores_name_the_key(score: Any, told: str) -> None:
    with pytest.raises(InputError, match=re.escape(told)):
        run_of(score)
