"""What a number's last bits depend on: the packages, the machine, the threads."""

from __future__ import annotations

import platform
from importlib.metadata import version

import torch

import tickets
from tickets.stack.jit import jit_is_off

PACKAGES = ("torch", "numpy", "pandas", "pyarrow", "safetensors", "mnist1d", "scikit-learn", "numba")


def fingerprint(device: torch.device, threads: int) -> dict[str, str | int | dict[str, str]]:
    """JSON of this process: package versions, Python, device, threads and CPU capability.

    Equal fingerprints promise equal bits for the same cohort and arms.
    """
    packages = {"tickets": tickets.__version__, **{package: version(package) for package in PACKAGES}}
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
