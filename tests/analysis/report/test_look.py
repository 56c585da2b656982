"""Labels that do not overlap, and nobody else's style changed."""

import os
import re
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


DRAW = """
import sys
import pandas as pd
from tickets.analysis.report import draw_surviving, to_pdf, to_svg
row = {"round": 0, "density": 1.0, "tensor": "a", "weights": 4, "kept": 4.0, "fraction": 1.0}
figure = draw_surviving(pd.DataFrame([row]))
to_svg(figure), to_pdf(figure)
"""


def run_python(code, **variables):
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, **variables})


def test_analysis_imports_neither_torch_nor_the_drawing():
    run_python("import sys, tickets.analysis; assert not {'torch', 'matplotlib', 'jinja2'} & set(sys.modules)")


def test_the_report_imports_neither_torch_nor_pyplot_and_chooses_no_backend():
    run_python(
        f"{DRAW}assert not {{'torch', 'matplotlib.pyplot', 'seaborn'}} & set(sys.modules)\n"
        "import matplotlib\n"
        "assert dict.__getitem__(matplotlib.rcParams, 'backend') == 'module://nowhere'",  # as it was found
        MPLBACKEND="module://nowhere",
    )


def test_the_callers_pyplot_stays_as_it_is():
    run_python(
        "import matplotlib.pyplot as plt\nplt.ion()\nmine = plt.figure()\nplt.plot([1, 2])\n"
        "import matplotlib\nbefore = dict(matplotlib.rcParams)\n"
        f"{DRAW}assert plt.get_fignums() == [1] and plt.gcf() is mine and plt.isinteractive()\n"
        "assert dict(matplotlib.rcParams) == before and plt.get_backend() == 'svg'",
        MPLBACKEND="svg",
    )


def test_a_name_with_dollar_signs_is_no_formula(made):
    svg = to_svg(draw_by_density(by_density(made({(k, "$x_1$ costs $"): [0.5, 0.6] for k in range(2)}))))
    assert ">$x_1$ costs $</text>" in svg


def test_fonts_in_a_pdf_are_true_type(made):
    pdf = to_pdf(draw_by_density(by_density(made({(k, "ticket"): [0.5, 0.6] for k in range(3)}))))
    fonts = set(re.findall(rb"/Subtype /(Type0|Type1|Type3|TrueType|CIDFontType2)\b", pdf))
    assert fonts == {b"Type0", b"CIDFontType2"}  # what matplotlib writes for TrueType
    assert b"/FontFile2" in pdf  # embedded
