"""The claims of a campaign file, answered by hand-made numbers."""

from __future__ import annotations

import io
import json
import math
import shutil

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tickets.analysis import rules_of
from tickets.analysis.claims import claims
from tickets.analysis.declared import declared
from tickets.analysis.expectations import all_of
from tickets.analysis.report import make_report
from tickets.analysis.trends import rank_correlations, trend_interval

import tickets
from tickets.config import parse_campaign, read_campaign, run_ids, to_toml
from tickets.errors import InputError

CLAIM = {"id": "signs", "says": "signs are enough", "arm": "reinit", "against": "ticket", "expect": "no less"}
BASE = {"name": "tiny", "data": "digits", "model": {"name": "mlp", "widths": [8]}}


def test_rank_correlations_are_spearmans():
    generator = np.random.default_rng(0)
    x, values = generator.random(7), generator.integers(0, 4, (7, 5)).astype(float)
    values[2, 1] = np.nan
    found = rank_correlations(x, values)
    for column in range(5):
        there = ~np.isnan(values[:, column])
        assert found[column] == pytest.approx(stats.spearmanr(x[there], values[there, column]).statistic)
    assert rank_correlations([1, 2, 3], np.ones((3, 1)))[0] == 0
    assert np.isnan(rank_correlations([1, 2], np.ones((2, 1)))[0])


def test_the_interval_of_a_trend_is_never_narrower_than_ranks_are():
    mean, low, high = trend_interval([0.2, 0.6, 0.4], 10, 0.95)
    half = stats.t.ppf(0.975, 2) * np.std([0.2, 0.6, 0.4], ddof=1) / math.sqrt(3)
    assert (mean, low, high) == pytest.approx((0.4, 0.4 - half, 0.4 + half))
    mean, low, high = trend_interval([1.0] * 5, 3, 0.95)  # all agree
    assert (mean, high) == (1.0, 1.0)
    assert low == pytest.approx(1 - stats.t.ppf(0.975, 4) * (12 / 24) / math.sqrt(5))
    assert np.isnan(trend_interval([1.0], 3, 0.95)[1])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"id": "winning_ticket"}, 'claim[0].id = "winning_ticket": is the claim that every run has'),
        ({"id": "a b"}, "claim[0].id = "),
        ({"says": "two\nlines"}, "claim[0].says = "),
        ({"arm": "reinti"}, "claim[0].arm = \"reinti\": is no arm of this campaign; did you mean 'reinit'?"),
        ({"against": "tikcet"}, "is neither an arm of this campaign nor \"dense\"; did you mean 'ticket'?"),
        ({"against": "reinit"}, "is the same arm; compare it with another one"),
        ({"against": True}, "claim[0].against = true: must be the name of an arm"),
        ({"against": {"seed": 5}}, 'claim[0].against.seed = 5: must be a swept key (swept: none)'),
        ({"expect": "better"}, "claim[0].expect = 'better': unknown choice"),
        ({"metric": "accuracy"}, "is no measured column of `rounds`"),
        ({"metric": "units.dead"}, "must be PROBE.COLUMN of a probe of this campaign (`probes`; there are: none)"),
        ({"density": 0.2, "densities": [0.5]}, "does not go with `density`; give one of them"),
        ({"density": 0.2, "holds": "any"}, "is of several densities, and there is one answer here"),
        ({"densities": [0.5, 2.0]}, "claim[0].densities[1] = 2.0: must be greater than 0 and at most 1"),
        ({"trend": "train.steps"}, 'claim[0].trend = "train.steps": must be "density" or a swept key (swept: none)'),
        ({"unit": "points"}, "goes with `published`, the number that it is of"),
        ({"function": "mine:claim"}, "means nothing where a function answers; leave it out"),
        ({"expct": "more"}, "claim[0].expct: unknown key; did you mean 'expect'?"),
        ({"margin": -1}, "claim[0].margin = -1: must be at least 0"),
        (
            {"against": {"arm": "tikcet"}},
            "claim[0].against.arm = \"tikcet\": is no arm of this campaign; did you mean 'ticket'?",
        ),
        ({"against": {"arm": "ticket", "density": 2}}, "against.density = 2: must be a number greater than 0"),
        ({"against": {"density": True}}, "claim[0].against.density = true: must be a number greater than 0"),
        ({"against": {"arm": "reinit"}}, "is the same arm at the same density; compare it with another one"),
        ({"against": {"density": 0.2}, "densities": [0.5, 0.2]}, "is the same arm at the same density"),
        ({"against": {"seed": 5, "arm": "ticket"}}, "claim[0].against.seed = 5: must be a swept key (swept: none)"),
        ({"where": {"arm": "ticket"}}, 'claim[0].where.arm = "ticket": must be a swept key (swept: none)'),
    ],
)  # fmt: skip
def test_a_claim_that_is_wrong_is_told_what_is_right(change, problem):
    with pytest.raises(InputError) as caught:
        parse_campaign({**BASE, "claim": [{**CLAIM, **change}]})
    assert problem in str(caught.value), str(caught.value)


def test_what_must_be_given():
    for key in ("id", "says"):
        with pytest.raises(InputError, match=rf"claim\[0\]\.{key}: missing"):
            parse_campaign({**BASE, "claim": [{name: value for name, value in CLAIM.items() if name != key}]})
    for key, said in (("expect", "must be one of more, less"), ("against", "must be given: an arm")):
        with pytest.raises(InputError, match=rf"claim\[0\]\.{key}: .*{said}|claim\[0\]\.{key} = .*{said}"):
            parse_campaign({**BASE, "claim": [{name: value for name, value in CLAIM.items() if name != key}]})
    with pytest.raises(InputError, match=r"claim\[1\]\.id = .*is there already as claim\[0\]"):
        parse_campaign({**BASE, "claim": [CLAIM, CLAIM]})


def test_a_claim_that_compares_runs_with_themselves_is_refused():
    """No run would be left that it is about, and it would have no answer at all."""
    sweep = {"train.steps": [10, 20], "train.learning_rate": [0.1, 0.2]}

    def parsed(where, against):
        return parse_campaign({**BASE, "sweep": sweep, "claim": [{**CLAIM, "where": where, "against": against}]})

    for where in ({"train.steps": 10}, {"train.steps": [10]}, {"train.steps": 10, "train.learning_rate": 0.1}):
        with pytest.raises(InputError, match=r"claim\[0\]\.against = .*has the settings of `where`"):
            parsed(where, {"train.steps": 10, "arm": "ticket"})
        assert parsed(where, {"train.steps": 20})
    assert parsed({"train.steps": 10}, {"train.steps": 10, "train.learning_rate": 0.1})


def test_a_list_of_values_is_of_swept_values_each():
    def parsed(key, value):
        return parse_campaign({**BASE, "sweep": {"train.steps": [10, 20, 30]}, "claim": [{**CLAIM, key: value}]})

    assert parsed("where", {"train.steps": [10, 30]}).runs[0].claim[0].where == {"train.steps": [10, 30]}
    for key, value in (("where", [10, 25]), ("where", []), ("against", [10, 20])):
        with pytest.raises(InputError, match=r"is not among the swept values \(10, 20, 30\)"):
            parsed(key, {"train.steps": value})


def test_no_number_depends_on_it_and_what_is_written_is_read(tmp_path):
    plain = parse_campaign(BASE)
    more = {**BASE, "claim": [CLAIM, {**CLAIM, "id": "other", "against": 0.5, "published": 1, "densities": [0.5, 0.2]}]}
    claimed = parse_campaign(more)
    assert run_ids(plain.runs) == run_ids(claimed.runs)
    assert "claim" not in plain.runs[0].model_dump()
    (tmp_path / "tiny.toml").write_text(to_toml(claimed))
    assert read_campaign(tmp_path / "tiny.toml") == claimed


@pytest.fixture(scope="module")
def saved(tmp_path_factory, campaign_file):
    """A campaign with two learning rates, three replicates and two rounds, and claims of every kind."""
    folder = tmp_path_factory.mktemp("claims")
    rates = [1e-2, 3e-3, 1e-3]
    file = campaign_file(
        folder,
        replicates=3,
        probes=["units"],
        sweep={"train.learning_rate": rates},
        claim=[
            {**CLAIM, "density": 0.64, "published": -1.0},
            {**CLAIM, "id": "loss", "metric": "final_test_loss", "against": "dense", "expect": "more"},
            {**CLAIM, "id": "any", "holds": "any", "expect": "more", "arm": "ticket", "against": "random_mask"},
            {**CLAIM, "id": "level", "arm": "ticket", "against": 0.5, "expect": "more", "density": 1},
            {**CLAIM, "id": "steps", "metric": "early_stop_step", "expect": "equal", "margin": 0.5, "density": 0.8},
            {**CLAIM, "id": "other_run", "arm": "ticket", "against": {"train.learning_rate": 1e-3}, "density": 0.8},
            {**CLAIM, "id": "dead", "metric": "units.effective_rank", "density": 0.8},
            {"id": "falls", "says": "accuracy falls", "trend": "density", "expect": "more"},
            {"id": "rate", "says": "a higher rate is better", "trend": "train.learning_rate", "expect": "more"},
            {**CLAIM, "id": "late", "density": 0.05},
            {**CLAIM, "id": "two", "where": {"train.learning_rate": [1e-2, 3e-3]}, "density": 0.8},
            {**CLAIM, "id": "than_dense_reinit", "against": {"density": 1}, "density": 0.8},
            {**CLAIM, "id": "than_earlier", "against": {"arm": "ticket", "density": 0.8}, "density": 0.64},
            {
                **CLAIM,
                "id": "elsewhere",
                "density": 0.64,
                "against": {"train.learning_rate": 1e-3, "arm": "random_mask", "density": 0.8},
            },
            {
                **CLAIM,
                "id": "elsewhere_alike",
                "density": 0.64,
                "against": {"train.learning_rate": 1e-3, "arm": "random_mask"},
            },
        ],
    )
    return tickets.run(file, out=folder / "out")


def by_replicate(rounds, run, number, arm, metric="early_stop_test_accuracy"):
    rows = rounds[(rounds["run"] == run) & (rounds["round"] == number) & (rounds["arm"] == arm)]
    return rows.groupby("replicate")[metric].mean().to_numpy()


def the(saved, run, name):
    found = claims(saved)
    (row,) = found[(found["run"] == run) & (found["id"] == name)].to_dict("records")
    return row


def simultaneous(differences, family):
    n = len(differences)
    half = stats.t.ppf(1 - 0.025 / family, n - 1) * np.std(differences, ddof=1) / math.sqrt(n)
    return np.mean(differences) - half, np.mean(differences) + half


def test_the_numbers_are_those_of_the_tables(saved):
    rounds, run = saved.rounds, saved.runs[0]
    found = declared(saved, run, rules_of(saved)[run])
    family = sum(2 if claim.holds == "any" else 1 for claim, _ in found)
    one = the(saved, run, "signs")
    differences = by_replicate(rounds, run, 2, "reinit") - by_replicate(rounds, run, 2, "ticket")
    low, high = simultaneous(differences, family)
    assert (one["estimate"], one["low"], one["high"]) == pytest.approx((differences.mean(), low, high))
    assert one["n"] == 3
    assert one["density"] == pytest.approx(0.64, abs=0.01)
    margin = 0.05 * (1 - by_replicate(rounds, run, 0, "ticket").mean())
    assert one["answer"] == ("yes" if low >= -margin else "no" if high < -margin else "cannot tell")
    assert one["published"] == -0.01
    alone = simultaneous(differences, 1)
    assert one["agrees"] == ("agrees" if alone[0] - margin <= -0.01 <= alone[1] + margin else "differs")
    level = the(saved, run, "level")
    dense = by_replicate(rounds, run, 0, "ticket")
    assert (level["estimate"], level["density"]) == (pytest.approx(dense.mean() - 0.5), 1.0)


def test_of_several_densities_the_one_that_decides_is_shown(saved):
    rounds = saved.rounds
    for run in saved.runs:
        row = the(saved, run, "loss")
        by_round = {
            number: by_replicate(rounds, run, number, "reinit", "final_test_loss")
            - by_replicate(rounds, run, 0, "ticket", "final_test_loss")
            for number in (1, 2)
        }
        family = sum(2 if claim.holds == "any" else 1 for claim, _ in declared(saved, run, rules_of(saved)[run]))
        limits = {number: simultaneous(values, family) for number, values in by_round.items()}
        answers = ["yes" if low > 0 else "no" if high <= 0 else "cannot tell" for low, high in limits.values()]
        assert row["answer"] == all_of(answers)
        assert row["estimate"] == pytest.approx(by_round[1 + answers.index(row["answer"])].mean())
        assert len(row["why"].splitlines()) == 3


def test_ratios_probes_and_other_runs(saved):
    rounds, run = saved.rounds, saved.runs[0]
    steps = the(saved, run, "steps")
    one, other = (by_replicate(rounds, run, 1, arm, "early_stop_step") for arm in ("reinit", "ticket"))
    logs = np.log(one) - np.log(other)
    assert steps["estimate"] == pytest.approx(math.exp(logs.mean()))
    units = saved.probe("units")
    last = units[(units["run"] == run) & (units["round"] == 1) & (units["step"] == units["step"].max())]
    means = {arm: rows.groupby("replicate")["effective_rank"].mean() for arm, rows in last.groupby("arm")}
    assert the(saved, run, "dead")["estimate"] == pytest.approx((means["reinit"] - means["ticket"]).mean())
    slow = next(one for one in saved.runs if saved.swept(one) == {"train.learning_rate": 1e-3})
    found = claims(saved)
    about = found[found["id"] == "other_run"]
    assert set(about["run"]) == set(saved.runs) - {slow}
    for name in about["run"]:
        difference = by_replicate(rounds, name, 1, "ticket") - by_replicate(rounds, slow, 1, "ticket")
        assert the(saved, name, "other_run")["estimate"] == pytest.approx(difference.mean())


def test_the_other_side_may_be_another_arm_at_another_density(saved):
    rounds, found = saved.rounds, claims(saved)
    slow = next(one for one in saved.runs if saved.swept(one) == {"train.learning_rate": 1e-3})
    for run in saved.runs:
        for name, number, other in (
            ("than_dense_reinit", 1, (run, 0, "reinit")),
            ("than_earlier", 2, (run, 1, "ticket")),
            ("elsewhere", 2, (slow, 1, "random_mask")),
            ("elsewhere_alike", 2, (slow, 2, "random_mask")),
        ):
            if other[0] == run == slow and name.startswith("elsewhere"):
                assert not ((found["run"] == run) & (found["id"] == name)).any()
                continue
            difference = by_replicate(rounds, run, number, "reinit") - by_replicate(rounds, *other)
            row = the(saved, run, name)
            assert (row["estimate"], row["n"]) == (pytest.approx(difference.mean()), 3)
            assert row["density"] == pytest.approx(0.8**number, abs=0.01)
    why = the(saved, saved.runs[0] if saved.runs[0] != slow else saved.runs[1], "elsewhere")["why"]
    assert "reinit minus random_mask with train.learning_rate = 0.001 (density 0.8) at density 0.64" in why


def test_a_list_in_where_is_about_the_runs_with_any_of_its_values(saved):
    found = claims(saved)
    about = set(found.loc[found["id"] == "two", "run"])
    assert about == {run for run in saved.runs if saved.swept(run)["train.learning_rate"] in (1e-2, 3e-3)}


def test_the_other_sides_density_must_be_trained(campaign_file, tmp_path):
    given = {**CLAIM, "density": 0.8, "against": {"density": 0.64}}
    out = tmp_path / "out"
    tickets.run(campaign_file(tmp_path, claim=[given]), out=out)
    for path in out.glob("*/cohort-000/round-002"):
        shutil.rmtree(path)
    row = claims(tickets.load(out)).set_index("id").loc["signs"]
    assert (row["answer"], row["why"]) == ("cannot tell", "The round nearest to density 0.64 is not trained yet.")


def test_trends(saved):
    rounds, run = saved.rounds, saved.runs[0]
    tickets_ = rounds[(rounds["run"] == run) & (rounds["arm"] == "ticket")]
    rhos = [
        stats.spearmanr(rows["density"], rows["early_stop_test_accuracy"]).statistic
        for _, rows in tickets_.groupby("replicate")
    ]
    row = the(saved, run, "falls")
    assert row["estimate"] == pytest.approx(np.mean(np.nan_to_num(rhos)))
    assert row["metric"] == "rank correlation of early_stop_test_accuracy with density"
    assert -1 <= row["low"] <= row["high"] <= 1
    found = claims(saved)
    rate = found[found["id"] == "rate"]
    assert len(rate) == 1  # once for the runs along it
    by_rate = {saved.swept(name)["train.learning_rate"]: by_replicate(rounds, name, 0, "ticket") for name in saved.runs}
    table = pd.DataFrame(by_rate)
    rhos = [stats.spearmanr(table.columns, values).statistic for _, values in table.iterrows()]
    assert rate.iloc[0]["estimate"] == pytest.approx(np.mean(rhos))


def test_a_trend_over_widths_is_over_the_number_that_all_layers_have(campaign_file, tmp_path):
    widths = [[16, 16], [4, 4], [8, 8]]
    trend = {"id": "wider", "says": "wider layers pass on more", "trend": "model.widths", "expect": "more",
             "metric": "units.effective_rank", "select": {"layer": "3"}}  # fmt: skip
    out = tmp_path / "out"
    options = {"rounds": 0, "replicates": 2, "probes": ["units"], "claim": [trend]}
    saved = tickets.run(campaign_file(tmp_path, sweep={"model.widths": widths}, **options), out=out)
    (row,) = claims(saved)[lambda table: table["id"] == "wider"].to_dict("records")
    by_width = {}
    for run in saved.runs:
        table = saved.probe("units", run)
        last = table[(table["layer"] == "3") & (table["step"] == table["step"].max())]
        by_width[saved.swept(run)["model.widths"][0]] = last.set_index("replicate")["effective_rank"]
    rhos = [stats.spearmanr([4, 8, 16], [by_width[n][one] for n in (4, 8, 16)]).statistic for one in (0, 1)]
    assert row["estimate"] == pytest.approx(np.mean(rhos))
    assert row["run"] == next(run for run in saved.runs if saved.swept(run)["model.widths"] == [4, 4])
    # Some of the values, not the first among them: the trend is over these.
    some = {**trend, "id": "some", "where": {"model.widths": [[8, 8], [16, 16], [32, 32]]}}
    options["claim"] = [trend, some]
    uneven = tickets.run(
        campaign_file(tmp_path, sweep={"model.widths": [*widths, [8, 4], [32, 32]]}, **options), out=tmp_path / "uneven"
    )
    (row,) = claims(uneven)[lambda table: table["id"] == "wider"].to_dict("records")
    assert row["why"] == "The values of model.widths are no numbers, and have no order."
    (row,) = claims(uneven)[lambda table: table["id"] == "some"].to_dict("records")
    by_width = {}
    for run in uneven.runs:
        table = uneven.probe("units", run)
        last = table[(table["layer"] == "3") & (table["step"] == table["step"].max())]
        by_width[tuple(uneven.swept(run)["model.widths"])] = last.set_index("replicate")["effective_rank"]
    rhos = [stats.spearmanr([8, 16, 32], [by_width[n, n][one] for n in (8, 16, 32)]).statistic for one in (0, 1)]
    assert row["estimate"] == pytest.approx(np.mean(rhos))
    assert row["run"] == next(run for run in uneven.runs if uneven.swept(run)["model.widths"] == [8, 8])


def test_what_is_not_there_cannot_be_told(campaign_file, tmp_path):
    def answers():
        return {row["id"]: row for row in claims(tickets.load(out)).to_dict("records")}

    out = tmp_path / "out"
    given = [
        {**CLAIM, "density": 0.64},
        {**CLAIM, "id": "probe", "metric": "units.alive", "density": 0.8},
        {**CLAIM, "id": "none", "metric": "units.effective_rank", "select": {"layer": "no"}},
        {"id": "few", "says": "it falls", "trend": "density", "expect": "more"},
    ]
    tickets.run(campaign_file(tmp_path, probes=["units"], claim=given), out=out)
    assert answers()["signs"]["n"] == 2
    for path in out.glob("*/cohort-000/round-002"):
        shutil.rmtree(path)
    for name, why in {
        "signs": "The round nearest to density 0.64 is not trained yet.",
        "probe": "The table units has no column alive.",
        "none": "No row of the table units is as select says.",
        "few": "A trend needs at least 3 densities, and there are 2.",
    }.items():
        row = answers()[name]
        assert (row["answer"], row["n"], row["why"]) == ("cannot tell", 0, why)
        assert row["estimate"] is None or math.isnan(row["estimate"])


def test_each_claim_says_when_it_was_written(campaign_file, tmp_path, watcher):
    def registered(*given, **changes):
        watched = watcher()
        file = campaign_file(tmp_path, rounds=1, claim=list(given), **changes)
        found = claims(tickets.run(file, out=tmp_path / "out", listener=watched))
        return {row["id"]: row["registered"] for row in found.to_dict("records")}, watched.promised

    other = {**CLAIM, "id": "other"}
    first, _ = registered(CLAIM)
    assert first == {"winning_ticket": "before training", "signs": "before training"}
    both, promised = registered(CLAIM, other)
    assert promised == 0  # nothing is trained for it
    assert both == {**first, "other": "after 2 rounds"}
    changed, promised = registered({**CLAIM, "expect": "more"})
    assert (changed["signs"], promised) == ("after 2 rounds", 0)
    assert registered(CLAIM)[0]["signs"] == "before training"  # as it was written first
    log = (next((tmp_path / "out").glob("*/log.jsonl"))).read_text().splitlines()
    events = [json.loads(line) for line in log]
    written = [one["claim"]["id"] for one in events if one["event"] == "registered"]
    assert written == ["signs", "other", "signs", "signs"]


def test_a_function_answers_where_it_is_trusted(campaign_file, command, module, tmp_path):
    name = module(
        "mine",
        "def own(saved, run):\n"
        "    return {'answer': 'yes', 'estimate': 0.5, 'low': 0.4, 'high': 0.6, 'n': 2, 'why': 'since I say so'}\n"
        "def wrong(saved, run):\n    return {'answer': 'maybe'}\n"
        "def fails(saved, run):\n    raise KeyError('x')\n",
    )
    made = {"id": "own", "says": "it holds", "function": f"{name}:own"}
    out = tmp_path / "out"
    assert command("run", campaign_file(tmp_path, rounds=0, claim=[made]), "--out", out).code == 0
    said = json.loads(command("claims", out, "--json").out)[1]
    assert (said["answer"], said["n"]) == ("cannot tell", 0)
    assert "is called only where it is trusted" in said["why"]
    said = json.loads(command("claims", out, "--json", "--trust-code").out)[1]
    assert (said["answer"], said["estimate"], said["low"], said["why"]) == ("yes", 0.5, 0.4, "since I say so")
    for function, problem in (("wrong", "returned \"{'answer': 'maybe'}\""), ("fails", "failed: KeyError: 'x'")):
        file = campaign_file(tmp_path, rounds=0, claim=[{**made, "function": f"{name}:{function}"}])
        assert command("run", file, "--out", out).code == 0
        said = command("claims", out, "--trust-code")
        assert said.code == 2
        assert problem in said.err
        assert len(said.err.splitlines()) == 1


def test_what_is_printed(saved, command):
    said = command("claims", saved.folder)
    assert (said.code, said.err) == (0, "")
    assert "published" in said.out
    assert "(Bonferroni)" in said.out
    lines = command("claims", saved.folder, "--markdown").out.splitlines()
    rows = [line for line in lines if line.startswith("| ")]
    assert len(rows) == 2 + len(claims(saved))
    assert {line.replace("\\|", "").count("|") for line in rows} == {rows[0].count("|")}
    assert command("claims", saved.folder, "--markdown", "--json").code == 2
    answers = json.loads(command("claims", saved.folder, "--json").out)
    assert [one["id"] for one in answers] == claims(saved)["id"].tolist()
    assert saved.claims().equals(claims(saved))


def test_the_report_has_the_claims_of_each_run_with_a_figure(saved):
    files, left_out = make_report(saved)
    assert left_out == {}
    whole = claims(saved)
    for run in saved.runs:
        own = whole[(whole["run"] == run) & (whole["id"] != "winning_ticket")].reset_index(drop=True)
        (folder,) = {path.split("/")[1] for path in files if path.startswith("tables/") and run in path}
        answers, drawn = (
            pd.read_csv(io.BytesIO(files[f"tables/{folder}/{name}.csv"])) for name in ("claims", "claim_estimates")
        )
        assert answers["id"].tolist() == own["id"].tolist()
        assert drawn["id"].tolist() == own.loc[own["estimate"].notna(), "id"].tolist()
        assert np.allclose(answers["estimate"], own["estimate"].astype(float), equal_nan=True)
        assert f"figures/{folder}/claim_estimates.svg" in files
        assert f"#{folder}-figure-claim_estimates" in files["index.html"].decode()


def test_a_claim_about_all_rounds_or_runs_waits_for_all(campaign_file, tmp_path):
    """Else the rounds, or the runs, that are to come could turn its answer over."""
    given = [
        {**CLAIM, "id": "all", "against": "dense", "arm": "ticket"},
        {"id": "falls", "says": "it falls", "trend": "density", "expect": "more"},
        {"id": "rate", "says": "it rises", "trend": "train.learning_rate", "density": 1, "expect": "more"},
    ]
    rates = {"train.learning_rate": [1e-3, 1e-2, 1e-1, 1.0]}
    out = tmp_path / "out"
    tickets.run(campaign_file(tmp_path, rounds=3, claim=given, sweep=rates), out=out)

    def whys(id):
        return [row["why"] for row in claims(tickets.load(out)).to_dict("records") if row["id"] == id]

    assert not any("trained yet" in why for id in ("all", "falls", "rate") for why in whys(id))
    for path in out.glob("*/cohort-000/round-003"):
        shutil.rmtree(path)
    for id in ("all", "falls"):
        assert set(whys(id)) == {"Round 3 of 3 is not trained yet, and the claim is about all."}
    saved = tickets.load(out)
    last = next(run for run in saved.runs if saved.swept(run)["train.learning_rate"] == 1e-1)
    shutil.rmtree(out / last)
    assert whys("rate") == ["The runs with train.learning_rate = 0.1 are not trained yet."]
