"""What is wrong is blamed on who gave it: a setting of the command line, or the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tickets.config import read_campaign
from tickets.errors import InputError

FILE = """\
name = "first"
data = "mnist1d"
model = "mlp"
arms = ["ticket", "reinit"]

[train]
steps = 200
optimizer = "sgd"
momentum = 0.9

[rewind]
step = 50

[sweep]
"train.learning_rate" = [1e-2, 1e-3]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "first.toml"
    path.write_text(FILE, encoding="utf-8")
    return path


def lines(source: Path | dict[str, object], *settings: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        read_campaign(source, settings)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("train.steps=many", 'train.steps = "many": must be a whole number'),
        ("train.stepz=5", "train.stepz: unknown key; did you mean 'steps'?"),
        ("train=5", "train.learning_rate = 0.01: train = 5 is a whole number, which has no keys"),
        ("train={steps = 0}", "train.steps = 0: must be at least 1"),
        ("model=mpl", "model = 'mpl': unknown model; did you mean 'mlp'?"),
        ("model.name=mpl", "model.name = 'mpl': unknown model"),
        ("model.width=[3]", "model.width: unknown key; did you mean 'widths'?"),
        ("model.init=zero", "model.init = 'zero': unknown init"),
        ('arms=["ticket", {name = "shuffle", draws = 0}]', "arms[1].draws = 0: must be at least 1"),
        ('arms=["reinit"]', 'arms = ["reinit"]: must hold "ticket"'),
        ("sweep.train.steps=[0]", "train.steps = 0: must be at least 1"),
        ('sweep={"train.steps" = [0]}', "train.steps = 0: must be at least 1"),
        ('sweep."train.steps"=5', 'sweep."train.steps" = 5: must be a list of values'),
        ("sweep.train.steps=[100, 100]", "sweep: train.learning_rate = 0.01, train.steps = 100 and"),
        ("train.learning_rate=-1", "train.learning_rate = -1: must be greater than 0"),
        ("data_folder=3", "data_folder = 3: must be a string"),
        ("name.x=3", 'name.x = 3: name = "first" is a string'),
        ("rewind.step=300", "rewind.step = 300: must be less than train.steps = 200"),
        ("train.schedule=step", 'train.milestones = []: schedule "step" needs at least one step'),
    ],
)
def test_a_setting_is_named_and_the_file_is_not(file: Path, setting: str, key: str) -> None:
    found = lines(file, setting)
    told = [line for line in found if key in line]
    assert told, found
    assert all(line.startswith(f"--set {setting}: {key}") for line in told if "sweep: " not in line)
    assert not any(str(file) in line for line in told if "sweep: " not in line)


def test_a_key_of_the_file_that_does_not_go_with_a_setting_names_both(file: Path) -> None:
    assert lines(file, "train.steps=40") == [
        f"{file}: rewind.step = 50: must be less than train.steps = 40 (with --set train.steps=40)"
    ]
    assert lines(file, "train.optimizer=adam") == [
        f'{file}: train.momentum = 0.9: only optimizer "sgd" takes a momentum, not "adam"; leave it out or write '
        'optimizer = "sgd" (with --set train.optimizer=adam)'
    ]


def test_each_problem_of_file_and_settings_has_its_own_place(file: Path) -> None:
    file.write_text(FILE.replace("momentum = 0.9", "momentum = 2"), encoding="utf-8")
    assert lines(file, "train.steps=0", "seed=-1") == [
        "--set seed=-1: seed = -1: must be at least 0 and less than 2**63",
        f"{file}: train.momentum = 2: must be at least 0 and less than 1",
        "--set train.steps=0: train.steps = 0: must be at least 1",
    ]


def test_of_several_settings_of_a_key_the_last_is_blamed(file: Path) -> None:
    assert lines(file, "train.steps=-5", "train.steps=0") == [
        "--set train.steps=0: train.steps = 0: must be at least 1"
    ]
    assert read_campaign(file, ["train.steps=0", "train.steps=100"]).runs[0].train.steps == 100


def test_a_long_setting_is_cut(file: Path) -> None:
    (line,) = lines(file, f"name={'x' * 300}")
    assert line.startswith(f"--set name={'x' * 72}...: name = ")


def test_a_mapping_has_no_path_to_name() -> None:
    table: dict[str, object] = {"name": "first", "data": "mnist1d", "model": "mlp", "train": {"steps": 0}}
    assert lines(table) == ["train.steps = 0: must be at least 1"]
    assert lines(table, "seed=-1") == [
        "--set seed=-1: seed = -1: must be at least 0 and less than 2**63",
        "train.steps = 0: must be at least 1",
    ]
