"""Data sets: where their tensors come from, and how they are split.

`load_dataset` is the way in for a name in a campaign file; `Dataset` is what a user's function may return.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tickets.binding import bound, named_function
from tickets.catalogue import DATA
from tickets.data.dataset import Dataset, Examples, from_tensors, split
from tickets.errors import InputError, UserCodeError
from tickets.process_state import standard_state
from tickets.users_code import told

__all__ = ["Dataset", "Examples", "load_dataset", "split"]


def load_dataset(config_options: Mapping[str, Any], name: str, folder: Path | None) -> Dataset:
    """The data set `name`: one of the catalogue, or a "module:function" of the user's.

    The function is called with `config_options` as keyword arguments, and with `folder=` (the data folder,
    or None) if it has such a parameter. A user's function returns a `Dataset`, or the four tensors or arrays
    (train_inputs, train_labels, test_inputs, test_labels). Raises InputError for an unknown name or option,
    missing or damaged files, and tensors that do not fit together; UserCodeError for a function that fails.
    """
    function = named_function("data", name, DATA)
    call = bound(function, "data", name, config_options, {"folder": folder})
    try:
        with standard_state():
            made = call()
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        if name in DATA:
            raise  # a fault of this package, to be seen whole
        raise UserCodeError(f"data {name!r}: the function failed: {told(error)}") from error
    return (made if isinstance(made, Dataset) else from_tensors(name, made)).validated()
