"""The error messages of a campaign file, one line each."""

from __future__ import annotations

from typing import Any

import pytest

from tickets.config import parse_run
from tickets.errors import InputError

BASE = {"name": "x", "data": "mnist1d", "model": "mlp"}
MOMENTUM = 'only optimizer "sgd" takes a momentum, not "adam"; leave it out or write optimizer = "sgd"'


def lines(**changed: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        parse_run({**BASE, **changed})
    return list(caught.value.problems)
