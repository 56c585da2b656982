"""Colours and markers for arms, fonts, and nobody else's style changed."""

import os
import re
import subprocess
import sys

import matplotlib as mpl
from tickets.analysis.report import by_density, draw_by_density, to_pdf, to_svg
from tickets.analysis.report.look import looks_of, nth_look

from tickets.catalogue import ARMS


def test_the_callers_style_neither_matters_nor_changes(made):
    data = by_density(made({(k, "ticket"): [0.5, 0.6] for k in range(3)}))
    plain = to_svg(draw_by_density(data)), to_pdf(draw_by_density(data))
    with mpl.rc_context({"font.size": 30, "axes.grid": False, "svg.fonttype": "path", "svg.hashsalt": "mine"}):
        before = dict(mpl.rcParams)
        assert (to_svg(draw_by_density(data)), to_pdf(draw_by_density(data))) == plain
        assert dict(mpl.rcParams) == before


def test_arms_are_told_apart_and_those_of_the_catalogue_look_the_same_everywhere():
    catalogue = looks_of(ARMS)
    assert looks_of(["reinit", "ticket"]) == {arm: catalogue[arm] for arm in ("ticket", "reinit")}
    own = [f"arm_{number}" for number in range(30)]
    looks = looks_of([*ARMS, *own])
    assert len(set(looks.values())) == len(looks)
    assert {arm: looks[arm] for arm in ARMS} == catalogue
    assert [arm for arm, look in looks.items() if look.colour == nth_look(0).colour] == ["ticket"]
    assert looks_of(reversed([*ARMS, *own])) == looks
    assert len(looks_of([f"arm_{number}" for number in range(100)])) == 100  # more than there are looks


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
