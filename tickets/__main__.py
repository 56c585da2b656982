"""`python -m tickets` is the `tickets` command."""

from tickets.command_line.app import main

main()
