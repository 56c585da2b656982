"""Text of other people as text of a page, a CSV file, a figure, a path: properties of the pure functions."""

import csv
import io
import re
from types import SimpleNamespace
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pandas as pd
import pytest
from hostile_names import LONG, NAMES
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from tickets.analysis.report import to_csv, to_inline_svg, to_pdf, to_svg
from tickets.analysis.report.annotation import short_names, short_title
from tickets.analysis.report.chapter import Chapter, Summary, name_of, told_apart
from tickets.analysis.report.look import drawing
from tickets.analysis.report.table import csv_text
from tickets.analysis.report.visible import visible

ANY = st.one_of(
    st.text(st.characters(exclude_categories=[])),  # lone surrogates, too
    st.text("=+-@;\t\r\n\"',| x1\uff1d\uff0b\uff0d\uff20"),
    st.sampled_from([*NAMES, LONG]),
)
FORMULA = tuple("=+-@\t\r\uff1d\uff0b\uff0d\uff20")


@given(ANY)
def test_every_character_can_be_seen_and_encoded(text):
    seen = visible(text)
    assert all(letter.isprintable() or letter.isspace() for letter in seen)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]", seen)
    assert seen.encode().decode() == seen
    assert visible(seen) == seen
    assert ElementTree.fromstring(f"<a>{escape(seen)}</a>").text == (seen or None)
    if re.fullmatch(r"[ -~äλ模]*", text):
        assert seen == text


def test_what_cannot_be_seen_is_written_as_in_python():
    assert visible("a\x00\n\u202e\ud800\U000e0001\u3164") == r"a\x00\n\u202e\ud800\U000e0001\u3164"
    assert visible("a\n\tb", keep="\n") == "a\n\\tb"
    assert visible("\N{NO-BREAK SPACE}e\u0301模型😀") == "\N{NO-BREAK SPACE}e\u0301模型😀"


def assert_no_formula(text):
    for separator in ",;\t|":
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            for place, cell in enumerate(row):
                assert not cell.startswith(FORMULA) or (place == 0 and cell.startswith("-1.5"))


@given(ANY)
def test_no_cell_is_a_formula_whatever_the_separator(text):
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator="\n").writerow(["-1.5", csv_text(text)])  # as pandas writes it
    assert_no_formula(file.getvalue())
    assert len(next(csv.reader(io.StringIO(file.getvalue(), newline="")))) == 2


def test_no_hostile_name_is_a_formula_as_a_heading_or_as_a_cell():
    names = [name for name in NAMES if "\ud800" not in name]  # pandas' tables have no lone surrogates
    text = to_csv(pd.DataFrame([[-1.5, *names]], columns=["n", *names]))
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert [len(row) for row in rows] == [1 + len(names)] * 2
    assert rows[1][0] == "-1.5"  # numbers are numbers
    assert_no_formula(text)


def test_cells_of_text_that_would_be_computed_are_marked_as_text():
    frame = pd.DataFrame({"=a": ["=1", "+2", "-", "a=1"], "@b": [-1, 2.5, float("nan"), 1e308]})
    assert to_csv(frame) == "'=a,'@b\n'=1,-1.0\n'+2,2.5\n'-,\na=1,1e+308\n"
    assert to_csv(pd.DataFrame({"a": pd.Categorical(["=1", "x", "=1"])})) == "a\n'=1\nx\n'=1\n"
    assert to_csv(pd.DataFrame({"a": pd.Series(["=1", None, "x"])})) == 'a\n\'=1\n""\nx\n'
    assert to_csv(pd.DataFrame({"a": [["=1", "b"], {"=": "c"}]})) == "a\n\"['=1', 'b']\"\n{'=': 'c'}\n"
    assert csv_text('a;"=1\n@b') == "a;\"'=1\n'@b"


@given(st.lists(ANY, min_size=1, max_size=8), st.integers(8, 40))
def test_short_names_are_short_different_and_visible(names, most):
    short = short_names(names, most)
    assert list(short) == list(dict.fromkeys(names))
    assert len(set(short.values())) == len(short)
    assert all(len(text) <= most and visible(text) == text for text in short.values())
    assert len(short_title(names[0])) <= 60


@given(st.lists(ANY, min_size=1, max_size=8))
def test_paths_and_ids_stay_in_their_folder_and_do_not_collide(names):
    chapters = [Chapter(name_of(name), name, "", "", Summary("", []), "", "", [], [], []) for name in names]
    paths = [chapter.name for chapter in told_apart(chapters)]
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,110}", path) for path in paths)
    assert not any(path.split(".")[0].lower() in ("con", "nul", "aux", "prn", "com1", "lpt9") for path in paths)
    assert len({path.lower() for path in paths}) == len(paths)
    assert not any(re.search(r"-(figure|table|settings|svg)(-|$)", path) for path in paths)


def test_names_that_clash_are_numbered():
    def named(*names):
        chapters = [Chapter(name, name, "", "", Summary("", []), "", "", [], [], []) for name in names]
        return [chapter.name for chapter in told_apart(chapters)]

    assert named("a", "A", "a.2", "a", "b") == ["a", "A.2", "a.2.2", "a.3", "b"]
    assert name_of("runs") == "run-runs"


@pytest.fixture(scope="module")
def drawn():
    """A figure of every hostile name, as titles, tick labels and texts."""

    @drawing
    def draw():
        figure = Figure(figsize=(5, 9))
        axes = figure.subplots()
        short = [*short_names([*NAMES, LONG]).values()]
        axes.set_yticks(range(len(short)), short)
        axes.set_title(short_title("".join(NAMES)))
        for place, name in enumerate(short):
            axes.text(1.1, place, name)
        return figure

    return SimpleNamespace(figure=draw(), names=[*short_names([*NAMES, LONG]).values()])


@pytest.mark.parametrize("to", [to_svg, lambda figure: to_inline_svg(figure, "a")], ids=["file", "in a page"])
def test_names_in_figures_are_text_of_xml(drawn, to):
    svg = ElementTree.fromstring(
        to(drawn.figure).replace(' xmlns="http://www.w3.org/2000/svg"', "").replace("xlink:", "")
    )
    assert {one.tag for one in svg.iter()} <= {
        "svg", "g", "path", "text", "tspan", "defs", "use", "rect", "style", "clipPath", "metadata",
        *(one.tag for one in svg.iter() if "w3.org/1999/02" in one.tag or "creativecommons" in one.tag),
    }  # fmt: skip
    texts = ["".join(one.itertext()) for one in svg.iter("text")]
    assert all(texts.count(name) == 2 for name in drawn.names)
    assert not any(name.startswith("on") for one in svg.iter() for name in one.attrib)


def test_names_in_figures_are_pdf_without_a_warning(drawn):
    assert to_pdf(drawn.figure).startswith(b"%PDF")
