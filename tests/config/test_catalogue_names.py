"""Every name of the catalogue is known, with the options of its functions."""

from __future__ import annotations

import inspect

from problem_lines import BASE
from pydantic import TypeAdapter

from tickets import catalogue
from tickets.binding import resolve
from tickets.config import parse_run
from tickets.config.messages import NAMED, SECTIONS
from tickets.config.signatures import options_of


def test_every_name_of_the_catalogue_is_known() -> None:
    for name in catalogue.DATA:
        assert parse_run({**BASE, "data": name}).data.name == name
    for name in catalogue.MODELS:
        assert parse_run({**BASE, "model": name}).model.name == name
    for name in catalogue.INITS:
        init = {"name": name, **({"target": "relu"} if name == "planted" else {})}
        assert parse_run({**BASE, "model": {"name": "mlp", "init": init}}).model.init.name == name
    for name in catalogue.SCORES:
        assert parse_run({**BASE, "prune": {"score": name, "scope": "global"}}).prune.score.name == name
    probes = parse_run({**BASE, "probes": list(catalogue.PROBES)}).probes
    assert [probe.name for probe in probes] == list(catalogue.PROBES)
    arms = parse_run({**BASE, "arms": list(catalogue.ARMS)}).arms
    assert [arm.name for arm in arms] == list(catalogue.ARMS)


def test_the_options_of_each_name_are_those_of_its_functions() -> None:
    for named in NAMED.values():
        for name, entry in named.entries.items():
            keywords = [
                keyword
                for target in entry.targets
                for keyword in inspect.signature(resolve(target)).parameters.values()
                if keyword.default is not keyword.empty
            ]
            types = options_of(*entry.targets)
            read = {k.name: TypeAdapter(types[k.name].type).validate_python(k.default) for k in keywords}
            assert read == named(name=name).options, name


def test_the_sections_are_those_of_a_run() -> None:
    assert list(SECTIONS) == ["train", "prune", "rewind", "fine_tune", "store", "compute", "verdict"]
