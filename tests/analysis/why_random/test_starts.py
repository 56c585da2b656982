"""What a configuration says of the initial values, and which runs differ in what."""

import pytest
from tickets.analysis.why_random import starts


@pytest.mark.parametrize(
    ("init", "start", "biases", "kind"),
    [
        ("glorot_normal", "glorot_normal", "zeros", "random"),
        ("pytorch", "pytorch", "model", "random"),
        ({"name": "constant", "biases": "zeros", "value": 0.5}, "constant 0.5", "zeros", "equal"),
        ("zeros", "zeros", "zeros", "equal"),
        ("dct", "dct", "zeros", "deterministic"),
        # Biases that are drawn tell units apart, whatever the weights.
        ({"name": "constant", "biases": "model", "value": 0.5}, "constant 0.5", "model", "random"),
        ({"name": "dct", "biases": "model"}, "dct", "model", "random"),
        ({"name": "sign_constant", "biases": "zeros", "scale": None}, "sign_constant", "zeros", "random"),
        ({"name": "orthogonal", "biases": "zeros", "gain": 1.0}, "orthogonal", "zeros", "random"),
        ({"name": "orthogonal", "biases": "zeros", "gain": 2.0}, "orthogonal 2", "zeros", "random"),
    ],
)
def test_of_a_name_or_a_table(config, init, start, biases, kind):
    (row,) = starts({"a": config(init)}).to_dict("records")
    assert (row["start"], row["biases"], row["kind"]) == (start, biases, kind)


def test_labels_say_what_is_unusual_and_no_more(config):
    table = starts(
        {
            "a": config("zeros"),
            "b": config("glorot_normal"),
            "c": config({"name": "glorot_normal", "biases": "model"}),
            "d": config("zeros", widths=[300, 100], dropout=0.5),
            "e": config("zeros", widths=[]),
        }
    )
    labels = dict(zip(table["run"], table["label"], strict=True))
    assert labels == {
        "a": "zeros",
        "b": "glorot_normal",
        "c": "glorot_normal + biases",
        "d": "zeros [300-100, dropout 0.5]",
        "e": "zeros [no hidden layer]",
    }
    assert list(table["kind"]) == ["random", "random", "equal", "equal", "equal"]
    widths = dict(zip(table["run"], table["widths"], strict=True))
    assert (widths["a"], widths["d"], widths["e"]) == ("8", "300-100", "none")


def test_settings_are_told_apart_by_what_differs(config):
    table = starts({"a": config(), "b": config(steps=50), "c": config(data="mnist1d")}).set_index("run")
    settings = table["setting"].to_dict()
    assert settings == {"a": "digits, train.steps 100", "b": "digits, train.steps 50", "c": "mnist1d"}


def test_a_model_of_ones_own_and_one_without_widths(config):
    own = {"name": "my.nets:wide", "depth": 3, "dropout": "high", "init": "pytorch"}
    table = starts({"a": {**config(), "model": own}, "b": config(widths=None)}).set_index("run")
    assert table.loc["a", ["model", "widths", "dropout", "kind"]].tolist() == ["my.nets:wide", "", 0.0, "random"]
    assert table.loc["a", "options"] == '{"depth": 3, "dropout": "high"}'
    assert table.loc["b", "widths"] == ""
    assert starts({"a": {**config(), "model": {"name": "bare"}}})["start"].tolist() == ["pytorch"]


def test_noise_is_dropout_or_augmented_data(config):
    augmented = config()
    augmented["data"]["augment"] = True
    table = starts({"a": config(), "b": config(dropout=0.1), "c": augmented}).set_index("run")
    assert table["noisy"].to_dict() == {"a": False, "b": True, "c": True}


def test_labels_are_unlike_in_a_setting(config):
    table = starts({"a": config(depth=1), "b": config(depth=2)})
    assert table["label"].nunique() == 2
