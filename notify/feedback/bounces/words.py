"""Patterns written as lists, an alternative a line, so that a list of many languages can be read and grown."""

from __future__ import annotations

import re


def any_of(lines: str, *, before: str = "", after: str = "", flags: int = 0) -> re.Pattern[str]:
    """A pattern, blind to case, of whichever line matches between `before` and `after`."""
    alternatives = [line.strip() for line in lines.strip().splitlines()]
    return re.compile(f"{before}(?:{'|'.join(alternatives)}){after}", re.I | flags)
