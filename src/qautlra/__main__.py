"""`python -m qautlra` is the command line."""

from qautlra.cli.main import main

main()
