"""Strong lottery tickets that are constructed: subsets of random networks that approximate trained ones.

Sources: Pensia et al. 2020, "Optimal Lottery Tickets via SubsetSum"; Malach et al. 2020, "Proving the Lottery Ticket
Hypothesis: Pruning is All You Need"; Lueker 1998, "Exponentially Small Bounds on the Expected Optimum of the Partition
and Subset Sum Problems".
"""

from tickets.approximation.approximating import approximate
from tickets.approximation.construction import Settings
from tickets.approximation.listener import Listener
from tickets.approximation.network import plain
from tickets.approximation.saved import Approximation, read_approximation

__all__ = ["Approximation", "Listener", "Settings", "approximate", "plain", "read_approximation"]
