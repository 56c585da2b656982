"""A report of a campaign whose names are markup, scripts, formulas and commands: in files, and in a real browser."""

import csv
import io
import re
import shutil
import subprocess
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from hostile_names import MARKUP, RUNS, TENSORS, HostileSaved
from tickets.analysis.report import PAGE, make_report
from tickets.analysis.report.visible import visible

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OURS = {
    "html", "head", "meta", "title", "link", "style", "body", "header", "main", "footer", "nav", "section", "figure",
    "figcaption", "details", "summary", "script", "div", "p", "span", "strong", "h1", "h2", "h3", "ul", "li", "dl",
    "dt", "dd", "a", "br", "pre", "code", "table", "caption", "thead", "tbody", "tr", "th", "td", "button", "svg",
    "defs", "path", "g", "use", "text", "tspan", "clippath", "rect", "image",
}  # fmt: skip


class Tags(HTMLParser):
    """The tags of a page, their attributes, and its text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.texts = [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="module")
def files():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tickets.analysis.report.page.to_pdf", lambda figure: b"")  # see test_visible
        return make_report(HostileSaved())[0]


def assert_only_ours(html):
    page = Tags(html)
    assert set(page.tags) <= OURS
    assert (page.tags.count("script"), page.tags.count("style"), page.tags.count("meta")) == (1, 1, 4)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name == "src"]
    links = [value for name, value in page.attributes if name.endswith("href")]
    assert all(re.match(r"#|data:(,|image/png;base64,[A-Za-z0-9+/=\s]*)$", link) for link in links)
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(set(ids)) == len(ids)
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    text = " ".join(page.texts)
    assert all(name in text for name in (*map(visible, TENSORS.values()), *RUNS, "".join(MARKUP)))


def test_the_page_has_no_markup_but_its_own(files, page_of):
    page_of(files[PAGE].decode())  # tags nest
    assert_only_ours(files[PAGE].decode())


def test_all_figures_are_drawn_and_all_svg_files_are_well_formed(files):
    pictures = [data for path, data in files.items() if path.endswith(".svg")]
    assert len(pictures) == 2 * 7 + 3
    for data in pictures:
        tags = {one.tag.rpartition("}")[2].lower() for one in ElementTree.fromstring(data).iter()}
        assert tags <= OURS | {"metadata", "rdf", "work", "creator", "agent"}


def test_paths_are_slugs(files):
    parts = {part for path in files for part in path.split("/")}
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,110}", part) for part in parts)
    assert len({path.lower() for path in files}) == len(files)
    assert len({path.split("/")[1] for path in files if "/" in path}) == 3  # two runs with one slug, and the campaign


def test_no_table_has_a_formula(files):
    for path, data in files.items():
        if path.endswith(".csv"):
            for row in csv.reader(io.StringIO(data.decode(), newline="")):
                assert not [cell for cell in row if cell[:1] in tuple("=+@\t\r") or re.match(r"-(?!\d|inf)", cell)]


def test_the_code_beside_figures_calls_only_what_it_should(files):
    for path, data in files.items():
        if path.endswith(".py"):
            names = compile(data, path, "exec").co_names
            assert not {"document", "alert", "cmd", "evil"} & set(names)


def browse(page, folder):
    """(the DOM, the lines of the console) of a page in chromium, in a fresh profile."""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0", "--dump-dom"]
    command = [CHROMIUM, *flags, f"--user-data-dir={folder / 'profile'}", page.as_uri()]
    ended = subprocess.run(command, capture_output=True, timeout=120, check=True)
    logged = ended.stderr.decode(errors="replace").splitlines()
    return ended.stdout.decode(), [line for line in logged if "CONSOLE" in line]


@pytest.mark.skipif(CHROMIUM is None, reason="no `chromium`, `chromium-browser` or `google-chrome` on PATH")
def test_in_a_browser_no_name_is_an_element_and_the_policy_is_not_violated(files, tmp_path):
    page = tmp_path / PAGE
    page.write_bytes(files[PAGE])
    dom, logged = browse(page, tmp_path)
    assert logged == []
    assert "<button" in dom  # the page's own script ran
    assert "data-ran" not in dom
    assert_only_ours(dom)


@pytest.mark.skipif(CHROMIUM is None, reason="no `chromium`, `chromium-browser` or `google-chrome` on PATH")
def test_in_a_browser_markup_that_got_in_would_do_nothing(files, tmp_path):
    got_in = (
        "<script>document.documentElement.dataset.ran = 1</script>"
        '<img src="data:," onerror="document.documentElement.dataset.ran = 2">'
        "<style>body { opacity: 0.123 }</style>"
        '<base href="https://evil.example/"><iframe src="https://evil.example/"></iframe>'
        '<img src="https://evil.example/pixel.png">'
    )
    page = tmp_path / PAGE
    page.write_bytes(files[PAGE].replace(b"<main>", b"<main>" + got_in.encode()))
    dom, logged = browse(page, tmp_path)
    assert "data-ran" not in dom
    assert "<button" in dom
    refused = " ".join(logged)
    for directive in ("script-src", "style-src-elem", "base-uri", "default-src", "img-src"):
        assert f'"{directive} ' in refused or f"{directive} " in refused
