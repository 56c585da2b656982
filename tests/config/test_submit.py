"""The table [submit]: its keys are checked like all others, and no run depends on it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tickets.config import Run, SubmitConfig, parse_campaign, read_campaign, run_ids, to_toml, without_submit
from tickets.errors import InputError

CAMPAIGN = {"name": "first", "data": "mnist1d", "model": "mlp"}
SUBMIT = {
    "partition": "gpu,long", "account": "me & co", "qos": "high", "memory": "4G", "cpus": 4, "gpus": 1, "minutes": 90,
    "array": 100, "at_once": 10, "options": ["--constraint=a100|h100", "-C", 'it\'s "x" \\ #\n'.strip()],
}  # fmt: skip


def problems(submit):
    with pytest.raises(InputError) as caught:
        parse_campaign({**CAMPAIGN, "submit": submit})
    return list(caught.value.problems)


def test_no_run_depends_on_it():
    plain, submitted = parse_campaign(CAMPAIGN), parse_campaign({**CAMPAIGN, "submit": SUBMIT})
    assert plain.submit == SubmitConfig()
    assert submitted.submit.given == SUBMIT
    assert submitted.runs == plain.runs
    assert run_ids(submitted.runs) == run_ids(plain.runs)
    assert "submit" not in Run.model_fields


@pytest.mark.parametrize("more", [{}, {"sweep": {"train.learning_rate": [1e-2, 1e-3]}, "data_folder": "there"}])
def test_what_is_written_is_read(more, tmp_path):
    campaign = parse_campaign({**CAMPAIGN, **more, "submit": SUBMIT})
    text = to_toml(campaign)
    (tmp_path / "first.toml").write_text(text)
    assert read_campaign(tmp_path / "first.toml") == campaign
    without = replace(campaign, submit=SubmitConfig())
    assert without_submit(text) == to_toml(without)
    assert without_submit(to_toml(without)) == to_toml(without)
    assert "[submit]" not in to_toml(without)


def test_a_line_like_its_heading_in_a_text_is_no_heading():
    text = "a\n[submit]\nb"
    campaign = parse_campaign({**CAMPAIGN, "prune": {"exclude": [text]}, "submit": {"qos": "high"}})
    assert without_submit(to_toml(campaign)) == to_toml(replace(campaign, submit=SubmitConfig()))


@pytest.mark.parametrize(
    ("submit", "problem"),
    [
        ({"partitoin": "a"}, "submit.partitoin: unknown key; did you mean 'partition'? (allowed: account, array, "),
        ({"steps": 3}, "submit.steps: unknown key"),
        ({"partition": "a\nb"}, 'submit.partition = "a\\nb": must be 1 to 1,000 letters, without line breaks'),
        ({"account": "a\x1b[2J"}, "submit.account = "),
        ({"qos": ""}, 'submit.qos = "": must be 1 to 1,000 letters'),
        ({"qos": 3}, "submit.qos = 3: must be a string, not a whole number"),
        ({"memory": "4 GB"}, 'submit.memory = "4 GB": must be a number with K, M, G or T'),
        ({"memory": 4}, "submit.memory = 4: must be a string, not a whole number"),
        ({"cpus": 0}, "submit.cpus = 0: must be at least 1"),
        ({"gpus": 1001}, "submit.gpus = 1001: must be at most 1,000"),
        (
            {"minutes": 4},
            "submit.minutes = 4: must be at least 5: Slurm tells a job to end 2 to 3 minutes before its time limit",
        ),
        ({"minutes": 600_000}, "submit.minutes = 600000: must be at most 525,600"),
        ({"minutes": 10.5}, "submit.minutes = 10.5: must be a whole number, not a decimal number"),
        ({"array": 0}, "submit.array = 0: must be at least 1"),
        ({"at_once": True}, "submit.at_once = true: must be a whole number, not true or false"),
        ({"options": "--nice"}, 'submit.options = "--nice": must be a list, not a string'),
        ({"options": ["nice"]}, "submit.options = [\"nice\"]: 'nice' must be an option of sbatch"),
        ({"options": ["--nice", "a\nb"]}, "submit.options = "),
        ({"options": ["--array=3"]}, "submit.options = [\"--array=3\"]: '--array=3' cannot be given: give --array to"),
        ({"options": ["--nice", "-t5"]}, "submit.options = "),
        ({"options": ["--"]}, "submit.options = "),
        ({"options": ["-x"] * 101}, "submit.options: has 101 elements; must be at most 100"),
        (3, "submit = 3: must be a table, not a whole number"),
    ],
)
def test_what_is_not_allowed(submit, problem):
    (line,) = problems(submit)
    assert line.startswith(problem)


@pytest.mark.parametrize("option", ["--time-min=5", "--partition=a", "--wait-all-nodes=1", "--reservation=x", "-Ca100"])
def test_options_that_only_look_like_fixed_ones_are_allowed(option):
    assert parse_campaign({**CAMPAIGN, "submit": {"options": [option]}}).submit.options == (option,)


def test_all_errors_at_once_and_beside_others():
    with pytest.raises(InputError) as caught:
        parse_campaign({**CAMPAIGN, "model": "mpl", "submit": {"cpus": 0, "x": 1}})
    assert [line.partition(" ")[0] for line in caught.value.problems] == ["model", "submit.cpus", "submit.x:"]


def test_it_is_no_key_of_a_run():
    with pytest.raises(InputError, match=r"memory: unknown key; did you mean 'submit.memory'\?"):
        parse_campaign({**CAMPAIGN, "memory": "4G"})
    with pytest.raises(InputError, match=r"sweep.*does not make separate runs"):
        parse_campaign({**CAMPAIGN, "sweep": {"submit.memory": ["4G"]}})
