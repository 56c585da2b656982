"""`tickets list`: each name once, with its summary and options, as text and as JSON."""

from __future__ import annotations

import json

import pytest

from tickets import catalogue
from tickets.config import parse_run
from tickets.config.own_train import OWN_KEYS
from tickets.errors import InputError


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        ("models", catalogue.MODELS),
        ("data", catalogue.DATA),
        ("inits", catalogue.INITS),
        ("arms", catalogue.ARMS),
        ("scores", catalogue.SCORES),
        ("probes", catalogue.PROBES),
    ],
)
def test_list_has_each_name_once_with_its_summary(kind, table, command):
    said = command("list", kind)
    assert said.code == 0
    names, _, _ = said.out.partition("\n\n")
    lines = [line.split(maxsplit=1) for line in names.splitlines() if not line.startswith(" ")]
    assert lines == [[name, entry.summary] for name, entry in table.items()]


def test_list_has_the_options_of_each_name_with_their_defaults_and_what_is_allowed(command):
    width = max(map(len, catalogue.MODELS)) + 4
    said = command("list", "models").out
    assert said.startswith(
        f"mlp{' ' * (width - 5)}fully connected, ReLU; hidden layers of any widths\n"
        f'{" " * width}init = "pytorch"\n'
        f"{' ' * width}widths = [100, 100]: a list of whole numbers, each at least 1, at most 1,000,000\n"
        f"{' ' * width}dropout = 0.0: a number, at least 0 and less than 1\n"
        f"{' ' * width}bias = true: true or false\n"
        f'{" " * width}parametrisation = "standard": "standard" or "ntk"\n'
        "lenet_300_100  "
    )
    inits = ", ".join(f'"{name}"' for name in list(catalogue.INITS)[:-1])
    assert said.endswith(f'\n\nOptions of all of them:\n  init: {inits} or "planted"\n')
    arms = command("list", "arms").out
    assert '    biases = "model": "zeros" or "model"\n' in arms
    assert arms.count("\n\n") == 4
    assert "\n\nOptions of all but ticket:\n  label: " in arms
    keys = f"train = {{}}: a table of keys of [train]: {', '.join(OWN_KEYS)}"
    assert f"\n  {keys}\n\nOptions of reinit, shuffle, " in arms
    assert ", edge_popup, small_dense:\n  draws = 1: a whole number, at least 1, at most 10,000\n\n" in arms
    assert ', repeat:\n  pruned = "zero": "zero", "initial" or "zero_if_shrunk"\n\n' in arms
    assert arms.endswith(", repeat, small_dense:\n  start: 0\n")


def test_list_as_json_has_every_option_of_each_name(command):
    (mlp, *_) = json.loads(command("list", "models", "--json").out)
    assert (mlp["name"], mlp["summary"]) == ("mlp", catalogue.MODELS["mlp"].summary)
    assert mlp["options"]["dropout"] == {"default": 0.0, "allowed": "a number, at least 0 and less than 1"}
    arms = {arm["name"]: arm["options"] for arm in json.loads(command("list", "arms", "--json").out)}
    assert list(arms) == list(catalogue.ARMS)
    assert arms["constant"].keys() - arms["reinit"].keys() == {"value", "biases"}
    assert arms["reinit"].keys() - arms["constant"].keys() == {"draws"}


def test_list_offers_an_option_exactly_where_the_campaign_file_may_change_it(command):
    changed = {"label": "another", "draws": 2, "pruned": "initial", "start": 0}
    for arm in json.loads(command("list", "arms", "--json").out):
        for key, value in changed.items():
            arms = [{"name": "ticket"}] if arm["name"] != "ticket" else []
            random = {"shuffle": True} if "shuffle" in arm["options"] else {}
            try:
                parse_run(
                    {
                        "name": "x",
                        "data": "digits",
                        "model": "mlp",
                        "arms": [*arms, {"name": arm["name"], **random, key: value}],
                    }
                )
            except InputError:
                assert key not in arm["options"], (arm["name"], key)
            else:
                assert key in arm["options"], (arm["name"], key)


def test_list_without_a_kind_has_the_names_of_all_kinds(command):
    said = command("list")
    lines = dict(line.split(maxsplit=1) for line in said.out.split("\n\n")[0].splitlines())
    assert (said.code, said.err) == (0, "")
    assert lines == {kind: ", ".join(table) for kind, table in catalogue.KINDS.items()}
    everything = json.loads(command("list", "--json").out)
    assert everything == {kind: json.loads(command("list", kind, "--json").out) for kind in catalogue.KINDS}


def test_the_help_of_list_names_all_kinds(command):
    for said in (command("--help"), command("list", "--help")):
        assert "models, data, inits, arms, scores or probes" in " ".join(said.out.split())


def test_list_of_something_else_is_wrong_input(command):
    said = command("list", "model")
    assert (said.code, said.out) == (2, "")
    assert "did you mean 'models'?" in said.err
