"""The figure of the first layer's mask as an image: how many weights survive at each pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..figure import Drawn, FigureRecord
from ..look import drawing
from ..masks import Masks, density_of
from ..panels import panels
from ..run_data import RunData
from .learning_curves import chosen_rounds


def why_no_pixels(masks: Masks, input_shape: Sequence[int]) -> str | None:
    """Why the first layer's mask cannot be shown as an image, or None if it can.

    Parameters
    ----------
    masks : mapping
        As `read_masks` returns.
    input_shape : sequence of int
        Of one example; (channels, height, width) for an image.
    """
    if len(input_shape) != 3:
        return f"the input, of shape {' x '.join(map(str, input_shape))}, is not an image"
    name, first = next(iter(next(iter(next(iter(masks.values())).values())).items()))
    if first.ndim != 2 or first.shape[1] != int(np.prod(input_shape)):
        return f"the first prunable tensor, {name}, does not have a weight for each pixel"
    return None if max(masks) > 0 else "only the dense round is saved"


def kept_pixels(masks: Masks, rounds: Sequence[int], input_shape: Sequence[int]) -> pd.DataFrame:
    """The surviving fraction of the first layer's weights at each pixel: a row per chosen round and pixel.

    Parameters
    ----------
    masks : mapping
        As `read_masks` returns.
    rounds : sequence of int
        The chosen rounds.
    input_shape : sequence of int
        (channels, height, width).

    Returns
    -------
    DataFrame
        Columns round, density, row, column, kept (surviving fraction of the weights of the first prunable tensor that
        read this pixel, all channels and replicates together) and relative (kept / its mean over pixels).
    """
    channels, height, width = input_shape
    tables = []
    for number in rounds:
        first = [next(iter(mask.values())) for mask in masks[number].values()]
        # (replicates, units, channels, height, width)
        stack = np.stack(first).reshape(len(first), -1, channels, height, width)
        kept = stack.mean(axis=(0, 1, 2), dtype=np.float64)
        row, column = np.indices(kept.shape)
        mean = kept.mean()
        cells = {"row": row.ravel(), "column": column.ravel(), "kept": kept.ravel()}
        relative = kept.ravel() / mean if mean > 0 else kept.ravel()
        head = {"round": number, "density": density_of(masks[number])}
        tables.append(pd.DataFrame({**head, **cells, "relative": relative}))
    return pd.concat(tables, ignore_index=True)


@drawing
def draw_kept_pixels(data: pd.DataFrame) -> Figure:
    """Draw the table of `kept_pixels`: an image per round, all on one scale."""
    numbers = list(data["round"].unique())
    figure, grid = panels(len(numbers), 2.3)
    most = float(data["relative"].max()) or 1.0
    shown = None
    for axes, number in zip(grid, numbers, strict=True):
        rows = data[data["round"] == number]
        image = rows.pivot(index="row", columns="column", values="relative").to_numpy()
        shown = axes.imshow(image, cmap="viridis", vmin=0, vmax=most)
        axes.set_title(f"density {rows['density'].iloc[0]:.4g}")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.grid(False)
    assert shown is not None
    figure.colorbar(shown, ax=grid, label="weights kept / mean", shrink=0.9)
    return figure


def describe_kept_pixels(data: pd.DataFrame) -> str:
    """The text alternative of the figure."""
    rows = data[data["round"] == data["round"].max()]
    height, width = rows["row"].max() + 1, rows["column"].max() + 1
    inner = rows["row"].between(height // 4, height - 1 - height // 4)
    inner &= rows["column"].between(width // 4, width - 1 - width // 4)
    none = int((rows["kept"] == 0).sum())
    return (
        f"Surviving weights of the first layer at each of the {height} x {width} pixels, relative to the mean. At "
        f"density {rows['density'].iloc[0]:.4g} it is {rows.loc[inner, 'relative'].mean():.2f} in the inner half of "
        f"the image and {rows.loc[~inner, 'relative'].mean():.2f} outside it; {none} of {len(rows)} pixels keep none."
    )


def _make(run: RunData) -> Drawn | str:
    input_shape = [int(size) for size in run.file["data"]["input_shape"]]  # it is written into code
    why = why_no_pixels(run.masks, input_shape)
    if why:
        return why
    numbers = chosen_rounds(run.rounds, 5)[1:]
    data = kept_pixels(run.masks, numbers, input_shape)
    return Drawn(
        figure=draw_kept_pixels(data),
        data=data,
        description=describe_kept_pixels(data),
        caption=(
            "Weights of the first layer that survive at each pixel, over units and replicates, relative to the mean "
            "over pixels."
        ),
        code=(f"data = report.kept_pixels(masks, {numbers}, {input_shape})\nfigure = report.draw_kept_pixels(data)"),
    )


FIGURE = FigureRecord("pixels", "Pixels that the first layer keeps", _make)
