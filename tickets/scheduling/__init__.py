"""Campaigns on a cluster: Slurm runs their workers. Importing it imports neither torch nor pandas."""

from tickets.scheduling.element import Element
from tickets.scheduling.queue import elements, last_lines

__all__ = ["Element", "elements", "last_lines"]
