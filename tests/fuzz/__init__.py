"""Hostile input for whatever reads what comes from outside: `python -m tests.fuzz`, and a little of it in the suite."""
