"""The output of `tickets approximate --sweep`: a table and a figure, as files and on the terminal."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from tickets.approximation.sweep import COUNTS, Sweep, sweep
from tickets.command_line.approximated import Progress
from tickets.command_line.drawing import prepare_drawing
from tickets.command_line.printing import print_json, print_line
from tickets.command_line.terminal import make_console, say, show_table
from tickets.probing import campaign_folder_of
from tickets.store.layout import Layout
from tickets.termination import STATUS, Terminated, terminable

_COLUMNS = {
    "values": "values",
    "candidates": "candidates",
    "worst_error": "worst error",
    "mean_error": "mean error",
    "within_tolerance": "within, %",
    "beyond_tolerance": "not within",
    "exists": "simulated, %",
    "accuracy": "accuracy, %",
    "same_prediction": "same prediction, %",
    "worst_output_error": "worst output error",
    "share_kept": "kept, %",
    "width_factor": "width",
}
_PERCENT = ("within_tolerance", "exists", "accuracy", "same_prediction", "share_kept")


def sweep_network(
    folder: Path, candidates: int, tolerance: float, out: Path | None, as_json: bool, **options: Any
) -> int:
    """Approximate a saved network with up to so many candidates of every distribution; the exit status.

    Written are sweep.csv (a row per distribution, number of candidates and tolerance), every.csv (the simulation of the
    theorem), sweep.json (the fitted bound) and the figure sweep.svg and sweep.pdf.

    Parameters
    ----------
    folder
        The campaign's folder, or one run's.
    candidates, tolerance
        The largest number of candidates; the tolerance, beside which ten times it and a tenth of it are tabulated.
    out
        The folder to write; by default approximations/sweep-... in the campaign's folder.
    as_json
        Whether to print JSON.
    **options
        Of `tickets.approximation.sweep`.
    """
    counts = [*(count for count in COUNTS if count < candidates), candidates]
    tolerances = [one for one in (10 * tolerance, tolerance, tolerance / 10) if one < 1]
    try:
        with terminable():
            made = sweep(folder, counts, tolerances, listener=Progress(), **options)
    except KeyboardInterrupt as interrupt:
        print_line("interrupted; a sweep keeps nothing: start it again, or with fewer candidates", error=True)
        return STATUS if isinstance(interrupt, Terminated) else 130
    which = made.target
    name = f"sweep-{which['run']}-{which['arm']}-replicate{which['replicate']}-round{which['round']}-{tolerance:g}"
    target = campaign_folder_of(folder) / Layout.APPROXIMATIONS / name.replace("/", "_") if out is None else out
    _write(target, made, tolerance, follow=out is not None)
    if as_json:
        print_json({"networks": _records(made), "fit": made.fit and asdict(made.fit), "folder": str(target)})
        return 0
    _print(made, tolerance)
    print_line(f"written to {target}")
    return 0


def _write(folder: Path, made: Sweep, tolerance: float, follow: bool) -> None:
    prepare_drawing()
    from tickets.analysis.report import describe_sweep, draw_sweep, to_csv, to_pdf, to_svg
    from tickets.command_line.files import write_files

    figure = draw_sweep(made.networks, made.every, tolerance, made.needed(tolerance))
    about = {
        "target": made.target,
        "fit": made.fit and asdict(made.fit),
        "needed": made.needed(tolerance),
        "figure": describe_sweep(made.networks, tolerance),
    }
    files = {
        "sweep.csv": to_csv(made.networks).encode(),
        "every.csv": to_csv(made.every).encode(),
        "sweep.svg": to_svg(figure).encode(),
        "sweep.pdf": to_pdf(figure),
        "sweep.json": (json.dumps(about, indent=1) + "\n").encode(),
    }
    write_files(folder, files, follow=follow)


def _records(made: Sweep) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(made.networks.to_json(orient="records", double_precision=15))
    return records


def _print(made: Sweep, tolerance: float) -> None:
    console = make_console()
    shown = Table()
    for key, heading in _COLUMNS.items():
        shown.add_column(heading, justify="left" if key == "values" else "right")
    rows = made.networks[made.networks["tolerance"] == tolerance].to_dict("records")
    for place, row in enumerate(rows):
        last = place + 1 < len(rows) and rows[place + 1]["values"] != row["values"]
        shown.add_row(*(_cell(str(key), row[key]) for key in _COLUMNS), end_section=last)
    say(console, f"tolerance {tolerance:g}; target accuracy {_cell('accuracy', rows[0]['target_accuracy'])} %")
    show_table(console, shown, keys=2)
    if made.fit is not None:
        say(
            console,
            "Every weight in [-1, 1] is within e of a subset of some C log2(1 / e) uniform candidates (Lueker 1998). "
            f"Fitted to where half of the simulated draws have this: {made.fit.offset:.1f} + {made.fit.constant:.2f} "
            f"log2(1 / e), for e = {tolerance:g} {made.fit.needed(tolerance):.1f}.",
        )
    sys.stdout.flush()


def _cell(key: str, value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, int):
        return str(value)
    return f"{100 * value:.2f}" if key in _PERCENT else f"{value:.3g}"
