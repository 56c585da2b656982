from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tickets.config import read_campaign
from tickets.config.settings import with_setting
from tickets.errors import InputError

FILE = """\
name = "first"
data = "mnist1d"
model = "mlp"
data_folder = "somewhere"

[train]
steps = 200

[sweep]
"train.learning_rate" = [1e-2, 1e-3]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "first.toml"
    path.write_text(FILE, encoding="utf-8")
    return path


def lines(path: Path | str, *settings: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        read_campaign(path, settings)
    return list(caught.value.problems)


def test_the_file(file: Path) -> None:
    campaign = read_campaign(file)
    assert (campaign.name, campaign.data_folder) == ("first", "somewhere")
    assert campaign.sweep == {"train.learning_rate": (1e-2, 1e-3)}
    assert [(run.train.steps, run.train.learning_rate) for run in campaign.runs] == [(200, 1e-2), (200, 1e-3)]
    assert read_campaign(str(file)) == campaign


def test_problems_begin_with_the_files_name(file: Path) -> None:
    file.write_text(FILE.replace("200", '"many"').replace("mlp", "mpl"), encoding="utf-8")
    assert lines(file) == [
        f"{file}: model = 'mpl': unknown model; did you mean 'mlp'? "
        "(allowed: conv2, conv4, conv6, lenet_300_100, mlp, resnet20, or module:function)",
        f'{file}: train.steps = "many": must be a whole number, not a string',
    ]


@pytest.mark.parametrize(
    ("settings", "table"),
    [
        (["a=1"], {"a": 1}),
        (["a=1", "a=2"], {"a": 2}),
        ([" a.b = sgd "], {"a": {"b": "sgd"}}),
        (['a="x=y"'], {"a": "x=y"}),
        (["a=x=y"], {"a": "x=y"}),
        (["a=1e-2"], {"a": 0.01}),
        (["a=[1, 2"], {"a": "[1, 2"}),
        (["a=[1, 2]"], {"a": [1, 2]}),
        (["a={b = 1}"], {"a": {"b": 1}}),
        (["a=1\nb = 2"], {"a": "1\nb = 2"}),
        (["a=" + "[" * 5000], {"a": "[" * 5000}),
        (["a="], {"a": ""}),
        (["model=mlp", "model.widths=[50]"], {"model": {"name": "mlp", "widths": [50]}}),
        (
            ["model=mlp", "model.init=constant", "model.init.value=0.25"],
            {"model": {"name": "mlp", "init": {"name": "constant", "value": 0.25}}},
        ),
        (["model.init.value=0.25"], {"model": {"init": {"value": 0.25}}}),
        (["data=a:b", "data.init=x"], {"data": {"name": "a:b", "init": "x"}}),
        (["data.validation=3"], {"data": {"validation": 3}}),
        (["data.k.l=true"], {"data": {"k": {"l": True}}}),
        (["sweep.train.steps=[1]"], {"sweep": {"train.steps": [1]}}),
        (['sweep."train.steps"=[1]'], {"sweep": {"train.steps": [1]}}),
    ],
)
def test_settings(settings: list[str], table: dict[str, Any]) -> None:
    found: dict[str, Any] = {}
    for setting in settings:
        found = with_setting(found, setting)
    assert found == table


def test_a_setting_leaves_the_table_it_is_given_alone() -> None:
    table = {"train": {"steps": 1}, "sweep": {"seed": [1]}}
    assert with_setting(with_setting(table, "train.steps=2"), "seed=3") == {
        "train": {"steps": 2},
        "sweep": {},
        "seed": 3,
    }
    assert table == {"train": {"steps": 1}, "sweep": {"seed": [1]}}


def test_settings_of_a_file(file: Path) -> None:
    settings = ["model.widths=[50]", "train.optimizer=sgd", "train.momentum=0.9", "data=digits", "rounds=2"]
    run = read_campaign(file, settings).runs[0]
    assert (run.model.options, run.train.optimizer, run.train.momentum) == (
        {"widths": (50,), "dropout": 0.0, "bias": True, "parametrisation": "standard"},
        "sgd",
        0.9,
    )
    assert (run.data.name, run.rounds, run.train.steps) == ("digits", 2, 200)


def test_settings_of_an_init(file: Path) -> None:
    for settings, init in (
        (["model.init=zeros"], "zeros"),
        (["model.init=constant", "model.init.value=2"], {"name": "constant", "biases": "zeros", "value": 2.0}),
        (["model.init={name = 'constant', value = 1}"], {"name": "constant", "biases": "zeros", "value": 1.0}),
        (["model.init=dct", "model.init.biases=model"], {"name": "dct", "biases": "model"}),
    ):
        assert read_campaign(file, settings).runs[0].model_dump()["model"]["init"] == init


def test_a_setting_of_a_swept_key_takes_the_sweeps_place(file: Path) -> None:
    campaign = read_campaign(file, ["train.learning_rate=0.5"])
    assert campaign.sweep == {}
    assert [run.train.learning_rate for run in campaign.runs] == [0.5]


def test_a_setting_can_change_the_sweep(file: Path) -> None:
    campaign = read_campaign(file, ["sweep.train.learning_rate=[0.1]", "sweep.seed=[1, 2]"])
    assert campaign.sweep == {"train.learning_rate": (0.1,), "seed": (1, 2)}
    assert read_campaign(file, ["sweep={}"]).sweep == {}


def test_settings_that_cannot_be(file: Path) -> None:
    form = "must have the form key=value, e.g. --set train.steps=500"
    assert lines(file, "train.steps", "=3", "train..steps=3", "sweep.=3", "name.x=3", "train.steps=0") == [
        f"--set train.steps: {form}",
        f"--set =3: {form}",
        f"--set train..steps=3: {form}",
        f"--set sweep.=3: {form}",
        '--set name.x=3: name.x = 3: name = "first" is a string, which has no keys',
        "--set train.steps=0: train.steps = 0: must be at least 1",
    ]
    assert lines(file, "sweep.data=['mnist', 'digits']", "data.validation=3") == [
        "--set data.validation=3: 'data' is swept, which would undo this; set 'data' itself instead"
    ]


def test_no_file(file: Path) -> None:
    wrong = file.with_name("frist.toml")
    assert lines(wrong) == [f"{wrong}: no such file; did you mean 'first.toml'?"]
    nowhere = file.parent / "no" / "folder.toml"
    assert lines(nowhere) == [f"{nowhere}: no such file"]


def test_a_folder(tmp_path: Path) -> None:
    assert lines(tmp_path) == [f"{tmp_path}: is a folder; give a campaign file (.toml)"]


def test_a_path_through_a_file(file: Path) -> None:
    assert lines(file / "x.toml") == [f"{file / 'x.toml'}: cannot be read (Not a directory)"]


def test_not_utf8(file: Path) -> None:
    file.write_bytes(b'name = "first"\n# na\xefve\n')
    assert lines(file) == [f"{file}: is not UTF-8 text (byte 0xef at line 2); save it as UTF-8"]


def test_a_byte_order_mark_is_no_matter(file: Path) -> None:
    file.write_text(FILE, encoding="utf-8-sig")
    assert read_campaign(file).name == "first"


def test_not_toml(file: Path) -> None:
    file.write_text('name = "first"\ndata = mnist\n', encoding="utf-8")
    (line,) = lines(file)
    assert line.startswith(f"{file}: is not TOML: Invalid value (at line 2, column 8)")


def test_nested_too_deep(file: Path) -> None:
    file.write_text("a = " + "[" * 100_000, encoding="utf-8")
    (line,) = lines(file)
    assert line.startswith(f"{file}: is not")


@pytest.mark.parametrize("value", ["", 3, ["x"]])
def test_the_data_folder(file: Path, value: object) -> None:
    kind = {str: "an empty one", int: "a whole number", list: "a list"}[type(value)]
    shown = '""' if value == "" else str(value).replace("'", '"')
    assert lines(file, f"data_folder={shown}") == [
        f"--set data_folder={shown}: data_folder = {shown}: must be a string, the path of a folder, not {kind}"
    ]
