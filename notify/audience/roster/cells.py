"""Cells that no spreadsheet takes for a formula, and the way back: what was written so is read as it was.

A cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return would be run as a formula (OWASP, "CSV
Injection"); it gets an apostrophe, and so does what begins with blanks, or already with apostrophes before such a sign.
Reading takes exactly that apostrophe away.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

TAG = ";"
_DANGEROUS = re.compile(r"'*[=+\-@\s]")
_GUARDED = re.compile(r"'+[=+\-@\s]")


def guarded(text: str) -> str:
    """The text as a cell, without the blanks at its end."""
    text = text.rstrip()
    return f"'{text}" if _DANGEROUS.match(text) else text


def plain(cell: str) -> str:
    """What a cell says: without blanks around it, and without the apostrophe of `guarded`."""
    said = cell.strip()
    return said[1:] if said[:1] == "'" and _GUARDED.match(said) else said


def said(value: Any) -> str:
    """An attribute as a cell says it: text as it is, anything else as JSON; of none, nothing."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def meant(text: str, before: Any) -> Any:
    """What a cell means for an attribute that is `before` now: what says the same leaves it, and a number stays one."""
    if before is None or isinstance(before, str):
        return before if before is not None and before.strip() == text.strip() else text
    if text == said(before):
        return before
    try:
        read = json.loads(text)
    except ValueError:
        return text
    numbers = isinstance(read, int | float) and isinstance(before, int | float)
    alike = type(read) is type(before) or (numbers and bool not in (type(read), type(before)))
    return read if alike else text


@lru_cache(maxsize=1024)  # many rows have the same
def tags(text: str) -> tuple[str, ...]:
    """The tags that a cell lists."""
    return tuple(tag.strip() for tag in text.split(TAG) if tag.strip())


def listed(given: Sequence[str]) -> str:
    """Tags as a cell lists them."""
    return TAG.join(given)
