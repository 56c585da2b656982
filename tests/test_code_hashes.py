from __future__ import annotations

import hashlib
import importlib
import linecache
import subprocess
import sys
import types
import uuid

import pytest

from tickets.code_hashes import named_functions, source_hashes, where_from


@pytest.fixture
def package(tmp_path, monkeypatch):
    """package({"nets.py": source, ...}) writes a package of the user's; its name."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(files):
        name = f"users_{uuid.uuid4().hex[:8]}"
        for file, source in {"__init__.py": "", **files}.items():
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        importlib.invalidate_caches()
        return name

    return write


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_functions_are_found_wherever_a_configuration_names_them():
    config = {
        "name": "c",
        "data": {"name": "my.data:load", "validation": 10},
        "model": {"name": "nets:wide", "block": "my.blocks:Block", "device": "cuda:0", "widths": [3]},
        "arms": [
            {"name": "ticket"},
            {"name": "mine", "mask": "arms:mask", "values": "nets:wide"},
            {"values": "tickets.arms:rewound"},
        ],
        "prune": {"score": "größe:wert", "exclude": ["a.b:*", ":f", "m:"]},
    }
    assert named_functions(config) == ("my.data:load", "nets:wide", "my.blocks:Block", "arms:mask", "größe:wert")


def test_a_function_comes_from_its_modules_and_from_what_these_import(package, tmp_path):
    name = package({
        "__init__.py": "from .nets import wide\n",
        "nets.py": "import torch, json\nfrom . import blocks\nfrom .parts.deep import Deep\ndef wide(): ...\n",
        "blocks.py": "def late():\n    from .never import x\n",
        "parts/__init__.py": "",
        "parts/deep.py": "from ..constants import *\nclass Deep: ...\n",
        "constants.py": "WIDTH = 3\n",
        "never.py": "x = 1\n",  # not imported
        "other.py": "",  # imported by nobody
    })  # fmt: skip
    importlib.import_module(name)
    files = ("__init__", "nets", "blocks", "parts/__init__", "parts/deep", "constants")
    wanted = {
        ".".join([name, *file.removesuffix("__init__").split("/")]).rstrip("."): sha256(tmp_path / name / f"{file}.py")
        for file in files
    }
    assert source_hashes([f"{name}:wide"]) == wanted
    assert where_from([f"{name}:wide", f"{name}:other"]) == [f"{name} ({tmp_path / name / '__init__.py'})"]


def test_of_a_package_that_is_installed_only_the_named_modules_count():
    import torch
    from torch.nn import Linear

    assert sorted(source_hashes(["torch.nn:Linear"])) == sorted({"torch", "torch.nn", Linear.__module__})
    assert torch.__file__ in where_from(["torch:Linear"])[0]


def test_what_was_not_imported_is_not_imported_now(package):
    name = package({"__init__.py": "raise SystemExit"})
    assert source_hashes([f"{name}:wide"]) == {}
    assert name not in sys.modules


def test_a_function_of_a_notebook_counts_by_its_own_source_and_one_without_any_has_none(monkeypatch):
    source = "def net():\n    return 1\n"
    notebook = types.ModuleType("a_notebook")  # which has no file
    linecache.cache["<ipython-input-1>"] = (len(source), None, source.splitlines(True), "<ipython-input-1>")
    exec(compile(source, "<ipython-input-1>", "exec"), notebook.__dict__)
    exec(compile("def lost(): ...", "<string>", "exec"), notebook.__dict__)
    monkeypatch.setitem(sys.modules, "a_notebook", notebook)
    assert source_hashes(["a_notebook:net"]) == {"a_notebook": hashlib.sha256(source.encode()).hexdigest()}
    assert source_hashes(["a_notebook:lost"]) == {"a_notebook": "no source"}
    assert where_from(["a_notebook:net"]) == ["a_notebook (no source)"]


def test_a_function_of_the_script_itself_counts_by_the_script(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import beside\nfrom tickets.code_hashes import source_hashes\n"
        "def net(): ...\nprint(source_hashes(['__main__:net']))\n"
    )
    (tmp_path / "beside.py").write_text("x = 1\n")
    printed = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True).stdout
    wanted = {"__main__": sha256(script), "beside": sha256(tmp_path / "beside.py")}
    assert printed == f"{wanted}\n"
