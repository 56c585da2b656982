"""Modules that cannot be trained are refused before anything is written."""

from __future__ import annotations

import pytest
from odd_campaigns import campaign, run
from refused_modules import REFUSED

from tickets.errors import InputError

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("strategy", ["auto", "looped"])
@pytest.mark.parametrize("which", REFUSED)
def test_what_cannot_be_trained_is_refused_before_anything_is_written(which: str, strategy: str, tmp_path) -> None:
    with pytest.raises(InputError, match=REFUSED[which][1]):
        run(campaign(which, strategy), tmp_path)
    assert not (tmp_path / "out").exists()


def test_state_that_no_rewinding_restores_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match=r"a new module with the trained parameters.*rewound"):
        run(campaign("steps counted in an attribute", rewind={"step": 2}), tmp_path)
