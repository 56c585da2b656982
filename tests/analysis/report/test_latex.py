"""LaTeX tables: rules, signs, alignment and escapes, read back by a small reader; compiled where there is pdflatex."""

import re
import shutil
import subprocess
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tickets.analysis.report import tables_of_run, to_csv, to_latex

HOSTILE = "a & b_{c} \\x 5 % $1 #2 ~ ^\n<é> 1 ± 2 | `q` -- \u202e"
READ_AS = {
    r"\&": "&", r"\_": "_", r"\{": "{", r"\}": "}", r"\%": "%", r"\$": "$", r"\#": "#", r"\textbackslash{}": "\\",
    r"\textasciitilde{}": "~", r"\textasciicircum{}": "^", r"\textless{}": "<", r"\textgreater{}": ">",
    r"\textbar{}": "|", r"\textasciigrave{}": "`", r"$\pm$": "±", "$-$": "-", "$+$": "+", "-{}-": "--", "{[}": "[",
    "{*}": "*", "{=}": "=", "{@}": "@", r"\ldots{}": "…", r"$\times$": "×", r"$\leq$": "≤", r"$\geq$": "≥",  # noqa: RUF001
}  # fmt: skip


@dataclass
class Tabular:
    """formats: one a column. rows: {place of its first column: text}; the first is the heading."""

    formats: list[str]
    rows: list[dict[int, str]]


def read(latex):
    """A tabular as LaTeX reads it; fails where a row has not as many columns as there are."""
    begin, top, head, middle, *body, bottom, end, last = latex.split("\n")
    assert (top, middle) == (r"\toprule", r"\midrule")
    assert (bottom, end, last) == (r"\bottomrule", r"\end{tabular}", "")
    formats = re.findall(
        r"[lrc]",
        re.sub(r"@\{[^}]*\}", "", re.fullmatch(r"\\begin\{tabular\}\{(.*)\} % \\usepackage\{booktabs\}", begin)[1]),
    )
    return Tabular(formats, [read_row(line, len(formats)) for line in (head, *body)])


def read_row(line, columns):
    assert line.endswith(r" \\")
    assert line[0] not in "[*"
    found, place = {}, 0
    for text in re.split(r"(?<!\\) ?& ?", line.removesuffix(r" \\")):
        spans = re.fullmatch(r"\\multicolumn\{(\d)\}\{[lrc]\}\{(.*)\}", text)
        if spans or text:
            found[place] = plain(spans[2] if spans else text)
        place += int(spans[1]) if spans else 1
    assert place == columns
    return found


def plain(text):
    """Text as it is printed; fails at any command that is not known."""
    pattern = "|".join(map(re.escape, sorted(READ_AS, key=len, reverse=True))) + r"|\\ |\$\\times 10\^\{-?\d+\}\$|."
    parts = re.findall(pattern, text)
    for part in parts:
        assert part in READ_AS or part not in "\\&%$#_{}~^<>|`"
    return "".join(READ_AS.get(part, part.removeprefix("\\")) for part in parts)


def test_all_of_it():
    frame = pd.DataFrame({"arm_name": ["reinit", "-x"], "n": [5, -1234], "points": ["+0.42 [-0.10, +0.94] better", ""]})
    assert to_latex(frame) == (
        "\\begin{tabular}{lrr@{ }r@{}l} % \\usepackage{booktabs}\n\\toprule\n"
        "arm\\_name & n & \\multicolumn{3}{c}{points} \\\\\n\\midrule\n"
        "reinit & 5 & $+$0.42 & [$-$0.10, $+$0.94] & \\ better \\\\\n"
        "-x & $-$1234 &  &  &  \\\\\n\\bottomrule\n\\end{tabular}\n"
    )


@pytest.mark.parametrize(
    ("values", "formats"),
    [
        ([1, 2], "r"),
        ([0.5, np.nan], "r"),
        (["0.8000", "1.0000"], "r"),
        (["58.60 ± 1.56", "diverged"], "rr"),
        (["-0.42 [-0.10, +0.94]", "no pair"], "rr"),
        (["120 [100, 140], 5 of 5", "0 of 5"], "rrl"),
        (["1.weight", "3.weight"], "l"),
        (["784, 300", "100"], "l"),
        (["adam", "sgd"], "l"),
        ([True, False], "l"),
    ],
)
def test_numbers_are_aligned_at_the_right_and_words_at_the_left(values, formats):
    table = read(to_latex(pd.DataFrame({"a": ["x", "y"], "b": values})))
    assert table.formats == ["l", *formats]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("-1", "$-$1"),
        ("\N{MINUS SIGN}1", "$-$1"),
        ("1e-05", r"1$\times 10^{-5}$"),
        ("[-1.5, +2]", "{[}$-$1.5, $+$2]"),
        ("from -1 to -2.", "from $-$1 to $-$2."),
        ("mlp-adam-0.01-seed0", "mlp-adam-0.01-seed0"),  # hyphens in names stay
        ("a - b", "a - b"),
    ],
)
def test_signs(text, wanted):
    assert to_latex(pd.DataFrame({"a": [text, "word 1"]})).split("\n")[4] == wanted + r" \\"


def test_hostile_names_are_text_in_headings_and_cells():
    table = read(to_latex(pd.DataFrame({HOSTILE: [HOSTILE, "[x]", "*"]})))
    told = " ".join(HOSTILE.replace("\u202e", "\\u202e").split())
    assert table.rows == [{0: told}, {0: told}, {0: "[x]"}, {0: "*"}]


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_any_text_is_a_cell(texts):
    table = read(to_latex(pd.DataFrame({"a": texts, "b": texts})))
    assert len(table.rows) == len(texts) + 1


def test_the_tables_of_a_run(saved):
    for one in tables_of_run(saved.rounds):
        for frame in (one.data, one.whole):
            table = read(to_latex(frame))
            assert len(table.rows) == len(frame) + 1
            assert not re.search(r"(?<![\w}-])-\d", to_latex(frame))
        assert "$" not in to_csv(one.whole)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no `pdflatex` on PATH")
def test_latex_compiles(saved, tmp_path):
    frames = [one.data for one in tables_of_run(saved.rounds)]
    frames.append(pd.DataFrame({HOSTILE.replace("é", "e"): [HOSTILE, "[x]", "*", "1e-5"], "n": [1.0, -2.0, 3, 4]}))
    body = "\n\n".join(map(to_latex, frames))
    packages = "\\usepackage[utf8]{inputenc}\\usepackage[T1]{fontenc}\\usepackage{booktabs}"
    (tmp_path / "a.tex").write_text(
        f"\\documentclass{{article}}{packages}\\begin{{document}}\n{body}\n\\end{{document}}\n"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "a.tex"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stdout[-2000:]


@pytest.mark.parametrize("power", ["9" * 5000, "-" + "9" * 5000, "+00001"])
def test_a_power_that_is_too_long_is_text(power):
    for others in (["word 1"], ["2.5"]):
        assert to_latex(pd.DataFrame({"a": [f"1e{power}", *others]})).split("\n")[4] == f"1e{power}" + r" \\"
