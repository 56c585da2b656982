"""The table [verdict]: what it may hold, and that it makes no other run."""

import pytest

from tickets.config import parse_run, run_id
from tickets.errors import InputError

BASE = {"name": "x", "data": "mnist1d", "model": "mlp", "arms": ["ticket", "reinit", "constant", "repeat"]}


def test_its_defaults_and_that_no_run_id_knows_of_it():
    run = parse_run(BASE)
    assert run.verdict.model_dump() == {"density": None, "controls": ("reinit",), "margin": 0.05}
    other = parse_run({**BASE, "verdict": {"density": 0.21, "controls": ["constant"], "margin": 0.1}})
    assert run_id(other) == run_id(run)
    assert parse_run({**BASE, "arms": ["ticket"]}).verdict.controls == ("reinit",)  # the default asks for no arm


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"density": 0}, "verdict.density = 0: must be greater than 0 and at most 1"),
        ({"density": 1.5}, "verdict.density = 1.5: must be greater than 0 and at most 1"),
        ({"margin": -0.1}, "verdict.margin = -0.1: must be at least 0"),
        ({"controls": []}, "verdict.controls = []: must name at least one arm that the ticket must be better than"),
        ({"controls": ["shuffle"]}, "'shuffle' is no control of this campaign (controls among this campaign's arms: r"),
        ({"controls": ["repeat"]}, "repeat is the ticket trained again, which measures noise; controls among this"),
        ({"controls": ["ticket"]}, "'ticket' is no control of this campaign"),
        ({"controls": ["constant", "constant"]}, "names 'constant' twice; name each control once"),
        ({"controls": "reinit"}, "verdict.controls"),
        ({"densities": [0.1]}, "verdict.densities: unknown key; did you mean 'density'?"),
    ],
)
def test_what_is_wrong_in_it_is_said(table, message):
    with pytest.raises(InputError) as raised:
        parse_run({**BASE, "verdict": table})
    assert message in str(raised.value)
