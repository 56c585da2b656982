"""Matplotlib for a command that draws into files, whatever the user's environment says of screens and settings."""

from __future__ import annotations

import logging
import os

from tickets.errors import InputError


def prepare_drawing() -> None:
    """Import matplotlib for a process that draws into files only.

    The settings in the user's matplotlibrc do not matter: figures have a style of their own.

    Raises
    ------
    InputError
        If the user's matplotlibrc cannot be read at all.
    """
    # A notebook sets a backend for the processes that it starts, and that backend need not be installed.
    os.environ["MPLBACKEND"] = "agg"
    # Warnings about matplotlib's cache folder, or about a setting with no such value, concern no figure.
    logging.getLogger("matplotlib").setLevel(logging.CRITICAL)
    try:
        import matplotlib  # noqa: F401
    except (OSError, ValueError) as error:
        raise InputError(f"matplotlib cannot be loaded: {error}; correct or remove your matplotlibrc") from error
