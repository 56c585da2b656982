"""Claims that are wrong in a campaign file, and claims in saved files that somebody changed."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest
from resealed import write_sealed
from tickets.analysis.claimed import Measured, compared
from tickets.analysis.claims import claims, records
from tickets.analysis.declared import claims_of
from tickets.analysis.metrics import METRICS
from tickets.analysis.report import make_report
from tickets.analysis.rule import rules_of

import tickets
from tickets.code_hashes import named_functions
from tickets.config import parse_campaign
from tickets.config.claim_rules import RATIOS, units_of
from tickets.errors import InputError
from tickets.store.swept import Sweep

CLAIM = {"id": "signs", "says": "signs are enough", "arm": "reinit", "against": "ticket", "expect": "no less"}
BASE = {"name": "tiny", "data": "digits", "model": {"name": "mlp", "widths": [8]}, "probes": ["units"]}
CONTRACT = {
    "id": "signs", "says": "keeping only the signs of the initial values does as well",
    "source": "Zhou et al. 2019, section 4.2", "arm": "sign_constant", "against": "ticket",
    "metric": "early_stop_test_accuracy", "density": 0.21, "expect": "no less", "published": -0.1,
}  # fmt: skip
RATES = [1e-2, 3e-3, 1e-3]


def test_the_claim_of_the_contract_is_accepted():
    parse_campaign({**BASE, "arms": ["ticket", "sign_constant"], "claim": [CONTRACT]})


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"unit": "steps"}, "is no unit of early_stop_test_accuracy (allowed: fraction, percent, points)"),
        ({"unit": "percent", "metric": "final_test_loss"}, "is no unit of final_test_loss (allowed: nats, none)"),
        ({"unit": "steps", "metric": "early_stop_step"}, "is no unit of early_stop_step (allowed: ratio, none)"),
        ({"unit": "points", "trend": "density"}, "is no unit of a rank correlation (allowed: none)"),
        ({"published": -1.5, "trend": "density"}, "must be in [-1, 1], where rank correlations are"),
        ({"published": 0, "metric": "early_stop_step"}, "must be greater than 0, since early_stop_step is compared"),
        ({"against": 0, "metric": "steps_to_dense_loss"}, "must be greater than 0, since steps_to_dense_loss is"),
        ({"expect": "equal", "metric": "units.effective_rank"}, 'must be greater than 0 where `expect` is "equal"'),
        ({"expect": "equal", "metric": "seconds"}, 'must be greater than 0 where `expect` is "equal"'),
        ({"expect": "equal", "margin": 0}, 'must be greater than 0 where `expect` is "equal"'),
        ({"arm": "ticket", "against": "dense", "density": 1}, "has the dense network on both sides"),
        ({"arm": "ticket", "against": "dense", "densities": [0.5, 1.0]}, "has the dense network on both sides"),
        ({"metric": "units.effective_rank", "select": {"layer": ["a", "b"]}}, "must be a table of columns, each with"),
        ({"metric": "units.effective_rank", "select": {"layer": {"a": 1}}}, "must be a table of columns, each with"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_in_one_line(change, problem):
    with pytest.raises(InputError) as caught:
        parse_campaign({**BASE, "claim": [{**CLAIM, "published": 0.5, **change}]})
    assert len(caught.value.problems) == 1, caught.value.problems
    assert problem in str(caught.value)


def test_every_unit_that_is_allowed_is_accepted():
    assert set(RATIOS) == {name for name, metric in METRICS.items() if metric.ratio}
    assert units_of("final_test_accuracy", "mse", trend=False)[0] == "none"  # R2
    for metric in (*METRICS, "units.effective_rank", "last_step", "seconds"):
        for unit in units_of(metric, "cross_entropy", trend=False):
            parse_campaign({**BASE, "claim": [{**CLAIM, "metric": metric, "published": 0.5, "unit": unit}]})
    parse_campaign({**BASE, "claim": [{**CLAIM, "expect": "equal"}]})


def test_what_a_claim_says_names_no_function():
    claim = {"says": "a:b", "source": "zhou:section4", "select": {"layer": "c:d"}, "function": "mine:own"}
    assert named_functions({"claim": [claim], "model": {"name": "nets:wide"}}) == ("mine:own", "nets:wide")


def test_a_function_that_is_not_there_is_told_before_training(campaign_file, command, module, tmp_path):
    name = module("claims_there", "def own(saved, run):\n    return {'answer': 'yes'}\n")
    claim = {"id": "own", "says": "it holds", "function": f"{name}:ownn"}
    said = command("run", campaign_file(tmp_path, claim=[claim]), "--out", tmp_path / "out")
    assert (said.code, said.out) == (2, "")
    assert f"claim[0].function: '{name}:ownn': module '{name}' has no function 'ownn'; did you mean 'own'?" in said.err
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").glob("*/cohort-*"))


def test_functions_that_return_nonsense_end_in_one_line(campaign_file, command, module, tmp_path):
    returned = {
        "count": "{'answer': 'yes', 'n': float('nan')}",
        "half": "{'answer': 'yes', 'n': 1.5}",
        "infinite": "{'answer': 'yes', 'estimate': float('inf')}",
        "dense": "{'answer': 'yes', 'density': 7}",
        "listed": "{'answer': ['yes']}",
        "ended": "__import__('sys').exit(3)",
        "fine": "{'answer': 'yes', 'estimate': 0.5, 'low': 0.4, 'high': 0.6, 'n': None, 'why': None}",
    }
    name = module("nonsense", "".join(f"def {one}(saved, run): return {value}\n" for one, value in returned.items()))
    rates = {"train.learning_rate": RATES[:2]}
    own = {"id": "own", "says": "it holds", "function": f"{name}:fine", "where": {"train.learning_rate": RATES[0]}}
    own |= {"published": 75, "published_spread": 1, "unit": "percent"}
    file = campaign_file(tmp_path, rounds=0, replicates=1, sweep=rates, claim=[own])
    assert command("run", file, "--out", tmp_path / "out").code == 0
    (answer,) = (
        one
        for one in json.loads(command("claims", tmp_path / "out", "--json", "--trust-code").out)
        if one["id"] == "own"  # of one run alone
    )
    assert (answer["answer"], answer["published"], answer["agrees"], answer["n"]) == ("yes", 0.75, "differs", 0)
    for function in set(returned) - {"fine"}:
        for path in (tmp_path / "out").glob("*/run.json"):
            content = json.loads(path.read_text())
            content["config"]["claim"][0]["function"] = f"{name}:{function}"
            write_sealed(path, content)
        said = command("claims", tmp_path / "out", "--trust-code")
        assert (said.code, len(said.err.splitlines())) == (2, 1), (function, said.err)
        assert f"claim 'own': {name}:{function} " in said.err


@pytest.fixture(scope="module")
def trained(tmp_path_factory, campaign_file):
    """A sweep of three learning rates with a claim in the sweep, and one outside it."""
    folder = tmp_path_factory.mktemp("attacked")
    given = [
        CLAIM,
        {**CLAIM, "id": "other", "arm": "ticket", "against": {"train.learning_rate": RATES[2]}, "density": 0.8},
        {"id": "rate", "says": "a higher rate is better", "trend": "train.learning_rate", "expect": "more"},
    ]
    file = campaign_file(folder, sweep={"train.learning_rate": RATES}, claim=given)
    return tickets.run(file, out=folder / "out").folder


@pytest.mark.parametrize("damage", ["[", None])
def test_without_a_readable_campaign_file_other_claims_are_answered(trained, tmp_path, damage):
    whole = tickets.load(trained).claims()
    folder = shutil.copytree(trained, tmp_path / "out")
    (folder / "campaign.toml").unlink()
    if damage is not None:
        (folder / "campaign.toml").write_text(damage)
    saved = tickets.load(folder)
    found = saved.claims()
    (own, before) = (one[one["id"] == "winning_ticket"].reset_index(drop=True) for one in (found, whole))
    assert own.astype(str).equals(before.astype(str))
    assert set(found.loc[found["id"] == "signs", "n"]) == {2}
    lost = found[found["id"].isin(["other", "rate"])]
    assert set(lost["answer"]) == {"cannot tell"}
    reason = "campaign.toml: is not TOML" if damage else "No sweep in campaign.toml has "
    assert lost["why"].str.contains(reason, regex=False).all()
    assert make_report(saved)[1] == {}


def test_forged_claims_never_end_in_a_traceback(trained, tmp_path, command):
    (first, *_) = [json.loads(path.read_text())["config"]["claim"][0] for path in sorted(trained.glob("*/run.json"))]
    for change in (5, {}, {**first, "arm": 3}, {**first, "metric": "early_stop_step", "against": 0}, {**first, "a": 1}):
        folder = shutil.copytree(trained, tmp_path / "out", dirs_exist_ok=True)
        for path in folder.glob("*/run.json"):
            content = json.loads(path.read_text())
            content["config"]["claim"] = [change]
            write_sealed(path, content)
        said = command("claims", folder)
        assert (said.code, len(said.err.splitlines())) == (2, 3), said.err  # a line for each run
        assert "Traceback" not in said.err


def test_runs_are_compared_within_their_own_campaign(tmp_path):
    sweep = Sweep({name: tmp_path / name[0] / name for name in ("a1", "b1", "b2")})
    sweep._points = {
        tmp_path / "a": {"a1": {"rate": 2, "widths": [4]}},
        tmp_path / "b": {"b1": {"rate": 1, "widths": (4,)}, "b2": {"rate": 10, "widths": [4]}},
    }
    assert sweep.other("b1", {"rate": 2}) is None  # a1 is one of another campaign
    assert sweep.other("b1", {"rate": 10.0}) == "b2"
    assert sweep.along("b2", "rate") == ["b1", "b2"]  # by size, not by name
    assert sweep.along("a1", "rate") == ["a1"]


def test_the_rows_of_a_run_are_read_once_for_all_its_claims(trained, monkeypatch):
    saved = tickets.load(trained)
    rounds, run = saved.rounds, saved.runs[1]
    pd.testing.assert_frame_equal(saved.rounds_of(run), rounds[rounds["run"] == run])
    monkeypatch.setattr(type(saved), "rounds", property(lambda self: pytest.fail("copies the rows of all runs")))
    read = []
    monkeypatch.setattr("tickets.analysis.claimed.values_of", lambda rows, name: read.append(name) or rows[name])
    measured, rule = Measured(saved), rules_of(saved)[run]
    for claim in claims_of(saved, run)[:1] * 5:
        compared(saved, run, claim, rule, measured)
    assert read == ["early_stop_test_accuracy"]


def test_answers_are_json_values(trained):
    assert len(json.dumps(records(claims(tickets.load(trained))), allow_nan=False)) > 0


def test_a_run_that_has_not_the_swept_key_has_no_trend_along_it(trained, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "out")
    for path in folder.glob("*/run.json"):
        content = json.loads(path.read_text())
        content["config"]["claim"][2]["trend"] = "train.steps"
        write_sealed(path, content)
    assert set(tickets.load(folder).claims()["id"]) == {"winning_ticket", "signs", "other"}
