"""`python -m responder` is the command line."""

from responder.cli import main

main()
