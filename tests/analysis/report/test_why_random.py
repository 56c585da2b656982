"""Why are initial weights random? The part of the report, its figures, tables and files."""

import json
import shutil
from dataclasses import replace
from html import unescape
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from resealed import write_sealed
from scipy import stats
from tickets.analysis import report
from tickets.analysis.report import PAGE, WHY_FIGURES, chapter_of, make_figure
from tickets.analysis.report.html import html_of
from tickets.analysis.report.page import files_of
from tickets.analysis.report.why_random.answers import answers_table, summary_of
from tickets.analysis.report.why_random.chapter import chapter_of_study
from tickets.analysis.why_random import geometry, study_of, why_not_a_study

import tickets
from tickets.errors import InputError

FIGURES = tuple(record.name for record in WHY_FIGURES)
SLUG = "why-random"


@pytest.fixture(scope="module")
def study(starts_saved):
    return study_of(starts_saved)


@pytest.fixture(scope="module")
def chapter(starts_saved):
    return chapter_of(starts_saved)


def test_the_first_screen_answers_and_says_what_was_run_and_how_sure(two_starts, why_files, page_of):
    read = page_of(why_files[PAGE].decode())
    saved = tickets.load(two_starts)
    head = read.text[: read.text.index("Contents")]
    assert "starts: why are initial weights random?" in head
    summary = chapter_of(saved).summary
    assert summary.headline in head
    assert all(point.text in head for point in summary.points)
    assert "1 random start and 1 start of equal units on digits: 2 runs, 2 replicates each, 40 trainings" in head
    assert "n = 2 replicates, compared in pairs that share their data order; 95 % t-intervals, simultaneous" in head
    assert "None of 40 trainings diverged." in head


def test_claims_come_last_each_once_with_badges(two_starts, why_files, page_of):
    html = unescape(why_files[PAGE].decode())
    read = page_of(why_files[PAGE].decode())
    saved = tickets.load(two_starts)
    found = saved.claims()
    found = found[found["id"] != "winning_ticket"]
    table = chapter_of(saved).answers
    assert table.whole["id"].value_counts().to_dict() == found["id"].value_counts().to_dict()
    assert list(table.data.columns) == ["claim", "measured", "digits"]
    assert len(table.data) == found["id"].nunique()
    assert set(found["answer"]) == {"yes", "cannot tell"}
    own = html[html.index(f'id="{SLUG}-table-claims"') :]
    own = own[: own.index("</table>")]
    for row in table.data.to_dict("records"):
        assert own.count(f"<td>{row['claim']}</td>") == 1
    for answer in ("yes", "no", "cannot tell"):
        badges = own.count(f'<strong class="badge {answer.replace(" ", "-")}">{answer}</strong>')
        assert badges == found[found["answer"] == answer]["id"].nunique()
    ids = [*(f"{SLUG}-figure-{name}" for name in FIGURES), f"{SLUG}-table-starts", f"{SLUG}-table-claims"]
    places = [read.ids.index(one) for one in ids]
    assert places == sorted(places)
    assert f"{SLUG}-table-claims" in read.targets


def answered(*rows):
    """Rows of answers: (setting, label, claim, answer, estimate, low, high), of test accuracy in five replicates."""
    names = ["setting", "label", "id", "answer", "estimate", "low", "high"]
    table = pd.DataFrame(rows, columns=names).assign(n=5, metric="final_test_accuracy", source=None, why="no pair.")
    return table.assign(says="It is so: " + table["id"])


def test_answers_stand_side_by_side(study):
    two = replace(study, starts=study.starts.assign(setting=["digits", *["mnist1d"] * (len(study.starts) - 1)]))
    found = answered(
        ("digits", "zeros", "a", "yes", -0.5, -0.625, -0.375),
        ("digits", "constant 0.5", "a", "yes", -0.25, -0.375, -0.125),
        ("mnist1d", "zeros", "a", "yes", -0.5, -0.75, -0.25),
        ("mnist1d", "constant 0.5", "a", "cannot tell", np.nan, np.nan, np.nan),
        ("digits", "zeros", "b", "no", 0.01, np.nan, np.nan),
    )
    table = answers_table(found, two)
    assert table.data.to_dict("records") == [
        {
            "claim": "It is so: a",
            "measured": "test accuracy at the last step",
            "digits": "yes for zeros and constant 0.5: -50.00 to -25.00 [-62.50, -12.50] points, n = 5",
            "mnist1d": "yes for zeros: -50.00 [-75.00, -25.00] points, n = 5; cannot tell for constant 0.5: no pair",
        },
        {
            "claim": "It is so: b",
            "measured": "test accuracy at the last step",
            "digits": "no: +1.00 points, n = 5",
            "mnist1d": "",
        },
    ]
    summary = summary_of(found, two.settings)
    assert summary.headline == "Claims that hold: 1 of 2 on digits and 0 of 1 on mnist1d."
    assert [point.sentence for point in summary.points] == [
        "It is so: a: yes on digits and mnist1d (zeros); cannot tell on mnist1d (constant 0.5).",
        "It is so: b: no on digits.",
    ]


def test_a_campaign_without_claims_has_its_figures_and_is_told_where_claims_are(report_of, page_of):
    models = [{"name": "mlp", "widths": [4], "init": init} for init in ("glorot_normal", "zeros")]
    options = {"rounds": 0, "replicates": 1, "arms": ["ticket"], "store": {"units": True}}
    saved, files = report_of(**options, sweep={"model": models}, train={"steps": 2, "evaluate_every": 2})
    chapter = chapter_of(saved)
    assert (len(chapter.plots), chapter.answers) == (3, None)
    assert [table.name for table in chapter.tables] == ["starts", "reaching", "symmetry"]
    text = page_of(files[PAGE].decode()).text
    assert "This campaign's file has no claims." in text
    assert text.count("Claims to copy are in runs/why_random.toml") == 1
    assert chapter.text == f"{chapter.summary.headline} {chapter.summary.notes[0]}"


def test_runs_are_folded_below_it_each_as_it_would_be_by_itself(two_starts, why_files, page_of):
    html = why_files[PAGE].decode()
    read = page_of(html)
    for run in tickets.load(two_starts).runs:
        assert run in read.ids
        assert run in read.targets
        assert f"tables/{run}/accuracy.csv" in why_files
    assert html.count('<details class="run">\n<summary>') == 2
    assert html.index(f'id="{SLUG}"') < html.index('<details class="run">')


def test_a_campaign_of_one_start_has_no_such_part(report_of, page_of):
    saved, files = report_of(rounds=0, replicates=1, arms=["ticket"], store={"units": True})
    assert why_not_a_study(saved) is not None
    assert "is there a winning ticket?" in page_of(files[PAGE].decode()).text
    assert not any(SLUG in path for path in files)
    with pytest.raises(
        InputError, match=r"'distinct': 1 run of one start each; sweep model\.init; there are accuracy, "
    ):
        make_figure(saved, "distinct")


def test_every_figure_and_table_is_a_file_too(why_files, embeds_fonts):
    for name in FIGURES:
        assert ElementTree.fromstring(why_files[f"figures/{SLUG}/{name}.svg"]).tag.endswith("svg")
        assert embeds_fonts(why_files[f"figures/{SLUG}/{name}.pdf"])
    for name in (*FIGURES, "claims", "starts", "reaching", "symmetry", "retrained"):
        assert b"," in why_files[f"tables/{SLUG}/{name}.csv"]
        assert why_files[f"tables/{SLUG}/{name}.tex"].startswith(rb"\begin{tabular}")


def test_every_figure_has_an_alternative_its_numbers_and_its_lines(chapter, why_files):
    html = unescape(why_files[PAGE].decode())
    assert [plot.name for plot in chapter.plots] == list(FIGURES)
    for plot in chapter.plots:
        assert plot.drawn.description.endswith(".")
        assert "nan" not in plot.drawn.description
        assert f"<h3>{plot.title}</h3>" in html
        assert plot.drawn.code.splitlines()[-1] in html


def test_the_same_campaign_gives_the_same_bytes_wherever_it_lies(two_starts, why_files, tmp_path):
    shutil.copytree(two_starts, tmp_path / "elsewhere")
    chapter = chapter_of(tickets.load(tmp_path / "elsewhere"))
    assert files_of(chapter) == {path: data for path, data in why_files.items() if SLUG in path}
    assert html_of("a", [chapter], [], {}) == html_of("a", [chapter_of(tickets.load(two_starts))], [], {})


@pytest.mark.parametrize("name", FIGURES)
def test_the_lines_beside_a_figure_draw_it(starts_folder, chapter, tmp_path, monkeypatch, name):
    (tmp_path / "runs" / "saved").mkdir(parents=True)
    (tmp_path / "runs" / "saved" / "starts").symlink_to(starts_folder)
    monkeypatch.chdir(tmp_path)
    (plot,) = (plot for plot in chapter.plots if plot.name == name)
    space = {}
    exec(plot.drawn.code, space)
    assert (tmp_path / f"{name}.pdf").stat().st_size > 1000
    pd.testing.assert_frame_equal(space["data"], plot.drawn.data)


def test_distinct_units_by_hand(study):
    table = report.distinct_units(study).set_index(["line", "step"])
    units, starts = study.units, study.starts.set_index("label")
    for line, label in (("dct", "dct"), ("constant 0.5 [dropout 0.5]", "constant 0.5 [dropout 0.5]")):
        mine = units[(units["run"] == starts.loc[label, "run"]) & (units["step"] == 20)]
        mine = mine.query("round == 0 and arm == 'ticket'")
        row = table.loc[(line, 20)]
        assert (row["starts"], row["networks"]) == (1, 2)
        assert row["distinct"] == pytest.approx(mine["distinct"].mean())
        assert (row["within_least"], row["within_most"]) == (
            mine["distinct_within"].min(),
            mine["distinct_within"].max(),
        )
    both = starts.loc[["glorot_normal", "glorot_normal + biases"], "run"]
    random = units[units["run"].isin(both) & (units["step"] == 20)]
    masked = random[(random["round"] == 1) & (random["arm"] == "constant")]
    assert table.loc[("equal weights, masked", 20), "within"] == pytest.approx(masked["distinct_within"].mean())
    assert tuple(table.loc[("2 random starts", 20), ["starts", "networks"]]) == (2, 4)


def test_losses_by_hand(study):
    table = report.training_losses(study)
    assert len(table) == 8 * 5
    for row in table[table["step"] == 20].to_dict("records"):
        curves = study.curves.query("round == 0 and arm == 'ticket' and step == 20")
        losses = curves.loc[curves["run"] == row["run"], "train_loss"]
        half = stats.t.ppf(0.975, 1) * losses.std() / np.sqrt(2)
        assert (row["mean"], row["low"], row["high"]) == pytest.approx(
            (losses.mean(), losses.mean() - half, losses.mean() + half)
        )


def test_distances_are_those_of_the_geometry(study):
    table = report.layer_distances(study)
    pd.testing.assert_frame_equal(
        table.drop(columns=["setting", "label", "kind"]).sort_values("run", ignore_index=True),
        geometry(study.units).sort_values("run", ignore_index=True),
    )


def test_distances_between_ends_by_hand(study):
    table = report.distances_between_ends(study)
    shares = {(True, True): "all the same", (True, False): "other order", (False, True): "other start"}
    for row in table.to_dict("records"):
        ends = study.ends[study.ends["run"] == row["run"]]
        ways = [shares.get(pair, "both other") for pair in zip(ends["same_start"], ends["same_order"], strict=True)]
        mine = ends[np.array(ways) == row["way"]]
        assert (row["pairs"], row["identical"]) == (len(mine), mine["identical"].sum())
        distances = mine["distance"].astype(float)
        assert (row["distance"], row["least"], row["most"]) == pytest.approx(
            (distances.mean(), distances.min(), distances.max())
        )
    # Drawn again, a start without chance is the same start.
    assert set(table.loc[table["label"] == "dct", "way"]) == {"all the same", "other order"}
    assert set(table.loc[table["label"] == "glorot_normal", "way"]) == {*shares.values(), "both other"}


def test_tables_show_how_many_reached_a_loss_and_which_networks_came_apart(chapter):
    sheets = {table.name: table for table in chapter.tables}
    reaching = sheets["reaching"].data.set_index("start")
    assert list(reaching.columns) == ["on", "2", "1", "0.5", "0.1"]
    assert reaching.loc["zeros", "1"] == "0 of 2"
    symmetry = sheets["symmetry"].data.set_index(["start", "arm"])
    assert symmetry.loc[("zeros", "ticket"), "first differ by more"] == "0 of 2"
    assert symmetry.loc[("constant 0.5 [dropout 0.5]", "ticket"), "first differ"] == "step 5, 2 of 2"
    assert sheets["retrained"].data.set_index(["start", "ticket against"]).loc[("dct", "reinit"), "identical ends"] == 2


def test_without_ends_the_figure_is_missing_and_why(study, starts_saved):
    bare = replace(study, ends=study.ends.iloc[:0], no_ends={"a": "nothing was trained twice"})
    made = chapter_of_study(bare, starts_saved)
    assert [plot.name for plot in made.plots] == ["distinct", "losses", "distances"]
    assert [(one.title, one.why) for one in made.missing] == [
        ("Distance between the ends of two trainings", "nothing was trained twice")
    ]


def test_one_replicate_and_trainings_that_diverge(report_of, page_of):
    models = [{"name": "mlp", "widths": [4], "init": init} for init in ("glorot_normal", "zeros")]
    train = {"steps": 4, "evaluate_every": 2, "optimizer": "sgd", "learning_rate": 1e30}
    options = {"rounds": 0, "replicates": 1, "arms": ["ticket"], "store": {"units": True}}
    saved, files = report_of(**options, sweep={"model": models}, train=train)
    assert saved.rounds["diverged"].any()
    text = page_of(files[PAGE].decode()).text
    assert "One replicate: no interval" in text
    assert "2 of 2 trainings diverged." in text
    assert (
        "No figure “Distance between the ends of two trainings”: the trained values of its repeats were not saved"
        in text
    )
    assert "nan" not in text.lower().replace("nanoseconds", "")


def test_one_figure_to_show_elsewhere(starts_saved, chapter):
    made = make_figure(starts_saved, "distinct")
    assert list(made) == ["distinct.svg", "distinct.csv", "distinct.txt", "verdict.txt"]
    assert made["distinct.csv"] == report.to_csv(chapter.plots[0].drawn.data).encode()
    headline, *lines = made["verdict.txt"].decode().splitlines()
    assert headline == chapter.summary.headline
    assert len(lines) == len(chapter.answers.data)
    assert lines[0].startswith("Hidden units that start equal stay equal while nothing in training is random (")
    assert " (digits): yes for constant 0.5 and zeros: +0 [+0, +0], n = 2." in lines[0]
    with pytest.raises(InputError, match=r"there are accuracy, .*, ends; did you mean 'distances'\?"):
        make_figure(starts_saved, "distancs")


@pytest.mark.usefixtures("page_only")
def test_hostile_names_are_text(two_starts, tmp_path, page_of):
    hostile = "</title><script>alert(1)</script>{{ 7 * 7 }}'\"\\& \u202e$x_1$"
    shutil.copytree(two_starts, tmp_path / "bad")
    for path in (tmp_path / "bad").glob("*/run.json"):
        file = json.loads(path.read_text())
        file["fingerprint"]["device"] = hostile  # other names have forms of their own
        write_sealed(path, file)
    saved = tickets.load(tmp_path / "bad")
    chapter = chapter_of(saved)
    html = html_of(hostile, [chapter], [], {})
    assert hostile.replace("\u202e", "\\u202e") in page_of(html).text.replace("\u202e", "\\u202e")
    assert html.count("<script>") == 1
    compile(chapter.plots[0].drawn.code, "figure.py", "exec")


@pytest.mark.usefixtures("page_only")
def test_damaged_ends_are_named_and_the_rest_is_told(two_starts, tmp_path, page_of):
    shutil.copytree(two_starts, tmp_path / "bad")
    bad = tickets.load(tmp_path / "bad").runs[0]
    path = tmp_path / "bad" / bad / "cohort-000" / "round-000" / "trained.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    chapter = chapter_of(tickets.load(tmp_path / "bad", skip_damaged=True))
    assert list(chapter.left_out) == [bad]
    assert "trained.safetensors" in chapter.left_out[bad]
    assert bad not in set(chapter.plots[-1].drawn.data["run"])
    assert bad in set(chapter.plots[0].drawn.data["line"].map({"zeros": bad, "glorot_normal": bad}))
