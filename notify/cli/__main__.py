"""`python -m notify.cli` is `notify`."""

from notify.cli import main

main()
