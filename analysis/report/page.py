"""The report as files: one self-contained page, every figure as SVG and PDF, every table as CSV and LaTeX."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files

import jinja2
import pandas as pd
from markupsafe import Markup

from tickets.errors import InputError, nearest
from tickets.store import Saved

from .formats import to_inline_svg, to_pdf, to_svg
from .section import Section, section_of
from .sheets import cell, to_csv, to_latex

PAGE = "index.html"


def make_report(saved: Saved) -> tuple[dict[str, bytes], dict[str, str]]:
    """({path in the report's folder: bytes}, {run: why it is left out}) of a saved campaign.

    The same saved run gives the same bytes, whenever and from wherever it is drawn. Load with `skip_damaged` to have
    damaged runs left out. Raises InputError if no run has a round that can be read.
    """
    rounds, _ = saved.rounds, saved.curves  # both are read before it is said what is damaged
    left_out = dict(saved.damaged)
    sections = []
    for run in saved.runs:
        if run in left_out:
            continue
        if not (rounds["run"] == run).any():
            left_out[run] = "no round is saved yet"
            continue
        try:
            sections.append(section_of(saved, run))
        except InputError as error:
            left_out[run] = str(error)
    if not sections:
        raise InputError([f"{run}: {why}" for run, why in sorted(left_out.items())])
    made = {PAGE: _page(_campaign(saved, sections), sections, left_out).encode()}
    for section in sections:
        made |= _files(section)
    return made, left_out


def make_figure(saved: Saved, name: str) -> dict[str, bytes]:
    """One figure of each run, to be shown elsewhere: {path: bytes} of NAME.svg, NAME.csv (its numbers), NAME.txt (the
    text alternative) and verdict.txt; with several runs, in a folder each.

    Raises InputError if a run has no figure with this name, or is damaged.
    """
    made: dict[str, bytes] = {}
    for run in saved.runs:
        section = section_of(saved, run)
        plots = {plot.name: plot for plot in section.plots}
        if name not in plots:
            raise InputError(f"--only = {name!r}: run {run} has {', '.join(plots)}{nearest(name, plots)}")
        plot, folder = plots[name], f"{section.slug}/" if len(saved.runs) > 1 else ""
        made[f"{folder}{name}.svg"] = to_svg(plot.figure).encode()
        made[f"{folder}{name}.csv"] = to_csv(plot.data).encode()
        made[f"{folder}{name}.txt"] = f"{plot.told}\n".encode()
        made[f"{folder}verdict.txt"] = f"{section.sentence}\n".encode()
    return made


def _files(section: Section) -> dict[str, bytes]:
    """Every figure and table of a run, by path."""
    made: dict[str, bytes] = {}
    for plot in section.plots:
        made[f"figures/{section.slug}/{plot.name}.svg"] = to_svg(plot.figure).encode()
        made[f"figures/{section.slug}/{plot.name}.pdf"] = to_pdf(plot.figure)
        made[f"figures/{section.slug}/{plot.name}.py"] = plot.code.encode()
    shown = [(plot.name, plot.data, plot.data) for plot in section.plots]
    shown += [(sheet.name, sheet.whole, sheet.data) for sheet in section.sheets]
    for name, whole, brief in [*shown, ("settings", section.settings, section.settings)]:
        made[f"tables/{section.slug}/{name}.csv"] = to_csv(whole).encode()
        made[f"tables/{section.slug}/{name}.tex"] = to_latex(brief).encode()
    return made


def _campaign(saved: Saved, sections: Sequence[Section]) -> str:
    names = {str(saved.config(section.run).get("name", "campaign")) for section in sections}
    return ", ".join(sorted(names))


def _page(campaign: str, sections: Sequence[Section], left_out: dict[str, str]) -> str:
    here = files(__package__ or __name__)
    style, script = ((here / name).read_text(encoding="utf-8") for name in ("page.css", "sort.js"))
    # Nothing may be fetched, and no script may run but this one, whatever the names in a campaign hold.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["table"] = _table
    template = environment.from_string((here / "page.html.jinja").read_text(encoding="utf-8"))
    drawn = {
        (section.slug, plot.name): Markup(to_inline_svg(plot.figure, f"{section.slug}-{plot.name}"))
        for section in sections
        for plot in section.plots
    }
    return template.render(
        campaign=campaign,
        sections=sections,
        left_out=dict(sorted(left_out.items())),
        drawn=drawn,
        policy=policy,
        style=Markup(style),
        script=Markup(script),
    )


def _table(data: pd.DataFrame, caption: str) -> Markup:
    """A table that the script makes sortable."""
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(name) for name in data.columns)
    numeric = [pd.api.types.is_numeric_dtype(data[name]) for name in data.columns]
    rows = Markup("\n").join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(
                Markup('<td class="n">{}</td>' if number else "<td>{}</td>").format(cell(value))
                for number, value in zip(numeric, row, strict=True)
            )
        )
        for row in data.itertuples(index=False, name=None)
    )
    whole = Markup(
        '<div class="wide" tabindex="0" role="region" aria-label="{0}"><table><caption>{0}</caption>'
        "<thead><tr>{1}</tr></thead>\n<tbody>\n{2}\n</tbody></table></div>"
    )
    return whole.format(caption, head, rows)
