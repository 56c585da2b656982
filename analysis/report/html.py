"""The report's page as HTML, which needs no other file and no network."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files

import jinja2
import pandas as pd
from markupsafe import Markup

from ..answers import ANSWERS
from ..labels import capitalised
from .chapter import Chapter
from .formats import to_inline_svg
from .table import Table, cell
from .visible import visible

_NEXT_ANSWER = re.compile(rf"; (?=(?:{'|'.join(ANSWERS)})(?::| for ))")
_MOST_OPEN = 4  # runs that are shown without a click


def html_of(campaign: str, of_campaign: Sequence[Chapter], runs: Sequence[Chapter], left_out: Mapping[str, str]) -> str:
    """The page.

    Parameters
    ----------
    campaign : str
        The campaign's name.
    of_campaign : sequence of Chapter
        The chapters about the whole campaign, which come first.
    runs : sequence of Chapter
        The chapters of its runs.
    left_out : mapping
        {run: why it is left out}.
    """
    here = files(__package__ or __name__)
    style, script = ((here / name).read_text(encoding="utf-8") for name in ("page.css", "sort.js"))
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"table": _table, "claims": _claims, "answers": _answers, "capitalised": capitalised}
    template = environment.from_string((here / "page.html.jinja").read_text(encoding="utf-8"))
    chapters = [*of_campaign, *runs]
    first = chapters[0] if of_campaign or len(runs) == 1 else None
    page = template.render(
        campaign=campaign,
        question=chapters[0].question if chapters else "",
        first=first,
        chapters=chapters,
        of_campaign=of_campaign,
        runs=runs,
        # Many runs are shown one by one, on a click.
        folded=len(runs) > 1 and (bool(of_campaign) or len(runs) > _MOST_OPEN),
        left_out=dict(sorted(left_out.items())),
        drawn={
            (chapter.name, plot.name): Markup(to_inline_svg(plot.drawn.figure, f"{chapter.name}-svg-{plot.name}"))
            for chapter in chapters
            for plot in chapter.plots
        },
        policy=_policy(style, script),
        style=Markup(style),
        script=Markup(script),
    )
    return visible(page, keep="\n")


def _policy(style: str, script: str) -> str:
    """The Content-Security-Policy of the page: nothing is fetched or sent, and only its own style and script are used.

    So it is whatever the names in a campaign contain. Figures have style attributes, which run nothing; browsers that
    do not know style-src-elem allow other style elements, too.
    """
    style_hash, script_hash = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)
    )
    return (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"style-src-elem 'sha256-{style_hash}'; script-src 'sha256-{script_hash}'"
    )


def _table(data: pd.DataFrame, caption: str) -> Markup:
    """A table that the script makes sortable."""
    numeric = [pd.api.types.is_numeric_dtype(data[name]) for name in data.columns]
    rows = [
        Markup("").join(
            Markup('<td class="n">{}</td>' if number else "<td>{}</td>").format(cell(value))
            for number, value in zip(numeric, row, strict=True)
        )
        for row in data.itertuples(index=False, name=None)
    ]
    return _framed("wide", caption, list(map(str, data.columns)), rows)


def _claims(chapter: Chapter) -> Markup:
    """A chapter's claims as a table whose sentences wrap: verdicts as badges, and a link to each claim's numbers."""
    assert chapter.claims is not None
    links = {plot.name: f"figure-{plot.name}" for plot in chapter.plots}
    links |= {table.name: f"table-{table.name}" for table in chapter.tables}
    rows = [
        Markup('<td>{}</td><td>{}</td><td><strong class="badge {}">{}</strong></td><td>{} {}</td>').format(
            row["claim"],
            row["on"],
            str(row["verdict"]).replace(" ", "-"),
            row["verdict"],
            row["evidence"],
            Markup('<a href="#{}-{}">Numbers</a>').format(chapter.name, links[row["numbers"]])
            if row["numbers"] in links
            else "",
        )
        for row in chapter.claims.data.to_dict("records")
    ]
    return _framed("wide claims", "Claims", ["claim", "on", "verdict", "evidence"], rows)


def _answers(table: Table) -> Markup:
    """A chapter's claims, each once: a column of answers, which begin with a badge, for each setting."""
    rows = []
    for texts in table.data.itertuples(index=False, name=None):
        parts = ([_with_badge(part) for part in _NEXT_ANSWER.split(text)] for text in texts)
        rows.append(Markup("").join(Markup("<td>{}</td>").format(Markup("<br>").join(part)) for part in parts))
    return _framed("wide claims", table.title, list(map(str, table.data.columns)), rows)


def _with_badge(text: str) -> Markup:
    answer = next((one for one in ANSWERS if text.startswith((f"{one}:", f"{one} for "))), None)
    if answer is None:
        return Markup("{}").format(text)
    badge = Markup('<strong class="badge {}">{}</strong>').format(answer.replace(" ", "-"), answer)
    return badge + text.removeprefix(answer).removeprefix(":")


def _framed(style: str, caption: str, names: Sequence[str], rows: Sequence[Markup]) -> Markup:
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(name) for name in names)
    body = Markup("\n").join(Markup("<tr>{}</tr>").format(row) for row in rows)
    whole = Markup(
        '<div class="{3}" tabindex="0" role="region" aria-label="{0}"><table><caption>{0}</caption>'
        "<thead><tr>{1}</tr></thead>\n<tbody>\n{2}\n</tbody></table></div>"
    )
    return whole.format(caption, head, body, style)
