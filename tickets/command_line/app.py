"""The commands and their options.

Exit status: 0 success; 1 something failed or does not verify; 2 the input is wrong; 130 interrupted by Ctrl-C, 143 by
SIGTERM (`tickets run`); 75 asks for another turn (`tickets run --worker --requeue`).
"""

from __future__ import annotations

import gc
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer

from tickets.catalogue import KINDS
from tickets.command_line.approximating import approximate
from tickets.command_line.jobs import cancel, print_jobs, submit
from tickets.command_line.options import AsJson, Device, Folder, SavedData, TrustCode
from tickets.command_line.printing import print_json, print_line, print_traceback
from tickets.command_line.running import run
from tickets.command_line.streams import close_streams, open_streams
from tickets.errors import DiskError, InputError, first_of, nearest, system_error
from tickets.version import __version__

app = typer.Typer(
    name="tickets",
    help="A lottery-ticket pruning toolkit: the ticket and all its controls, trained side by side.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # it would read [default: ...] as markup
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_MOST_PROBLEMS = 200  # lines of errors that are printed


def _print_version(wanted: bool) -> None:
    if wanted:
        print_line(f"tickets {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Options of the command itself."""


app.command(short_help="Run a campaign, or go on with it.")(run)
app.command(short_help="Approximate a saved network by a subset of a random one.")(approximate)
app.command(short_help="Submit what a campaign lacks to a cluster.")(submit)
app.command(short_help="End the jobs of a campaign.")(cancel)


@app.command(short_help="Show how far each run of a campaign is.")
def status(
    folder: Folder,
    as_json: AsJson = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it again and again until all is trained; Ctrl-C ends it.")
    ] = False,
    every: Annotated[float, typer.Option(min=0.1, metavar="S", help="With --watch: seconds between two looks.")] = 5.0,
) -> None:
    """Show each run of a campaign: done, partial, failed (and why) or waiting; who trains it, and the time left."""
    from tickets.command_line.tables import print_status
    from tickets.command_line.watching import lines_of, read_all
    from tickets.command_line.watching import watch as watch_until_done

    if watch and as_json:
        raise InputError("--json: goes without --watch")
    if watch:
        found = watch_until_done(folder, every)
    else:
        found, going_on = read_all(folder)
        if as_json:
            print_json([{**vars(one), **going_on.of(one.run)} for one in found])
        else:
            print_status(found, lines_of(going_on))
            print_jobs(folder, found)
    if any(one.state == "failed" for one in found):
        raise typer.Exit(1)


@app.command(short_help="Compare the ticket with each control, by density.")
def compare(
    folder: Folder,
    as_json: AsJson = False,
    metric: Annotated[
        str, typer.Option(metavar="NAME", help="A measured column of `rounds`, such as early_stop_step.")
    ] = "early_stop_test_accuracy",
    margin: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="The margin of equivalence: the largest difference that does not matter, in the metric's unit; for "
            "accuracies a fraction, for steps relative.  [default: 5 % of the dense network's error or loss; 0.05]",
        ),
    ] = None,
    tune: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="A swept key, such as train.learning_rate: compare each arm at its own best value of it, chosen on "
            "validation data.",
        ),
    ] = None,
) -> None:
    """Compare the ticket with each control, by density: difference, interval, verdict; is there a winning ticket?"""
    from tickets.command_line.compare import compare_folder

    _exit_if(compare_folder(folder, metric, margin, tune, as_json))


@app.command(short_help="Answer each claim: is there a winning ticket?")
def claims(
    folder: Folder,
    as_json: AsJson = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    trust_code: Annotated[
        bool, typer.Option("--trust-code", help="Call functions outside tickets that claims name.")
    ] = False,
) -> None:
    """Answer each claim of a campaign: yes, no or cannot tell. Every run claims to have a winning ticket."""
    from tickets.command_line.verdict import answer_claims

    _exit_if(answer_claims(folder, as_json, markdown, trust_code))


@app.command(short_help="Write an HTML report with figures and tables.")
def report(
    folder: Folder,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="The report's folder.  [default: DIR/report]")] = None,
    only: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Just one figure (such as accuracy), its numbers and the verdict."),
    ] = None,
) -> None:
    """Write the report of a campaign: one page, index.html, and every figure and table as files of its own."""
    from tickets.command_line.report import write_report

    _exit_if(write_report(folder, out, only))


@app.command(short_help="Check that everything saved is as it was committed.")
def verify(folder: Folder, as_json: AsJson = False) -> None:
    """Check every hash, and that every mask and value file agrees with its manifest; of approximations too.

    Code outside tickets that run.json names is noted; it is not called, and is no problem. With --json, notes go to
    stderr, and [] means that there is no problem.
    """
    from tickets.command_line.verification import print_problems
    from tickets.store import Layout, notes_of
    from tickets.store import verify as find_problems

    problems, notes = find_problems(folder), notes_of(folder)
    if (folder / Layout.APPROXIMATIONS).is_dir():
        from tickets.approximation.verifying import verify_approximations

        problems += verify_approximations(folder)
    print_problems(folder, problems, notes, as_json)
    _exit_if(bool(problems))


@app.command(short_help="Measure probes of saved runs after the fact.")
def probe(
    folder: Folder,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...",
            help="Probes: names of `tickets list probes`, module:function, or tables with options such as "
            "'{ name = \"sharpness\", examples = 500 }'.",
        ),
    ],
    data: SavedData = None,
    device: Device = "cpu",
    trust_code: TrustCode = False,
    as_json: AsJson = False,
) -> None:
    """Measure probes of saved runs from what is stored; nothing is trained, and committed rounds stay as they are.

    Rounds that have the probe's table are skipped. Trained networks are measured where their values are stored
    (store.trained), and at the start and the end of training if the probe is one that is called at evaluated steps.
    """
    from tickets.command_line.probing import measure_probes

    _exit_if(measure_probes(folder, names, data, device, trust_code, as_json))


_KINDS = f"{', '.join(list(KINDS)[:-1])} or {list(KINDS)[-1]}"


@app.command("list", short_help=f"List {_KINDS}.")
def list_names(
    kind: Annotated[
        str | None, typer.Argument(metavar="KIND", help=f"{_KINDS}.  [default: the names of all kinds]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List what a campaign file can name: a summary of each, and its options with their defaults.

    Without KIND, list the names alone; with --json, everything by kind.
    """
    from tickets.command_line.listing import print_kinds, print_names, records

    if kind is not None and kind not in KINDS:
        raise InputError(f"tickets list {kind}: must be one of {', '.join(KINDS)}{nearest(kind, KINDS)}")
    if as_json:
        print_json({each: records(each) for each in KINDS} if kind is None else records(kind))
    elif kind is None:
        print_kinds()
    else:
        print_names(kind)


@app.command(short_help="Download a data set and check it against its checksums.")
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="mnist, fashion_mnist or cifar10.")],
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Data folder.", envvar="TICKETS_DATA"),
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(metavar="URL", help="A mirror that holds the data set's files.")
    ] = None,
) -> None:
    """Download a data set into the data folder, and check it against its published checksums."""
    from tickets.data.fetch import fetch as download

    if data is None:
        raise InputError("--data: where to put the data set; give --data DIR or set TICKETS_DATA")
    for path in download(name, data, base_url=base_url, progress=sys.stderr.isatty()):
        print_line(path)


def main() -> None:
    """The `tickets` command. Wrong input is reported on stderr, one problem a line.

    If standard output is closed, or nothing reads it any more, the command still runs to its end.
    """
    gc.set_threshold(10_000, 20, 50)  # Python's own thresholds take a tenth of the start, while modules are imported
    streams = open_streams()
    status: Any = 0
    try:
        app(prog_name="tickets")
    except InputError as error:
        for problem in first_of(error.problems, _MOST_PROBLEMS):
            print_line(f"error: {problem}", error=True)
        status = 1 if isinstance(error, DiskError) else 2
    except SystemExit as ended:
        status = ended.code
    except OSError as error:  # of whatever no command expected: the system refused
        print_line(f"error: {system_error(error)}", error=True)
        status = 1
    except Exception:  # a fault of this package
        print_traceback(traceback.format_exc())
        status = 1
    failure = close_streams(streams)
    if failure is not None and not status:
        print_line(f"error: part of the output could not be written ({failure.strerror})", error=True)
        status = 1
    sys.exit(status)


def _exit_if(failed: bool) -> None:
    if failed:
        raise typer.Exit(1)
