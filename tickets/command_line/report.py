"""The report of a campaign, written to a folder."""

from __future__ import annotations

from pathlib import Path

from tickets.command_line.drawing import prepare_drawing
from tickets.command_line.left_out import print_left_out
from tickets.command_line.printing import print_line


def write_report(folder: Path, out: Path | None, only: str | None) -> bool:
    """Write the report of a campaign and print the path of its page.

    Parameters
    ----------
    folder
        The campaign's folder, or one run's.
    out
        The report's folder; by default "report" in `folder`.
    only
        The name of a figure, to write only the files of this figure and print their paths; None for the whole report.

    Returns
    -------
    bool
        Whether runs were left out for another reason than that they have no round yet.

    Raises
    ------
    InputError
        If `folder` has no runs, or if something is in the way of the report's folder.
    DiskError
        If the system refuses to write it.
    """
    prepare_drawing()
    from tickets.analysis.report import NO_ROUND, PAGE, make_figure, make_report
    from tickets.command_line.files import write_files
    from tickets.store import load

    target = folder / "report" if out is None else out
    if only is not None:
        files = make_figure(load(folder), only)
        write_files(target, files, follow=out is not None)
        for path in files:
            print_line(target / path)
        return False
    files, left_out = make_report(load(folder, skip_damaged=True))
    files[PAGE] = files.pop(PAGE)  # the last, so that it is never newer than what it names
    write_files(target, files, follow=out is not None)
    print_line(target / PAGE)
    print_left_out(left_out)
    return any(why != NO_ROUND for why in left_out.values())
