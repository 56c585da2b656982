"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

CampaignFile = Annotated[Path, typer.Argument(metavar="FILE.toml", help="The campaign file.")]
Out = Annotated[Path | None, typer.Option(metavar="DIR", help="Campaign folder.  [default: runs/saved/NAME]")]
Data = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Data folder.  [default: the file's, else $TICKETS_DATA]")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set a key of the file, e.g. train.steps=500; repeatable."),
]
Device = Annotated[str, typer.Option(metavar="NAME", help="cpu, cuda, or one of several GPUs: cuda:1.")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A campaign's folder, or one run's folder in it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
SavedData = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Data folder.  [default: the campaign's, else $TICKETS_DATA]")
]
TrustCode = Annotated[
    bool,
    typer.Option("--trust-code", help="Call functions outside tickets that the saved runs name (a model, a loss)."),
]
