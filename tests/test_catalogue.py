import subprocess
import sys

import pytest

from tickets.binding import resolve
from tickets.catalogue import ARMS, DATA, INITS, MODELS, PROBES, SCORES
from tickets.errors import InputError

TARGETS = [entry.target for table in (MODELS, DATA, INITS, SCORES, PROBES) for entry in table.values()]
TARGETS += [target for arm in ARMS.values() for target in (arm.mask, arm.values)]


def test_the_names_of_the_scores_are_those_of_the_documentation():
    assert set(SCORES) == {
        "magnitude", "large_final", "small_final", "large_init", "small_init", "large_init_large_final",
        "small_init_small_final", "magnitude_increase", "movement", "large_final_same_sign", "large_final_diff_sign",
        "random", "snip", "grasp", "synflow", "erk", "uniform",
    }  # fmt: skip


@pytest.mark.parametrize("target", sorted(set(TARGETS)))
def test_every_name_leads_to_a_function_of_that_name(target):
    assert resolve(target).__name__ == target.partition(":")[2]


def test_the_names_are_those_of_the_documentation():
    assert set(ARMS) == {
        "ticket", "reinit", "shuffle", "constant", "sign_constant", "random_sign_constant", "sign_reinit",
        "sign_shuffle", "frozen", "random_mask", "random_mask_reinit", "pruned_at_init", "pruned_at_init_reinit",
        "reorder", "repeat", "supermask", "edge_popup", "small_dense",
    }  # fmt: skip
    assert {name for name, arm in ARMS.items() if arm.has_own_mask} == {
        "random_mask", "random_mask_reinit", "pruned_at_init", "pruned_at_init_reinit", "supermask", "edge_popup",
    }  # fmt: skip
    assert {name for name, arm in ARMS.items() if arm.learned} == {"supermask", "edge_popup"}
    assert {name for name, arm in ARMS.items() if not arm.by_tensor} == {"pruned_at_init", "pruned_at_init_reinit"}
    assert {name for name, arm in ARMS.items() if not arm.random} == {
        "ticket", "constant", "sign_constant", "frozen", "repeat",
    }  # fmt: skip
    assert {name for name, arm in ARMS.items() if arm.scaled} == {"small_dense"}
    rewound = {name for name, arm in ARMS.items() if arm.values == ARMS["ticket"].values}
    assert rewound == {"ticket", "frozen", "random_mask", "pruned_at_init", "reorder", "repeat"}
    assert {name: arm.pruned for name, arm in ARMS.items() if arm.pruned != "zero"} == {"frozen": "initial"}
    assert {name for name, arm in ARMS.items() if arm.own_order} == {"reorder"}
    assert {name for name, arm in ARMS.items() if arm.role != "control"} == {"ticket", "repeat", "reorder"}
    assert {name for name, arm in ARMS.items() if arm.role == "measurement"} == {"repeat", "reorder"}


def test_every_summary_is_one_line():
    entries = [entry for table in (MODELS, DATA, INITS, SCORES, PROBES, ARMS) for entry in table.values()]
    wrong = [entry for entry in entries if not entry.summary or "\n" in entry.summary or len(entry.summary) >= 100]
    assert wrong == []


def test_the_tables_need_neither_torch_nor_pandas():
    code = "import sys, tickets.catalogue; print(sorted({'torch', 'pandas', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("no_such_module_here:f", "cannot import 'no_such_module_here'.*lies in the current folder"),
        ("tickets.binding:resolv", "has no function 'resolv'; did you mean 'resolve'"),
        ("tickets.binding:__doc__", "has no function '__doc__'"),
        ("os:system", "'os:system': is compiled, .* it was not called; name a function or class written in Python"),
        ("subprocess:Popen", r"comes with Python itself \(subprocess\), and it was not called"),
    ],
)
def test_a_name_that_leads_nowhere_is_explained(target, message):
    with pytest.raises(InputError, match=message):
        resolve(target)


def test_a_module_that_is_there_and_lacks_what_it_imports_is_told_from_one_that_is_not(tmp_path, monkeypatch):
    (tmp_path / "half_installed.py").write_text("import no_such_package_here\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InputError, match=r"cannot import 'half_installed'.*No module named 'no_such_package_here'"):
        resolve("half_installed:f")


def test_a_module_that_cannot_be_read_is_named_without_a_traceback(tmp_path, monkeypatch):
    (tmp_path / "torn_apart.py").write_text("def f(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        InputError, match=r"'torn_apart:f': importing 'torn_apart' fails \(SyntaxError: .*fix the module"
    ):
        resolve("torn_apart:f")
