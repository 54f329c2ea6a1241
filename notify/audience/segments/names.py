"""The names of saved segments: one word that the language does not use itself, so that none is taken for the other."""

from __future__ import annotations

import re

from notify.audience.segments.fields import WORDS
from notify.errors import InvalidSegment

LONGEST = 100
_WORD = re.compile(r"[^\W\d]\w*(?:-\w+)*")


def saved_name(text: str) -> str | None:
    """The name that this is; None when it is an expression."""
    name = text.strip() if isinstance(text, str) else ""
    return name if _WORD.fullmatch(name) and name.lower() not in WORDS else None


def require_name(text: str) -> str:
    """The name, if a segment can have it; else `InvalidSegment`."""
    name = saved_name(text)
    if name is None or len(name) > LONGEST:
        used = isinstance(text, str) and text.strip().lower() in WORDS
        why = "the language of segments uses that word itself" if used else "it is one word of letters, digits, - and _"
        raise InvalidSegment(
            f"a segment cannot be called {text!r:.60}: {why}, at most {LONGEST} characters\n"
            "Next: choose another name, such as pilots"
        )
    return name
