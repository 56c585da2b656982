"""Saved runs to report on."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from quick_reports import page_alone

import tickets

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Checks that tags nest and ids are unique; collects text, links and what a browser would fetch."""

    def __init__(self, html):
        super().__init__()
        self.open, self.ids, self.targets, self.fetched, self.texts = [], [], [], [], []
        self.feed(html)
        self.close()
        assert not self.open
        assert len(set(self.ids)) == len(self.ids)
        assert set(self.targets) <= set(self.ids)
        assert all(link.startswith("data:") for link in self.fetched)
        self.text = re.sub(r"\s+", " ", " ".join(self.texts))

    def handle_starttag(self, tag, attributes):
        if tag not in VOID:
            self.open.append(tag)
        self._attributes(tag, dict(attributes))

    def handle_startendtag(self, tag, attributes):
        self._attributes(tag, dict(attributes))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.texts.append(data)
        assert "@import" not in data or self.open[-1] != "style"

    def _attributes(self, tag, attributes):
        if "id" in attributes:
            self.ids.append(attributes["id"])
        assert not any(name.startswith("on") for name in attributes)
        for name in ("href", "xlink:href", "src"):
            link = attributes.get(name, "data:")
            self.targets.append(link[1:]) if link.startswith("#") else self.fetched.append(link)


TRAIN = {"steps": 60, "evaluate_every": 20, "batch_size": 100, "learning_rate": 1e-2}


@pytest.fixture(scope="session")
def folder(campaign_file, tmp_path_factory) -> Path:
    """A campaign of one run: 3 replicates x 3 rounds x (ticket, 2 draws of reinit, random_mask) on 8x8 digits."""
    there = tmp_path_factory.mktemp("reported")
    tickets.run(campaign_file(there, replicates=3, train=TRAIN), out=there / "tiny")
    return there / "tiny"


@pytest.fixture(scope="session")
def saved(folder):
    return tickets.load(folder)


@pytest.fixture(scope="session")
def report_of(campaign_file, tmp_path_factory):
    """report_of(**changes): the saved campaign, changed, and the files of its report."""
    from tickets.analysis.report import make_report

    def make(**changes):
        there = tmp_path_factory.mktemp("changed")
        tickets.run(campaign_file(there, **{"rounds": 1, **changes}), out=there / "out")
        saved = tickets.load(there / "out", skip_damaged=True)
        with pytest.MonkeyPatch.context() as patch:
            page_alone(patch)
            return saved, make_report(saved)[0]

    return make


@pytest.fixture(scope="session")
def page_of():
    """page_of(html): the page, checked."""
    return Page


@pytest.fixture(scope="session")
def two_starts(starts_folder, starts_saved, tmp_path_factory) -> Path:
    """Of the campaign of many starts the runs that start at glorot_normal and at zeros."""
    there = tmp_path_factory.mktemp("two") / "starts"
    there.mkdir()
    shutil.copy(starts_folder / "campaign.toml", there)
    for run in starts_saved.runs:
        model = starts_saved.config(run)["model"]
        if model["widths"] == [8] and model["init"] in ("glorot_normal", "zeros"):
            shutil.copytree(starts_folder / run, there / run)
    return there


@pytest.fixture(scope="session")
def why_files(two_starts):
    """The report of two starts, with the figures of the campaign as files and those of its runs on the page alone."""
    from tickets.analysis.report import chapter_of, make_report
    from tickets.analysis.report.page import files_of

    saved = tickets.load(two_starts)
    with pytest.MonkeyPatch.context() as patch:
        page_alone(patch)
        files = make_report(saved)[0]
    of_campaign = files_of(chapter_of(saved))
    assert of_campaign.keys() <= files.keys()
    return files | of_campaign


@pytest.fixture(scope="session")
def embeds_fonts():
    """Whether a PDF file embeds TrueType fonts, and no Type 3 fonts, which many publishers refuse."""

    def check(data: bytes) -> bool:
        wanted = (b"/CIDFontType2", b"/FontFile2")
        return data.startswith(b"%PDF") and b"/Type3" not in data and all(name in data for name in wanted)

    return check
