"""Labels that do not overlap, and nobody else's style changed."""

import subprocess
import sys
from itertools import pairwise

import matplotlib as mpl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tickets.analysis.report import by_density, draw_by_density, to_pdf, to_svg
from tickets.analysis.report.look import spread


def test_labels_that_are_far_enough_apart_stay():
    assert spread([0.5, 0.1, 0.9], 0.2) == [0.5, 0.1, 0.9]


def test_labels_that_coincide_go_apart_evenly():
    assert spread([0.5, 0.5, 0.5], 0.1) == pytest.approx([0.4, 0.5, 0.6])
    assert spread([], 0.1) == []


@given(st.lists(st.floats(0, 1), max_size=9))
def test_labels_are_apart_and_in_the_same_order(heights):
    placed = sorted(zip(heights, spread(heights, 0.07), strict=True))
    assert all(other[1] - one[1] > 0.07 - 1e-9 for one, other in pairwise(placed) if one[0] < other[0])
    ends = sorted(end for _, end in placed)
    assert all(other - one > 0.07 - 1e-9 for one, other in pairwise(ends))


def test_the_callers_style_neither_matters_nor_changes(made):
    data = by_density(made({(k, "ticket"): [0.5, 0.6] for k in range(3)}))
    plain = to_svg(draw_by_density(data)), to_pdf(draw_by_density(data))
    with mpl.rc_context({"font.size": 30, "axes.grid": False, "svg.fonttype": "path", "svg.hashsalt": "mine"}):
        before = dict(mpl.rcParams)
        assert (to_svg(draw_by_density(data)), to_pdf(draw_by_density(data))) == plain
        assert dict(mpl.rcParams) == before


def test_analysis_imports_neither_torch_nor_the_drawing_and_the_report_no_torch():
    code = (
        "import sys, tickets.analysis; assert not {'torch', 'matplotlib', 'jinja2'} & set(sys.modules)\n"
        "import tickets.analysis.report, matplotlib.pyplot as p\n"
        "assert 'torch' not in sys.modules; assert not p.get_fignums()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
