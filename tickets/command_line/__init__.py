"""The `tickets` command: the only part of the package that prints."""
