"""Everything that a campaign file can name: the function and a summary of one line.

The tables are literal and hold no imported objects, so that `tickets list` and the checks of a campaign file import
neither torch nor any data set's package.
"""

from collections.abc import Mapping

from tickets.catalogue.arms import ARMS, ArmEntry, OwnRole, Pruned, Role, arm_entry, kind_of_stack
from tickets.catalogue.entry import Entry
from tickets.catalogue.named import DATA, INITS, MODELS, PROBES, STRATEGIES, table_of
from tickets.catalogue.scores import SCORES

__all__ = [
    "ARMS", "DATA", "INITS", "KINDS", "MODELS", "PROBES", "SCORES", "STRATEGIES", "ArmEntry", "Entry", "OwnRole",
    "Pruned", "Role", "arm_entry", "kind_of_stack", "table_of",
]  # fmt: skip

# What `tickets list` lists.
KINDS: Mapping[str, Mapping[str, Entry] | Mapping[str, ArmEntry]] = {
    "models": MODELS,
    "data": DATA,
    "inits": INITS,
    "arms": ARMS,
    "scores": SCORES,
    "probes": PROBES,
}
