"""The report as files: one self-contained page, every figure as SVG and PDF, every table as CSV and LaTeX."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files

import jinja2
import pandas as pd
from markupsafe import Markup

from tickets.errors import InputError, nearest
from tickets.store import Saved

from ..why_random import ABSENT, why_no_study
from .formats import to_inline_svg, to_pdf, to_svg
from .latex import to_latex
from .plots import PLOTS, Plot
from .section import Section, section_of
from .sheets import Sheet, cell, to_csv
from .why import FIGURES, SLUG, WhyPart, to_text, why_part

PAGE = "index.html"

_MOST_OPEN = 4  # runs that are told on the page without a click


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
    part = why_part(saved, left_out)
    if part is not None:
        left_out |= part.damaged
    made = {PAGE: _page(_campaign(saved, sections), part, sections, left_out).encode()}
    if part is not None:
        made |= _files(SLUG, part.plots, [part.claims, *part.sheets])
    for section in sections:
        made |= _files(section.slug, section.plots, section.sheets)
        made |= _tables(section.slug, "settings", section.settings, section.settings)
    return made, left_out


def make_figure(saved: Saved, name: str) -> dict[str, bytes]:
    """One figure, to be shown elsewhere: {path: bytes} of NAME.svg, NAME.csv (its numbers), NAME.txt (the text
    alternative) and verdict.txt. A figure of the whole campaign is one; a figure of runs is there for each run, with
    several runs in a folder each.

    Raises InputError if there is no figure with this name, or a run is damaged.
    """
    part = why_part(saved) if name in FIGURES else None
    if part is not None:
        found = {plot.name: plot for plot in part.plots}
        if name not in found:
            raise InputError(f"--only = {name!r}: {'; '.join(f'{lack.title}: {lack.why}' for lack in part.missing)}")
        return _alone(found[name], to_text(part), "")
    made: dict[str, bytes] = {}
    why = why_no_study(saved)
    there = [*PLOTS, *(FIGURES if why is None else ())]
    if name not in there:
        lacking = f"{why}; " if name in FIGURES else ""
        raise InputError(f"--only = {name!r}: {lacking}there are {', '.join(there)}{nearest(name, there)}")
    for run in saved.runs:
        section = section_of(saved, run)
        plots = {plot.name: plot for plot in section.plots}
        if name not in plots:
            raise InputError(f"--only = {name!r}: run {run} has {', '.join(plots)}{nearest(name, plots)}")
        folder = f"{section.slug}/" if len(saved.runs) > 1 else ""
        made |= _alone(plots[name], section.sentence, folder)
    return made


def _alone(plot: Plot, verdict: str, folder: str) -> dict[str, bytes]:
    """The files of a figure that is shown by itself."""
    return {
        f"{folder}{plot.name}.svg": to_svg(plot.figure).encode(),
        f"{folder}{plot.name}.csv": to_csv(plot.data).encode(),
        f"{folder}{plot.name}.txt": f"{plot.told}\n".encode(),
        f"{folder}verdict.txt": f"{verdict}\n".encode(),
    }


def _files(folder: str, plots: Sequence[Plot], sheets: Sequence[Sheet]) -> dict[str, bytes]:
    """Figures and tables, by path."""
    made: dict[str, bytes] = {}
    for plot in plots:
        made[f"figures/{folder}/{plot.name}.svg"] = to_svg(plot.figure).encode()
        made[f"figures/{folder}/{plot.name}.pdf"] = to_pdf(plot.figure)
        made[f"figures/{folder}/{plot.name}.py"] = plot.code.encode()
    for plot in plots:
        made |= _tables(folder, plot.name, plot.data, plot.data)
    for sheet in sheets:
        made |= _tables(folder, sheet.name, sheet.whole, sheet.data)
    return made


def _tables(folder: str, name: str, whole: pd.DataFrame, brief: pd.DataFrame) -> dict[str, bytes]:
    """A table with every number as CSV, and as it is shown as LaTeX."""
    return {
        f"tables/{folder}/{name}.csv": to_csv(whole).encode(),
        f"tables/{folder}/{name}.tex": to_latex(brief).encode(),
    }


def _campaign(saved: Saved, sections: Sequence[Section]) -> str:
    names = {str(saved.config(section.run).get("name", "campaign")) for section in sections}
    return ", ".join(sorted(names))


def _page(campaign: str, part: WhyPart | None, sections: Sequence[Section], left_out: dict[str, str]) -> str:
    here = files(__package__ or __name__)
    style, script = ((here / name).read_text(encoding="utf-8") for name in ("page.css", "sort.js"))
    # Nothing may be fetched, and no script may run but this one, whatever the names in a campaign hold.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"table": _table, "claims": _claims}
    template = environment.from_string((here / "page.html.jinja").read_text(encoding="utf-8"))
    figures = [(section.slug, plot) for section in sections for plot in section.plots]
    figures += [(SLUG, plot) for plot in part.plots] if part is not None else []
    drawn = {(slug, plot.name): Markup(to_inline_svg(plot.figure, f"{slug}-{plot.name}")) for slug, plot in figures}
    return template.render(
        campaign=campaign,
        why=part,
        why_slug=SLUG,
        # Many runs are told one by one to those who ask.
        folded=len(sections) > 1 and (part is not None or len(sections) > _MOST_OPEN),
        sections=sections,
        left_out=dict(sorted(left_out.items())),
        drawn=drawn,
        targets=_targets(part),
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


def _claims(data: pd.DataFrame, slug: str, targets: Mapping[str, str]) -> Markup:
    """Claims as a table whose sentences wrap: verdicts as badges, and the table that holds the numbers as a link.

    targets: {name of a table: what it is called in ids}.
    """
    rows = Markup("\n").join(
        Markup('<tr><td>{}</td><td>{}</td><td><strong class="badge {}">{}</strong></td><td>{} {}</td></tr>').format(
            row["claim"],
            row["on"],
            str(row["verdict"]).replace(" ", "-"),
            row["verdict"],
            row["evidence"],
            Markup('<a href="#{}-{}-{}">Numbers</a>').format(slug, targets[row["numbers"]], row["numbers"])
            if row["numbers"] in targets and not str(row["evidence"]).startswith(ABSENT)
            else "",
        )
        for row in data.to_dict("records")
    )
    names = ("claim", "on", "verdict", "evidence")
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(name) for name in names)
    whole = Markup(
        '<div class="wide claims" tabindex="0" role="region" aria-label="{0}"><table><caption>{0}</caption>'
        "<thead><tr>{1}</tr></thead>\n<tbody>\n{2}\n</tbody></table></div>"
    )
    return whole.format("Claims", head, rows)


def _targets(part: WhyPart | None) -> dict[str, str]:
    """{name: `figure` or `table`} of everything whose numbers a claim can point at."""
    if part is None:
        return {}
    return {**{plot.name: "figure" for plot in part.plots}, **{sheet.name: "table" for sheet in part.sheets}}
