"""One line of text: what a key, a tag, a name or a tenant may be."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

LONGEST = 255
_SPOILERS = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # control characters, and surrogates, which no encoding takes


def line(what: str, value: Any, error: Callable[[str], Exception]) -> str:
    """`value`, which must be a text of 1 to 255 characters on one line; else raises `error`, which names `what`."""
    if isinstance(value, str) and is_line(value):
        return value
    if not isinstance(value, str):
        raise error(f"{what} must be text, not {type(value).__name__}")
    if not value.strip() or len(value) > LONGEST:
        raise error(f"{what} must have 1 to {LONGEST} characters and not be blank, unlike {value!r:.60}")
    raise error(f"{what} must be one line of text without control characters or lone surrogates, not {value!r:.60}")


def is_line(value: str) -> bool:
    """Whether it is such a text: to ask so costs no words for an error that is rarely raised."""
    return 0 < len(value) <= LONGEST and not value.isspace() and not _SPOILERS.search(value)
