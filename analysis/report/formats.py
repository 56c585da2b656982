"""Figures as SVG, for files and for pages, and as PDF. The same figure gives the same bytes."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import BytesIO

import matplotlib as mpl
from matplotlib.figure import Figure

from .look import INK, styled
from .visible import visible

# A background of its own: the page that shows the figure need not be light or dark as the reader's system is.
_STYLE = (
    "<style>"
    f"svg{{color:{INK}}}.paper{{fill:#fff}}"
    "@media (prefers-color-scheme:dark){svg{color:#e6edf3}.paper{fill:#12161b}}"
    "</style>"
)
_PAPER = '<rect class="paper" width="100%" height="100%"/>'
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


def to_svg(figure: Figure) -> str:
    """A figure as an SVG file, with text as text; light or dark as the reader's system is."""
    return _svg(figure, "figure").replace(" <defs>", f" {_STYLE}\n {_PAPER}\n <defs>", 1)


def to_inline_svg(figure: Figure, name: str) -> str:
    """A figure as an <svg> element of a page, in the page's text colour and font.

    Parameters
    ----------
    figure : Figure
        The figure.
    name : str
        Unique in the page, of letters, digits, `-` and `_`; all ids in the element begin with it.
    """
    svg = _svg(figure, name)
    svg = svg[svg.index("<svg") :]

    def own(tag: str) -> str:
        tag = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', tag)
        return re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", tag).replace(_FONT, "inherit")

    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", _in_tags(svg, own), flags=re.DOTALL)
    svg = re.sub(r"\s*<style\b[^>]*>.*?</style>", "", svg, flags=re.DOTALL)  # the page has these rules once
    # The page sets its width, and has its text alternative beside it.
    return re.sub(
        r'<svg\b[^>]*?viewBox="([^"]+)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true">', svg, count=1
    ).strip()


def to_pdf(figure: Figure) -> bytes:
    """A figure as a PDF file. Letters that DejaVu Sans lacks are boxes; in SVG, the reader's fonts have them."""
    file = BytesIO()
    with styled():
        figure.savefig(file, format="pdf", metadata=dict.fromkeys(("CreationDate", "Creator", "Producer")))
    return file.getvalue()


def _svg(figure: Figure, salt: str) -> str:
    file = BytesIO()
    with styled(), mpl.rc_context({"svg.hashsalt": salt, "svg.fonttype": "none"}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})

    def plain(tag: str) -> str:
        return re.sub(r"'DejaVu Sans'(?:, [^;\"]+)?", _FONT, tag.replace(INK, "currentColor"))

    return _in_tags(visible(file.getvalue().decode(), keep="\n"), plain)


def _in_tags(svg: str, change: Callable[[str], str]) -> str:
    """Change the tags of an SVG; the text between them, which are names, stays. matplotlib escapes each `<` and `>`."""
    return re.sub(r"<[^>]*>", lambda tag: change(tag[0]), svg)
