"""The state of the process that the toolkit computes in, whatever its caller has set.

PyTorch, NumPy and Python have settings for a whole process or thread that change what the same code computes: the
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
    """PyTorch's, NumPy's and Python's settings as they are in a fresh process; the caller's afterwards.

    Within the block: gradients are recorded (no `no_grad` or `inference_mode`), the default dtype is float32 and the
    default device the CPU, autocast, anomaly detection, deterministic algorithms and reduced precision are off,
    denormal numbers are kept, NumPy's floating-point errors and other warnings are warnings. Afterwards all of these,
    the global random number generators, the number of threads and the working directory are as they were, whatever
    the block did to them.

    Several threads: one at a time is in such a block, the others wait; a thread may enter another one within its own.
    The number of threads of PyTorch belongs to the process: a thread that first uses PyTorch while another one is in
    such a block begins with the number that is set there.
    """
    with _alone(), ExitStack() as entered:
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
        entered.enter_context(_float32_products())
        for get, put, value in _SETTINGS:
            entered.enter_context(_held(get, put, value))
        entered.enter_context(_held(torch.get_num_threads, torch.set_num_threads))
        entered.enter_context(_held(_working_directory, _go_to))
        entered.enter_context(untouched_generators())
        yield


@contextmanager
def settings_kept() -> Iterator[None]:
    """What a block sets for the whole process or thread ends with it: default dtype, gradients, threads, folder.

    Unlike `standard_state` it puts nothing at a standard, and takes no turn, so that any thread may enter it.
    """
    with ExitStack() as entered:
        for get, put, _ in _SETTINGS:
            entered.enter_context(_held(get, put))
        entered.enter_context(_held(torch.is_grad_enabled, torch.set_grad_enabled))
        entered.enter_context(_held(torch.get_num_threads, torch.set_num_threads))
        entered.enter_context(_held(_working_directory, _go_to))
        yield


class _Turn:
    """Whose turn it is, of the threads of one process."""

    def __init__(self) -> None:
        self.process, self.lock = os.getpid(), threading.RLock()


_turn = _Turn()


def _alone() -> AbstractContextManager[bool]:
    """The lock that only one thread has; a forked process has one of its own, whoever held it when it was forked."""
    global _turn
    if _turn.process != os.getpid():
        _turn = _Turn()
    return _turn.lock


def _flushes_denormals() -> bool:
    """Whether this thread takes numbers that are too small for all their digits as 0; PyTorch has no getter for it."""
    return bool((torch.full((1,), 2.0**-130, dtype=torch.float32, device="cpu") * 1.0 == 0).item())


def _working_directory() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it has been removed
        return None


def _go_to(folder: str | None) -> None:
    if folder is not None:
        os.chdir(folder)


# (what is set now, how it is set, what it is in a fresh process)
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
def _held(get: Callable[[], Any], put: Callable[[Any], Any], *values: Any) -> Iterator[None]:
    """A setting at a value, if one is given, in the block; at what it was before, after it."""
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
    """Where the caller has warnings raised as errors, they are shown instead.

    Else a warning of PyTorch would decide how a model is trained, or end a campaign in the middle.
    """
    if not any(kept[0] == "error" for kept in warnings.filters):
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        yield


@contextmanager
def _float32_products() -> Iterator[None]:
    """Products of float32 numbers as float32 is, and not in fewer bits.

    PyTorch has had two ways to set that, and refuses the first where the second was used.
    """
    try:
        torch.get_float32_matmul_precision()
    except RuntimeError:
        with ExitStack() as entered:
            for backend in _BACKENDS:  # the first is what the others follow where they say "none"
                place = operator.attrgetter(backend)(torch)
                get, put = partial(getattr, place, "fp32_precision"), partial(setattr, place, "fp32_precision")
                entered.enter_context(_held(get, put, "none"))
            yield
        return
    with _held(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest"):
        yield
