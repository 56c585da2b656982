"""Standard settings of the process for everything that the toolkit computes.

PyTorch, NumPy and Python have settings of the whole process or thread that change what the same code computes: the
default dtype, whether gradients are recorded, the number of threads. Two campaigns at once would change them for each
other, so that one process computes one thing at a time.
"""

from __future__ import annotations

import operator
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch

from tickets.random_state import untouched_generators


@contextmanager
def standard_state() -> Iterator[None]:
    """A block in which PyTorch, NumPy and Python have the settings of a fresh process.

    In the block, gradients are recorded (no `no_grad` or `inference_mode`), the default dtype is float32 and the
    default device the CPU; autocast, anomaly detection, deterministic algorithms and reduced precision are off;
    denormal numbers are not flushed to zero; NumPy's floating-point errors, and warnings that the caller turns into
    errors, are warnings. After the block, all of these, the global random number generators, the number of threads and
    the working directory are as they were before it.

    Only one thread at a time is in such a block; the others wait. A thread may enter a second block within its first.
    PyTorch's number of threads belongs to the process: a thread that first uses PyTorch while another thread is in
    such a block starts with the number that is set there.
    """
    with _computing.taken(), ExitStack() as entered:
        entered.enter_context(torch.inference_mode(False))
        entered.enter_context(torch.enable_grad())
        if torch.get_default_device().type != "cpu":
            entered.enter_context(torch.device("cpu"))
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                entered.enter_context(torch.autocast(device, enabled=False))
        entered.enter_context(torch.autograd.set_detect_anomaly(False))
        entered.enter_context(np.errstate(all="warn", under="ignore"))
        entered.enter_context(_warnings_stay_warnings())
        entered.enter_context(_full_float32_precision())
        for get, put, value in _SETTINGS:
            entered.enter_context(_restored(get, put, value))
        entered.enter_context(_restored(torch.get_num_threads, torch.set_num_threads))
        entered.enter_context(_restored(_working_directory, _change_directory))
        entered.enter_context(untouched_generators())
        yield


@contextmanager
def settings_kept() -> Iterator[None]:
    """A block after which the settings of the process are as they were before: dtype, gradients, threads, folder.

    Unlike `standard_state`, it changes no setting at its start and does not wait for other threads.
    """
    with ExitStack() as entered:
        for get, put, _ in _SETTINGS:
            entered.enter_context(_restored(get, put))
        entered.enter_context(_restored(torch.is_grad_enabled, torch.set_grad_enabled))
        entered.enter_context(_restored(torch.get_num_threads, torch.set_num_threads))
        entered.enter_context(_restored(_working_directory, _change_directory))
        yield


@contextmanager
def one_campaign_at_a_time() -> Iterator[None]:
    """A block that only one thread of the process is in, from the first module that a campaign imports to its end.

    `standard_state` has another lock, so that an engine of this campaign may train in threads of its own.
    """
    with _campaigns.taken():
        yield


class _Turn:
    """A lock among the threads of one process. A forked process has one of its own, free when it is forked."""

    def __init__(self) -> None:
        self._process, self._lock = os.getpid(), threading.RLock()

    def taken(self) -> AbstractContextManager[bool]:
        """The lock, to be entered by `with`."""
        if self._process != os.getpid():
            self._process, self._lock = os.getpid(), threading.RLock()
        return self._lock


_computing = _Turn()
_campaigns = _Turn()


def _flushes_denormals() -> bool:
    """Whether this thread flushes denormal numbers to zero. PyTorch has no getter for it."""
    return bool((torch.full((1,), 2.0**-130, dtype=torch.float32, device="cpu") * 1.0 == 0).item())


def _working_directory() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return None


def _change_directory(folder: str | None) -> None:
    if folder is not None:
        os.chdir(folder)


# (the getter, the setter, the value in a fresh process)
_SETTINGS: tuple[tuple[Callable[[], Any], Callable[[Any], Any], Any], ...] = (
    (torch.get_default_dtype, torch.set_default_dtype, torch.float32),
    (_flushes_denormals, torch.set_flush_denormal, False),
    (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode, 0),
    (torch.backends.mha.get_fastpath_enabled, torch.backends.mha.set_fastpath_enabled, True),
    (torch.backends.cuda.flash_sdp_enabled, torch.backends.cuda.enable_flash_sdp, True),
    (torch.backends.cuda.mem_efficient_sdp_enabled, torch.backends.cuda.enable_mem_efficient_sdp, True),
    (torch.backends.cuda.math_sdp_enabled, torch.backends.cuda.enable_math_sdp, True),
)


_BACKENDS = (
    "backends",
    "backends.mkldnn",
    "backends.mkldnn.matmul",
    "backends.mkldnn.conv",
    "backends.mkldnn.rnn",
    "backends.cuda.matmul",
)


@contextmanager
def _restored(get: Callable[[], Any], put: Callable[[Any], Any], *values: Any) -> Iterator[None]:
    """A block in which a setting has a value, if one is given; after the block it has its value from before."""
    before = get()
    for value in values:
        if before != value:
            put(value)
    try:
        yield
    finally:
        if get() != before:
            put(before)


@contextmanager
def _warnings_stay_warnings() -> Iterator[None]:
    """A block that shows the warnings which the caller turns into errors.

    Otherwise a warning of PyTorch would decide how a model is trained, or end a campaign in the middle.
    """
    if not any(one[0] == "error" for one in warnings.filters):
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        yield


@contextmanager
def _full_float32_precision() -> Iterator[None]:
    """A block in which products of float32 numbers are computed in float32, not in fewer bits.

    PyTorch has had two ways to set this, and refuses the first where the second was used.
    """
    try:
        torch.get_float32_matmul_precision()
    except RuntimeError:
        with ExitStack() as entered:
            for backend in _BACKENDS:  # the others follow the first one where their own value is "none"
                place = operator.attrgetter(backend)(torch)
                get, put = partial(getattr, place, "fp32_precision"), partial(setattr, place, "fp32_precision")
                entered.enter_context(_restored(get, put, "none"))
            yield
        return
    with _restored(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest"):
        yield
