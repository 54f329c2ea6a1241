"""Rosters: many people come in from a CSV file, and go out to one that can be imported again."""
