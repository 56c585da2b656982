from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from longest_first import SECONDS, longest_first

TESTS = Path(__file__).parent


def test_the_longest_files_come_first_and_all_else_stays_in_its_order():
    long, longer = sorted(SECONDS, key=SECONDS.get)[-2:]
    given = ["a.py", long, "scores/b.py", longer, "a.py", long]
    items = [SimpleNamespace(path=TESTS / name, number=number) for number, name in enumerate(given)]
    longest_first(items)
    assert [item.number for item in items] == [3, 1, 5, 0, 2, 4]


def test_the_files_that_are_named_exist():
    assert [name for name in SECONDS if not (TESTS / name).is_file()] == []
