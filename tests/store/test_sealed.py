"""JSON of somebody else's: what is accepted is read as by Python's own reader, and what is ambiguous is refused."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickets.store.sealed import json_bytes, parse_json, sealed_json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text('ab\u00e9\U0001f600\\"', max_size=3), inside),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_written_is_read_as_it_was(value):
    assert repr(parse_json(json_bytes(value))) == repr(value)  # repr: -0.0 == 0.0, and 1 == 1.0 == True
    assert repr(parse_json(json.dumps(value).encode())) == repr(value)  # with escapes instead of UTF-8


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a": 1, "a": 2}', "duplicate key"),
        ('[{"b": {"a": 1, "a": 1}}]', "duplicate key"),
        ("NaN", "expected value"),
        ("[Infinity]", "expected value"),
        ('{"a": -Infinity}', "invalid number"),
        ("1e999", "Out of range float"),
        ("[-1e309]", "Out of range float"),
        ('{"a": 1E+400}', "Out of range float"),
        ("9" * 309 + ".0", "Out of range float"),
        ("9" * 5000, "number out of range"),
        ('"\\ud83d"', "hex escape"),
        ('"\\ude00"', "hex escape"),
        ("[1,]", "trailing comma"),
        ("{} {}", "trailing characters"),
        ("\ufeff{}", "expected value"),
        ("", "EOF"),
        ('"\x01"', "control character"),
    ],
)
def test_what_has_no_one_meaning_is_refused(text, why):
    with pytest.raises(ValueError, match=why):
        parse_json(text.encode())


def test_text_that_looks_like_a_number_is_text():
    value = {"Infinity": ["1e999", "NaN", "-Infinity", "9" * 400], "sha256": "7e999" * 12 + "beef"}
    assert parse_json(json_bytes(value)) == value


def test_the_largest_numbers_are_read():
    assert parse_json(b"[1.7976931348623157e308, 1e-999, 5e-324]") == [sys.float_info.max, 0.0, math.ulp(0.0)]


def test_text_that_is_no_unicode_is_refused():
    for data in (b'"\xff"', b'"\xed\xa0\x80"', b'{"\xc0\xaf": 1}'):
        with pytest.raises(ValueError, match="invalid unicode code point"):
            parse_json(data)


def test_a_sealed_file_is_one_that_is_read():
    value = {"schema": 1, "kind": "x", "list": [1, 0.1, None, "\u00e9"]}
    found = parse_json(sealed_json(value))
    assert list(found) == ["sha256", *value]
    assert {key: found[key] for key in value} == value


def test_the_store_waits_for_neither_torch_nor_pandas():
    code = "import sys, tickets.store; print(sorted({'torch', 'pandas', 'scipy', 'sklearn'} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"
