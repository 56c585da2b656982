"""The command `tickets approximate` and its options. Whatever takes long to import is imported when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tickets.command_line.options import AsJson, Folder, SavedData, TrustCode
from tickets.errors import InputError


def approximate(
    folder: Folder,
    candidates: Annotated[
        int, typer.Option(metavar="N", help="Random candidates for each weight (and sign of its input), 1 to 62.")
    ],
    tolerance: Annotated[float, typer.Option(metavar="E", help="The largest error of a weight that is wanted.")],
    values: Annotated[
        str, typer.Option(metavar="NAME", help="Of the candidates: uniform, normal, signed_constant or constant.")
    ] = "uniform",
    replicate: Annotated[int, typer.Option(metavar="R", help="The replicate.")] = 0,
    round: Annotated[int, typer.Option(metavar="K", help="The round; 0 is the dense network.")] = 0,
    arm: Annotated[str, typer.Option(metavar="A", help="The arm.")] = "ticket",
    draw: Annotated[int, typer.Option(metavar="D", help="Which of the arm's draws.")] = 0,
    construction: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="weight: candidates for each weight; row: shared by an output unit's weights."
        ),
    ] = "weight",
    choose: Annotated[
        str, typer.Option(metavar="NAME", help="nearest sum, or the fewest candidates within the tolerance.")
    ] = "nearest",
    seed: Annotated[int, typer.Option(metavar="S", help="Of the random network.")] = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Its folder.  [default: approximations/... in the campaign's]")
    ] = None,
    sweep: Annotated[
        bool,
        typer.Option("--sweep", help="Instead: a table and a figure of up to N candidates of every distribution."),
    ] = False,
    data: SavedData = None,
    trust_code: TrustCode = False,
    as_json: AsJson = False,
) -> None:
    """Approximate a saved trained network by a subset of a random one; nothing is trained.

    Each weight is the sum of a subset of random candidates, found exactly for up to 24. The result is a network of
    random values and a mask (Pensia et al. 2020). What is found is kept, and the same command goes on.
    """
    which: dict[str, Any] = {
        "replicate": replicate,
        "round": round,
        "arm": arm,
        "draw": draw,
        "data": data,
        "trust_code": trust_code,
        "construction": construction,
        "seed": seed,
    }
    if sweep:
        from tickets.command_line.sweeping import sweep_network

        if choose != "nearest":
            raise InputError(f"--choose {choose}: goes without --sweep, which takes the nearest sums")
        status = sweep_network(folder, candidates, tolerance, out, as_json, **which)
    else:
        from tickets.command_line.approximated import approximate_network

        status = approximate_network(
            folder,
            as_json,
            candidates=candidates,
            tolerance=tolerance,
            values=values,
            choose=choose,
            out=out,
            **which,
        )
    if status:
        raise typer.Exit(status)
