"""The style of figures: colours and markers of arms, and one text colour that light and dark pages replace."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.figure import Figure

from tickets.catalogue import ARMS

from .panels import make_room

INK = "#1f2328"
"""The colour of text, axes and grid. Nothing else has it, so that a page can replace it by its own."""

# Seaborn's colour-blind palette without its pale yellow and pink, which are hard to see on white. Seaborn is not
# imported, since it imports pyplot, which chooses a backend for the whole process.
_PALETTE = ("#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#56b4e9", "#ca9161", "#949494")
_MARKERS = "osD^vPX*"

_STYLE: Mapping[str, Any] = {
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.facecolor": "none",
    "font.family": "DejaVu Sans",  # part of matplotlib, so the layout is the same everywhere
    "font.size": 10,
    "grid.alpha": 0.15,
    "grid.color": INK,
    "grid.linewidth": 0.6,
    "image.interpolation": "none",
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "lines.markersize": 4,
    "pdf.fonttype": 42,  # TrueType; journals refuse Type 3
    "ps.fonttype": 42,
    "savefig.facecolor": "none",
    "text.color": INK,
    "text.parse_math": False,  # names with dollar signs are not formulas
    "text.usetex": False,
    "xtick.color": INK,
    "ytick.color": INK,
}

P = ParamSpec("P")


@dataclass(frozen=True)
class Look:
    """A line's colour, and its marker, which distinguishes it without colour."""

    colour: str
    marker: str


@contextmanager
def styled() -> Iterator[None]:
    """Context manager: matplotlib's defaults with this module's style; the caller's style is restored afterwards.

    matplotlib does not warn of letters that DejaVu Sans lacks: a name may be in any script.
    """
    # The backend is neither read nor set: reading it chooses one for the whole process.
    style: dict[Any, Any] = {key: value for key, value in mpl.rcParamsDefault.items() if not key.startswith("backend")}
    style.update(_STYLE)
    with mpl.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font", UserWarning)
        yield


def drawing(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorator: the function draws in this module's style, and its figure is enlarged to contain all labels.

    The caller's style is unchanged.
    """

    @wraps(draw)
    def call(*arguments: P.args, **options: P.kwargs) -> Figure:
        with styled():
            figure = draw(*arguments, **options)
            make_room(figure)
            return figure

    return call


def looks_of(arms: Iterable[str]) -> dict[str, Look]:
    """The look of each arm of a run.

    All looks differ, as long as there are enough; an arm of the catalogue has the same look in every run.
    """
    names, there = list(ARMS), set(arms)
    looks = {arm: nth_look(names.index(arm)) for arm in names if arm in there}
    for arm in sorted(there - set(names)):
        start = sum(map(ord, arm))
        turn = [1 + (start + step) % (len(_PALETTE) - 1) for step in range(len(_PALETTE) - 1)]  # without the ticket's
        every = (nth_look(index + lap * len(turn)) for lap in range(len(_MARKERS)) for index in turn)
        looks[arm] = next((look for look in every if look not in looks.values()), nth_look(turn[0]))
    return looks


def nth_look(index: int) -> Look:
    """The look with this index. No other look has the colour of the first one."""
    lap, place = divmod(index - 1, len(_PALETTE) - 1)
    colour = 1 + place if index else 0
    return Look(_PALETTE[colour], _MARKERS[(colour + max(lap, 0)) % len(_MARKERS)])


def look_of_tensor(index: int) -> Look:
    """The look of the prunable tensor with this index, the same in every figure; never the ticket's colour."""
    return nth_look(1 + index % (len(_PALETTE) - 1))
