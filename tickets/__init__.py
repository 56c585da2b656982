"""Lottery-ticket pruning: the ticket and all its controls, trained side by side, saved and compared."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tickets.version import __version__

if TYPE_CHECKING:
    from tickets.approximation.approximating import approximate
    from tickets.campaign import run
    from tickets.errors import InputError
    from tickets.probing import probe
    from tickets.store.loading import load

__all__ = ["InputError", "__version__", "approximate", "load", "probe", "run"]

# Imported when first asked for (PEP 562), so that `tickets --help` waits for neither torch nor pandas.
_LAZY = {
    "approximate": "tickets.approximation.approximating",
    "InputError": "tickets.errors",
    "load": "tickets.store.loading",
    "probe": "tickets.probing",
    "run": "tickets.campaign",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
