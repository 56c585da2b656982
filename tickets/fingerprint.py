"""What the last bits of a number depend on: the packages, the machine, the threads."""

from __future__ import annotations

import functools
import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import torch

from tickets.stack.jit import jit_is_off
from tickets.version import __version__

PACKAGES = ("torch", "numpy", "pandas", "pyarrow", "safetensors", "mnist1d", "scikit-learn", "numba")


def fingerprint(device: torch.device, threads: int) -> dict[str, str | int | dict[str, str]]:
    """The packages and the machine of this process, as JSON values.

    Equal fingerprints promise equal bits for the same cohort and arms.

    Parameters
    ----------
    device
        The device that trains.
    threads
        The number of CPU threads that train.

    Returns
    -------
    dict
        "packages" (version by name), "python", "system", "device", "cpu_capability" and "threads".
    """
    packages = {"tickets": __version__, **_installed()}
    if jit_is_off():  # batch normalisation is PyTorch's own then
        packages["numba"] += ", compiling nothing"
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "packages": packages,
        "python": platform.python_version(),
        "system": platform.system(),
        "device": f"{device.type} ({name})",
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": threads,
    }


@functools.cache
def _installed() -> Mapping[str, str]:
    """The versions of the packages when this process first asked: what is installed later, it does not use."""
    return {package: version(package) for package in PACKAGES}


def changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The differences between two fingerprints: `numpy 1.26.4, now 2.0.1` for each key that differs.

    Parameters
    ----------
    then
        The earlier fingerprint.
    now
        The later one.

    Returns
    -------
    list of str
        Empty if the two are equal.
    """
    found: list[str] = []
    for key in {**then, **now}:
        old, new = then.get(key), now.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += changes(old, new)
        elif old != new:
            found.append(f"{key} {old}, now {new}")
    return found
