"""Set up matplotlib for drawing into files, independent of the user's display and settings."""

from __future__ import annotations

import logging
import os

from tickets.errors import InputError


def prepare_drawing() -> None:
    """Import matplotlib for a process that only draws into files.

    The settings in the user's matplotlibrc have no effect on figures, which set their own style.

    Raises
    ------
    InputError
        If the user's matplotlibrc cannot be read.
    """
    # A notebook sets a backend for the processes that it starts, which need not be installed.
    os.environ["MPLBACKEND"] = "agg"
    # Warnings about matplotlib's cache folder or about invalid settings do not concern the figures.
    logging.getLogger("matplotlib").setLevel(logging.CRITICAL)
    try:
        import matplotlib  # noqa: F401
    except (OSError, ValueError) as error:
        raise InputError(f"matplotlib cannot be loaded: {error}; correct or remove your matplotlibrc") from error
