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
