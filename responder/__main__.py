"""`python -m responder` is the command line."""

from responder.commands.cli import main

main()
