"""``python -m service.cli``: what the supervisor starts its own commands with."""

from service.cli.entry import main

main()
