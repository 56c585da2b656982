"""The report of a campaign, written to a folder."""

from __future__ import annotations

import sys
from pathlib import Path

from tickets.command_line.drawing import prepare_drawing


def write_report(folder: Path, out: Path | None, only: str | None) -> bool:
    """Write the report, or its one figure `only`, and print where; whether damaged runs were left out of it.

    out: the report's folder, by default "report" in the campaign's.
    """
    prepare_drawing()
    from tickets.analysis.report import PAGE, make_figure, make_report
    from tickets.command_line.files import write_files
    from tickets.store import load

    target = folder / "report" if out is None else out
    if only is not None:
        files = make_figure(load(folder), only)
        write_files(target, files)
        for path in files:
            print(target / path)
        return False
    files, left_out = make_report(load(folder, skip_damaged=True))
    write_files(target, files)
    print(target / PAGE)
    for run_id, why in left_out.items():
        print(f"{run_id}: left out: {why}", file=sys.stderr)
    return bool(left_out)
