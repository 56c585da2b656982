"""The trainer: many networks of one architecture in lockstep, as a pure function of tensors and a recipe."""
