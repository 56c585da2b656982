"""Masks that are learned: the weights stay what they are, and a score of each weight is trained instead."""
