"""Reading saved runs: pandas in, pandas out. Imported as `tickets.analysis`; never trains, never imports torch."""

from .summary import over_replicates, table

__all__ = ["over_replicates", "table"]
