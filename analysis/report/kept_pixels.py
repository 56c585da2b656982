"""Which pixels the first layer still sees: its mask as an image, where the input is one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .layout import panels
from .look import drawing
from .masks import Masks, density_of


def why_no_pixels(masks: Masks, input_shape: Sequence[int]) -> str | None:
    """Why the first layer's mask is no image, or None if it is one."""
    if len(input_shape) != 3:
        return f"the input, of shape {' x '.join(map(str, input_shape))}, is no image"
    name, first = next(iter(next(iter(next(iter(masks.values())).values())).items()))
    if first.ndim != 2 or first.shape[1] != int(np.prod(input_shape)):
        return f"the first prunable tensor, {name}, does not have a weight for each pixel"
    return None if max(masks) > 0 else "only the dense round is saved"


def kept_pixels(masks: Masks, rounds: Sequence[int], input_shape: Sequence[int]) -> pd.DataFrame:
    """How much of the first layer survives at each pixel: a row per chosen round and pixel.

    input_shape: (channels, height, width). Columns: round, density, row, column, kept (fraction of the weights of the
    first prunable tensor that read this pixel, all its channels and replicates together), relative (kept over its
    mean over pixels: 1 is what each would keep if all kept the same).
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
    """What `kept_pixels` made, drawn: an image a round, all on one scale."""
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
    figure.colorbar(shown, ax=grid, label="weights kept, times the mean", shrink=0.9)
    return figure


def tell_kept_pixels(data: pd.DataFrame) -> str:
    """What the figure shows, in words."""
    rows = data[data["round"] == data["round"].max()]
    height, width = rows["row"].max() + 1, rows["column"].max() + 1
    inner = rows["row"].between(height // 4, height - 1 - height // 4)
    inner &= rows["column"].between(width // 4, width - 1 - width // 4)
    none = int((rows["kept"] == 0).sum())
    return (
        f"How many of the first layer's weights survive at each of the {height} x {width} pixels. At density "
        f"{rows['density'].iloc[0]:.4g} a pixel of the inner half keeps {rows.loc[inner, 'relative'].mean():.2f} times "
        f"the mean, one outside it {rows.loc[~inner, 'relative'].mean():.2f} times; {none} of {len(rows)} pixels keep "
        "none."
    )
