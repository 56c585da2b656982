"""The numbers on a logarithmic axis of a probe's figure."""

from __future__ import annotations

import pandas as pd
from tickets.analysis.report.probed import Quantity, draw_probe_means


def test_ticks_of_a_logarithmic_axis_are_numbers() -> None:
    keys = {"run": "r", "quantity": "norm", "arm": "ticket", "round": [0, 1], "density": [1.0, 0.5], "n": 2}
    data = pd.DataFrame({**keys, "mean": [0.2, 0.3], "low": [0.1, 0.2], "high": [0.3, 0.4]})
    figure = draw_probe_means(data, [Quantity("norm", "norm", "norm of the gradient", log=True)])
    figure.canvas.draw()
    axis = figure.axes[0].yaxis
    texts = [text.get_text() for text in (*axis.get_ticklabels(), *axis.get_ticklabels(minor=True))]
    assert {"0.1", "0.2", "0.5"} <= set(texts)
    assert all(float(text) > 0 for text in texts if text)
