"""The report: the first screen, one page that needs nothing else, the same bytes every time, hostile names."""

import json
import re
import shutil
import time
from html import unescape
from xml.etree import ElementTree

import pandas as pd
import pytest
from resealed import write_sealed
from tickets.analysis import winning
from tickets.analysis.messages import headline, paragraphs
from tickets.analysis.report import PAGE, chapter_of_run, make_figure, make_report

import tickets
from tickets.errors import InputError

FIGURES = ["accuracy", "steps", "curves", "surviving", "initial", "overlap", "pixels"]


@pytest.fixture(scope="module")
def drawn(saved):
    """The report's files, and the seconds that they took."""
    began = time.perf_counter()
    files, _ = make_report(saved)
    return files, time.perf_counter() - began


@pytest.fixture(scope="module")
def files(drawn):
    return drawn[0]


@pytest.fixture(scope="module")
def two_runs(campaign_file, tmp_path_factory):
    """The folder of a campaign of two runs."""
    there = tmp_path_factory.mktemp("two_runs")
    tickets.run(campaign_file(there, rounds=1, sweep={"seed": [0, 1]}), out=there / "out")
    return there / "out"


def test_the_first_screen_says_what_was_run_the_answer_and_how_sure(saved, files, page_of):
    page = page_of(files[PAGE].decode())
    (one,) = winning(saved.rounds)
    sentence = one.sentence.removeprefix(f"{one.run}: ")
    sentence = sentence[0].upper() + sentence[1:]
    head = page.text[: page.text.index("Contents")]
    assert sentence in head
    assert "the ticket beside reinit and random_mask; 3 replicates; the dense network and 2 rounds of pruning" in head
    assert "36 trainings of 60 steps (adam, learning rate 0.01)" in head
    assert "n = 3 replicates, compared in pairs; 95 % intervals. No density was named before training, so" in head
    assert "None of 36 trainings diverged." in head


def test_every_figure_has_an_alternative_its_numbers_and_its_lines(saved, files, page_of):
    (run,) = saved.runs
    html = unescape(files[PAGE].decode())
    text = page_of(files[PAGE].decode()).text
    for plot in chapter_of_run(saved, run).plots:
        assert f'aria-label="{plot.drawn.description}"' in html
        assert f"Its {len(plot.drawn.data)} rows of numbers" in text
        assert plot.drawn.code.splitlines()[-1] in text
        csv = files[f"tables/{run}/{plot.name}.csv"].decode()
        assert len(csv.splitlines()) == 1 + len(plot.drawn.data)
    assert [path for path in files if path.endswith(".pdf")] == [f"figures/{run}/{name}.pdf" for name in FIGURES]


def test_svg_files_are_well_formed_and_light_or_dark_as_the_reader_is(files):
    pictures = [data for path, data in files.items() if path.endswith(".svg")]
    assert len(pictures) == len(FIGURES)
    for data in pictures:
        assert ElementTree.fromstring(data).tag.endswith("svg")
        assert b"prefers-color-scheme:dark" in data
        assert data.count(b'class="paper"') == 1
        assert b"currentColor" in data
        assert b"#1f2328" not in data.replace(b"svg{color:#1f2328}", b"")


def test_pdf_files_embed_true_type_fonts_and_no_type_3(files, embeds_fonts):
    pictures = [data for path, data in files.items() if path.endswith(".pdf")]
    assert len(pictures) == len(FIGURES)
    assert all(map(embeds_fonts, pictures))


def test_the_same_saved_run_gives_the_same_bytes_wherever_it_lies(folder, files, tmp_path):
    shutil.copytree(folder, tmp_path / "elsewhere")
    assert make_report(tickets.load(tmp_path / "elsewhere"))[0] == files
    everything = b"".join(files.values())
    assert str(folder).encode() not in everything
    assert not re.search(rb"20\d\d-\d\d-\d\d|CreationDate", everything)


@pytest.mark.parametrize("name", FIGURES)
def test_the_lines_beside_a_figure_draw_it(folder, files, tmp_path, monkeypatch, name):
    shutil.copytree(folder, tmp_path / "runs" / "saved" / "tiny")
    monkeypatch.chdir(tmp_path)
    (path,) = (path for path in files if path.endswith(f"/{name}.py"))
    space = {}
    exec(files[path].decode(), space)
    assert (tmp_path / f"{name}.pdf").stat().st_size > 1000
    csv = files[path.replace("figures/", "tables/").replace(".py", ".csv")].decode()
    assert space["data"].to_csv(index=False) == csv


@pytest.mark.usefixtures("page_only")
def test_hostile_names_are_text(folder, tmp_path, page_of):
    hostile = "</title><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 * 7 }}'\"\\& \u202e"
    shutil.copytree(folder, tmp_path / "bad")
    (path,) = (tmp_path / "bad").glob("*/run.json")
    file = json.loads(path.read_text())
    file["fingerprint"]["device"] = hostile  # other names have forms of their own
    write_sealed(path, file)
    files = make_report(tickets.load(tmp_path / "bad"))[0]
    page = page_of(files[PAGE].decode())
    assert hostile.replace("\u202e", "\\u202e") in page.text
    assert page.open == []
    assert files[PAGE].count(b"<script>") == 1
    compile(next(data for path, data in files.items() if path.endswith(".py")), "figure.py", "exec")


@pytest.mark.usefixtures("page_only")
def test_a_run_id_cannot_lead_out_of_the_folder(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "bad")
    (path,) = (tmp_path / "bad").glob("*/run.json")
    (run,) = tickets.load(folder).runs
    for part in path.parent.rglob("rounds.parquet"):
        assert pd.read_parquet(part)["run"].eq(run).all()
    assert all(".." not in name and not name.startswith("/") for name in make_report(tickets.load(tmp_path / "bad"))[0])
    from tickets.analysis.report.chapter import name_of

    assert name_of("../../x y") == "x-y"
    assert name_of("1.0") == "run-1.0"
    assert name_of("///") == "run"
    assert name_of("nul.txt") == "run-nul.txt"
    assert name_of("a-figure-accuracy") == "a_figure-accuracy"
    assert len(name_of("x" * 10_000)) == 100


def test_several_runs_are_sections_with_one_contents_list(report_of, page_of):
    saved, files = report_of(sweep={"seed": [0, 1]})
    page = page_of(files[PAGE].decode())
    assert page.text.count("Contents") == 1
    for one in winning(saved.rounds):
        assert one.run in page.ids
        assert one.run in page.targets
        assert page.text.count(headline(one)) == 2 * 2  # of each of two runs, at the top and in its section
        assert all(line in page.text for line in paragraphs(one))


def test_one_replicate_says_why_there_is_no_interval(report_of, page_of):
    text = page_of(report_of(replicates=1)[1][PAGE].decode()).text
    assert "One replicate: no interval, since one difference has no spread." in text
    assert "No figure “Overlap of masks between replicates”: it takes two replicates." in text
    assert "nan" not in text.lower().replace("nanoseconds", "")


def test_no_controls_and_no_later_round(report_of, page_of):
    text = page_of(report_of(arms=["ticket"])[1][PAGE].decode()).text
    assert "the ticket without controls;" in text
    assert "The run has no arm reinit, which the ticket must be better than; add it to `arms`" in text
    assert "The ticket against each control" not in text
    text = page_of(report_of(arms=["ticket"], rounds=0)[1][PAGE].decode()).text
    assert "No round after the dense one is saved." in text
    assert "only the dense round is saved, in which all weights survive" in text


def test_a_network_that_reads_no_pixels_and_arms_that_diverge(report_of, page_of):
    saved, files = report_of(
        data="mnist1d", arms=["ticket", {"name": "constant", "value": 1e30}], train={"steps": 5, "evaluate_every": 5}
    )
    text = page_of(files[PAGE].decode()).text
    assert saved.rounds["diverged"].sum() == 4
    assert "4 of 8 trainings have no value (diverged) and are left out." in text
    assert "constant: no value, all diverged" in text
    assert "No figure “Pixels that the first layer keeps”: the input, of shape 40, is not an image." in text


@pytest.mark.parametrize("name", ["rounds.parquet", "curves.parquet", "masks.safetensors"])
@pytest.mark.usefixtures("page_only")
def test_a_damaged_run_is_named_and_the_rest_reported(two_runs, tmp_path, name, page_of):
    shutil.copytree(two_runs, tmp_path / "out")
    bad, good = tickets.load(tmp_path / "out").runs
    path = tmp_path / "out" / bad / "cohort-000" / "round-001" / name
    path.write_bytes(path.read_bytes()[:-1])
    files, left_out = make_report(tickets.load(tmp_path / "out", skip_damaged=True))
    assert list(left_out) == [bad]
    assert name in left_out[bad]
    assert {path.split("/")[1] for path in files if "/" in path} == {good}
    assert f"Left out: {bad}" in page_of(files[PAGE].decode()).text
    shutil.rmtree(tmp_path / "out" / good)
    with pytest.raises(InputError, match=name):
        make_report(tickets.load(tmp_path / "out", skip_damaged=True))


def test_one_figure_to_show_elsewhere(saved, files):
    (run,) = saved.runs
    made = make_figure(saved, "accuracy")
    assert list(made) == ["accuracy.svg", "accuracy.csv", "accuracy.txt", "verdict.txt"]
    assert made["accuracy.svg"] == files[f"figures/{run}/accuracy.svg"]
    assert made["accuracy.csv"] == files[f"tables/{run}/accuracy.csv"]
    (one,) = winning(saved.rounds)
    assert made["verdict.txt"].decode().strip()[1:] == one.sentence.removeprefix(f"{run}: ")[1:]
    with pytest.raises(InputError, match="did you mean 'accuracy'"):
        make_figure(saved, "acuracy")


def test_figures_of_a_run_and_those_it_lacks(saved):
    (run,) = saved.runs
    chapter = chapter_of_run(saved, run)
    assert ([plot.name for plot in chapter.plots], chapter.missing) == (FIGURES, [])


def test_it_is_drawn_soon(drawn):
    assert drawn[1] < 20
