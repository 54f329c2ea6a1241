"""Measures the product on this machine, always beside a yardstick of the same run.

Each module runs alone (`python -m benchmarks.bulk --json`); `python -m benchmarks` runs them all and keeps the figures.
"""
