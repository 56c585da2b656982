from __future__ import annotations

import functools
import os
import posixpath
import re
import shutil
import site
import subprocess

import numpy as np
import pytest
import torch
from torch import nn

import tickets.models.mlp
from tickets.users_code import is_users_file, not_python, one_line, whole_traceback


@pytest.mark.parametrize("name", [
    __file__, "<ipython-input-3-0a1b>", "<stdin>", "nets.py", "/home/me/nets.py", "/tmp/ipykernel_7/1234.py",
])  # fmt: skip
def test_the_users_own_files(name):
    assert is_users_file(name)


@pytest.mark.parametrize("name", [
    "", os.__file__, torch.__file__, np.__file__, tickets.models.mlp.__file__, "<frozen importlib._bootstrap>",
    "<string>", "<eval_with_key>.3", f"{site.getsitepackages()[0]}/timm/models.py",
    "/usr/lib/python3/dist-packages/some/where.py",
])  # fmt: skip
def test_files_that_are_not(name):
    assert not is_users_file(name)


@functools.cache
def cached():
    """Made by a decorator of the standard library."""


@functools.singledispatch
def dispatched(x):
    """As well."""


@functools.wraps(os.system)
def wrapper(command):
    """The user's own, whatever it says of itself."""


class Factory:
    def __call__(self):
        return nn.Linear(1, 1)

    def make(self):
        return self()


class Child(Factory):
    pass


@pytest.mark.parametrize("function", [
    tickets.models.mlp.mlp, nn.Linear, functools.partial(nn.Linear, 3, 4), lambda: 1, cached, dispatched, wrapper,
    Factory, Factory(), Child(), Factory().make, torch.no_grad()(lambda: 1), torch.hub.load,
])  # fmt: skip
def test_what_can_be_a_function_of_the_users(function):
    assert not_python(function) is None


@pytest.mark.parametrize(("function", "reason"), [
    (os.system, "is compiled"),
    (functools.partial(os.system, "ls"), "is compiled"),
    (eval, "is compiled"),
    (torch.abs, "is compiled"),
    (os.popen, r"comes with Python itself \(os\)"),
    (subprocess.run, r"comes with Python itself \(subprocess\)"),
    (functools.partial(subprocess.run, "ls"), r"comes with Python itself \(subprocess\)"),
    (subprocess.Popen, r"comes with Python itself \(subprocess\)"),
    (shutil.rmtree, r"comes with Python itself \(shutil\)"),
    (posixpath.join, r"comes with Python itself \(posixpath\)"),
    (int, r"comes with Python itself \(builtins\)"),
])  # fmt: skip
def test_what_cannot(function, reason):
    assert re.match(reason, not_python(function))


def fails(error):
    raise error


def caught(call, *arguments):
    try:
        call(*arguments)
    except BaseException as error:
        return error
    return None


def line_of(function):
    return function.__code__.co_firstlineno + 1


def test_an_error_is_told_with_the_last_line_of_the_users_own():
    here = os.path.relpath(__file__)
    told_here = f"(at {here}:{line_of(fails)}, in fails)"
    assert one_line(caught(fails, ValueError("no\n  good"))) == f"ValueError: no good {told_here}"
    assert one_line(caught(fails, KeyError("x"))) == f"KeyError: 'x' {told_here}"
    assert one_line(caught(fails, SystemExit(3))) == f"SystemExit: 3 {told_here}"
    assert one_line(ValueError("never raised")) == "ValueError: never raised"


def multiplies():
    return nn.Linear(3, 2)(torch.ones(4))


def test_the_frames_of_libraries_below_it_are_passed_over():
    text = one_line(caught(multiplies))
    assert text.startswith("RuntimeError: ")
    assert text.endswith(f"(at {os.path.relpath(__file__)}:{line_of(multiplies)}, in multiplies)")


def test_where_a_library_raised_another_error_from_it_the_cause_has_the_line():
    error = RuntimeError("wrapped")
    error.__cause__ = caught(fails, ValueError("no good"))
    assert one_line(error) == f"RuntimeError: wrapped (at {os.path.relpath(__file__)}:{line_of(fails)}, in fails)"


def test_a_syntax_error_is_told_with_its_own_line(tmp_path, monkeypatch):
    (tmp_path / "torn_in_two.py").write_text("x = 1\ndef f(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    error = caught(__import__, "torn_in_two")
    assert one_line(error).endswith(f"(at {tmp_path / 'torn_in_two.py'}:2)")


class SlyError(Exception):
    def __str__(self):
        raise ValueError("no text")


def test_an_exception_whose_text_cannot_be_made_or_is_endless_is_told_all_the_same():
    assert one_line(SlyError()) == "SlyError: (its text cannot be made)"
    assert one_line(ValueError("x" * 10_000)) == f"ValueError: {'x' * 500} ..."


def test_a_text_that_no_file_can_hold_is_written_out():
    error = caught(fails, OSError("no file \udcff"))
    assert one_line(error).startswith("OSError: no file \\udcff (at ")
    assert "OSError: no file \\udcff\n" in whole_traceback(error)


def test_where_nothing_is_the_users_the_installed_package_of_a_model_is_named(tmp_path):
    for package, place in (("timm", ":1, in build)"), ("torch", "no good")):
        file = tmp_path / "site-packages" / package / "nets.py"
        scope = {}
        exec(compile("def build(): raise ValueError('no good')", str(file), "exec"), scope)
        # As a worker has it: none of the frames is a test's.
        error = caught(scope["build"])
        error.__traceback__ = error.__traceback__.tb_next
        assert one_line(error).endswith(place)


def test_the_whole_traceback_has_the_causes_too():
    error = caught(fails, ValueError("first"))
    second = RuntimeError("second")
    second.__cause__ = error
    text = whole_traceback(second)
    assert "ValueError: first" in text
    assert "in fails" in text
    assert text.endswith("RuntimeError: second\n")
