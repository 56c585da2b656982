"""Matplotlib in a command: it draws into files, whatever the user's surroundings say of screens and settings."""

from __future__ import annotations

import logging
import os

from tickets.errors import InputError


def prepare_drawing() -> None:
    """Import matplotlib for a process that draws into files alone.

    Raises InputError if the user's matplotlibrc cannot be read at all. What it says does not matter: figures have a
    style of their own.
    """
    # A notebook names its own backend for what it starts, and that need not be there.
    os.environ["MPLBACKEND"] = "agg"
    # That there is no folder for matplotlib's cache, or that a setting has no such value, changes no figure.
    logging.getLogger("matplotlib").setLevel(logging.CRITICAL)
    try:
        import matplotlib  # noqa: F401
    except (OSError, ValueError) as error:
        raise InputError(f"matplotlib cannot be loaded: {error}; mend or remove your matplotlibrc") from error
