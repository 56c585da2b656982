"""Data sets: loading them by name, and their split.

`load_dataset` loads what a campaign file names; `Dataset` is what a user's function may return.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tickets.binding import bound, named_function
from tickets.catalogue import DATA
from tickets.data.dataset import Dataset, Examples, split
from tickets.data.made import from_tensors
from tickets.errors import InputError, UserCodeError
from tickets.process_state import standard_state
from tickets.users_code import one_line

__all__ = ["Dataset", "Examples", "load_dataset", "split"]


def load_dataset(config_options: Mapping[str, Any], name: str, folder: Path | None) -> Dataset:
    """Load a data set: one of the catalogue, or what a user's function returns.

    Parameters
    ----------
    config_options : mapping
        The keyword arguments of the function.
    name : str
        A name of the catalogue, or "module:function". The function returns a `Dataset`, or the four tensors or arrays
        (train_inputs, train_labels, test_inputs, test_labels). Whole-number labels are classes; floating-point
        labels, (n,) or (n, k), are numbers to predict (regression).
    folder : Path, optional
        The data folder, passed as `folder=` if the function has such a parameter.

    Raises
    ------
    InputError
        For an unknown name or option, missing or damaged files, and tensors that do not fit together.
    UserCodeError
        If the function fails.
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
            raise  # a defect of this package: show its traceback
        raise UserCodeError(f"data {name!r}: the function failed: {one_line(error)}") from error
    return (made if isinstance(made, Dataset) else from_tensors(name, made)).validated()
