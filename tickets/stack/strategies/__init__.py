"""The strategies that train a stack, and the choice among them."""

from tickets.stack.strategies.choice import Choice, alternatives, begin, choose, strategy_named, strategy_names
from tickets.stack.strategies.strategy import Preference, Strategy

__all__ = ["Choice", "Preference", "Strategy", "alternatives", "begin", "choose", "strategy_named", "strategy_names"]
