"""Counts what a limit let through."""

from __future__ import annotations

from collections.abc import Iterable


def highest(moments: Iterable[float], span: float) -> int:
    """The most of these moments that lie within any half-open span of so many seconds."""
    found, first = 0, 0
    ordered = sorted(moments)
    for number, moment in enumerate(ordered):
        while ordered[first] <= moment - span:
            first += 1
        found = max(found, number - first + 1)
    return found
