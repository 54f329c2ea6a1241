"""Durations as they are written: `30s`, `5m`, `2h`, `1d`."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}  # in seconds
_DURATION = re.compile(r"([0-9]{1,6})([smhd])")


def duration(text: str) -> timedelta:
    """Read a duration. ValueError says how to write one."""
    found = _DURATION.fullmatch(text.strip())
    if found is None or int(found[1]) == 0:
        raise ValueError(f"write a duration as a whole number of s, m, h or d, such as 30s or 5m, not {text[:40]!r}")
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


def written(span: timedelta) -> str:
    """A duration of whole seconds as `duration` reads it, in the largest unit that fits."""
    seconds = int(span.total_seconds())
    unit = next(unit for unit in ("d", "h", "m", "s") if seconds % _UNITS[unit] == 0)
    return f"{seconds // _UNITS[unit]}{unit}"
